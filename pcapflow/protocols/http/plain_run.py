"""Many exchanges that differ in nothing but when and where they were captured, as one value, and their records.

Contract: whoever frames messages takes as `PlainRun` what it could as well tell one by one; `http_lines` and `json_lines` give the records that `exchange.http_record` and `flow` would.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from pcapflow.contents import JsonBody
from pcapflow.fields import Ends
from pcapflow.protocols.http.cache import Answer
from pcapflow.protocols.http.exchange import Places
from pcapflow.protocols.http.message import NOTHING, MessagePlace, RequestHead, ResponseHead
from pcapflow.records import Http, Json

_I64 = npt.NDArray[np.int64]
_encode = msgspec.json.Encoder().encode
_HOLE = b"\0"
"""Stands in a line where a value goes: no text that is encoded as JSON has such a byte."""
_hole: Any = msgspec.Raw(_HOLE)


class PlainRun(NamedTuple):
    """Requests in one segment each, and their answers in one later segment each.

    request, response: the heads of all; answer: what the body of each answer holds; size: bytes of that; numbers: int64 (n,), of the exchanges on their
    connection; asked, answered: int64 (n,), packets of the request and of the answer; asked_ts, answered_ts: int64 (n,), when these were captured (ns), never
    the answer first.
    """

    request: RequestHead
    response: ResponseHead
    answer: Answer
    size: int
    numbers: _I64
    asked: _I64
    asked_ts: _I64
    answered: _I64
    answered_ts: _I64


def http_lines(connection: int, ends: Ends, run: PlainRun, places: Places) -> Iterator[tuple[int, int, bytes]]:
    """The packet that completed each exchange, its number, and its record, encoded."""
    begun, over = _micro(run.asked_ts), _micro(run.answered_ts)
    begin, end, took = _texts(begun / 1e6), _texts(over / 1e6), _texts((over - begun) / 1e6)
    numbers, asked, answered = _texts(run.numbers), _texts(run.asked), _texts(run.answered)
    if places.of(int(run.answered[-1]))[0] is None:
        line = _http_line(connection, ends, run, None)
        lines = map(line.__mod__, zip(numbers, begin, took, asked, begin, begin, answered, end, end, took, strict=True))
    else:
        line = _http_line(connection, ends, run, _hole)
        whose, where = _of_places(run.asked, run.answered, places), _of_places(run.answered, run.answered, places)
        lines = map(line.__mod__, zip(numbers, begin, took, asked, *whose, begin, begin, answered, *where, end, end, took, strict=True))
    return zip(run.answered.tolist(), run.numbers.tolist(), lines, strict=True)


def _http_line(connection: int, ends: Ends, run: PlainRun, place: Any) -> bytes:
    """What all of them share, with a place for each value; place: of the capture and the number in it, None where there is none."""
    at = MessagePlace(_hole, place, place, _hole, _hole)
    request, response = (_placed(message, at) for message in (run.request.bodiless, run.answer.response))
    record = Http(
        connection, _hole, _hole, _hole, NOTHING, False, request, response, ends.client, ends.server, ends.community_id, _hole, 0.0
    )  # fmt: skip
    return _with_places(_encode(record))


def _with_places(line: bytes) -> bytes:
    """A line as a format."""
    return line.replace(b"%", b"%%").replace(_HOLE, b"%b")


def _of_places(packets: _I64, told: _I64, places: Places) -> tuple[list[bytes], list[bytes]]:
    """The capture that has each packet, and its number there, encoded. told: the packets at which that is told."""
    found = list(map(places.of, packets.tolist(), told.tolist()))
    return [_encode(file) for file, _ in found], [_encode(frame) for _, frame in found]


def _placed(message: Any, place: MessagePlace) -> Any:
    """A message that is encoded already (`message.encoded`), with its place."""
    return msgspec.Raw(b"".join((memoryview(message)[:-1], b",", memoryview(_encode(place))[1:])))


def json_lines(connection: int, json: JsonBody, run: PlainRun) -> Iterator[tuple[int, bytes]]:
    """The packet that completed each answer, and the record of its JSON."""
    line = _with_places(_encode(Json(connection, "server", "http-response", _hole, _hole, *astuple(json))))
    lines = map(line.__mod__, zip(_texts(run.numbers), _texts(_micro(run.answered_ts) / 1e6), strict=True))
    return zip(run.answered.tolist(), lines, strict=True)


def _micro(ns: _I64) -> _I64:
    """Microseconds, rounded as `records.seconds` does."""
    rounded: _I64 = (ns + 500) // 1000
    return rounded


def _texts(values: npt.NDArray[Any]) -> list[bytes]:
    """Numbers as JSON writes them."""
    return _encode(values.tolist())[1:-1].split(b",")
