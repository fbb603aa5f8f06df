"""The report as one page for a browser, which asks nothing of any network.

Contract: `Page` is a `Sink`; the page is written when the run is over. Script, style and data are inside it; a content security policy lets nothing
else in, and the script makes text of whatever the capture says, never markup. Invariant: the page shows `page_rows` connections, exchanges and
losses at the most, the worst ones, and says how many there were; they are kept in the `output` account, and so are the histograms of its timeline.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pcapflow.anomalies import Anomaly, NoResponse
from pcapflow.budget import Ledger, Share
from pcapflow.drops import DropReason, GapCause
from pcapflow.entries import Entry
from pcapflow.limits import Limits
from pcapflow.report import problem_words
from pcapflow.report.sinks.base import Out, Sink
from pcapflow.report.timeline import LATENCY_BYTES, Timeline
from pcapflow.summary import Summary
from pcapflow.unread import UnreadReason

if TYPE_CHECKING:
    import numpy.typing as npt

_PARTS = Path(__file__).with_name("page")
_SCRIPTS = ("base.js", "words.js", "filter.js", "table.js", "charts.js", "drawer.js", "evidence.js", "page.js")
_SHARE = 1 << 21
"""Bytes of one table's rows."""
_OVERHEAD = 300
"""Bytes of a kept row beside its text."""
_BATCH = 4096
"""Exchanges that go into the timeline together."""
_STRANGEST = 1 << 30
"""What stands for longer status codes, which are of no class."""


class _Stream(msgspec.Struct, gc=False):
    captured_bytes: int
    delivered_bytes: int
    read_bytes: int
    missing_bytes: int
    dropped_bytes: int


class _Streams(msgspec.Struct, gc=False):
    client: _Stream
    server: _Stream


class _Direction(msgspec.Struct, gc=False):
    stalled: float


class _Network(msgspec.Struct, gc=False):
    client: _Direction
    server: _Direction


class _Connection(msgspec.Struct, gc=False):
    connection: int
    streams: _Streams
    network: _Network | None


class _Text(msgspec.Struct, gc=False):
    status: str


class _Body(msgspec.Struct, gc=False):
    status: str
    json: _Text | None
    payload: _Text | None


class _Request(msgspec.Struct, gc=False):
    body: _Body


class _Response(msgspec.Struct, gc=False):
    body: _Body
    status: int


class _Http(msgspec.Struct, gc=False):
    connection: int
    ts: float
    duration: float | None
    anomalies: list[str]
    request: _Request | None
    response: _Response | None


class _Loss(msgspec.Struct, gc=False):
    connection: int
    bytes: int
    ts: float


_CONNECTION = msgspec.json.Decoder(_Connection).decode
_HTTP = msgspec.json.Decoder(_Http).decode
_LOSS = msgspec.json.Decoder(_Loss).decode
Score = tuple[float, ...]
_HARMLESS = (0, 0.0)
_READ = ("complete", "partial", "not_read")
"""What becomes of a body's text where nothing is wrong with it."""


def _is_whole(body: _Body) -> bool:
    """Whether all of a body came, and is what it says."""
    json, payload = body.json, body.payload
    return body.status == "complete" and (json is None or json.status in _READ) and (payload is None or payload.status in _READ)


def _severity(exchange: _Http) -> int:
    """How much is wrong with an exchange: a failure or no answer, a broken or lost body, a refusal, something suspicious, nothing."""
    request, response = exchange.request, exchange.response
    if response is None or response.status >= 500:
        return 4
    if not _is_whole(response.body) or (request is not None and not _is_whole(request.body)):
        return 3
    if request is None or response.status >= 400:
        return 2
    return 1 if exchange.anomalies else 0


class _Rows:
    """The rows of a table that score highest; of equals, the earlier."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[Score, int, bytes, int]] = []
        self.total = 0
        self.connections: dict[int, Score] = {}
        """The highest score of a connection's rows, while that row is kept."""

    def add(self, score: Score, line: bytes, connection: int, share: Share) -> None:
        """A row, where it is among them."""
        self.total += 1
        heap = self._heap
        if len(heap) == self._most and score < heap[0][0]:
            return
        entry = (score, -self.total, line, connection)
        need = len(line) + _OVERHEAD
        while heap and (len(heap) == self._most or share.used + need > share.limit) and heap[0] < entry:
            left = heapq.heappop(heap)
            share.give(len(left[2]) + _OVERHEAD)
            if self.connections.get(left[3]) == left[0]:
                del self.connections[left[3]]
        if len(heap) < self._most and share.take(need):
            heapq.heappush(heap, entry)
            self.connections[connection] = max(self.connections.get(connection, score), score)

    def lines(self) -> list[bytes]:
        """In the order of the report."""
        return [entry[2] for entry in self._in_order()]

    def worst_first(self) -> list[int]:
        """The places among `lines` by score, the highest first."""
        rows = self._in_order()
        return sorted(range(len(rows)), key=lambda i: rows[i][:2], reverse=True)

    def _in_order(self) -> list[tuple[Score, int, bytes, int]]:
        return sorted(self._heap, key=lambda entry: -entry[1])


class Page(Sink):
    """Gathers what the page shows, and writes it."""

    def __init__(self, out: Out, limits: Limits) -> None:
        self._out = out
        most = limits.page_rows
        self._rows = {"connections": _Rows(most), "exchanges": _Rows(most), "losses": _Rows(most)}
        self._timeline = Timeline()
        self._begun = array("d")
        """Of exchanges that are not in the timeline yet: when they began, how long they took (negative where nobody knows), their status."""
        self._ledger: Ledger | None = None
        self._shares: dict[str, Share] = {}

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._ledger = ledger
        self._shares = {name: Share(ledger, _SHARE) for name in self._rows}
        histograms = self._shares["timeline"] = Share(ledger, LATENCY_BYTES)
        self._timeline = Timeline(quantiles=histograms.take(LATENCY_BYTES))

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        rows, shares, begun = self._rows, self._shares, self._begun
        for entry in some:
            kind, line = entry.kind, entry.line
            if kind == "http":
                exchange = _HTTP(line)
                duration, response = exchange.duration, exchange.response
                score = (_severity(exchange), duration or 0.0)
                rows["exchanges"].add(score, line, exchange.connection, shares["exchanges"])
                begun.extend((exchange.ts, -1.0 if duration is None else duration, 0 if response is None else response.status))
            elif kind == "connection":
                self._connection(line)
            elif kind in ("gap", "drop"):
                loss = _LOSS(line)
                ts = round(loss.ts * 1e9)
                rows["losses"].add((kind == "drop", loss.bytes), line, loss.connection, shares["losses"])
                self._timeline.add("gaps" if kind == "gap" else "drops", ts, 1)
                if kind == "gap":
                    self._timeline.add("missing_bytes", ts, loss.bytes)
        if len(begun) >= 3 * _BATCH:
            self._tell_timeline()

    def _connection(self, line: bytes) -> None:
        """What lost bytes comes first, then what is not read, what waited for lost segments, and those whose exchanges are the worst: these are looked for from there."""
        connection = _CONNECTION(line)
        both = (connection.streams.client, connection.streams.server)
        lost = sum(s.missing_bytes + s.dropped_bytes for s in both)
        unread = sum(s.delivered_bytes - s.read_bytes for s in both)
        worst = self._rows["exchanges"].connections.get(connection.connection, _HARMLESS)
        network = connection.network
        stalled = network.client.stalled + network.server.stalled if network is not None else 0.0
        score = (lost, unread, stalled, *worst, sum(s.captured_bytes for s in both))
        self._rows["connections"].add(score, line, connection.connection, self._shares["connections"])

    def _tell_timeline(self) -> None:
        begun = np.frombuffer(self._begun).reshape(-1, 3)
        self._begun = array("d")
        # records have microseconds; a float of today's seconds has no more
        self._timeline.exchanges(
            _microseconds(begun[:, 0]) * 1000, _microseconds(begun[:, 1]), np.minimum(begun[:, 2], _STRANGEST).astype(np.int64)
        )

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """See `Sink`."""
        assert self._ledger is not None
        self._timeline.packets(ts, lengths)
        self._timeline.memory(int(ts[-1]), self._ledger)

    def finish(self) -> None:
        """See `Sink`."""
        self._tell_timeline()
        for share in self._shares.values():
            share.close()

    def summary(self, summary: Summary) -> None:
        """See `Sink`."""
        before, after = _frame()
        self._out(before)
        known = msgspec.json.encode(
            {"summary": summary, "timeline": self._timeline.value(), "latency": self._timeline.latency(), **_words(summary)}
        )
        self._out(_harmless(known[:-1]) + b',"tables":{')
        for n, (name, rows) in enumerate(self._rows.items()):
            worst = msgspec.json.encode(rows.worst_first())
            self._out((b"," if n else b"") + b'"%s":{"total":%d,"worst":%s,"rows":[' % (name.encode(), rows.total, worst))
            for m, line in enumerate(rows.lines()):
                self._out((b"," if m else b"") + _harmless(line))
            self._out(b"]}")
        self._out(b"}}" + after)


def _microseconds(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(seconds * 1e6).astype(np.int64)


def _words(summary: Summary) -> dict[str, Any]:
    """What the page says of problems and reasons, in the words of the terminal."""
    return {
        "sentences": {member.value: member.sentence for member in (*DropReason, *GapCause, *UnreadReason, *Anomaly, *NoResponse)},
        "kinds": problem_words.SENTENCES,
        "unanswered": problem_words.UNANSWERED,
        "problems": [{"what": problem_words.what(one), "more": problem_words.more(one)} for one in summary.problems],
        "network": problem_words.network(summary),
        "lost": problem_words.losses(summary),
    }


def _harmless(text: bytes) -> bytes:
    """JSON that cannot end the element it stands in; up to six times as long, so it is made a row at a time."""
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _frame() -> tuple[bytes, bytes]:
    """What comes before the page's data, and behind it."""
    script = b"\n".join(_PARTS.joinpath(name).read_bytes() for name in _SCRIPTS)
    style = _PARTS.joinpath("page.css").read_bytes()
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'".encode()
    html = _PARTS.joinpath("page.html").read_bytes()
    for name, part in ((b"POLICY", policy), (b"STYLE", style), (b"SCRIPT", script)):
        before, _, after = html.partition(b"{{" + name + b"}}")
        html = before + part + after
    before, _, after = html.partition(b"{{DATA}}")
    return before, after


def _hash(part: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'"
