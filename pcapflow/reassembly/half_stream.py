"""One direction of a TCP connection: segments in, ordered `StreamEvent` values out.

Contract: `segment` takes one data segment at its 64-bit offset, `run` several at once that follow one another; the other methods tell the
stream what ends a hole. What comes out collects in `events` until the connection hands it on. Only data behind a hole is copied, into
the stream's ring.

Invariants, for every prefix of the input, beside those of `Delivery`:
  captured = delivered + retransmitted + conflicting + late + out_of_window + dropped + held
  everything held is above `next`.

Overlaps: of what was delivered the first copy stays; of what waits behind a hole `Context.overlap` says which copy is delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pcapflow.drops import DropReason, GapCause
from pcapflow.policy import Policy
from pcapflow.reassembly.behind import NONE, Behind
from pcapflow.reassembly.delivery import Delivery
from pcapflow.reassembly.events import (
    ACKNOWLEDGED,
    AT_END,
    RING_RANGES,
    RING_SIZE,
    Conflict,
    StreamData,
    StreamEnd,
    StreamGap,
    Why,
)
from pcapflow.reassembly.needs import Shadow
from pcapflow.reassembly.pieces import Rows, Segment
from pcapflow.reassembly.ring import Mark
from pcapflow.reassembly.sack import Told
from pcapflow.reassembly.seqspace import unwrap

if TYPE_CHECKING:
    from pcapflow.reassembly.connection import Connection
    from pcapflow.reassembly.context import Context

NEVER = 1 << 62
"""A packet number or time that does not come."""
_JUMP_MAX = 1 << 30
"""The largest receive window that TCP can announce (RFC 7323): nothing in the stream is further ahead than that."""
_WINDOW = 4 << 20
"""What a sender may well be ahead (`Limits.ring_size` has the reason): with a smaller ring, a segment that far is one that there was no room for."""
_WANT_OF_ROOM = frozenset((GapCause.RING_FULL, GapCause.MEMORY))


class HalfStream(Delivery):
    """One direction. Offsets and counts are bytes; times are ns of capture time."""

    __slots__ = (
        "acked", "armed_ack", "armed_packet", "armed_ts", "base", "behind", "bucket", "differs", "doubted", "drop_reason", "ended", "fin", "fin_ts", "jump_end", "owner",
        "protocol_drop", "told", "waiting_ack", "waiting_packet", "waiting_ts",
    )  # fmt: skip

    def __init__(self, owner: Connection) -> None:
        Delivery.__init__(self)
        self.owner = owner
        self.base = -1
        """Wire number of offset 0; -1 until something of this direction was seen."""
        self.fin = -1
        """Offset of the FIN; -1 until one was seen."""
        self.fin_ts = 0
        """When it was captured."""
        self.ended = ""
        self.acked = 0
        """Highest offset that the peer acknowledged."""
        self.armed_ack = 0
        """An acknowledgement past the hole whose grace runs: until packet and time; 0 for none."""
        self.armed_packet = self.armed_ts = 0
        self.waiting_ack = 0
        """The latest one after it, whose grace begins to count when the first is done."""
        self.waiting_packet = self.waiting_ts = 0
        self.told: Told | None = None
        """What the peer said of the first hole, which begins where this does, and when that ends it."""
        self.jump_end = -1
        self.doubted = 0
        """Up to where segments came that a larger ring would have believed."""
        self.behind: Behind | None = None
        """What waits behind holes; None where nothing does."""
        self.differs: set[Policy] = NONE
        """Overlap policies under which this stream would read differently."""
        self.bucket = 0
        """The class of what is reserved for `behind`, in which `Context` has this stream; 0 for none."""
        self.drop_reason: DropReason | None = None
        self.protocol_drop: DropReason | None = None
        """Why the protocol above gave the stream up, if it did; its bytes stay delivered."""

    def tell(self, ctx: Context, conflict: Conflict) -> None:
        """Bytes came again and were others."""
        self.owner.tell(ctx, self, conflict)

    # --- what is there

    @property
    def held(self) -> int:
        """Bytes held behind holes."""
        return 0 if self.behind is None else self.behind.ring.held

    @property
    def plain(self) -> bool:
        """Nothing is held, armed, ended or given up: a run that begins at `next` can be taken whole."""
        return (
            self.behind is None
            and self.armed_ack == 0
            and self.fin < 0
            and not self.ended
            and self.drop_reason is None
            and self.shadow is None
        )

    def balanced(self) -> bool:
        """The conservation law for this stream."""
        return (
            self.captured
            == self.delivered + self.retransmitted + self.conflicting + self.late + self.out_of_window + self.dropped + self.held
            and self.next == self.delivered + self.missing
        )

    def begin(self, base: int, *, syn: bool) -> None:
        """The first packet of this direction was seen; offset 0 has the wire number base."""
        self.base = base
        self.syn = syn

    # --- segments

    def segment(self, ctx: Context, offset: int, at: int, n: int, packet: int, ts: int, clock: int, ack: int) -> None:
        """One segment's payload: n > 0 bytes of stream offset `offset`, at `at` in the block."""
        self.captured += n
        if offset == self.next and self.behind is None and self.fin < 0 and not self.ended and self.drop_reason is None and self.shadow is None:
            self.append(at, n, packet, ts, ack)
            return
        if self.shadow is not None and self.shadow.over(packet, clock, ctx.limits):
            self._end_shadow()
        repeated = self.retransmitted + self.conflicting + self.out_of_window
        doubted = self._take(ctx, offset, at, n, packet, ts, clock, ack)
        if self.shadow is not None and offset <= self.next + _JUMP_MAX:
            fresh = n - (self.retransmitted + self.conflicting + self.out_of_window - repeated) + doubted
            if fresh < n:
                self.shadow.again(n - fresh, ctx.limits)
            self.shadow.hold(offset, offset + n, fresh, ctx.ledger.rings.used)

    def _take(self, ctx: Context, offset: int, at: int, n: int, packet: int, ts: int, clock: int, ack: int) -> int:
        """`segment` where it is not simply next. Returns the bytes that were not believed, though a larger ring would have had them."""
        if self.drop_reason is not None:
            self.dropped += n
            if self.shadow is not None:
                self.shadow.late(offset, offset + n)
                if offset < self.shadow.top:
                    self.shadow.again(n, ctx.limits)
            else:
                ctx.needs.unseen += 1  # what its later holes would have needed
            return 0
        end = offset + n
        if self.ended or 0 <= self.fin < end:
            # beyond the end of the stream: after FIN or RST nothing belongs to it
            limit = self.fin if self.fin >= 0 else self.next
            beyond = min(n, end - max(limit, self.next))
            if beyond > 0:
                self.out_of_window += beyond
                n -= beyond
                end -= beyond
                if n == 0:
                    return 0
        if offset > self.next:
            self.out_of_order += 1
            if not self._plausible(ctx, offset, end):
                self.out_of_window += n
                if end - self.next > max(ctx.limits.ring_size, _WINDOW):
                    ctx.needs.unseen += 1
                    return 0
                self._lose(ctx, offset, packet, since=clock)
                self.doubted = max(self.doubted, end)
                return n
        self._place(ctx, offset, end, at, packet, ts, clock, ack)
        return 0

    def run(self, ctx: Context, rows: Rows, i: int, j: int, offset: int) -> bool:
        """The payload of rows[i:j], which follow one another from that offset on and the row before them: what `segment` would have made of
        each. False, and nothing changed, where it takes a closer look.
        """
        if self.fin >= 0 or self.ended or self.drop_reason is not None or self.shadow is not None:
            return False
        n = sum(rows.n[i:j])
        behind = self.behind
        if offset == self.next:
            if behind is None:
                self.append_run(rows, i, j, n)
            elif offset + n < behind.first and not behind.selective:
                self.append_run(rows, i, j, n)
                behind.arrive_run(rows, i, j, offset)
                ctx.held_changed(self)
            else:
                return False
        else:
            if behind is None or ctx.needs.now or offset + n - self.next > ctx.limits.ring_size:
                return False
            ranges = len(behind.assembler)
            if not behind.hold_run(ctx.view, rows, i, j, offset, n, ctx.soft_rings):
                return False
            behind.arrive_run(rows, i, j, offset, self.next)
            self.out_of_order += j - i
            self.filled += len(behind.assembler) < ranges
            ctx.held_changed(self)
            self.ring_peak = max(self.ring_peak, self.held)
        self.captured += n
        return True

    def selectively_acknowledged(self, ctx: Context, blocks: list[tuple[int, int]], packet: int, clock: int) -> None:
        """The peer has these blocks (raw sequence numbers). A hole in them is only in the capture: it can end before the
        acknowledgement in sequence comes past it, which another hole, that is the network's, may hold back.
        """
        behind, limits = self.behind, ctx.limits
        if behind is None:
            return
        for left, right in blocks:
            start, end = unwrap(left, self.base, self.next), unwrap(right, self.base, self.next)
            if self.next < end <= self.next + _JUMP_MAX and start < end:
                behind.told(Told(start, end, packet + limits.ack_grace_packets, clock + limits.ack_grace), self.next, packet, clock)
        self.arm_from_sacks(packet, clock)

    def arm_from_sacks(self, packet: int, clock: int) -> bool:
        """Where the first hole lies in what the peer said it has, its grace runs from when that was said, beside that of an acknowledgement: True
        if that is new. packet, clock: now.
        """
        if self.told is not None and self.told.start == self.next:
            return False
        told = self.behind.peer_has(self.next, self.behind.first) if self.behind is not None and not self.ended else None
        self.told = told._replace(packet=max(told.packet, packet), clock=max(told.clock, clock)) if told is not None else None
        return told is not None

    def _receiver_has(self, until: int) -> bool:
        """Whether the peer acknowledged the hole [next, until), in sequence or selectively."""
        return self.acked >= until or (self.behind is not None and self.behind.peer_has(self.next, until) is not None)

    def finished_at(self, ctx: Context, offset: int, ts: int) -> None:
        """A FIN at that offset and time (ns). The first plausible one counts: not below what was delivered, not beyond belief."""
        ahead = offset - self.next
        if self.fin >= 0 or self.ended or ahead < 0 or (ahead > ctx.limits.ring_size and self.acked < offset):
            return
        if self.behind is None or self.behind.assembler.ends[-1] <= offset:
            self.fin, self.fin_ts = offset, ts
            # with more room, data beyond it might be held, and it would not be believed
            ctx.needs.unseen += self.shadow is not None and max(self.doubted, self.shadow.top) > offset

    def _plausible(self, ctx: Context, offset: int, end: int) -> bool:
        """Whether data so far ahead can belong to the stream. Beyond the ring it must be acknowledged by the peer or
        continue the segment before, so that one wrong sequence number does not carry the stream away.
        """
        ahead = end - self.next
        if ahead <= ctx.limits.ring_size:
            return True
        if ahead > _JUMP_MAX:
            return False
        if max(self.acked, self.next) >= offset - ctx.limits.ring_size or offset == self.jump_end:
            return True
        self.jump_end = end
        return False

    def _place(self, ctx: Context, offset: int, end: int, at: int, packet: int, ts: int, clock: int, ack: int) -> None:
        """Deliver, hold or count each byte of [offset, end)."""
        limits = ctx.limits
        segment = Segment(offset, end, packet, ts)
        while True:
            if offset < self.next:
                old = min(end, self.next) - offset
                self.repeated(ctx, offset, at, old, segment)
                offset += old
                at += old
                if offset == end:
                    return
            behind = self.behind
            if behind is None:
                if offset == self.next:
                    self.append(at, end - offset, packet, ts, ack)
                    return
                if end - self.next > limits.ring_size:
                    # not even an empty ring can hold it: what lies between is given up
                    self._give_up(ctx, offset, RING_SIZE, packet, ts)
                    continue
                behind = self.behind = Behind(limits, ctx.ledger.rings, ctx.overlap)
            elif offset > self.next and (end - self.next > limits.ring_size or not behind.assembler.fits(offset, end)):
                why = RING_SIZE if end - self.next > limits.ring_size else RING_RANGES
                self._give_up(ctx, min(offset, behind.first), why, packet, ts)
                continue
            break
        new, known = behind.assembler.split(offset, end)
        behind.arrive(segment.start, end, self.next)
        for low, high in known:
            self._contend(ctx, behind, low, bytes(ctx.view[at + low - offset : at + high - offset]), segment)
        ctx.held_changed(self)
        for low, high in new:
            self._put(ctx, low, high, at + low - offset, packet, ts, clock, ack)

    def _put(self, ctx: Context, low: int, high: int, at: int, packet: int, ts: int, clock: int, ack: int) -> None:
        """[low, high) was never seen before: deliver it if it comes next, else hold it."""
        while True:
            if self.drop_reason is not None:
                self.dropped += high - low
                return
            if low == self.next:
                self.append(at, high - low, packet, ts, ack)
                self.filled += self.behind is not None and self.behind.first == self.next
                self._drain(ctx, packet, ts)
                return
            behind = self.behind
            if behind is None:  # memory was short and this stream gave its holes up
                self._give_up(ctx, low, Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number), packet, ts)
                continue
            ranges = len(behind.assembler)
            if not behind.hold(Mark(low, packet, ts, ack), ctx.view[at : at + high - low], clock):
                why = Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number)
                victim = ctx.fattest()
                if victim is not None and (victim is not self or ctx.drops_streams):
                    ctx.relieve(victim, why, self, packet)
                else:
                    self._give_up(ctx, min(low, behind.first) if behind.first >= 0 else low, why, packet, ts)
                continue
            self.filled += len(behind.assembler) < ranges  # it joined two
            ctx.held_changed(self)
            if self.held > self.ring_peak:
                self.ring_peak = self.held
            used = ctx.ledger.rings.used
            if ctx.needs.now:
                ctx.needs.weigh(used)
            if used > ctx.soft_rings:
                ctx.relieve_early(self, packet)
            return

    # --- holes

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
            elif behind is None and offset == self.next + 1 and self.fin < 0:
                return  # more likely a FIN that was not captured than a byte
            else:
                self._give_up(ctx, offset, why, packet, ts)

    def _give_up(self, ctx: Context, until: int, why: Why, packet: int, ts: int) -> None:
        """[next, until) is missing for good. until is not beyond the first range held."""
        n = until - self.next
        self.close_pieces(ctx)
        if why.cause in _WANT_OF_ROOM:
            acknowledged = why.cause is GapCause.RING_FULL and self._receiver_has(until)
            self._lose(ctx, until, packet, acknowledged=acknowledged)
            if acknowledged:
                why = ACKNOWLEDGED
        self.events.append(StreamGap(self.next, n, why.cause, packet, ts, self.held, why.limit, why.requested_by))
        self.missing += n
        self.gaps += 1
        account = ctx.ledger.history
        self.history.lost(account, ctx.limits.late_ranges, self.next, until)
        self.history.forget(account)
        self.next = until
        self._drain(ctx, packet, ts)

    def _lose(self, ctx: Context, until: int, packet: int, *, acknowledged: bool = False, since: int | None = None) -> None:
        """[next, until) is given up for want of room. acknowledged: it would have ended after the grace of that. since: when what waits behind it
        would have begun to, if that is not what waits now.
        """
        if self.shadow is None:
            self.shadow = Shadow(ctx.needs, ctx.ledger.history)
        clock = ctx.clock_of(packet)
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

    def _drain(self, ctx: Context, packet: int, ts: int) -> None:
        """Deliver what is held from `next` on."""
        behind = self.behind
        if behind is None:
            return
        if behind.first == self.next:
            self.close_pieces(ctx)
            start, end, data, marks, differs = behind.take()
            if differs:
                self.differs = self.differs | differs
            self.events.append(_released(start, data, marks, packet, ts))
            self.delivered += end - start
            self.next = end
            keep = ctx.limits.history_bytes
            self.history.remember(ctx.ledger.history, keep, data[-keep:])
        if behind.first < 0:
            self._nothing_waits(ctx)
        else:
            ctx.held_changed(self)

    def _nothing_waits(self, ctx: Context) -> None:
        if self.behind is not None:
            self.behind.close()
            self.behind = None
            ctx.held_changed(self)

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

    def reached_fin(self, ctx: Context, packet: int, ts: int) -> bool:
        """Whether the FIN is next; the stream then has ended."""
        if self.fin < 0 or self.fin != self.next or self.ended:
            return False
        self._end(ctx, "fin", packet, self.fin_ts)
        return True

    def finish(self, ctx: Context, kind: str, packet: int, ts: int) -> None:
        """The connection ends: give up what is still missing, deliver what is held."""
        if self.ended:
            return
        while self.behind is not None:
            until = self.behind.first
            self._give_up(ctx, until, ACKNOWLEDGED if self._receiver_has(until) else AT_END, packet, ts)
        known = self.fin if self.fin >= 0 else self.acked
        if known > self.next and self.drop_reason is None:
            self.give_up_below(ctx, known, ACKNOWLEDGED if self.acked >= known else AT_END, packet, ts)
        if self.fin >= 0 and self.fin == self.next:
            self._end(ctx, "fin", packet, self.fin_ts)
        else:
            self._end(ctx, kind, packet, ts)

    def release(self, ctx: Context) -> None:
        """The connection is gone: give back what was kept to tell late bytes."""
        self.history.release(ctx.ledger.history)

    def drop(self, ctx: Context, reason: DropReason, packet: int) -> None:
        """Give the whole stream up: what is held is dropped, and so is all that still comes."""
        self.close_pieces(ctx)
        if self.behind is not None and self.behind.first >= 0:
            self._lose(ctx, self.behind.first, packet)
        self.drop_reason = reason
        self.dropped += self.held
        self._nothing_waits(ctx)
        self.history.forget(ctx.ledger.history)
        self.armed_ack = self.waiting_ack = 0
        self.told = None

    def _end(self, ctx: Context, kind: str, packet: int, ts: int) -> None:
        self.close_pieces(ctx)
        self._end_shadow()
        self.ended = kind
        self.events.append(StreamEnd(kind, packet, ts, self.next))
        self.history.forget(ctx.ledger.history)
        self.armed_ack = self.waiting_ack = 0
        self.told = None


def _released(start: int, data: bytes, marks: list[Mark], packet: int, ts: int) -> StreamData:
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
    return StreamData(memoryview(data), start, len(data), at, ends, [packet] * len(at), list(times), list(acks), origins=list(origins))
