"""An HTTP exchange, of any version: a request and its final response, or one of them alone; and its record.

Contract: whoever pairs messages fills it in. Invariant: what it keeps is reserved by whoever lets it wait (`reserve`, `release`).
"""

from __future__ import annotations

from sys import getsizeof

import msgspec

from pcapflow.anomalies import Anomaly
from pcapflow.budget import Account
from pcapflow.protocols.http.cache import Heads
from pcapflow.protocols.http.message import NOTHING, Head, RequestHead, ResponseHead
from pcapflow.records import Http, Request, Response

WAITING_BYTES = 700
"""Reserved for each exchange that waits, beside its heads and what is known of its bodies."""
_BODY_BYTES = 900
"""A record of one side with a body and what its JSON held, beside the texts of an error."""
_IN_ORDER = {name.value: i for i, name in enumerate(Anomaly)}


class Exchange:
    """A request, its response, or both. What most exchanges never change stands on the class."""

    head: RequestHead | None = None
    request: Request | None = None
    response: Response | None = None
    response_head: ResponseHead | None = None
    request_done = True
    response_done = False
    resynchronised = False
    anomalies: list[str] = NOTHING
    done_packet = 0
    done_ts = 0
    reserved = 0
    """Bytes reserved for it beside its heads; 0 for one that nobody waits for yet."""
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

    def reserve(self, account: Account, heads: Heads) -> bool:
        """Reserve what it keeps; whether there was room. What was reserved stays so until `release`."""
        needed = WAITING_BYTES + _record_bytes(self.request, self.head) + _record_bytes(self.response, self.response_head)
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
    error = record.body.json.error if record.body.json is not None else None
    return _BODY_BYTES + (sum(map(getsizeof, (error.message, error.path, error.location))) if error is not None else 0)


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
