"""What people come for: endpoints with their times, and what went wrong where. Gathered exchange by exchange.

Contract: `add` takes an exchange when nothing more comes of it; `merge` another shard's tables; `endpoints` and `problems` give them. Invariant: what is kept is bounded by
`table_rows` and reserved in the `output` account; nothing depends on the order in which exchanges are told, or tables merged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Account, Ledger
from pcapflow.contents import Problem as Wrong
from pcapflow.contents import broken_at, detail_of
from pcapflow.endpoint_names import url_of, with_operations
from pcapflow.findings.bounded import Bounded
from pcapflow.findings.ends import addresses
from pcapflow.findings.histogram import HISTOGRAM_BYTES, Histogram
from pcapflow.findings.names import REST
from pcapflow.limits import Limits
from pcapflow.protocols.http.exchange import Exchange, Places
from pcapflow.protocols.http.message import RequestHead
from pcapflow.protocols.http.plain_run import PlainRun
from pcapflow.records import seconds
from pcapflow.streams.conversation import Conversation
from pcapflow.tables import PROBLEMS, ExchangePlace, HttpEndpoint, Latency, Parts, Problem

ENDPOINT_BYTES = HISTOGRAM_BYTES + 2400
PROBLEM_BYTES = 2800
"""Of each, with its texts, as tests/report/test_answers.py measures it."""
_ROW_BYTES = ENDPOINT_BYTES + PROBLEM_BYTES
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


class _Place(NamedTuple):
    """An exchange among others: the first is least."""

    packet: int
    connection: int
    exchange: int
    url: str | None
    file: str | None
    frame: int | None

    def record(self) -> ExchangePlace:
        return ExchangePlace(self.url, self.connection, self.exchange, self.packet, self.file, self.frame)


class Took(NamedTuple):
    """When exchanges came that were alone on their connections, int64 (n,) each, n above 0: the connections' numbers; packets and times (ns) of requests in one segment each; times of the first bytes of the
    answers, packets and times of their last ones; round trips of the handshakes (ns).
    """

    numbers: npt.NDArray[np.int64]
    asked: npt.NDArray[np.int64]
    asked_ts: npt.NDArray[np.int64]
    answered_ts: npt.NDArray[np.int64]
    done: npt.NDArray[np.int64]
    done_ts: npt.NDArray[np.int64]
    round_trips: npt.NDArray[np.int64]


class _Endpoint:
    """One's."""

    __slots__ = ("bytes", "client_errors", "exchanges", "parts", "server_errors", "slowest", "timed", "times", "unanswered")

    def __init__(self) -> None:
        self.exchanges = self.client_errors = self.server_errors = self.unanswered = self.bytes = self.timed = 0
        self.times = Histogram()
        self.parts = [0, 0, 0, 0]
        """Nanoseconds of upload, server, network and transfer."""
        self.slowest: tuple[int, _Place] | None = None
        """Minus its time, and which it is."""

    def merge(self, other: _Endpoint) -> None:
        """See `Merged`."""
        self.exchanges += other.exchanges
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.unanswered += other.unanswered
        self.bytes += other.bytes
        self.timed += other.timed
        self.times.merge(other.times)
        self.parts = [a + b for a, b in zip(self.parts, other.parts, strict=True)]
        if other.slowest is not None:
            self.slowest = other.slowest if self.slowest is None else min(self.slowest, other.slowest)


class _Problem:
    """How often, and the first."""

    __slots__ = ("count", "first", "place", "what")

    def __init__(self) -> None:
        self.count = 0
        self.what: tuple[str, str | None, str, str | None, str | None] | None = None
        """Kind, endpoint, detail, sender and the sender's address."""
        self.first: _Place | None = None
        self.place: str | None = None
        """Where the JSON of the first is broken."""

    def merge(self, other: _Problem) -> None:
        """See `Merged`."""
        self.count += other.count
        self.what = self.what or other.what
        if other.first is not None and (self.first is None or other.first[:3] < self.first[:3]):
            self.first, self.place = other.first, other.place


def table_bytes(limits: Limits) -> int:
    """What both tables may take of the `output` account: an eighth."""
    return min(limits.output_total, limits.memory_limit) // 8


class Answers:
    """One run's."""

    def __init__(self, limits: Limits, ledger: Ledger, most: int) -> None:
        """most: bytes of both tables."""
        self._rows = min(limits.table_rows, most // _ROW_BYTES)
        self._account: Account | None = ledger.output
        self._reserved = -1
        """Bytes; -1 before the first exchange."""
        self._endpoints, self._problems = Bounded(0, _Endpoint), Bounded(0, _Problem)

    def _begin(self, account: Account) -> None:
        """The first exchange comes."""
        rows = self._rows
        while rows and not account.reserve(rows * _ROW_BYTES):
            rows //= 2
        self._reserved = rows * _ROW_BYTES
        self._endpoints, self._problems = Bounded(rows, _Endpoint), Bounded(rows, _Problem)

    def merge(self, other: Answers) -> None:
        """Those of another shard too, when both are over."""
        if self._reserved < 0:
            self._reserved = 0
            self._endpoints, self._problems = Bounded(self._rows, _Endpoint), Bounded(self._rows, _Problem)
        self._endpoints.merge(other._endpoints)
        self._problems.merge(other._problems)

    def add(self, conversation: Conversation, exchange: Exchange, places: Places) -> None:
        """An exchange of that connection; places: where packets lie."""
        if self._reserved < 0:
            assert self._account is not None
            self._begin(self._account)
        number = conversation.number
        head, response = exchange.head, exchange.response_head
        name = with_operations(head.endpoint, exchange.operations) if head is not None else None
        status = response.status if response is not None else 0
        if name is not None:
            self._timed(self._endpoints.of(name), number, exchange, _round_trip(conversation, exchange), places)
        if status >= _CLIENT_ERROR:
            assert response is not None
            kind = "server_error" if status >= _SERVER_ERROR else "client_error"
            self._wrong((kind, name, f"{status} {response.reason}"[:80], "server", None), number, exchange, places)
        elif exchange.response is None:
            why = exchange.unanswered.value if exchange.unanswered is not None else ""
            self._wrong(("unanswered", name, why, None, None), number, exchange, places)
        for trouble in exchange.troubles:
            sender = "server" if trouble.side else "client"
            if trouble.error is not None:
                detail = detail_of(trouble.error)[:200]
                self._wrong(
                    (trouble.kind, name, detail, sender, addresses(conversation)[trouble.side]), number, exchange, places, trouble.error
                )
            else:
                self._wrong((trouble.kind or f"{trouble.status}_body", name, "", sender, None), number, exchange, places)

    def _timed(self, found: _Endpoint, number: int, exchange: Exchange, round_trip: int, places: Places) -> None:
        response = exchange.response_head
        found.exchanges += 1
        if exchange.response is None:
            found.unanswered += 1
            return
        if response is not None and response.status >= _CLIENT_ERROR:
            found.server_errors += response.status >= _SERVER_ERROR
            found.client_errors += response.status < _SERVER_ERROR
        found.bytes += exchange.response_bytes
        took = max(0, exchange.done_ts - exchange.ts)
        found.times.add(took)
        slowest = found.slowest
        place = exchange.request_packet, number, exchange.index
        if slowest is None or (-took <= slowest[0] and (-took, *place) < (slowest[0], *slowest[1][:3])):
            found.slowest = -took, _place(number, exchange, places)
        if round_trip >= 0:
            parts = found.parts
            wait = max(0, exchange.response_ts - exchange.request_end)
            parts[0] += max(0, exchange.request_end - exchange.ts - exchange.stalled_request)
            parts[1] += max(0, wait - round_trip - exchange.stalled_wait)
            parts[2] += round_trip + exchange.stalled
            parts[3] += max(0, exchange.done_ts - exchange.response_ts - exchange.stalled_response)
            found.timed += 1

    def add_run(self, conversation: Conversation, run: PlainRun, places: Places) -> None:
        """Many exchanges that differ in nothing but when and where they were."""
        if self._reserved < 0:
            assert self._account is not None
            self._begin(self._account)
        number, took = conversation.number, run.answered_ts - run.asked_ts
        found = self._endpoints.of(run.request.endpoint)
        found.exchanges += len(took)
        found.bytes += len(took) * run.size
        found.times.add_all(took)
        i = int(took.argmax())
        packet, index = int(run.asked[i]), int(run.numbers[i])
        slowest = -int(took[i]), _Place(packet, number, index, None, None, None)
        if found.slowest is None or slowest < found.slowest:
            url = url_of(run.request.host, run.request.target)
            found.slowest = slowest[0], _Place(packet, number, index, url, *places.of(packet, int(run.answered[i])))
        known = run.answered >= conversation.round_trip_packet
        if conversation.round_trip >= 0 and known.any():
            waits = took[known]
            found.parts[1] += sum(np.maximum(waits - conversation.round_trip, 0).tolist())  # numpy's sum has 63 bits
            found.parts[2] += conversation.round_trip * len(waits)
            found.timed += len(waits)

    def add_alike(self, request: RequestHead, size: int, took: Took, places: Places) -> None:
        """Exchanges of one request whose answers, with so many bytes of body, are in order."""
        if self._reserved < 0:
            assert self._account is not None
            self._begin(self._account)
        found = self._endpoints.of(request.endpoint)
        n = len(took.numbers)
        found.exchanges += n
        found.timed += n
        found.bytes += n * size
        times = np.maximum(took.done_ts - took.asked_ts, 0)
        found.times.add_all(times)
        most = int(times.max())
        if found.slowest is None or -most <= found.slowest[0]:
            packet, number, done = min((int(took.asked[i]), int(took.numbers[i]), int(took.done[i])) for i in np.flatnonzero(times == most))
            if found.slowest is None or (-most, packet, number, 0) < (found.slowest[0], *found.slowest[1][:3]):
                url = url_of(request.host, request.target)
                found.slowest = -most, _Place(packet, number, 0, url, *places.of(packet, done))
        waits = np.maximum(took.answered_ts - took.asked_ts - took.round_trips, 0)
        for part, spans in ((1, waits), (2, took.round_trips), (3, np.maximum(took.done_ts - took.answered_ts, 0))):
            found.parts[part] += sum(spans.tolist())  # numpy's sum has 63 bits

    def _wrong(
        self,
        what: tuple[str, str | None, str, str | None, str | None],
        number: int,
        exchange: Exchange,
        places: Places,
        error: Wrong | None = None,
    ) -> None:
        found = self._problems.of("\n".join(part or "" for part in what))
        found.count += 1
        if found is self._problems.rest:
            return
        found.what = what
        packet = exchange.request_packet or exchange.response_packet
        if found.first is None or (packet, number, exchange.index) < found.first[:3]:
            found.first = _place(number, exchange, places)
            if error is not None:
                found.place = broken_at(error)[:200]

    def endpoints(self) -> list[HttpEndpoint]:
        """Slowest first, by the time that 95% did not exceed."""
        rows = [_endpoint(name, found) for name, found in self._endpoints.items()]
        rows.sort(key=lambda row: (-row.duration.p95 if row.duration is not None else 0.0, row.name))
        rest = self._endpoints.rest
        return [*rows, *([_endpoint(REST, rest)] if rest is not None else [])]

    def problems(self) -> list[Problem]:
        """In the order of `PROBLEMS`, of one kind the most frequent first."""
        rows = [
            Problem(*found.what, found.count, found.place, found.first.record())
            for _, found in self._problems.items()
            if found.what is not None and found.first
        ]
        rows.sort(key=lambda row: (PROBLEMS.index(row.kind), -row.count, row.endpoint or "", row.detail, row.sender or "", row.ip or ""))
        rest = self._problems.rest
        return [*rows, *([Problem("other", None, "", None, None, rest.count, None, None)] if rest is not None else [])]

    def close(self) -> None:
        """No exchange comes any more. What is left crosses processes."""
        if self._account is not None and self._reserved > 0:
            self._account.release(self._reserved)
        self._account = None


def _round_trip(conversation: Conversation, exchange: Exchange) -> int:
    """Of the handshake (ns), where that was captured before the exchange was over: later packets may be known already, or not."""
    return conversation.round_trip if conversation.round_trip_packet <= exchange.done_packet else -1


def _place(number: int, exchange: Exchange, places: Places) -> _Place:
    head = exchange.head
    url = url_of(head.host, head.target) if head is not None else None
    packet = exchange.request_packet or exchange.response_packet
    return _Place(packet, number, exchange.index, url, *places.of(packet, exchange.done_packet))


def latency(times: Histogram) -> Latency | None:
    """What a histogram says; None where it has nothing."""
    if not times.count:
        return None
    return Latency(seconds(times.quantile(0.5)), seconds(times.quantile(0.95)), seconds(times.most))


def _endpoint(name: str, found: _Endpoint) -> HttpEndpoint:
    times, parts = found.times, found.parts
    return HttpEndpoint(
        name,
        found.exchanges,
        found.client_errors,
        found.server_errors,
        found.unanswered,
        found.bytes,
        latency(times),
        Parts(found.timed, *map(seconds, parts)) if found.timed else None,
        found.slowest[1].record() if found.slowest is not None else None,
    )
