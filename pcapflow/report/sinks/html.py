"""The report as one page for a browser, which asks nothing of any network.

Contract: `Page` is a `Sink`; the page is written when the run is over. Script, style and data are inside it; a content security policy lets nothing
else in, and the script makes text of whatever the capture says, never markup. Invariant: the page shows `page_rows` connections, exchanges and
losses at the most, the most telling ones, and says how many there were; they are kept in the `output` account.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pcapflow.budget import Ledger, Share
from pcapflow.drops import DropReason, GapCause
from pcapflow.entries import Entry
from pcapflow.limits import Limits
from pcapflow.report.sinks.base import Out, Sink
from pcapflow.report.timeline import Timeline
from pcapflow.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PARTS = Path(__file__).with_name("page")
_SHARE = 1 << 21
"""Bytes of one table's rows."""
_OVERHEAD = 300
"""Bytes of a kept row beside its text."""


class _Stream(msgspec.Struct):
    captured_bytes: int
    missing_bytes: int
    dropped_bytes: int


class _Streams(msgspec.Struct):
    client: _Stream
    server: _Stream


class _Connection(msgspec.Struct):
    streams: _Streams


class _Response(msgspec.Struct):
    status: int


class _Http(msgspec.Struct):
    duration: float | None
    anomalies: list[str]
    response: _Response | None


class _Loss(msgspec.Struct):
    bytes: int
    ts: float


_CONNECTION = msgspec.json.Decoder(_Connection).decode
_HTTP = msgspec.json.Decoder(_Http).decode
_LOSS = msgspec.json.Decoder(_Loss).decode
Score = tuple[float, ...]


class _Rows:
    """The rows of a table that score highest; of equals, the earlier."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[Score, int, bytes]] = []
        self.total = 0

    def add(self, score: Score, line: bytes, share: Share) -> None:
        """A row, where it is among them."""
        self.total += 1
        entry = (score, -self.total, line)
        heap = self._heap
        need = len(line) + _OVERHEAD
        if len(heap) == self._most and entry < heap[0]:
            return
        while heap and (len(heap) == self._most or share.used + need > share.limit) and heap[0] < entry:
            share.give(len(heapq.heappop(heap)[2]) + _OVERHEAD)
        if len(heap) < self._most and share.take(need):
            heapq.heappush(heap, entry)

    def lines(self) -> list[bytes]:
        """In the order of the report."""
        return [line for _, _, line in sorted(self._heap, key=lambda entry: -entry[1])]


class Page(Sink):
    """Gathers what the page shows, and writes it."""

    def __init__(self, out: Out, limits: Limits) -> None:
        self._out = out
        most = limits.page_rows
        self._rows = {"connections": _Rows(most), "exchanges": _Rows(most), "losses": _Rows(most)}
        self._timeline = Timeline()
        self._ledger: Ledger | None = None
        self._shares: dict[str, Share] = {}

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._ledger = ledger
        self._shares = {name: Share(ledger, _SHARE) for name in self._rows}

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        rows, shares = self._rows, self._shares
        for entry in some:
            kind, line = entry.kind, entry.line
            if kind == "connection":
                both = _CONNECTION(line).streams
                lost = sum(s.missing_bytes + s.dropped_bytes for s in (both.client, both.server))
                rows["connections"].add((lost, both.client.captured_bytes + both.server.captured_bytes), line, shares["connections"])
            elif kind == "http":
                exchange = _HTTP(line)
                odd = exchange.response is None or exchange.response.status >= 400 or bool(exchange.anomalies)
                rows["exchanges"].add((odd, exchange.duration or 0.0), line, shares["exchanges"])
            elif kind in ("gap", "drop"):
                loss = _LOSS(line)
                ts = round(loss.ts * 1e9)
                rows["losses"].add((kind == "drop", loss.bytes), line, shares["losses"])
                self._timeline.add("gaps" if kind == "gap" else "drops", ts, 1)
                if kind == "gap":
                    self._timeline.add("missing_bytes", ts, loss.bytes)

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """See `Sink`."""
        assert self._ledger is not None
        self._timeline.packets(ts, lengths)
        self._timeline.memory(int(ts[-1]), self._ledger)

    def finish(self) -> None:
        """See `Sink`."""
        for share in self._shares.values():
            share.close()

    def summary(self, summary: Summary) -> None:
        """See `Sink`."""
        sentences = {member.value: member.sentence for member in (*DropReason, *GapCause)}
        before, after = _frame()
        self._out(before)
        known = msgspec.json.encode({"summary": summary, "timeline": self._timeline.value(), "sentences": sentences})
        self._out(_harmless(known[:-1]) + b',"tables":{')
        for n, (name, rows) in enumerate(self._rows.items()):
            self._out((b"," if n else b"") + b'"%s":{"total":%d,"rows":[' % (name.encode(), rows.total))
            for m, line in enumerate(rows.lines()):
                self._out((b"," if m else b"") + _harmless(line))
            self._out(b"]}")
        self._out(b"}}" + after)


def _harmless(text: bytes) -> bytes:
    """JSON that cannot end the element it stands in; up to six times as long, so it is made a row at a time."""
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _frame() -> tuple[bytes, bytes]:
    """What comes before the page's data, and behind it."""
    script, style = (_PARTS.joinpath(name).read_bytes() for name in ("page.js", "page.css"))
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'".encode()
    html = _PARTS.joinpath("page.html").read_bytes()
    for name, part in ((b"POLICY", policy), (b"STYLE", style), (b"SCRIPT", script)):
        before, _, after = html.partition(b"{{" + name + b"}}")
        html = before + part + after
    before, _, after = html.partition(b"{{DATA}}")
    return before, after


def _hash(part: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'"
