"""One direction of a TCP connection: segments in, ordered `StreamEvent` values out.

Contract: `segment` takes one data segment at its 64-bit offset; the other methods tell the stream what ends a hole. What
comes out collects in `events` until the connection hands it on. In-order data is never copied: it stays in the block and
is only remembered as pieces. Only data behind a hole is copied, into the stream's ring.

Invariants, for every prefix of the input:
  captured = delivered + retransmitted + conflicting + late + out_of_window + dropped + held
  next = delivered + missing
  everything below `next` was delivered or given up; everything held is above it.

Overlaps: of what was delivered the first copy stays; of what waits behind a hole `Context.overlap` says which copy is delivered.
Which bucket a repeated byte falls into: `late` if its offset was given up (the last `late_ranges` gaps are remembered), else
compared with the ring or the history of the last delivered bytes: `conflicting` where the byte differs, whichever copy is
kept, `retransmitted` where it is the same or no longer at hand.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from pcapflow.drops import DropReason, GapCause
from pcapflow.policy import Policy
from pcapflow.reassembly.assembler import Assembler
from pcapflow.reassembly.events import Conflict, StreamData, StreamEnd, StreamEvent, StreamGap, Why
from pcapflow.reassembly.needs import Shadow
from pcapflow.reassembly.overlap import Arrivals, Witness, owners
from pcapflow.reassembly.ring import MARKS_MAX, Ring
from pcapflow.reassembly.sack import Sacked, Told
from pcapflow.reassembly.seqspace import unwrap

if TYPE_CHECKING:
    from pcapflow.reassembly.connection import Connection
    from pcapflow.reassembly.context import Context

NEVER = 1 << 62
"""A packet number or time that does not come."""
_GAP_BYTES = 24
"""Reserved for each gap that is remembered: two offsets and room to grow."""
NONE: set[Policy] = set()
"""What `differs` is for nearly every stream; never changed in place."""
_WITNESS_BYTES = 512
"""Reserved for each contested range beside its bytes."""
_JUMP_MAX = 1 << 30
"""The largest receive window that TCP can announce (RFC 7323): nothing in the stream is further ahead than that."""


ACKNOWLEDGED = Why(GapCause.ACKNOWLEDGED)
TIMEOUT = Why(GapCause.TIMEOUT, "gap_timeout")
_END = Why(GapCause.END)
_RING_SIZE = Why(GapCause.RING_FULL, "ring_size")
_RING_RANGES = Why(GapCause.RING_FULL, "ring_ranges")


_WANT_OF_ROOM = frozenset((GapCause.RING_FULL, GapCause.MEMORY))


class _Segment(NamedTuple):
    """A segment that is not simply next: its offsets, and when it came."""

    start: int
    end: int
    packet: int
    ts: int


class HalfStream:
    """One direction. Offsets and counts are bytes; times are ns of capture time."""

    __slots__ = (
        "acked", "armed_ack", "armed_packet", "armed_ts", "arrivals", "assembler", "base", "bucket", "captured", "conflicting", "delivered", "differs", "drop_reason",
        "dropped", "ended", "events", "fin", "gaps", "given_up", "history", "jump_end", "late", "missing", "next", "out_of_order",
        "out_of_window", "owner", "pieces", "pieces_start", "protocol_drop", "retransmitted", "ring", "ring_peak", "sacked", "shadow",
        "snapped", "syn", "waiting_ack", "waiting_packet", "waiting_ts", "witness",
    )  # fmt: skip

    def __init__(self, owner: Connection) -> None:
        self.owner = owner
        self.base = -1
        """Wire number of offset 0; -1 until something of this direction was seen."""
        self.next = 0
        self.syn = False
        self.fin = -1
        """Offset of the FIN; -1 until one was seen."""
        self.ended = ""
        self.acked = 0
        """Highest offset that the peer acknowledged."""
        self.armed_ack = 0
        """An acknowledgement past the hole whose grace runs: until packet and time; 0 for none."""
        self.armed_packet = 0
        self.armed_ts = 0
        self.waiting_ack = 0
        """The latest one after it, whose grace begins to count when the first is done."""
        self.waiting_packet = 0
        self.waiting_ts = 0
        self.sacked: Sacked | None = None
        """What the peer said it has beyond `acked`, while there are holes."""
        self.shadow: Shadow | None = None
        """Made when a hole is given up for want of room."""
        self.jump_end = -1
        self.assembler: Assembler | None = None
        self.ring: Ring | None = None
        self.arrivals: Arrivals | None = None
        self.witness: Witness | None = None
        """Made when a segment brings other bytes than are held."""
        self.differs: set[Policy] = NONE
        """Overlap policies under which this stream would read differently."""
        self.bucket = 0
        """Binary digits of what is held; where `Context.holding` has this stream."""
        self.history = b""
        self.given_up: array[int] | None = None
        """Begin and end of the last gaps, alternating; reserved in the `history` account."""
        self.captured = 0
        self.delivered = 0
        self.retransmitted = 0
        self.conflicting = 0
        self.late = 0
        self.out_of_window = 0
        self.dropped = 0
        self.missing = 0
        self.gaps = 0
        self.out_of_order = 0
        self.ring_peak = 0
        self.snapped = 0
        self.drop_reason: DropReason | None = None
        self.protocol_drop: DropReason | None = None
        """Why the protocol above gave the stream up, if it did; its bytes stay delivered."""
        self.events: list[StreamEvent] = []
        self.pieces: list[tuple[int, int, int, int, int]] = []
        """In-order payload not handed on yet: where in the block, end (from pieces_start), packet, time, acknowledgement."""
        self.pieces_start = 0

    # --- what is there

    @property
    def held(self) -> int:
        """Bytes held behind holes."""
        return self.ring.held if self.ring is not None else 0

    @property
    def plain(self) -> bool:
        """Nothing is held, armed, ended or given up: a run that begins at `next` can be taken whole."""
        return (
            self.ring is None
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
        shadow = self.shadow
        if shadow is not None:
            self._cast(shadow, ctx, offset, offset + n, packet, clock)
        if offset == self.next and self.ring is None and self.fin < 0 and not self.ended and self.drop_reason is None:
            self._append(at, n, packet, ts, ack)
            return
        if self.drop_reason is not None:
            self.dropped += n
            return
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
                    return
        if offset > self.next:
            self.out_of_order += 1
            if not self._plausible(ctx, offset, end):
                self.out_of_window += n
                return
        self._place(ctx, offset, end, at, packet, ts, clock, ack)
        if shadow is None and self.shadow is not None:
            self.shadow.hold(offset, end, ctx.ledger.rings.used)  # the segment that there was no room for

    def selectively_acknowledged(self, ctx: Context, blocks: list[tuple[int, int]], packet: int, clock: int) -> None:
        """The peer has these blocks (raw sequence numbers). A hole in them is only in the capture: it can end before the
        acknowledgement in sequence comes past it, which another hole, that is the network's, may hold back.
        """
        for left, right in blocks:
            start, end = unwrap(left, self.base, self.next), unwrap(right, self.base, self.next)
            if not self.next < end <= self.next + _JUMP_MAX or start >= end:
                continue
            if self.sacked is None:
                self.sacked = Sacked()
            limits = ctx.limits
            self.sacked.add(Told(start, end, packet + limits.ack_grace_packets, clock + limits.ack_grace), self.next)
        self.arm_from_sacks(packet, clock)

    def arm_from_sacks(self, packet: int, clock: int) -> None:
        """Where the first hole lies in what the peer said it has, its grace runs from when that was said. packet, clock: now."""
        if self.sacked is None or self.armed_ack or self.assembler is None or self.ended:
            return
        told = self.sacked.covering(self.next, self.assembler.starts[0])
        if told is not None:
            self.armed_ack, self.armed_packet, self.armed_ts = told.end, max(told.packet, packet), max(told.clock, clock)

    def _receiver_has(self, until: int) -> bool:
        """Whether the peer acknowledged the hole [next, until), in sequence or selectively."""
        return self.acked >= until or (self.sacked is not None and self.sacked.covering(self.next, until) is not None)

    def finished_at(self, ctx: Context, offset: int) -> None:
        """A FIN at that offset. The first plausible one counts: not below what was delivered, not beyond belief."""
        ahead = offset - self.next
        if self.fin >= 0 or self.ended or ahead < 0 or (ahead > ctx.limits.ring_size and self.acked < offset):
            return
        if self.assembler is None or self.assembler.ends[-1] <= offset:
            self.fin = offset

    def keep_alive(self, n: int) -> None:
        """A keep-alive probe of n garbage bytes just below `next` (RFC 9293 section 3.8.4)."""
        self.captured += n
        self.retransmitted += n

    def _append(self, at: int, n: int, packet: int, ts: int, ack: int) -> None:
        pieces = self.pieces
        if not pieces:
            self.pieces_start = self.next
        self.next += n
        self.delivered += n
        pieces.append((at, self.next - self.pieces_start, packet, ts, ack))

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
        segment = _Segment(offset, end, packet, ts)
        while True:
            if offset < self.next:
                old = min(end, self.next) - offset
                self._repeated(ctx, offset, at, old, segment)
                offset += old
                at += old
                if offset == end:
                    return
            assembler = self.assembler
            if assembler is None:
                if offset == self.next:
                    self._append(at, end - offset, packet, ts, ack)
                    return
                if end - self.next > limits.ring_size:
                    # not even an empty ring can hold it: what lies between is given up
                    self._give_up(ctx, offset, _RING_SIZE, packet, ts)
                    continue
                assembler = self.assembler = Assembler(limits.ring_ranges)
                self.ring = Ring(ctx.ledger.rings)
                self.arrivals = Arrivals(MARKS_MAX)
            elif offset > self.next and (end - self.next > limits.ring_size or len(assembler) >= assembler.capacity):
                why = _RING_SIZE if end - self.next > limits.ring_size else _RING_RANGES
                self._give_up(ctx, min(offset, assembler.starts[0]), why, packet, ts)
                continue
            break
        new, known = assembler.split(offset, end)
        assert self.arrivals is not None
        remembered = self.arrivals.add(segment.start, end)
        for low, high in known:
            self._contend(ctx, low, high, at + low - offset, segment, remembered=remembered)
        for low, high in new:
            self._put(ctx, low, high, at + low - offset, packet, ts, clock, ack)

    def _put(self, ctx: Context, low: int, high: int, at: int, packet: int, ts: int, clock: int, ack: int) -> None:
        """[low, high) was never seen before: deliver it if it comes next, else hold it."""
        while True:
            if self.drop_reason is not None:
                self.dropped += high - low
                return
            if low == self.next:
                self._append(at, high - low, packet, ts, ack)
                self._drain(ctx, packet, ts)
                return
            assembler = self.assembler
            if assembler is None:  # memory was short and this stream gave its holes up
                self._give_up(ctx, low, Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number), packet, ts)
                continue
            if not self._ring().write(low, ctx.view[at : at + high - low]):
                victim = ctx.fattest()
                why = Why(GapCause.MEMORY, ctx.ledger.refused, self.owner.number)
                if victim is not None and (victim is not self or ctx.drops_streams):
                    ctx.relieve(victim, why, packet, ts)
                else:
                    self._give_up(ctx, min(low, assembler.starts[0]) if assembler.starts else low, why, packet, ts)
                continue
            assembler.add(low, high, clock)
            ctx.held_changed(self)
            if self.held > self.ring_peak:
                self.ring_peak = self.held
            if ctx.ledger.rings.used > ctx.soft_rings:
                ctx.relieve_early(self, packet, ts)
            return

    def _ring(self) -> Ring:
        assert self.ring is not None
        return self.ring

    # --- holes

    def give_up_oldest(self, ctx: Context, why: Why, packet: int, ts: int) -> None:
        """End the first hole: what is held behind it is delivered."""
        assert self.assembler is not None
        self._give_up(ctx, self.assembler.starts[0], why, packet, ts)

    def give_up_below(self, ctx: Context, offset: int, why: Why, packet: int, ts: int) -> None:
        """End all holes below an offset, whether or not data is held behind them."""
        if self.fin >= 0:
            offset = min(offset, self.fin)
        while self.next < offset:
            assembler = self.assembler
            if assembler is not None and assembler.starts[0] <= offset:
                self._give_up(ctx, assembler.starts[0], why, packet, ts)
            elif assembler is None and offset == self.next + 1 and self.fin < 0:
                return  # more likely a FIN that was not captured than a byte
            else:
                self._give_up(ctx, offset, why, packet, ts)

    def _give_up(self, ctx: Context, until: int, why: Why, packet: int, ts: int) -> None:
        """[next, until) is missing for good. until is not beyond the first range held."""
        n = until - self.next
        self.close_pieces(ctx)
        if why.cause in _WANT_OF_ROOM:
            if why.cause is GapCause.RING_FULL and self._receiver_has(until):
                why = ACKNOWLEDGED
            else:
                self._begin_shadow(ctx, packet).lose(self.next, until, ctx.ledger.rings.used)
        self.events.append(StreamGap(self.next, n, why.cause, packet, ts, self.held, why.limit, why.requested_by))
        self.missing += n
        self.gaps += 1
        self._remember_gap(ctx, until)
        self.next = until
        self._forget_history(ctx)
        self._drain(ctx, packet, ts)

    def _begin_shadow(self, ctx: Context, packet: int) -> Shadow:
        if self.shadow is None:
            assembler = self.assembler
            ranges, top = (len(assembler), assembler.ends[-1]) if assembler is not None and assembler.ends else (0, self.next)
            since = assembler.since[0] if assembler is not None and assembler.since else ctx.clock_of(packet)
            self.shadow = Shadow(ctx.needs, self.next, since, self.late, self.held, ranges, top)
        return self.shadow

    def _cast(self, shadow: Shadow, ctx: Context, offset: int, end: int, packet: int, clock: int) -> None:
        """A segment comes to a stream that has a shadow."""
        if shadow.over(packet, clock, self.late, ctx.limits):
            self._close_shadow()
        elif offset <= self.next + _JUMP_MAX:
            shadow.hold(offset, end, ctx.ledger.rings.used)

    def _close_shadow(self) -> None:
        if self.shadow is not None:
            self.shadow.close()
            self.shadow = None

    def _remember_gap(self, ctx: Context, until: int) -> None:
        gaps = self.given_up
        if gaps is None:
            gaps = self.given_up = array("q")
        if gaps and gaps[-1] == self.next:
            gaps[-1] = until
            return
        if len(gaps) >= 2 * ctx.limits.late_ranges:
            del gaps[:2]
        elif not ctx.ledger.history.reserve(_GAP_BYTES):
            return
        gaps.extend((self.next, until))

    def _drain(self, ctx: Context, packet: int, ts: int) -> None:
        """Deliver what is held from `next` on."""
        assembler = self.assembler
        if assembler is None:
            return
        if not assembler.starts:
            self._close_ring(ctx)  # its first page was refused
            return
        if assembler.starts[0] != self.next:
            return
        start, end = assembler.pop_front()
        self.close_pieces(ctx)
        if self.witness is not None:
            assert self.arrivals is not None
            self.differs = self.differs | self.witness.reads_differently(ctx.overlap, self.arrivals, start, end)
        data, marks = self._ring().take(start, end, assembler.starts[0] if assembler.starts else None)
        at = [m - start for m in marks]
        count = len(at)
        ends = [*at[1:], end - start]
        self.events.append(StreamData(memoryview(data), start, end - start, at, ends, [packet] * count, [ts] * count, [-1] * count))
        self.delivered += end - start
        self.next = end
        self._remember(ctx, data[-ctx.limits.history_bytes :])
        if not assembler.starts:
            self._close_ring(ctx)
        else:
            ctx.held_changed(self)

    def _close_ring(self, ctx: Context) -> None:
        self.assembler = None
        self.ring = None
        self.sacked = None
        self.arrivals = None
        if self.witness is not None:
            ctx.ledger.rings.release(self.witness.reserved)
            self.witness = None
        ctx.held_changed(self)

    # --- bytes seen before

    def _repeated(self, ctx: Context, offset: int, at: int, n: int, segment: _Segment) -> None:
        """[offset, offset + n) of a segment lies below `next`: put each byte into its bucket."""
        if offset < 0:
            before = min(n, -offset)
            if self.syn:
                self.out_of_window += before
            else:
                self.late += before
            offset += before
            at += before
            n -= before
        if n == 0:
            return
        if self.given_up:
            for low, high in zip(self.given_up[::2], self.given_up[1::2], strict=True):
                if high <= offset:
                    continue
                if low >= offset + n:
                    break
                if low > offset:
                    self._seen(ctx, offset, at, low - offset, segment)
                    at += low - offset
                    n -= low - offset
                    offset = low
                size = min(high, offset + n) - offset
                self.late += size
                offset += size
                at += size
                n -= size
                if n == 0:
                    return
        self._seen(ctx, offset, at, n, segment)

    def _seen(self, ctx: Context, offset: int, at: int, n: int, segment: _Segment) -> None:
        """[offset, offset + n) was delivered: compare with what of it is still at hand."""
        reach = len(self.history) + (self.pieces[-1][1] if self.pieces else 0)
        oldest = self.next - min(reach, ctx.limits.history_bytes)
        if offset < oldest:
            unknown = min(n, oldest - offset)
            self.retransmitted += unknown
            offset += unknown
            at += unknown
            n -= unknown
        if n:
            differing = self._count(self._delivered(ctx, offset, offset + n), bytes(ctx.view[at : at + n]))
            if differing:
                self._tell(ctx, Conflict(offset, differing, segment.start, segment.end, offset, offset + n, "original", segment.packet, segment.ts))

    def _count(self, first: bytes, second: bytes) -> int:
        """Puts the bytes of a second copy into their buckets; how many differ."""
        differing = 0 if first == second else sum(map(int.__ne__, first, second))
        self.conflicting += differing
        self.retransmitted += len(first) - differing
        return differing

    def _contend(self, ctx: Context, low: int, high: int, at: int, segment: _Segment, *, remembered: bool) -> None:
        """[low, high) of a segment is held already: the overlap policy says which copy stays."""
        ring = self._ring()
        first = ring.read(low, high)
        second = bytes(ctx.view[at : at + high - low])
        differing = self._count(first, second)
        if not differing and (self.witness is None or not self.witness.contested(low, high)):
            return
        witness = self.witness
        if witness is None:
            witness = self.witness = Witness(ctx.limits.overlap_bytes)
        arrivals = self.arrivals
        assert arrivals is not None
        won = 0
        if remembered and ctx.overlap is not Policy.FIRST:
            for a, b, arrival in owners(ctx.overlap, arrivals.covering(low, high), low, high):
                if arrival == arrivals.latest:
                    ring.overwrite(a, second[a - low : b - low])
                    won += b - a
        if not witness.full:
            cost = 2 * len(second) + _WITNESS_BYTES
            if remembered and ctx.ledger.rings.reserve(cost):
                witness.reserved += cost
                witness.add(arrivals.latest, low, first, second)
            else:
                witness.full = True
        if differing:
            start, end = arrivals.hull(low, high, arrivals.latest + (not remembered))
            kept = "original" if not won else "new" if won == high - low else "both"
            self._tell(ctx, Conflict(low, differing, segment.start, segment.end, start, end, kept, segment.packet, segment.ts))

    def _tell(self, ctx: Context, conflict: Conflict) -> None:
        """A conflict is reported for the client's stream or the server's: fix the roles by what was said up to here."""
        connection = self.owner
        if connection.client < 0:
            connection.flush(ctx)
            connection.fix_roles()
        ctx.observer.conflict(connection, self, conflict)

    def _delivered(self, ctx: Context, start: int, end: int) -> bytes:
        """The delivered bytes [start, end), all of which are in the history or the pieces. Looks at no piece beside them."""
        begin = self.pieces_start if self.pieces else self.next
        if end <= begin:
            return self.history[len(self.history) - (begin - start) : len(self.history) - (begin - end)]
        parts: list[bytes | memoryview] = []
        if start < begin:
            parts.append(self.history[len(self.history) - (begin - start) :])
            start = begin
        at, end = start - begin, end - begin
        i = bisect_left(self.pieces, at + 1, key=_piece_end)
        previous = self.pieces[i - 1][1] if i else 0
        while at < end:
            where, piece_end, *_ = self.pieces[i]
            skip = at - previous
            size = min(piece_end, end) - at
            parts.append(ctx.view[where + skip : where + skip + size])
            at += size
            previous = piece_end
            i += 1
        return b"".join(parts)

    def _pieces_event(self, ctx: Context) -> StreamData:
        at, ends, packets, times, acks = map(list, zip(*self.pieces, strict=True))
        return StreamData(ctx.view, self.pieces_start, ends[-1], at, ends, packets, times, acks)

    def remember_tail(self, ctx: Context, data: StreamData) -> None:
        """Data was delivered: keep its tail."""
        size = min(ctx.limits.history_bytes, data.length)
        self._remember(ctx, data.take(data.length - size, size))

    def _remember(self, ctx: Context, tail: bytes) -> None:
        history = self.history
        keep = ctx.limits.history_bytes
        new = tail if len(tail) >= keep else (history + tail)[-keep:]
        more = len(new) - len(history)
        account = ctx.ledger.history
        if more > 0 and not account.reserve(more):
            account.release(len(history))
            self.history = b""
            return
        if more < 0:
            account.release(-more)
        self.history = new

    def _forget_history(self, ctx: Context) -> None:
        if self.history:
            ctx.ledger.history.release(len(self.history))
            self.history = b""

    # --- handing on

    def close_pieces(self, ctx: Context) -> None:
        """Turn the pieces collected so far into one event."""
        if self.pieces:
            data = self._pieces_event(ctx)
            self.pieces = []
            self.events.append(data)
            self.remember_tail(ctx, data)

    def reached_fin(self, ctx: Context, packet: int, ts: int) -> bool:
        """Whether the FIN is next; the stream then has ended."""
        if self.fin < 0 or self.fin != self.next or self.ended:
            return False
        self._end(ctx, "fin", packet, ts)
        return True

    def finish(self, ctx: Context, kind: str, packet: int, ts: int) -> None:
        """The connection ends: give up what is still missing, deliver what is held."""
        if self.ended:
            return
        while self.assembler is not None:
            until = self.assembler.starts[0]
            self._give_up(ctx, until, ACKNOWLEDGED if self._receiver_has(until) else _END, packet, ts)
        known = self.fin if self.fin >= 0 else self.acked
        if known > self.next and self.drop_reason is None:
            self.give_up_below(ctx, known, ACKNOWLEDGED if self.acked >= known else _END, packet, ts)
        self._end(ctx, "fin" if self.fin >= 0 and self.fin == self.next else kind, packet, ts)

    def release(self, ctx: Context) -> None:
        """The connection is gone: give back what was kept to tell late bytes."""
        if self.given_up:
            ctx.ledger.history.release(len(self.given_up) // 2 * _GAP_BYTES)
            self.given_up = None

    def drop(self, ctx: Context, reason: DropReason, packet: int) -> None:
        """Give the whole stream up: what is held is dropped, and so is all that still comes."""
        self.close_pieces(ctx)
        if self.assembler is not None and self.assembler.starts:
            self._begin_shadow(ctx, packet).lose(self.next, self.assembler.starts[0], ctx.ledger.rings.used)
        self.drop_reason = reason
        if self.ring is not None:
            self.dropped += self.ring.held
            self.ring.clear()
            self._close_ring(ctx)
        self._forget_history(ctx)
        self.armed_ack = self.waiting_ack = 0

    def _end(self, ctx: Context, kind: str, packet: int, ts: int) -> None:
        self.close_pieces(ctx)
        self._close_shadow()
        self.ended = kind
        self.events.append(StreamEnd(kind, packet, ts, self.next))
        self._forget_history(ctx)
        self.armed_ack = self.waiting_ack = 0


def _piece_end(piece: tuple[int, int, int, int, int]) -> int:
    return piece[1]
