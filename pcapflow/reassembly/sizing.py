"""What it would have taken to give up no hole for want of room: known without keeping the bytes.

Contract: when a stream loses a hole to a full ring or to short memory, a `Shadow` goes on counting what a ring without bounds would hold, until
the hole would have ended by itself: its bytes came, the peer acknowledged past it, or its time was up. `Needs` has the greatest of all that,
over all streams at one time. Invariant: each figure is what was needed or a little more, never less, so that a second run with it loses no
hole for want of room. What a shadow keeps is reserved in the `history` account. Nothing here looks at payload.
"""

from __future__ import annotations

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.reassembly.out_of_order import BEHIND_BYTES, Behind
from pcapflow.reassembly.overlap_ambiguity import COPY_BYTES
from pcapflow.reassembly.pages import PAGE
from pcapflow.reassembly.ring import MARK, MARKS_MAX, PAGE_BYTES

_LOST_BYTES = 512
"""Reserved for each hole that a shadow has."""
_LOST_MAX = 8
"""Holes told apart in one shadow; a further one is put together with the one before, as if it ended with the later."""
_GRACES = 2
"""An acknowledgement whose grace runs already may keep a later one's waiting until it is over."""
_RECENT = 8
"""Ranges that a further segment may join, as far as is counted."""
_ARRIVAL = 32
"""Bytes that a held segment takes beside its mark, at the most."""


class Needs:
    """Of one run: the greatest ring and number of ranges that one stream needed, and all rings at one time, in bytes."""

    __slots__ = ("evicted", "half_open", "now", "ring_ranges", "ring_size", "rings", "shadowed", "unknown", "unseen")

    def __init__(self) -> None:
        self.ring_size = 0
        self.ring_ranges = 0
        self.rings = 0
        self.now = 0
        """Bytes that shadows would hold now."""
        self.shadowed = 0
        """Holes that were given up for want of room."""
        self.unknown = 0
        """Those of them for which there was no room for a shadow either."""
        self.unseen = 0
        """Segments after which the need can be greater than what is counted: of a stream that was dropped and whose lost holes would have ended,
        far ahead of any ring, a FIN below what would have been held."""
        self.evicted = 0
        """Connections that left the table for others, though they might have gone on."""
        self.half_open = 0
        """Those of which only a SYN was seen that left for others."""

    def add(self, other: Needs) -> None:
        """What another shard needed: at one time no more than both at their greatest."""
        self.ring_size = max(self.ring_size, other.ring_size)
        self.ring_ranges = max(self.ring_ranges, other.ring_ranges)
        self.rings += other.rings
        self.shadowed += other.shadowed
        self.unknown += other.unknown
        self.unseen += other.unseen
        self.evicted += other.evicted
        self.half_open += other.half_open

    def weigh(self, rings_used: int) -> None:
        """All rings together hold so many bytes."""
        self.rings = max(self.rings, self.now + rings_used)


class _Lost:
    """A hole that was given up, and what came between it and the next one."""

    __slots__ = ("ack_clock", "ack_packet", "filled", "graces", "held", "ranges", "segments", "since", "start", "until")

    def __init__(self, start: int, until: int, since: int) -> None:
        self.start = start
        self.until = until
        self.since = since
        self.filled = start
        """How far it came late, in order."""
        self.graces = _GRACES
        self.ack_packet = self.ack_clock = 0
        """When the grace that runs since the peer's acknowledgement is over; 0 where none runs."""
        self.held = self.segments = self.ranges = 0

    def over(self, packet: int, clock: int, limits: Limits) -> bool:
        """Whether it would have ended by itself before that packet."""
        if self.ack_packet and packet > self.ack_packet and clock > self.ack_clock:
            self.graces -= 1
            self.ack_packet, self.ack_clock = packet + limits.ack_grace_packets, clock + limits.ack_grace
        return not self.graces or self.filled >= self.until or clock - self.since >= limits.gap_timeout


class Shadow:
    """One stream since it lost a hole. Offsets are the stream's, times are ns of capture time."""

    __slots__ = ("_account", "_copies", "_cost", "_lost", "_needs", "_recent", "top")

    def __init__(self, needs: Needs, account: Account) -> None:
        self._needs = needs
        self._account = account
        self._lost: list[_Lost] = []
        self._recent: list[tuple[int, int]] = []
        """The last ranges that came."""
        self.top = 0
        """Up to where what it would hold reaches."""
        self._copies = 0
        """Bytes that copies which differ may take beside it."""
        self._cost = 0

    def lose(self, start: int, until: int, behind: Behind | None, since: int, rings_used: int) -> None:
        """[start, until) was given up for want of room; behind: what waits after it, since that clock. All rings together hold so many bytes."""
        needs = self._needs
        held, segments, ranges, top = 0, 0, 0, until
        if behind is not None and behind.first >= 0:
            assembler = behind.assembler
            held, segments, ranges, top = behind.ring.held, behind.ring.marks, len(assembler), assembler.ends[-1]
        lost = self._lost
        if len(lost) < _LOST_MAX and self._account.reserve(_LOST_BYTES):
            last = _Lost(start, until, since)
            if lost:  # what waits now was counted with the hole before
                before = lost[-1]
                before.held -= min(held, before.held)
                before.segments -= min(segments, before.segments)
                before.ranges -= min(ranges, before.ranges)
            last.held, last.segments, last.ranges = held, segments, ranges
            lost.append(last)
        elif lost:
            last = lost[-1]
            last.until, last.since, last.ack_packet, last.graces = until, max(last.since, since), 0, _GRACES
        else:
            needs.unknown += 1
            needs.ring_size = max(needs.ring_size, top - start)
            needs.ring_ranges = max(needs.ring_ranges, ranges + 1)
            needs.weigh(rings_used + _cost(top - start, held, ranges, segments))
            return
        self.top = max(self.top, top)
        if behind is not None:
            self._copies = max(self._copies, behind.beside)
        self._weigh(rings_used)

    def hold(self, offset: int, end: int, fresh: int, rings_used: int) -> None:
        """A segment came that a ring without bounds would hold, `fresh` bytes of it not seen before."""
        if not self._lost:
            return
        last = self._lost[-1]
        last.segments += 1
        last.held += fresh
        if fresh:
            last.ranges += self._joins(offset, end)
            self.top = max(self.top, end)
        self._weigh(rings_used)

    def _joins(self, offset: int, end: int) -> int:
        """How many ranges there are more with that segment, as far as the last ones tell."""
        touching = [r for r in self._recent if offset <= r[1] and r[0] <= end]
        if touching:
            self._recent = [r for r in self._recent if r not in touching]
            offset, end = min(offset, *(r[0] for r in touching)), max(end, *(r[1] for r in touching))
        self._recent = [*self._recent, (offset, end)][-_RECENT:]
        return 1 - len(touching)

    def again(self, n: int, limits: Limits) -> None:
        """n bytes came that it would hold already. They may differ, which nobody may see any more: then both copies would be kept."""
        self._copies = min(self._copies + 2 * (n + COPY_BYTES), limits.overlap_bytes + limits.overlap_ranges * COPY_BYTES)

    def late(self, start: int, end: int) -> None:
        """Bytes came that had been given up."""
        for lost in self._lost:
            if start <= lost.filled < end:
                lost.filled = min(end, lost.until)

    def acknowledged(self, offset: int, packet: int, clock: int, limits: Limits) -> None:
        """The peer acknowledged up to that offset."""
        for lost in self._lost:
            if lost.until > offset:
                break
            if not lost.ack_packet:
                lost.ack_packet, lost.ack_clock = packet + limits.ack_grace_packets, clock + limits.ack_grace

    def over(self, packet: int, clock: int, limits: Limits) -> bool:
        """Whether all holes would have ended by themselves before that packet. Forgets those that have, up to the first that has not."""
        lost = self._lost
        while lost:
            if not lost[0].over(packet, clock, limits):
                return False
            del lost[0]
            self._account.release(_LOST_BYTES)
        return True

    def _weigh(self, rings_used: int) -> None:
        needs, lost = self._needs, self._lost
        span = self.top - lost[0].start
        held, segments, ranges = sum(x.held for x in lost), sum(x.segments for x in lost), sum(x.ranges for x in lost)
        cost = _cost(span, held, ranges, segments) + self._copies
        needs.now += cost - self._cost
        self._cost = cost
        needs.ring_size = max(needs.ring_size, span)
        needs.ring_ranges = max(needs.ring_ranges, ranges + 1)
        needs.weigh(rings_used)

    def close(self) -> None:
        """The holes would have ended, or the stream has."""
        self._account.release(len(self._lost) * _LOST_BYTES)
        self._lost.clear()
        self._needs.now -= self._cost
        self._cost = 0


def _cost(span: int, held: int, ranges: int, segments: int) -> int:
    """At the most, of a ring with so many bytes in so many ranges and segments. A range of n bytes lies on n / PAGE + 2 pages."""
    pages = min(span // PAGE + 2, held // PAGE + 2 * ranges)
    return pages * PAGE_BYTES + min(segments, MARKS_MAX) * (MARK + _ARRIVAL) + BEHIND_BYTES + 64 * _ARRIVAL
