"""Values of an HTTP/1 connection: its exchanges as the report has them, small answers as they are kept, how far events were consumed."""

from __future__ import annotations

from pcapflow.protocols.http1_cache import Answer
from pcapflow.protocols.http1_head import ResponseHead, encoded
from pcapflow.protocols.http1_pairs import Exchange
from pcapflow.records import Body, Http, JsonBody
from pcapflow.streams.events import StreamEvent


def http_record(connection: int, exchange: Exchange) -> Http:
    """An exchange whose sides are both done."""
    begun = (exchange.ts + 500) // 1000
    duration = None
    if exchange.response is not None and exchange.request is not None:
        duration = max(0, (exchange.done_ts + 500) // 1000 - begun) / 1_000_000
    return Http(
        connection,
        exchange.index,
        begun / 1_000_000,
        duration,
        exchange.anomalies,
        exchange.resynchronised,
        exchange.request,
        exchange.response,
    )


def small_answer(head: ResponseHead, body: bytes, json: JsonBody | None) -> Answer:
    """What a small body holds, and the response as it is written."""
    decoded = len(body) if json is not None else None
    response = encoded(
        head.with_body(Body("length", len(body), decoded, 0, head.content_type, head.content_encoding, "complete", None, json))
    )
    return Answer(json, response, memoryview(response).nbytes)  # type: ignore[arg-type]


class Cursor:
    """How far the server's events were consumed."""

    __slots__ = ("events", "index", "position")

    def __init__(self, events: list[StreamEvent]) -> None:
        self.events = events
        self.index = 0
        self.position = 0
