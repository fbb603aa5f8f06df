"""An HTTP exchange, of any version: a request and its final response, or one of them alone; and its record.

Contract: whoever pairs messages fills it in. Invariant: what it keeps is reserved by whoever lets it wait (`reserve`, `release`).
"""

from __future__ import annotations

from sys import getsizeof
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from pcapflow.anomalies import Anomaly, NoResponse
from pcapflow.budget import Account
from pcapflow.contents import FormBody, JsonBody, MultipartError, Other, Problem, YamlBody
from pcapflow.fields import Ends
from pcapflow.messages import Request, Response
from pcapflow.protocols.http.cache import Heads
from pcapflow.protocols.http.message import NOTHING, Head, MessagePlace, RequestHead, ResponseHead
from pcapflow.records import Http, seconds
from pcapflow.streams.events import Stall

WAITING_BYTES = 700
"""Reserved for each exchange that waits, beside its heads and what is known of its bodies."""
_BODY_BYTES = 900
"""A record of one side with a body and what its JSON held, beside the texts that it has (tests/test_attacks.py holds it)."""
_TROUBLE_BYTES = 200
"""One of `Exchange.troubles`, beside the texts of its error."""
_LIST_BYTES = 150
_PART_BYTES = 250
"""A part of a body, or a field, beside its texts."""
_encode = msgspec.json.Encoder().encode
M = TypeVar("M", Request, Response)
_IN_ORDER = {name.value: i for i, name in enumerate(Anomaly)}


class Places(Protocol):
    """Where the trace's packets lie."""

    def of(self, packet: int, told: int | None = None) -> tuple[str | None, int | None]:
        """The capture that has a packet, and its number there; None where the trace is one capture."""
        ...


class Trouble(NamedTuple):
    """A body of an exchange that did not come whole, or is not what it says: side 0 for the request's; the body's status; of what kind the problem is, and what is wrong."""

    side: int
    status: str
    kind: str = ""
    error: Problem | None = None


class Exchange:
    """A request, its response, or both. What most exchanges never change stands on the class."""

    head: RequestHead | None = None
    request: Request | None = None
    response: Response | None = None
    response_head: ResponseHead | None = None
    request_done = True
    response_done = False
    request_packet = 0
    """That carried its first byte; 0 where there is none."""
    request_end = 0
    """When the last of its bytes was captured (ns)."""
    response_packet = 0
    response_bytes = 0
    """Of its body."""
    troubles: tuple[Trouble, ...] = ()
    stalled_request = stalled_wait = stalled_response = 0
    """Nanoseconds of the request, of the wait and of the response in which bytes waited behind what the network had lost."""
    response_ts = 0
    """When its first byte was captured (ns)."""
    resynchronised = False
    operations: list[str] | None = None
    """What it asks for by GraphQL or JSON-RPC."""
    unanswered: NoResponse | None = None
    """Why it has no response."""
    anomalies: list[str] = NOTHING
    done_packet = 0
    done_ts = 0
    reserved = 0
    """Bytes reserved for it beside its heads; 0 for one that nobody waits for yet."""
    _size = WAITING_BYTES
    _measured: tuple[Request | None, Response | None, tuple[Trouble, ...]] = (None, None, ())
    """Of what that is the size."""
    held: tuple[Head, ...] = ()
    """Its heads that are held in the run's `Heads`."""

    def __init__(self, index: int, offset: int, packet: int, ts: int, ack: int) -> None:
        self.index = index
        self.offset = offset
        self.packet = packet
        self.ts = ts
        self.ack = ack

    expected = False
    """An answer whose request may still come."""
    went_on = False
    """The client asked to switch, and went on without waiting for the answer."""
    end = 0
    """Client offset at which the request ends, as far as its head tells."""

    def add_anomalies(self, more: list[str]) -> None:
        """Name what was suspicious in it; in the table's order, whichever side was looked at first."""
        if more:
            self.anomalies = sorted({*self.anomalies, *more}, key=_IN_ORDER.__getitem__)

    @property
    def stalled(self) -> int:
        """Of all of it (ns)."""
        return self.stalled_request + self.stalled_wait + self.stalled_response

    def request_stalls(self, stall: Stall) -> None:
        """Bytes of the request, which is under way, waited."""
        self.stalled_request += stall.until - max(stall.since, self.ts)

    def response_stalls(self, stall: Stall) -> None:
        """Bytes of the response, which is under way, waited: before its first byte came that counts into the wait."""
        begins = self.response_ts
        if self.head is not None:
            self.stalled_wait += max(0, min(stall.until, begins) - max(stall.since, self.request_end))
        self.stalled_response += max(0, stall.until - max(stall.since, begins))

    def waited(self) -> int | None:
        """Nanoseconds from the last byte of the request to the first of its answer, below 0 where that came earlier; None where one of them is not there."""
        if self.request is None or self.response is None:
            return None
        return self.response_ts - self.request_end

    def reserve(self, account: Account, heads: Heads) -> bool:
        """Reserve what it keeps; whether there was room. What was reserved stays so until `release`."""
        needed = self._bytes()
        if needed > self.reserved:
            if not account.reserve(needed - self.reserved):
                return False
            self.reserved = needed
        for head in (self.head, self.response_head):
            if head is not None and not any(head is one for one in self.held):
                if not heads.hold(head):
                    return False
                self.held = (*self.held, head)
        return True

    def _bytes(self) -> int:
        """What it takes beside its heads; looked at again where something came to it."""
        request, response, troubles = self._measured
        if request is not self.request or response is not self.response or troubles is not self.troubles:
            self._measured = self.request, self.response, self.troubles
            self._size = (
                WAITING_BYTES
                + sum(_TROUBLE_BYTES + _error_bytes(trouble.error) for trouble in self.troubles)
                + _record_bytes(self.request, self.head)
                + _record_bytes(self.response, self.response_head)
            )
        return self._size

    def release(self, account: Account, heads: Heads) -> None:
        """It is over."""
        account.release(self.reserved)
        self.reserved = 0
        for head in self.held:
            heads.let_go(head)
        self.held = ()


def _record_bytes(record: Request | Response | None, head: RequestHead | ResponseHead | None) -> int:
    """What the record of one side takes beside its head."""
    if record is None or (head is not None and record is head.bodiless):
        return 0
    if isinstance(record, msgspec.Raw):
        return 100 + memoryview(record).nbytes  # encoded already, see `message.encoded`
    trailers: Any = record.trailers
    n = _BODY_BYTES + (memoryview(trailers).nbytes if trailers is not None else 0)
    if isinstance(record, Request) and record.operations:
        n += _LIST_BYTES + sum(map(getsizeof, record.operations))
    return n + sum(_held_bytes(held) for held in (record.body.json, record.body.payload) if held is not None)


def _held_bytes(held: JsonBody | Other) -> int:
    """What is known of a body's content, beside `_BODY_BYTES`."""
    if isinstance(held, JsonBody | YamlBody):
        texts = [*(held.shape or ()), *(text for values in held.values or () for text in values.values)]
        return _error_bytes(held.error) + 8 * len(texts) + sum(map(getsizeof, texts)) + _LIST_BYTES * len(held.values or ())
    if isinstance(held, FormBody):
        return sum(
            _PART_BYTES + getsizeof(one.name) + (_BODY_BYTES + _held_bytes(one.json) if one.json is not None else 0) for one in held.listed
        )
    n = 0
    for part in held.listed:
        n += _PART_BYTES + sum(getsizeof(text) for text in (part.name, part.filename, part.content_type) if text is not None)
        n += sum(_BODY_BYTES + _held_bytes(one) for one in (part.json, part.payload) if one is not None)
    return n


def _error_bytes(error: Problem | None) -> int:
    if error is None:
        return 0
    return (
        sum(map(getsizeof, (error.message, error.path, error.location)))
        if not isinstance(error, MultipartError)
        else getsizeof(error.message)
    )


def http_record(connection: int, exchange: Exchange, ends: Ends, places: Places) -> Http:
    """An exchange whose sides are both done; places: where packets lie."""
    begun = (exchange.ts + 500) // 1000
    duration = wait = None
    request, response = exchange.request, exchange.response
    if response is not None and request is not None:
        duration = max(0, (exchange.done_ts + 500) // 1000 - begun) / 1_000_000
        wait = max(0, (exchange.response_ts + 500) // 1000 - (exchange.request_end + 500) // 1000) / 1_000_000
    if request is not None:
        request = _placed(request, exchange, exchange.request_packet, exchange.ts, exchange.request_end, places)
    if response is not None:
        response = _placed(response, exchange, exchange.response_packet, exchange.response_ts, exchange.done_ts, places)
    return Http(
        connection,
        exchange.index,
        begun / 1_000_000,
        duration,
        exchange.anomalies,
        exchange.resynchronised,
        request,
        response,
        ends.client,
        ends.server,
        ends.community_id,
        wait,
        seconds(exchange.stalled),
        exchange.unanswered.value if exchange.unanswered is not None else None,
    )


def _placed(message: M, exchange: Exchange, packet: int, ts: int, end_ts: int, places: Places) -> M:
    """A message with where and when it was captured; ts, end_ts: ns."""
    place = MessagePlace(packet, *places.of(packet, exchange.done_packet), seconds(ts), seconds(end_ts))
    if isinstance(message, msgspec.Raw):
        # encoded already, see `message.encoded`: these are its last fields
        raw: Any = msgspec.Raw(b"".join((memoryview(message)[:-1], b",", memoryview(_encode(place))[1:])))
        return raw
    message.packet, message.file, message.frame, message.ts, message.end_ts = place.packet, place.file, place.frame, place.ts, place.end_ts
    return message
