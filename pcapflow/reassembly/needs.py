"""What it would have taken to give up no hole for want of room: known without keeping the bytes.

Contract: when a stream loses a hole to a full ring or to short memory, a `Shadow` goes on counting what a ring without bounds would hold, until
the hole would have ended by itself: its bytes came, the peer acknowledged past it, or its time was up. `Needs` has the greatest of all that,
over all streams at one time. Invariant: each figure is what was needed or a little more, never less, so that a second run with it loses no
hole for want of room. Nothing here looks at payload.
"""

from __future__ import annotations

from pcapflow.limits import Limits
from pcapflow.reassembly.ring import MARK, PAGE


class Needs:
    """Of one run: the greatest ring and number of ranges that one stream needed, and all rings at one time, in bytes."""

    __slots__ = ("evicted", "now", "ring_ranges", "ring_size", "rings", "shadowed")

    def __init__(self) -> None:
        self.ring_size = 0
        self.ring_ranges = 0
        self.rings = 0
        self.now = 0
        """Bytes that shadows would hold now."""
        self.shadowed = 0
        """Holes that were given up for want of room."""
        self.evicted = 0
        """Connections that left the table for others, though they might have gone on."""


class Shadow:
    """One stream since it lost a hole. Offsets are the stream's, times are ns of capture time."""

    __slots__ = ("_ack_clock", "_ack_packet", "_cost", "_end", "_held", "_last", "_late", "_missing", "_needs", "_ranges", "_segments", "_since", "_start", "_top")

    def __init__(self, needs: Needs, start: int, since: int, late: int, held: int, ranges: int, top: int) -> None:
        """start: of the hole; late: late bytes of the stream so far; held, ranges, top: what its ring holds, in how many ranges, and up to where."""
        self._needs = needs
        self._start = start
        self._end = start
        self._since = since
        self._late = late
        self._missing = 0
        self._held = held
        self._segments = -(-held // 512)
        self._ranges = ranges
        self._top = top
        self._last = top
        self._cost = 0
        self._ack_packet = 0
        self._ack_clock = 0

    def lose(self, start: int, until: int, rings_used: int) -> None:
        """[start, until) was given up for want of room, while all rings together held so many bytes."""
        self._needs.shadowed += 1
        self._missing += until - start
        self._end = max(self._end, until)
        self._ack_packet = 0
        self._weigh(rings_used)

    def acknowledged(self, offset: int, packet: int, clock: int, limits: Limits) -> None:
        """The peer acknowledged up to that offset."""
        if offset >= self._end and not self._ack_packet:
            self._ack_packet = packet + limits.ack_grace_packets
            self._ack_clock = clock + limits.ack_grace

    def over(self, packet: int, clock: int, late: int, limits: Limits) -> bool:
        """Whether the holes would have ended by themselves before that packet. late: late bytes of the stream so far."""
        if self._ack_packet and packet > self._ack_packet and clock > self._ack_clock:
            return True
        return late - self._late >= self._missing or clock - self._since >= limits.gap_timeout

    def hold(self, offset: int, end: int, rings_used: int) -> None:
        """A segment came that a ring without bounds would hold."""
        if offset != self._last:
            self._ranges += 1
        self._last = end
        self._held += end - offset
        self._segments += 1
        self._top = max(self._top, end)
        self._weigh(rings_used)

    def _weigh(self, rings_used: int) -> None:
        needs = self._needs
        span = self._top - self._start
        cost = min(span + 2 * PAGE, self._held + self._segments * PAGE) + self._segments * MARK
        needs.now += cost - self._cost
        self._cost = cost
        needs.ring_size = max(needs.ring_size, span)
        needs.ring_ranges = max(needs.ring_ranges, self._ranges + 1)
        needs.rings = max(needs.rings, needs.now + rings_used)

    def close(self) -> None:
        """The holes would have ended, or the stream has."""
        self._needs.now -= self._cost
        self._cost = 0
