"""One direction of a TCP connection: segments in, ordered `StreamEvent` values out.

Contract: `segment` takes one row's data at its 64-bit offset, `run` that of several at once that follow one another; the other methods tell the
stream what ends a hole. What comes out collects in `events` until the connection hands it on. Only data behind a hole is copied, into
the stream's ring.

Invariants, for every prefix of the input, beside those of `Delivery`:
  captured = delivered + retransmitted + conflicting + late + out_of_window + dropped + held
  everything held is above `next`.

Overlaps: of what was delivered the first copy stays; of what waits behind a hole `Context.overlap` says which copy is delivered.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.drops import DropReason, GapCause
from pcapflow.reassembly.beliefs import Expected
from pcapflow.reassembly.causes import ACKNOWLEDGED, AT_END, RING_RANGES, RING_SIZE, Conflict, Why
from pcapflow.reassembly.context import Context, Owner, Victim
from pcapflow.reassembly.holes import Holes
from pcapflow.reassembly.out_of_order import Behind
from pcapflow.reassembly.pending_run import Rows, Segment
from pcapflow.reassembly.ring import Mark
from pcapflow.reassembly.sack import Told
from pcapflow.reassembly.seqspace import unwrap
from pcapflow.streams.events import NEVER, StreamEnd

_JUMP_MAX = 1 << 30
"""The largest receive window that TCP can announce (RFC 7323): nothing in the stream is further ahead than that."""
_PLACED, _RISES = "placed", "rises"
"""What became of a part of a segment: it has its place, and memory is going to be short."""


class Wanted(NamedTuple):
    """A segment that is not placed yet, for want of memory: others are asked for it first."""

    parts: list[tuple[int, int]]
    """Offsets, from and up to which it is still to be placed."""
    victim: Victim | None
    """Who has to give memory up; None where it has what it needs, and memory is going to be short."""
    segment: Segment
    repeated: int
    """What the counters said before it."""
    late: int


class HalfStream(Holes):
    """One direction. Offsets and counts are bytes; times are ns of capture time."""

    __slots__ = ("base", "doubted", "expected", "jump_end", "protocol_drop", "wanted")

    def __init__(self, owner: Owner) -> None:
        Holes.__init__(self, owner)
        self.base = -1
        """Wire number of offset 0; -1 until something of this direction was seen."""
        self.expected: Expected | None = None
        """While nothing of this direction was seen: what the peer acknowledged of it."""
        self.jump_end = -1
        self.doubted = 0
        """Up to where segments came that a larger ring would have believed."""
        self.wanted: Wanted | None = None
        """Where `segment` or `go_on` returned before all was placed."""
        self.protocol_drop: DropReason | None = None
        """Why the protocol above gave the stream up, if it did; its bytes stay delivered."""

    def tell(self, ctx: Context, conflict: Conflict) -> None:
        """Bytes came again and were others."""
        self.owner.tell(ctx, self, conflict)

    # --- what is there

    @property
    def plain(self) -> bool:
        """Nothing is held, armed, ended or given up: a run that begins at `next` can be taken whole."""
        return (
            self.behind is None
            and self.armed is None
            and self.fin < 0
            and not self.ended
            and self.drop_reason is None
            and self.shadow is None
            and self.closed_since < 0
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

    def segment(self, ctx: Context, rows: Rows, i: int, offset: int) -> None:
        """The payload of row i, n > 0 bytes at that offset. Where `wanted` is set then, memory is short: it is to be relieved, and `go_on` places the rest."""
        n = rows.n[i]
        self.captured += n
        if (
            offset == self.next
            and self.behind is None
            and self.fin < 0
            and not self.ended
            and self.drop_reason is None
            and self.shadow is None
        ):
            self.append(rows.at[i], n, rows.packet[i], rows.ts[i], rows.ack[i])
            return
        segment = Segment(offset, offset + n, rows.packet[i], rows.ts[i], rows.clock[i], rows.at[i], rows.ack[i])
        if self.shadow is not None and self.shadow.over(segment.packet, segment.clock, ctx.limits):
            self._end_shadow()
        repeated, late = self.retransmitted + self.conflicting + self.out_of_window, self.late
        doubted = self._take(ctx, segment)
        if self.wanted is not None:
            self.wanted = self.wanted._replace(segment=segment, repeated=repeated, late=late)
        else:
            self._placed(ctx, segment, repeated, late, doubted)

    def go_on(self, ctx: Context) -> None:
        """Place the rest of the segment that `wanted` memory, or some of it."""
        wanted, self.wanted = self.wanted, None
        assert wanted is not None
        self._put_all(ctx, wanted.parts, wanted.segment)
        if self.wanted is not None:
            self.wanted = wanted._replace(parts=self.wanted.parts, victim=self.wanted.victim)
        else:
            self._placed(ctx, wanted.segment, wanted.repeated, wanted.late, 0)

    def _placed(self, ctx: Context, segment: Segment, repeated: int, late: int, doubted: int) -> None:
        """A segment is. repeated, late: what the counters said before; doubted: bytes that were not believed, though a larger ring would have had them."""
        offset, end = segment.start, segment.end
        n = end - offset
        if self.shadow is not None and offset <= self.next + _JUMP_MAX:
            fresh = n - (self.retransmitted + self.conflicting + self.out_of_window - repeated) + doubted
            if fresh < n:
                self.shadow.again(n - fresh, ctx.limits)
            self.shadow.hold(offset, end, fresh, ctx.ledger.rings.used)
        if self.late > late and self.lost_to_ack is not None:
            lost = self.lost_to_ack
            if lost.start < end and offset < lost.acknowledged.offset:
                self.owner.early(ctx, segment.clock - lost.acknowledged.since)
                self.lost_to_ack = None

    def _take(self, ctx: Context, segment: Segment) -> int:
        """`segment` where it is not simply next. Returns the bytes that were not believed, though a larger ring would have had them."""
        offset, end = segment.start, segment.end
        n = end - offset
        if self.drop_reason is not None:
            self.dropped += n
            if self.shadow is not None:
                self.shadow.late(offset, end)
                if offset < self.shadow.top:
                    self.shadow.again(n, ctx.limits)
            else:
                ctx.needs.unseen += 1  # what its later holes would have needed
            return 0
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
                segment = segment._replace(end=end)
        if offset > self.next:
            self.out_of_order += 1
            if not self._plausible(ctx, offset, end):
                self.out_of_window += n
                if end - self.next > ctx.reach:
                    ctx.needs.unseen += 1
                    return 0
                self._lose(ctx, offset, segment.packet, since=segment.clock)
                self.doubted = max(self.doubted, end)
                return n
        seen = self.retransmitted + self.conflicting
        self._place(ctx, segment)
        if self.retransmitted + self.conflicting > seen:
            self.on_path(ctx).retransmitted += 1
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
                self.on_path(ctx).fills_run(behind.assembler, rows, (i, j), offset, self.owner.round_trip)
                self.append_run(rows, i, j, n)
                behind.arrive_run(rows, i, j, offset)
                ctx.pressure.changed(self)
            else:
                return False
        else:
            if behind is None or ctx.needs.now or offset + n - self.next > ctx.limits.ring_size:
                return False
            ranges = len(behind.assembler)
            path = self.on_path(ctx)
            before = path.fills_run(behind.assembler, rows, (i, j), offset, self.owner.round_trip)
            if not behind.hold_run(ctx.block.view, rows, i, j, offset, n, ctx.pressure.soft):
                path.undo(before)
                return False
            behind.arrive_run(rows, i, j, offset, self.next)
            self.out_of_order += j - i
            if len(behind.assembler) < ranges:
                self.hole_filled(ctx)
            ctx.pressure.changed(self)
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
                behind.told(Told(start, end, packet + limits.ack_grace_packets, clock + self.owner.grace(ctx)), self.next, packet, clock)
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

    def _place(self, ctx: Context, segment: Segment) -> None:
        """Deliver, hold or count each byte of a segment."""
        limits = ctx.limits
        offset, end, packet, ts, clock, at, ack = segment
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
                behind = self.behind = Behind(limits, ctx.ledger.rings, ctx.pages, ctx.overlap)
            elif offset > self.next and (end - self.next > limits.ring_size or not behind.assembler.fits(offset, end)):
                why = RING_SIZE if end - self.next > limits.ring_size else RING_RANGES
                self._give_up(ctx, min(offset, behind.first), why, packet, ts)
                continue
            break
        new, known = behind.assembler.split(offset, end)
        if new:
            self.on_path(ctx).fills(behind.assembler, new[0][0], clock, ctx.ident, self.owner.round_trip)
        behind.arrive(segment.start, end, self.next)
        for low, high in known:
            self._contend(ctx, behind, low, bytes(ctx.block.view[at + low - offset : at + high - offset]), segment)
        ctx.pressure.changed(self)
        self._put_all(ctx, new, segment)

    def _put_all(self, ctx: Context, parts: list[tuple[int, int]], segment: Segment) -> None:
        """Parts of a segment that were never seen before."""
        for i, (low, high) in enumerate(parts):
            put = self._put(ctx, low, high, segment)
            if put is not _PLACED:
                victim = None if isinstance(put, str) else put
                self.wanted = Wanted(parts[i + (victim is None) :], victim, segment, 0, 0)
                return

    def _put(self, ctx: Context, low: int, high: int, segment: Segment) -> str | Victim:
        """[low, high) of a segment is new: deliver it if it comes next, else hold it. What became of it; where there is no room, who has to give memory up."""
        _, _, packet, ts, clock, at, ack = segment
        at += low - segment.start
        while True:
            if self.drop_reason is not None:
                self.dropped += high - low
                return _PLACED
            if low == self.next:
                self.append(at, high - low, packet, ts, ack)
                if self.behind is not None and self.behind.first == self.next:
                    self.hole_filled(ctx)
                self._drain(ctx, packet, ts, clock)
                return _PLACED
            behind = self.behind
            if behind is None:  # memory was short and this stream gave its holes up
                self._give_up(ctx, low, Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number), packet, ts)
                continue
            ranges = len(behind.assembler)
            if not behind.hold(Mark(low, packet, ts, ack), ctx.block.view[at : at + high - low], clock, ctx.ident):
                victim = ctx.pressure.fattest()
                if victim is not None and (victim is not self or ctx.drops_streams):
                    return victim
                why = Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number)
                self._give_up(ctx, min(low, behind.first) if behind.first >= 0 else low, why, packet, ts)
                continue
            if len(behind.assembler) < ranges:  # it joined two
                self.hole_filled(ctx)
            ctx.pressure.changed(self)
            if self.held > self.ring_peak:
                self.ring_peak = self.held
            used = ctx.ledger.rings.used
            if ctx.needs.now:
                ctx.needs.weigh(used)
            return _RISES if used > ctx.pressure.soft and ctx.pressure.rises else _PLACED

    def reached_fin(self, ctx: Context, packet: int, ts: int) -> bool:
        """Whether the FIN is next; the stream then has ended."""
        if self.fin < 0 or self.fin != self.next or self.ended:
            return False
        self._end(ctx, "fin", packet, self.fin_ts)
        return True

    def finish(self, ctx: Context, kind: str, packet: int, ts: int, end_ts: int) -> None:
        """The connection ends: give up what is still missing, deliver what is held. end_ts: when what ends it was captured."""
        if self.ended:
            return
        while self.behind is not None:
            until = self.behind.first
            self._give_up(ctx, until, ACKNOWLEDGED if self._receiver_has(until) else AT_END, packet, ts)
        known = self.fin if self.fin >= 0 else max(self.acked, self.cuts[-1][1] if self.cuts else 0)
        if known > self.next and self.drop_reason is None:
            self.give_up_below(ctx, known, ACKNOWLEDGED if self.acked >= known else AT_END, packet, ts)
        if self.fin >= 0 and self.fin == self.next:
            self._end(ctx, "fin", packet, self.fin_ts)
        else:
            self._end(ctx, kind, packet, end_ts)

    def drop(self, ctx: Context, reason: DropReason, packet: int) -> None:
        """Give the whole stream up: what is held is dropped, and so is all that still comes."""
        self.close_pieces(ctx)
        if self.behind is not None and self.behind.first >= 0:
            self._lose(ctx, self.behind.first, packet)
        self.drop_reason = reason
        self._forget_cuts(ctx.ledger.rings, NEVER)
        self.dropped += self.held
        self._nothing_waits(ctx)
        self.history.forget(ctx.ledger.history)
        self.armed = self.waiting = None
        self.told = None

    def _end(self, ctx: Context, kind: str, packet: int, ts: int) -> None:
        self.close_pieces(ctx)
        self._end_shadow()
        self._forget_cuts(ctx.ledger.rings, NEVER)
        self.ended = kind
        self.events.append(StreamEnd(kind, packet, ts, self.next))
        self.history.forget(ctx.ledger.history)
        self.armed = self.waiting = None
        self.told = None
