"""One TCP connection: two half streams, who is client and who server, and how it ends.

Contract: `walk` takes rows of one connection in packet order, one at a time; this is the meaning of reassembly. The
column path of `flow_table` may take whole runs instead where a test on the columns has shown that the result is the
same. What ends something is tied to a packet number: an acknowledgement past a hole plus its grace, a timeout, a new SYN.

Invariant: events are handed to the consumer with both directions up to the same packet.
"""

from __future__ import annotations

from pcapflow.decode.segments import ACK, CONTROL, FIN, RST, SYN
from pcapflow.reassembly.context import Consumer, Context
from pcapflow.reassembly.events import ACKNOWLEDGED, TIMEOUT, Conflict, StreamData
from pcapflow.reassembly.half_stream import NEVER, HalfStream
from pcapflow.reassembly.keys import Encapsulation, Endpoint
from pcapflow.reassembly.pieces import Rows
from pcapflow.reassembly.sack import sack_blocks
from pcapflow.reassembly.seqspace import unwrap

_ACK_AHEAD_MAX = 1 << 30
_SACK_OPTION = 10
"""Bytes of a SACK option with one block."""

CONNECTION_BYTES = 3200
"""Reserved for each tracked connection in the `connections` account: its objects and its place in the table, as
tests/reassembly/test_connection_memory.py measures it."""


class Connection:
    """Both directions. Direction 0 is sent by `endpoints[0]`, the lower one in canonical order."""

    __slots__ = (
        "client",
        "closed",
        "consumer",
        "due",
        "end",
        "endpoints",
        "fire",
        "first_direction", "first_ts",
        "happened",
        "inside",
        "key",
        "last_clock",
        "last_packet",
        "last_ts",
        "number",
        "packets",
        "roles",
        "rst",
        "start",
        "streams",
    )  # fmt: skip

    def __init__(self, key: bytes, endpoints: tuple[Endpoint, Endpoint], inside: Encapsulation, number: int, ts: int, clock: int) -> None:
        self.key = key
        self.endpoints = endpoints
        self.inside = inside
        self.number = number
        self.first_direction = 0
        self.first_ts = ts
        self.last_ts = ts
        self.last_clock = clock
        self.last_packet = number
        self.happened = number
        """The last packet at which something was done to it that was not its own."""
        self.packets = 0
        self.streams = (HalfStream(self), HalfStream(self))
        self.client = -1
        """Direction of the client's bytes; -1 until it is known."""
        self.roles = ""
        self.start = "midstream"
        self.end = ""
        self.rst = False
        self.closed = False
        self.due = NEVER
        """The capture clock before which no timer of a stream runs out."""
        self.fire = NEVER
        """The first packet of the block at which one does; NEVER where none does within it."""
        self.consumer: Consumer | None = None

    # --- roles

    def set_client(self, direction: int, roles: str) -> None:
        """Fix which direction is the client's; the first word counts."""
        if self.client < 0:
            self.client = direction
            self.roles = roles

    def fix_roles(self) -> None:
        """Somebody needs to know now: the higher port, else who sent first, is the client."""
        if self.client >= 0:
            return
        a, b = self.endpoints
        if a.port != b.port:
            self.set_client(0 if a.port > b.port else 1, "port")
        else:
            self.set_client(self.first_direction, "order")

    def direction_of(self, stream: HalfStream) -> int:
        """Which of `streams` that is."""
        return 0 if self.streams[0] is stream else 1

    def stream_name(self, direction: int) -> str:
        """`client` or `server`."""
        self.fix_roles()
        return "client" if direction == self.client else "server"

    def tell(self, ctx: Context, stream: HalfStream, conflict: Conflict) -> None:
        """A conflict is reported for the client's stream or the server's: the roles are fixed by what was said up to here."""
        if self.client < 0:
            self.flush(ctx)
            self.fix_roles()
        ctx.observer.conflict(self, stream, conflict)

    # --- rows, one at a time

    def walk(self, ctx: Context, rows: Rows, begin: int, end: int) -> int:
        """Take rows[begin:end]. Returns end, or the index of the row that belongs to another connection: `self.end` then
        says why (`reused`, `idle`, or closed and lingered enough) and the caller finishes this one.
        """
        streams = self.streams
        limits = ctx.limits
        i = begin
        looked_at = begin  # rows before this one belong to a run that could not be taken at once: each is taken by itself, and nobody asks again
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
            if flags & SYN:
                seq += 1
                if self.client < 0 and self.packets:
                    self.flush(ctx)  # what was said before may tell the roles
                if not self._synchronise(stream, d, seq & 0xFFFF_FFFF, flags):
                    self.end = self.end or "reused"
                    return i
            elif stream.base < 0:
                stream.begin(seq, syn=False)
            if not self.packets:
                self.first_direction = d
            self.packets += 1
            self.last_packet = packet
            self.last_ts = ts
            self.last_clock = clock
            offset = unwrap(seq, stream.base, stream.next)
            behind = stream.behind
            if flags & RST:
                stream.captured += n
                stream.out_of_window += n  # text in a RST (RFC 9293 section 3.10.7) is not the stream's
                self._reset(ctx, packet, ts)
                i += 1
                continue
            if n:
                if n == 1 and offset == stream.next - 1 and not flags & CONTROL and stream.drop_reason is None and not stream.ended:
                    stream.keep_alive(n)
                else:
                    stream.segment(ctx, offset, rows.at[i], n, packet, ts, clock, rows.ack[i])
            if rows.snapped[i]:
                stream.snapped += rows.snapped[i]
                n += rows.snapped[i]
            if flags & FIN:
                stream.finished_at(ctx, offset + n, ts)
            if flags & ACK:
                peer = streams[1 - d]
                self._acknowledge(ctx, peer, rows.ack[i], packet, clock)
                if peer.behind is not None and rows.options[i] >= _SACK_OPTION:
                    at = rows.at[i]
                    peer.selectively_acknowledged(ctx, sack_blocks(bytes(ctx.view[at - rows.options[i] : at])), packet, clock)
                    self.arm(ctx)
            if stream.fin >= 0:
                self._reached_fin(ctx, stream, packet, ts)
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

    def _take_run(self, ctx: Context, rows: Rows, i: int, j: int, offset: int) -> bool:
        """The rows that continue the one before them, all at once where nothing else happens before the last of them."""
        d = rows.direction[i]
        if rows.packet[j - 1] >= self.fire or self.streams[1 - d].behind is not None or not self.streams[d].run(ctx, rows, i, j, offset):
            return False
        self.packets += j - i
        self.last_packet = rows.packet[j - 1]
        self.last_ts = rows.ts[j - 1]
        self.last_clock = rows.clock[j - 1]
        return True

    def _synchronise(self, stream: HalfStream, direction: int, base: int, flags: int) -> bool:
        """A SYN. False where it begins another connection on the same ports."""
        if stream.base < 0:
            stream.begin(base, syn=True)
            if self.packets == 0:
                self.start = "syn"
            if flags & ACK:
                self.set_client(1 - direction, "synack")
            else:
                self.set_client(direction, "syn")
        elif stream.base != base or not stream.syn:
            if not flags & ACK or self.closed:
                return False
            if stream.next == 0 and stream.captured == 0 and not stream.syn:
                stream.begin(base, syn=True)
        return True

    def _acknowledge(self, ctx: Context, peer: HalfStream, ack: int, packet: int, clock: int) -> None:
        """The sender of this row acknowledges the peer's bytes."""
        if peer.base < 0:
            return
        offset = unwrap(ack, peer.base, peer.next)
        if offset <= peer.acked or offset - peer.next > _ACK_AHEAD_MAX:
            return
        peer.acked = offset
        if peer.shadow is not None:
            peer.shadow.acknowledged(offset, packet, clock, ctx.limits)
        if offset <= peer.next or peer.ended or peer.drop_reason is not None or (peer.fin >= 0 and peer.next >= peer.fin):
            return
        limits = ctx.limits
        if not peer.armed_ack:
            peer.armed_ack, peer.armed_packet, peer.armed_ts = offset, packet + limits.ack_grace_packets, clock + limits.ack_grace
            self.arm(ctx)
        else:
            peer.waiting_ack, peer.waiting_packet, peer.waiting_ts = offset, packet + limits.ack_grace_packets, clock + limits.ack_grace

    def _reached_fin(self, ctx: Context, stream: HalfStream, packet: int, ts: int) -> None:
        if stream.reached_fin(ctx, packet, ts) and all(s.ended for s in self.streams):
            self._close("fin", packet, ctx)

    def _reset(self, ctx: Context, packet: int, ts: int) -> None:
        if self.closed:
            return
        self.rst = True
        for stream in self.streams:
            stream.finish(ctx, "rst", packet, ts)
        self._close("rst", packet, ctx)

    def _close(self, how: str, packet: int, ctx: Context) -> None:
        if not self.closed:
            self.closed = True
            self.end = how
            self.last_clock = max(self.last_clock, ctx.clock_of(packet))
            ctx.closed.append(self.key)

    # --- timers

    def over_at(self, ctx: Context) -> int:
        """The packet at which this connection has been silent, or closed, for long enough; one beyond the block if none is."""
        silence = ctx.limits.linger if self.closed else ctx.limits.idle_timeout
        return max(ctx.packet_at_clock(self.last_clock + silence), self.happened)

    def catch_up(self, ctx: Context, packet: int) -> bool:
        """Run the timers up to a packet of the block. True, and `end` says why, where the connection is over by then."""
        if packet < self.fire and ctx.clock_of(min(packet, ctx.last_packet)) - self.last_clock < (ctx.limits.linger if self.closed else ctx.limits.idle_timeout):
            return False
        self.run_timers(ctx, min(packet, self.over_at(ctx)))
        # a timer may have closed it, which makes the silence shorter and begin later
        if self.over_at(ctx) > min(packet, ctx.last_packet):
            return False
        self.end = self.end or "idle"
        return True

    def arm(self, ctx: Context) -> None:
        """Work out at which packet of the block the next timer of a stream runs out."""
        due = fire = NEVER
        for stream in self.streams:
            if stream.armed_ack:
                due = min(due, stream.armed_ts)
                if stream.armed_ts <= ctx.last_clock:
                    fire = min(fire, max(stream.armed_packet, ctx.packet_at_clock(stream.armed_ts)))
            if stream.told is not None:
                due = min(due, stream.told.clock)
                if stream.told.clock <= ctx.last_clock:
                    fire = min(fire, max(stream.told.packet, ctx.packet_at_clock(stream.told.clock)))
            if stream.behind is not None:
                until = stream.behind.since + ctx.limits.gap_timeout
                due = min(due, until)
                if until <= ctx.last_clock:
                    fire = min(fire, ctx.packet_at_clock(until))
        self.due = due
        self.fire = fire if fire <= ctx.last_packet else NEVER
        if due != NEVER:
            ctx.armed[self] = None

    def run_timers(self, ctx: Context, until: int) -> None:
        """Everything that runs out at or before packet `until` of the block."""
        while self.fire <= until:
            packet = self.happened = max(self.fire, self.happened)
            ts = ctx.ts_of(packet)
            clock = ctx.clock_of(packet)
            for stream in self.streams:
                told = stream.told
                if told is not None and packet >= told.packet and clock >= told.clock:
                    stream.told = None
                    if told.start == stream.next:
                        stream.give_up_below(ctx, told.end, ACKNOWLEDGED, packet, ts)
                if stream.armed_ack and packet >= stream.armed_packet and clock >= stream.armed_ts:
                    ctx.early_acks += stream.next >= stream.armed_ack
                    stream.give_up_below(ctx, stream.armed_ack, ACKNOWLEDGED, packet, ts)
                    stream.armed_ack = 0
                    if stream.waiting_ack > stream.next and not stream.ended:
                        stream.armed_ack, stream.armed_packet, stream.armed_ts = (
                            stream.waiting_ack, stream.waiting_packet, stream.waiting_ts,
                        )  # fmt: skip
                    stream.waiting_ack = 0
                while stream.behind is not None and clock >= stream.behind.since + ctx.limits.gap_timeout:
                    stream.give_up_oldest(ctx, TIMEOUT, packet, ts)
                stream.arm_from_sacks(packet, clock)
                self._reached_fin(ctx, stream, packet, ts)
            self.arm(ctx)
        if self.due == NEVER:
            ctx.armed.pop(self, None)

    # --- handing on

    def flush(self, ctx: Context) -> None:
        """Hand what both directions have to the consumer."""
        a, b = self.streams
        a.close_pieces(ctx)
        b.close_pieces(ctx)
        if a.events or b.events:
            events = (a.events, b.events)
            a.events = []
            b.events = []
            if self.consumer is None:
                self.consumer = ctx.observer.consumer(self)
            self.consumer.consume(self, events)

    def begin(self, direction: int, bases: list[int]) -> None:
        """What `walk` makes of a SYN from that direction and, where the other one's base is not -1, the SYN-ACK to it."""
        self.first_direction = direction
        self.start = "syn"
        self.set_client(direction, "syn")
        for stream, base in zip(self.streams, bases, strict=True):
            if base >= 0:
                stream.begin(base, syn=True)

    def hand_run(self, ctx: Context, direction: int, data: StreamData, *, ends: bool) -> None:
        """A whole run that begins at `next`: what `walk` would have made of its rows. ends: a FIN follows it. The caller flushes."""
        stream = self.streams[direction]
        n = data.length
        stream.next += n
        stream.captured += n
        stream.delivered += n
        stream.events.append(data)
        if not ends:
            stream.remember_tail(ctx, data)

    def hand_fin(self, ctx: Context, direction: int, packet: int, ts: int) -> None:
        """A FIN at `next`, at that packet."""
        stream = self.streams[direction]
        stream.fin, stream.fin_ts = stream.next, ts
        self._reached_fin(ctx, stream, packet, ts)

    def end_early(self, ctx: Context) -> None:
        """It was over at an earlier packet of the block, where its record will say so; what waits behind its holes goes now."""
        packet = self.happened = self.over_at(ctx)
        for stream in self.streams:
            stream.finish(ctx, "cut", packet, ctx.ts_of(packet))
        self.flush(ctx)

    def finish(self, ctx: Context, end: str, packet: int, ts: int) -> None:
        """Nothing more belongs to this connection: its last events, then its record."""
        self.end = self.end or end
        for stream in self.streams:
            stream.finish(ctx, "cut", packet, ts)
        self.flush(ctx)
        self.fire = self.due = NEVER
        ctx.armed.pop(self, None)
        self.fix_roles()
        ctx.observer.gone(self, packet, ts)
        # nothing may hang on to this connection in a circle: memory goes back now, not when Python looks for circles
        self.consumer = None
        for stream in self.streams:
            stream.release(ctx)
            del stream.owner
