"""What it would have taken to give up no hole for want of room: known without keeping the bytes.

Contract: when a stream loses a hole to a full ring or to short memory, a `Shadow` goes on counting what a ring without bounds would hold, until
the hole would have ended by itself: its bytes came, the peer acknowledged past it, or its time was up. `Needs` has the greatest of all that,
over all streams at one time. Invariant: each figure is what was needed or a little more, never less, so that a second run with it loses no
hole for want of room. What a shadow keeps is reserved in the `history` account. Nothing here looks at payload.
"""

from __future__ import annotations

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.reassembly.behind import BEHIND_BYTES, Behind
from pcapflow.reassembly.ring import MARK, PAGE, PAGE_BYTES

_LOST_BYTES = 512
"""Reserved for each hole that a shadow has."""
_LOST_MAX = 8
"""Holes told apart in one shadow; a further one is put together with the one before, as if it ended with the later."""
_ARRIVAL = 32
"""Bytes that a held segment takes beside its mark, at the most."""


class Needs:
    """Of one run: the greatest ring and number of ranges that one stream needed, and all rings at one time, in bytes."""

    __slots__ = ("doubted", "evicted", "now", "ring_ranges", "ring_size", "rings", "shadowed", "unanswered", "unknown")

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
        self.doubted = 0
        """Segments too far ahead to be believed, which a much larger ring would have."""
        self.evicted = 0
        """Connections that left the table for others, though they might have gone on."""
        self.unanswered = 0
        """Those of which only a SYN was seen that left for others."""

    def weigh(self, rings_used: int) -> None:
        """All rings together hold so many bytes."""
        self.rings = max(self.rings, self.now + rings_used)


class _Lost:
    """A hole that was given up, and what came between it and the next one."""

    __slots__ = ("ack_clock", "ack_packet", "filled", "held", "ranges", "segments", "since", "start", "until")

    def __init__(self, start: int, until: int, since: int) -> None:
        self.start = start
        self.until = until
        self.since = since
        self.filled = start
        """How far it came late, in order."""
        self.ack_packet = self.ack_clock = 0
        """When the peer's acknowledgement ends it; 0 for none."""
        self.held = self.segments = self.ranges = 0


class Shadow:
    """One stream since it lost a hole. Offsets are the stream's, times are ns of capture time."""

    __slots__ = ("_account", "_cost", "_last", "_lost", "_needs", "_top")

    def __init__(self, needs: Needs, account: Account) -> None:
        self._needs = needs
        self._account = account
        self._lost: list[_Lost] = []
        self._top = self._last = 0
        self._cost = 0

    def lose(self, start: int, until: int, behind: Behind | None, clock: int, rings_used: int) -> None:
        """[start, until) was given up for want of room; behind: what waits after it. clock: now. All rings together hold so many bytes."""
        needs = self._needs
        needs.shadowed += 1
        since, held, segments, ranges, top = clock, 0, 0, 0, until
        if behind is not None and behind.first >= 0:
            assembler = behind.assembler
            since, held, segments, ranges, top = behind.since, behind.ring.held, behind.ring.marks, len(assembler), assembler.ends[-1]
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
            last.until, last.since, last.ack_packet = until, max(last.since, since), 0
        else:
            needs.unknown += 1
            return
        self._top = max(self._top, top)
        self._last = top if ranges else -1
        self._weigh(rings_used)

    def hold(self, offset: int, end: int, fresh: int, rings_used: int) -> None:
        """A segment came that a ring without bounds would hold, `fresh` bytes of it not seen before."""
        if not self._lost:
            return
        last = self._lost[-1]
        last.ranges += offset != self._last
        last.held += fresh
        last.segments += 1
        self._last = end
        self._top = max(self._top, end)
        self._weigh(rings_used)

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
                # an acknowledgement whose grace runs already may keep this one's waiting
                lost.ack_packet = packet + 2 * limits.ack_grace_packets
                lost.ack_clock = clock + 2 * limits.ack_grace

    def over(self, packet: int, clock: int, limits: Limits) -> bool:
        """Whether all holes would have ended by themselves before that packet. Forgets those that have, up to the first that has not."""
        lost = self._lost
        while lost:
            first = lost[0]
            acknowledged = first.ack_packet and packet > first.ack_packet and clock > first.ack_clock
            if not acknowledged and first.filled < first.until and clock - first.since < limits.gap_timeout:
                return False
            del lost[0]
            self._account.release(_LOST_BYTES)
        return True

    def _weigh(self, rings_used: int) -> None:
        needs, lost = self._needs, self._lost
        span = self._top - lost[0].start
        held, segments, ranges = sum(x.held for x in lost), sum(x.segments for x in lost), sum(x.ranges for x in lost)
        pages = min(span // PAGE + 2, held // PAGE + 2 * ranges)
        cost = pages * PAGE_BYTES + segments * (MARK + _ARRIVAL) + BEHIND_BYTES + 64 * _ARRIVAL
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
