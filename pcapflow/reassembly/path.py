"""What the network did to one stream: segments that came twice, were lost on the way or overtaken, and how long what came in order waited for them.

Contract: the stream says when a segment repeats bytes (`again`), when one lies below what is held (`fills`), that it was the last of a hole (`filled`), and what is delivered then (`released`). A segment that fills a hole was sent before what
lies behind it and overtaken by that, or sent again since it was lost: the identification of IPv4 tells, where both have one, as senders count it up; else the time, since what is sent
again comes no sooner than one round trip later. What of a hole the capture alone is missing is given up and says nothing here: its receiver waited for nothing.

Invariant: counts of segments, and nanoseconds of capture time; the spans that were waited for do not overlap.
"""

from __future__ import annotations

from bisect import bisect_right

from pcapflow.reassembly.assembler import Assembler
from pcapflow.reassembly.pending_run import Rows
from pcapflow.streams.events import Stall

PATH_BYTES = 320
"""Reserved for one in the `history` account (tests/reassembly/test_connection_memory.py measures it)."""
OVERTAKEN = 3_000_000
"""Without a handshake a hole that is filled sooner (ns) was one of order: what Wireshark takes then."""
_NEAR = 1 << 14
"""Identifications of one sender's packets that are further apart say nothing: it does not count them up."""
_ALL = (1 << 16) - 1


class Path:
    """Of one stream; made when there is something to count."""

    __slots__ = (
        "_by_loss",
        "_until",
        "closed",
        "duplicate_acks",
        "lost",
        "lost_segments",
        "reordered",
        "resets",
        "retransmitted",
        "stalled",
        "zero_windows",
    )

    def __init__(self) -> None:
        self.retransmitted = 0
        """Segments with bytes that were seen before."""
        self.lost = self.reordered = self.lost_segments = 0
        """Holes that were filled by what was sent again, and by what had been overtaken; and segments that were sent again into holes."""
        self.zero_windows = self.closed = 0
        """How often its receiver had no room, and for how long."""
        self.duplicate_acks = 0
        """Acknowledgements of its receiver that said again what the one before said, while more was under way."""
        self.resets = 0
        """RSTs that its sender sent."""
        self.stalled = 0
        """Time that data waited behind what was lost."""
        self._until = 0
        self._by_loss = False
        """Whether the latest segment below what is held was sent again."""

    def fills(self, held: Assembler, offset: int, clock: int, ident: int, round_trip: int) -> None:
        """A segment begins at an offset, perhaps below data that is held. ident: its IP identification; round_trip: of the handshake, -1 where that was not seen."""
        i = bisect_right(held.starts, offset)
        if i < len(held):
            newer = (ident - held.idents[i]) & _ALL
            if ident and held.idents[i] and min(newer, _ALL + 1 - newer) < _NEAR:
                self._by_loss = 0 < newer < _NEAR
            else:
                self._by_loss = clock - held.since[i] > (round_trip if round_trip >= 0 else OVERTAKEN)
            self.lost_segments += self._by_loss

    def fills_run(self, held: Assembler, rows: Rows, which: tuple[int, int], offset: int, round_trip: int) -> tuple[int, bool]:
        """As `fills` for each of some rows, which follow one another from that offset on. What was counted before: for `undo`."""
        before = self.lost_segments, self._by_loss
        for k in range(*which):
            self.fills(held, offset, rows.clock[k], rows.ident[k], round_trip)
            offset += rows.n[k]
        return before

    def undo(self, before: tuple[int, bool]) -> None:
        """Those rows are not taken."""
        self.lost_segments, self._by_loss = before

    def filled(self) -> None:
        """That segment was the last of a hole."""
        self.lost += self._by_loss
        self.reordered += not self._by_loss

    def released(self, since: int, clock: int, ts: int) -> Stall | None:
        """Of the first hole, behind which data waited since that clock. What was waited for what had been lost, in times of capture; None for nothing."""
        waited = clock - max(since, self._until)
        if not self._by_loss or waited <= 0:
            return None
        self.stalled += waited
        self._until = clock
        return Stall(ts - waited, ts)
