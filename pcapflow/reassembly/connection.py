"""One TCP connection: two half streams, who is client and who server, and how it ends.

Contract: `walk` takes rows of one connection in packet order, one at a time; this is the meaning of reassembly. The
column path of `flow_table` may take whole runs instead where a test on the columns has shown that the result is the
same. What ends something is tied to a packet number: an acknowledgement past a hole plus its grace, a timeout, a new SYN.

Invariant: events are handed to the consumer with both directions up to the same packet.
"""

from __future__ import annotations

from pcapflow.decode.segments import ACK, CONTROL, FIN, RST, SYN, ZERO_WINDOW
from pcapflow.drops import GapCause
from pcapflow.limits import Limits
from pcapflow.reassembly.beliefs import Reset, Syn, fits, goes_on, heard_reset
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.duplicate_acks import NO_REPEAT, said_again
from pcapflow.reassembly.half_stream import HalfStream
from pcapflow.reassembly.holes import Grace
from pcapflow.reassembly.keys import Encapsulation, Endpoint, tag_of
from pcapflow.reassembly.pending_run import Rows
from pcapflow.reassembly.sack import sack_blocks
from pcapflow.reassembly.seqspace import unwrap, wrap
from pcapflow.reassembly.sides import Sides
from pcapflow.streams.conversation import Consumer
from pcapflow.streams.events import NEVER

_ACK_AHEAD_MAX = 1 << 30
_STRAY = 64
"""Packets that go on as before, and the linger, after which a SYN that did not fit was a stray packet."""
_SACK_OPTION = 10
"""Bytes of a SACK option with one block."""

CONNECTION_BYTES = 4032
"""Reserved for each tracked connection in the `connections` account: its objects and its place in the table, as
tests/reassembly/test_connection_memory.py measures it."""


class Connection(Sides):
    """Both directions. Direction 0 is sent by `endpoints[0]`, the lower one in canonical order."""

    __slots__ = ("asked", "asked_at", "consumer", "first_ts", "last_packet", "last_ts", "packets", "reset", "skew")

    def __init__(self, key: bytes, endpoints: tuple[Endpoint, Endpoint], inside: Encapsulation, number: int, ts: int, clock: int) -> None:
        Sides.__init__(self, key, endpoints, inside, number, clock)
        self.first_ts = ts
        self.last_ts = ts
        self.last_packet = number
        self.packets = 0
        self.reset: Reset | None = None
        """The RST that ends it, unless something contradicts it."""
        self.asked: Syn | None = None
        """A SYN that does not fit: of another connection on the same ports, if somebody goes on with its numbers."""
        self.asked_at = 0
        """How many packets there were before it."""
        self.skew = 0
        """How long (ns) after an acknowledgement the data that it acknowledges was captured, at the most."""
        self.consumer: Consumer | None = None

    def tell(self, ctx: Context, stream: object, conflict: Conflict) -> None:
        """A conflict is reported for the client's stream or the server's: the roles are fixed by what was said up to here."""
        if self.client < 0:
            self.flush(ctx)
            self.fix_roles()
        ctx.observer.conflict(self, self.direction_of(stream), conflict)

    # --- rows, one at a time

    # One function: every row that is taken by itself passes here; a call for each step would cost more than the step.
    def walk(self, ctx: Context, rows: Rows, begin: int, end: int) -> int:
        """Take rows[begin:end]. Returns end, or the index of the row that belongs to another connection: `self.end` then
        says why (`reused`, `idle`, or closed and lingered enough) and the caller finishes this one.
        """
        streams = self.streams
        limits = ctx.limits
        i = begin
        # rows before this one belong to a run that could not be taken at once: each is taken by itself, and nobody asks again
        looked_at = begin
        while i < end:
            packet = rows.packet[i]
            clock = rows.clock[i]
            silent = clock - self.last_clock >= (limits.linger if self.closed else limits.idle_timeout)
            if (silent or packet >= self.fire) and self.catch_up(ctx, packet):
                return i
            d = rows.direction[i]
            stream = streams[d]
            flags = rows.flags[i]
            seq = rows.seq[i]
            n = rows.n[i]
            ts = rows.ts[i]
            if flags & SYN and not flags & RST:
                seq += 1
                if self.client < 0 and self.packets:
                    self.flush(ctx)  # what was said before may tell the roles
                if not self._synchronise(ctx, stream, rows, i):
                    self.end = self.end or "reused"
                    return i
                if self.asked is not None and self.asked.last_packet == packet:
                    stream.captured += n
                    stream.out_of_window += n  # of a connection that may never be
                    self.last_clock = clock  # as long as that is open, this one is
                    i += 1
                    continue
            elif self.asked is not None and self._another_goes_on(d, seq, rows.ack[i] if flags & ACK else -1, clock, limits):
                self.end = self.end or "reused"
                return i
            if not self.packets:
                self.first_direction = d
            self.packets += 1
            self.last_packet = packet
            self.last_ts = ts
            self.last_clock = clock
            if rows.tags is None:
                self.seen |= d + 1
            else:
                self.saw_tag(d, rows.tags[i])
            if flags & RST:
                stream.captured += n
                stream.out_of_window += n  # text in a RST (RFC 9293 section 3.10.7) is not the stream's
                stream.on_path(ctx).resets += 1
                self._reset(ctx, stream, rows, i)
                i += 1
                continue
            if flags & ACK and (self.answered >= 0 or flags & ZERO_WINDOW or streams[1 - d].closed_since >= 0):
                self.heard(ctx, d, flags, ts)
            if stream.base < 0:
                stream.begin(seq, syn=False)
            offset = unwrap(seq, stream.base, stream.next)
            behind = stream.behind
            if n:
                if n == 1 and offset == stream.next - 1 and not flags & CONTROL and stream.drop_reason is None and not stream.ended:
                    stream.keep_alive(n)
                else:
                    ctx.ident = rows.ident[i]
                    stream.segment(ctx, rows, i, offset)
                    if stream.wanted is not None:
                        self._get_room(ctx, stream, rows, i)
                    if stream.armed is not None and stream.next >= stream.armed.offset:
                        self._came_after_all(ctx, stream, clock, stream.next)
            if rows.snapped[i]:
                stream.cut_short(ctx, offset + n, offset + n + rows.snapped[i])
                n += rows.snapped[i]
            if flags & FIN:
                stream.finished_at(ctx, offset + n, ts)
            if flags & ACK and abs(offset - stream.next) <= ctx.reach:
                # what stands where no segment of this connection can stand says nothing (RFC 9293 section 3.10.7.4)
                peer = streams[1 - d]
                if rows.heard[i] >= 0:
                    if rows.heard[i] == stream.heard and not n and not flags & NO_REPEAT and offset >= stream.top:
                        said_again(ctx, peer, rows.ack[i])
                    stream.heard = rows.heard[i]
                self._acknowledge(ctx, peer, rows.ack[i], packet, clock)
                if peer.behind is not None and rows.options[i] >= _SACK_OPTION:
                    at = rows.at[i]
                    peer.selectively_acknowledged(ctx, sack_blocks(bytes(ctx.block.view[at - rows.options[i] : at])), packet, clock)
                    self.arm(ctx)
            if stream.fin >= 0:
                self.reached_fin(ctx, stream, packet, ts)
            # a timer that runs out later than it was armed for costs nothing; an earlier one begins only here
            if stream.behind is not None and (stream.arm_from_sacks(packet, clock) or stream.behind is not behind):
                self.arm(ctx)
            i += 1
            until = rows.until[i - 1]
            if until > i >= looked_at:
                looked_at = until
                if self._take_run(ctx, rows, i, until, offset + n):
                    i = until
        return end

    def _get_room(self, ctx: Context, stream: HalfStream, rows: Rows, i: int) -> None:
        """A row's segment waits for memory: others give some up, and it is placed, as often as it takes."""
        packet = rows.packet[i]
        while (wanted := stream.wanted) is not None:
            if wanted.victim is None:
                ctx.relieve_early(stream, packet)
            else:
                ctx.relieve(wanted.victim, Why(GapCause.MEMORY, ctx.ledger.refused, self.number), stream, packet)
            stream.go_on(ctx)

    def _take_run(self, ctx: Context, rows: Rows, i: int, j: int, offset: int) -> bool:
        """The rows that continue the one before them, all at once where nothing else happens before the last of them."""
        d = rows.direction[i]
        stream = self.streams[d]
        if (
            self.asked is not None
            or rows.packet[j - 1] >= self.fire
            or self.streams[1 - d].behind is not None
            or not stream.run(ctx, rows, i, j, offset)
        ):
            return False
        k, reached = j, stream.next
        while stream.armed is not None and stream.next >= stream.armed.offset:
            while reached >= stream.armed.offset and k > i:  # the row that brought the last of what was acknowledged
                k -= 1
                reached -= rows.n[k]
            self._came_after_all(ctx, stream, rows.clock[k], reached + rows.n[k])
            k, reached = j, stream.next
        self.packets += j - i
        self.last_packet = rows.packet[j - 1]
        self.last_ts = rows.ts[j - 1]
        self.last_clock = rows.clock[j - 1]
        if rows.heard[j - 1] >= 0:
            stream.heard = rows.heard[j - 1]
        return True

    # --- how it begins and ends

    def _synchronise(self, ctx: Context, stream: HalfStream, rows: Rows, i: int) -> bool:
        """A SYN. False where it, or the one in `asked`, begins another connection on the same ports."""
        syn = Syn.of(rows, i, tag_of(self.key))
        d, ack = syn.direction, syn.ack
        if self.asked is not None:
            self._expect_no_more(syn.last_clock, ctx.limits)
        asked = self.asked
        if asked is not None and asked.same(syn):
            self.asked = asked.again(syn)
            return True
        if asked is not None and d != asked.direction and asked.ack < 0 and ack >= 0 and unwrap(ack, asked.base, 0) == 0:
            return False
        if fits(stream, self.streams[1 - d], syn.base, ack, closed=self.closed):
            self._begin_stream(ctx, stream, syn)
            return True
        self.forget_asked()
        if self.closed or stream.fin >= 0 or rows.n[i]:
            return False  # who had ended begins anew; data that comes with a SYN is of the connection that it begins
        if ack >= 0 and stream.next == 0 and stream.captured == 0 and not stream.syn:
            self._begin_stream(ctx, stream, syn)
        else:
            self.asked, self.asked_at = syn, self.packets
        return True

    def _begin_stream(self, ctx: Context, stream: HalfStream, syn: Syn) -> None:
        """A SYN, or one sent again, of a stream."""
        answer = syn.ack >= 0
        expected = stream.expected
        if stream.base < 0 and expected is not None and expected.first == syn.base:
            self.early(ctx, syn.last_clock - expected.clock)
        if answer and self.reset is not None and self.reset.direction == syn.direction and stream.base < 0:
            self._take_back(ctx)  # who answers has not refused
        repeated = stream.base == syn.base and stream.syn
        if not repeated:
            stream.begin(syn.base, syn=True)
        if not self.packets:
            self.start = "syn"
        self.synchronised(syn.last_ts, syn.last_packet, answer=answer)
        self.claim_client(1 - syn.direction if answer else syn.direction, "synack" if answer else "syn")
        if answer or not self.streams[1 - syn.direction].syn:
            self.multipath = syn.multipath or (repeated and self.multipath)

    def _expect_no_more(self, clock: int, limits: Limits) -> None:
        """Forget `asked` where nobody went on with it for so long, or where it would be an idle connection by now."""
        assert self.asked is not None
        silent = clock - self.asked.last_clock
        if silent >= limits.idle_timeout or (silent > limits.linger and self.packets - self.asked_at > _STRAY):
            self.forget_asked()

    def _another_goes_on(self, direction: int, seq: int, ack: int, clock: int, limits: Limits) -> bool:
        """Whether a segment shows that `asked` began another connection, so that it belongs there."""
        self._expect_no_more(clock, limits)
        asked = self.asked
        if asked is None:
            return False
        stream = self.streams[asked.direction]
        if not goes_on(asked, stream, direction, seq, ack):
            return False
        if asked.believed_instead(stream, self.streams[1 - asked.direction]):
            stream.base = asked.base
            self.forget_asked()
            return False
        return True

    def forget_asked(self) -> None:
        """Nobody went on with it: it was a stray packet of this connection."""
        if self.asked is not None:
            self.packets += self.asked.packets
            self.asked = None

    def early(self, ctx: Context, delay: int) -> None:
        """Data was captured so long (ns) after an acknowledgement of it."""
        ctx.saw_early(delay)
        self.skew = max(self.skew, min(delay, ctx.limits.gap_timeout))

    def grace(self, ctx: Context) -> int:
        """Capture time (ns) that an acknowledged hole waits for its bytes."""
        return ctx.limits.ack_grace + self.skew + self.skew // 4

    def _came_after_all(self, ctx: Context, stream: HalfStream, clock: int, reached: int) -> None:
        """What was acknowledged has been captured, at that clock, or was given up for another reason. reached: where the stream was then."""
        assert stream.armed is not None
        if stream.missing == stream.armed.missing:
            self.early(ctx, clock - stream.armed.since)
        stream.next_acknowledgement(reached)
        self.arm(ctx)

    def _acknowledge(self, ctx: Context, peer: HalfStream, ack: int, packet: int, clock: int) -> None:
        """The sender of this row acknowledges the peer's bytes."""
        if peer.base < 0:
            self.hear(ack, clock, ack)
            return
        offset = unwrap(ack, peer.base, peer.next)
        if offset <= peer.acked or offset - peer.next > _ACK_AHEAD_MAX:
            return
        if self.reset is not None and offset > self.reset.limits[self.direction_of(peer)]:
            self._take_back(ctx)
        peer.acked = offset
        if peer.shadow is not None:
            peer.shadow.acknowledged(offset, packet, clock, ctx.limits)
        if offset <= peer.next or peer.ended or peer.drop_reason is not None or (peer.fin >= 0 and peer.next >= peer.fin):
            return
        grace = Grace(offset, clock, packet + ctx.limits.ack_grace_packets, clock + self.grace(ctx), peer.missing)
        if peer.wait_for(grace):
            self.arm(ctx)

    def reached_fin(self, ctx: Context, stream: HalfStream, packet: int, ts: int) -> None:
        """See `Timed`."""
        if stream.reached_fin(ctx, packet, ts) and self.streams[0].ended and self.streams[1].ended:
            self._close(packet, ctx)

    def _reset(self, ctx: Context, stream: HalfStream, rows: Rows, i: int) -> None:
        """A RST: nothing, or the end of the connection until something contradicts it. What is in flight is still delivered."""
        if self.closed and self.reset is None:
            return
        peer = self.streams[1 - rows.direction[i]]
        heard = heard_reset(stream, peer, rows.seq[i], rows.ack[i] if rows.flags[i] & ACK else -1)
        if heard is None:
            ctx.resets_ignored += 1
            return
        if stream.base < 0 and not peer.syn:
            stream.begin(wrap(-heard.offset, rows.seq[i]), syn=False)
        if self.reset is None or (heard.exact and not self.reset.exact):
            self.reset = Reset.of(heard, stream, peer, rows, i)
        if heard.exact:
            self._close(rows.packet[i], ctx)

    def _take_back(self, ctx: Context) -> None:
        """The connection goes on behind a RST: somebody else sent it, or its receiver did not believe it."""
        self.reset = None
        ctx.resets_ignored += 1
        self.closed = all(stream.ended for stream in self.streams)

    def _close(self, packet: int, ctx: Context) -> None:
        if not self.closed:
            self.closed = True
            self.last_clock = max(self.last_clock, ctx.block.clock_of(packet))
            ctx.closed.append(self.key)

    # --- handing on

    def flush(self, ctx: Context) -> None:
        """Hand what both directions have to the consumer."""
        a, b = self.streams
        a.close_pieces(ctx)
        b.close_pieces(ctx)
        if a.events or b.events:
            events = (a.events, b.events)
            a.events, b.events = [], []
            if self.consumer is None:
                self.consumer = ctx.observer.consumer(self)
            self.consumer.consume(self, events)

    def hand_fin(self, ctx: Context, direction: int, packet: int, ts: int) -> None:
        """A FIN at `next`, at that packet."""
        stream = self.streams[direction]
        stream.fin, stream.fin_ts = stream.next, ts
        self.reached_fin(ctx, stream, packet, ts)

    def end_early(self, ctx: Context) -> None:
        """It was over at an earlier packet of the block, where its record will say so; what waits behind its holes goes now."""
        packet = self.happened = self.over_at(ctx)
        self._end_streams(ctx, packet, ctx.block.ts_of(packet))
        self.flush(ctx)

    def _end_streams(self, ctx: Context, packet: int, ts: int) -> None:
        how, end_ts = ("cut", ts) if self.reset is None else ("rst", self.reset.ts)
        for stream in self.streams:
            if not stream.ended:
                stream.finish(ctx, how, packet, ts, end_ts)

    def finish(self, ctx: Context, end: str, packet: int, ts: int) -> None:
        """Nothing more belongs to this connection: its last events."""
        a, b = self.streams
        self.end = "fin" if a.fin >= 0 and b.fin >= 0 else "rst" if self.reset is not None else self.end or end
        if self.asked is not None and self.asked.last_packet < self.last_packet:
            self.forget_asked()
        self._end_streams(ctx, packet, ts)
        self.flush(ctx)
        self.fire = self.due = NEVER
        ctx.armed.pop(self.key, None)
        self.fix_roles()

    def let_go(self, ctx: Context) -> None:
        """Its record is written."""
        # nothing may hang on to this connection in a circle: memory goes back now, not when Python looks for circles
        self.consumer = None
        for stream in self.streams:
            stream.release(ctx)
            del stream.owner
