"""The holes of one stream: what waits behind them, what ends them, and what is delivered then.

Contract: `give_up_oldest`, `give_up_below` and `give_up_acknowledged` end holes for the reason that they are told. Invariant: everything held is
above `next`, and the first hole begins there.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple, cast

from pcapflow.budget import Account
from pcapflow.drops import DropReason, GapCause
from pcapflow.policy import Policy
from pcapflow.reassembly.causes import ACKNOWLEDGED, SNAPPED, Conflict, Why
from pcapflow.reassembly.context import Context, Owner, Victim
from pcapflow.reassembly.delivery import Delivery
from pcapflow.reassembly.out_of_order import NONE, Behind
from pcapflow.reassembly.pending_run import Segment
from pcapflow.reassembly.ring import Mark
from pcapflow.reassembly.sack import Told
from pcapflow.reassembly.sizing import Shadow
from pcapflow.streams.events import NEVER, Stall, StreamData, StreamGap

CUT_BYTES = 160
"""Reserved for each tail that was cut off."""
_WANT_OF_ROOM = frozenset((GapCause.RING_FULL, GapCause.MEMORY))


class Grace(NamedTuple):
    """An acknowledgement past a hole, up to an offset: the clock (ns) at which it came, the packet and clock at which its grace is over, and how many
    bytes the stream missed when it came.
    """

    offset: int
    since: int
    packet: int
    clock: int
    missing: int


class Lost(NamedTuple):
    """A hole that was given up since it was acknowledged: where it began, and the acknowledgement."""

    start: int
    acknowledged: Grace


class Holes(Delivery):
    """One direction. Offsets and counts are bytes; times are ns of capture time."""

    __slots__ = (
        "acked",
        "armed",
        "behind",
        "bucket",
        "cuts",
        "differs",
        "drop_reason",
        "ended",
        "fin",
        "fin_ts",
        "lost_to_ack",
        "owner",
        "told",
        "waiting",
    )

    def __init__(self, owner: Owner) -> None:
        Delivery.__init__(self)
        self.owner = owner
        self.fin = -1
        """Offset of the FIN; -1 until one was seen."""
        self.fin_ts = 0
        """When it was captured."""
        self.ended = ""
        self.drop_reason: DropReason | None = None
        self.acked = 0
        """Highest offset that the peer acknowledged."""
        self.armed: Grace | None = None
        """An acknowledgement past the hole whose grace runs."""
        self.waiting: Grace | None = None
        """The latest one after it, whose grace begins to count when the first is done."""
        self.lost_to_ack: Lost | None = None
        """The first hole that an acknowledgement ended and whose bytes have not come since."""
        self.told: Told | None = None
        """What the peer said of the first hole, which begins where this does, and when that ends it."""
        self.behind: Behind | None = None
        """What waits behind holes; None where nothing does."""
        self.cuts: list[tuple[int, int]] | None = None  # disjoint, ascending
        """Begin and end of tails that the capture cut off, in order, from `next` on; CUT_BYTES are reserved for each."""
        self.differs: set[Policy] = NONE
        """Overlap policies under which this stream is ambiguous."""
        self.bucket = 0
        """The class of what is reserved for `behind`, in which `Context` has this stream; 0 for none."""

    @property
    def held(self) -> int:
        """Bytes held behind holes."""
        return 0 if self.behind is None else self.behind.ring.held

    @property
    def waits_from(self) -> int:
        """The first packet that carried something of what is held; NEVER where nothing is."""
        return self.behind.ring.earliest() or NEVER if self.behind is not None else NEVER

    @property
    def top(self) -> int:
        """Up to where anything was seen of the stream: bytes or FIN."""
        behind = self.behind
        return max(self.next, self.fin + 1, behind.assembler.ends[-1] if behind is not None and behind.first >= 0 else 0)

    def _receiver_has(self, until: int) -> bool:
        """Whether the peer acknowledged the hole [next, until), in sequence or selectively."""
        return self.acked >= until or (self.behind is not None and self.behind.peer_has(self.next, until) is not None)

    def give_up_oldest(self, ctx: Context, why: Why, packet: int, ts: int) -> None:
        """End the first hole: what is held behind it is delivered."""
        assert self.behind is not None
        self._give_up(ctx, self.behind.first, why, packet, ts)

    def give_up_below(self, ctx: Context, offset: int, why: Why, packet: int, ts: int) -> None:
        """End all holes below an offset, whether or not data is held behind them."""
        if self.fin >= 0:
            offset = min(offset, self.fin)
        while self.next < offset:
            behind = self.behind
            if behind is not None and behind.first <= offset:
                self._give_up(ctx, behind.first, why, packet, ts)
            elif behind is None and offset == self.next + 1 and self.fin < 0 and not self.cuts:
                return  # more likely a FIN that was not captured than a byte
            else:
                self._give_up(ctx, offset, why, packet, ts)

    def give_up_acknowledged(self, ctx: Context, packet: int, ts: int) -> None:
        """The grace of an acknowledgement is over: what it covers and did not come is missing."""
        assert self.armed is not None
        if self.next < self.armed.offset:
            if self.lost_to_ack is None:
                self.lost_to_ack = Lost(self.next, self.armed)
            self.give_up_below(ctx, self.armed.offset, ACKNOWLEDGED, packet, ts)
        self.next_acknowledgement(self.next)

    def wait_for(self, grace: Grace) -> bool:
        """Bytes that are not here were acknowledged: they have that long to come. True where nothing was waited for before."""
        if self.armed is None:
            self.armed = grace
            return True
        self.waiting = grace
        return False

    def next_acknowledgement(self, reached: int) -> None:
        """The armed one is done with: the one that waited takes its place, if its bytes were not there. reached: where the stream was then."""
        self.armed = self.waiting if self.waiting is not None and self.waiting.offset > reached and not self.ended else None
        self.waiting = None

    def _give_up(self, ctx: Context, until: int, why: Why, packet: int, ts: int) -> None:
        """[next, until) is missing for good. until is not beyond the first range held."""
        n = until - self.next
        self.close_pieces(ctx)
        if why.cause in _WANT_OF_ROOM:
            acknowledged = why.cause is GapCause.RING_FULL and self._receiver_has(until)
            self._lose(ctx, until, packet, acknowledged=acknowledged)
            if acknowledged:
                why = ACKNOWLEDGED
        for begin, end, snapped in self._cut(until):
            because = SNAPPED if snapped else why
            self.events.append(StreamGap(begin, end - begin, because.cause, packet, ts, self.held, because.limit, because.requested_by))
            self.gaps += 1
        self.missing += n
        account = ctx.ledger.history
        self.history.lost(account, ctx.limits.late_ranges, self.next, until)
        self.history.forget(account)
        self.next = until
        self._forget_cuts(ctx.ledger.rings)
        self._drain(ctx, packet, ts)

    def cut_short(self, ctx: Context, start: int, end: int) -> None:
        """[start, end) was on the wire, at the end of a packet that the capture cut. It is missing unless a longer copy comes."""
        if end <= self.next or self.ended or self.drop_reason is not None:
            return
        if start - max(self.next, self.acked) > ctx.reach:
            return  # not believed: what was captured of it is out of the window
        if self.cuts is None:
            self.cuts = []
        cuts, account = self.cuts, ctx.ledger.rings
        self._forget_cuts(account)
        first = bisect_left(cuts, (start,))
        first -= first > 0 and cuts[first - 1][1] > start
        last = first
        while last < len(cuts) and cuts[last][0] < end:
            start, end = min(start, cuts[last][0]), max(end, cuts[last][1])
            last += 1
        if last > first:
            cuts[first:last] = [(start, end)]
            account.release((last - first - 1) * CUT_BYTES)
        elif len(cuts) < ctx.limits.ring_ranges and account.has_room(CUT_BYTES) and account.reserve(CUT_BYTES):
            cuts.insert(first, (start, end))

    def _forget_cuts(self, account: Account, until: int | None = None) -> None:
        """Those below `next`, or below `until`."""
        cuts = self.cuts
        if cuts:
            known_to = self.next if until is None else until
            gone = 0
            while gone < len(cuts) and cuts[gone][1] <= known_to:
                gone += 1
            del cuts[:gone]
            account.release(gone * CUT_BYTES)

    def _cut(self, until: int) -> list[tuple[int, int, bool]]:
        """[next, until) in parts: begin, end, and whether that is the tail of a packet that was cut."""
        parts: list[tuple[int, int, bool]] = []
        at = self.next
        for start, end in self.cuts or ():
            if start >= until:
                break
            low, high = max(start, at), min(end, until)
            if low < high:
                if at < low:
                    parts.append((at, low, False))
                parts.append((low, high, True))
                at = high
        if at < until:
            parts.append((at, until, False))
        return parts

    def _lose(self, ctx: Context, until: int, packet: int, *, acknowledged: bool = False, since: int | None = None) -> None:
        """[next, until) is given up for want of room. acknowledged: it would have ended after the grace of that. since: when what waits behind it
        would have begun to, if that is not what waits now.
        """
        if self.shadow is None:
            self.shadow = Shadow(ctx.needs, ctx.ledger.history)
        clock = ctx.block.clock_of(packet)
        if since is None:
            since = self.behind.since if self.behind is not None and self.behind.first >= 0 else clock
        if self.behind is not None and self.behind.differs:
            self.shadow.again(ctx.limits.overlap_bytes, ctx.limits)
        self.shadow.lose(self.next, until, self.behind, since, ctx.ledger.rings.used)
        if acknowledged:
            self.shadow.acknowledged(until, packet, clock, ctx.limits)
        else:
            ctx.needs.shadowed += 1

    def _end_shadow(self) -> None:
        if self.shadow is not None:
            self.shadow.close()
            self.shadow = None

    def _drain(self, ctx: Context, packet: int, ts: int, filled: int = -1) -> None:
        """Deliver what is held from `next` on. filled: the clock at which the hole was filled; -1 where it was given up."""
        behind = self.behind
        if behind is None:
            return
        if behind.first == self.next:
            self.close_pieces(ctx)
            stall = self.path.released(behind.since, filled, ts) if filled >= 0 and self.path is not None else None
            start, end, data, marks, differs = behind.take()
            if differs:
                self.differs = self.differs | differs
            self.events.append(_released(start, data, marks, packet, ts, stall))
            self.delivered += end - start
            self.next = end
            keep = ctx.limits.history_bytes
            self.history.remember(ctx.ledger.history, keep, bytes(memoryview(data)[-keep:]))
        if behind.first < 0:
            self._nothing_waits(ctx)
        else:
            ctx.pressure.changed(cast(Victim, self))

    def _contend(self, ctx: Context, behind: Behind, low: int, second: bytes, segment: Segment) -> None:
        """Part of a segment, from offset low on, is held already."""
        high = low + len(second)
        first = behind.ring.read(low, high)
        differing = self.count(first, second)
        if not differing and not behind.contested(low, high):
            return
        kept, start, end = behind.contend(low, first, second)
        if differing:
            self.tell(ctx, Conflict(low, differing, segment.start, segment.end, start, end, kept, segment.packet, segment.ts))

    def _nothing_waits(self, ctx: Context) -> None:
        if self.behind is not None:
            self.behind.close()
            self.behind = None
            ctx.pressure.changed(cast(Victim, self))


def _released(start: int, data: bytes | bytearray, marks: list[Mark], packet: int, ts: int, stall: Stall | None) -> StreamData:
    """What waited behind a hole and is delivered at that packet and time (ns); each piece says what had carried it. Where the first of it was not
    remembered, it counts as the next that was.
    """
    if not marks:
        marks = [Mark(start, packet, ts, -1)]
    elif marks[0].offset != start:
        marks[0] = marks[0]._replace(offset=start)
    at = [mark.offset - start for mark in marks]
    ends = [*at[1:], len(data)]
    _, origins, times, acks = zip(*marks, strict=True)
    return StreamData(
        memoryview(data), start, len(data), at, ends, [packet] * len(at), list(times), list(acks), origins=list(origins), stall=stall
    )
