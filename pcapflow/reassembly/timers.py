"""When a connection, or a hole in one of its streams, has waited long enough.

Contract: `arm` works out at which packet of the block the next timer of a stream runs out, `run_timers` runs those that have, `over_at` and
`catch_up` tell when the connection itself is over. Invariant: a timer runs out at a packet, the first at which its time has come, wherever blocks end.
"""

from __future__ import annotations

from typing import cast

from pcapflow.reassembly.causes import ACKNOWLEDGED, TIMEOUT
from pcapflow.reassembly.context import Context, Owner
from pcapflow.reassembly.half_stream import HalfStream
from pcapflow.streams.events import NEVER


class Timed:
    """What times out of a connection. Times are ns of the capture clock."""

    __slots__ = ("closed", "due", "end", "fire", "happened", "key", "last_clock", "streams")

    def __init__(self, key: bytes, number: int, clock: int) -> None:
        self.key = key
        me = cast(Owner, self)
        self.streams = (HalfStream(me), HalfStream(me))
        self.closed = False
        """Nothing more is expected: it lingers, and its ports may be used again."""
        self.end = ""
        """How it ended, as far as that is its own doing; see `finish`."""
        self.last_clock = clock
        self.happened = number
        """The last packet at which something was done to it that was not its own."""
        self.due = NEVER
        """The capture clock before which no timer of a stream runs out."""
        self.fire = NEVER
        """The first packet of the block at which one does; NEVER where none does within it."""

    def reached_fin(self, ctx: Context, stream: HalfStream, packet: int, ts: int) -> None:
        """Something was delivered or given up: perhaps up to a FIN."""
        raise NotImplementedError

    def over_at(self, ctx: Context) -> int:
        """The packet at which this connection has been silent, or closed, for long enough; one beyond the block if none is."""
        silence = ctx.limits.linger if self.closed else ctx.limits.idle_timeout
        return max(ctx.block.packet_at_clock(self.last_clock + silence), self.happened)

    def catch_up(self, ctx: Context, packet: int) -> bool:
        """Run the timers up to a packet of the block. True, and `end` says why, where the connection is over by then."""
        if packet < self.fire and ctx.block.clock_of(min(packet, ctx.block.last_packet)) - self.last_clock < (
            ctx.limits.linger if self.closed else ctx.limits.idle_timeout
        ):
            return False
        self.run_timers(ctx, min(packet, self.over_at(ctx)))
        # a timer may have closed it, which makes the silence shorter and begin later
        if self.over_at(ctx) > min(packet, ctx.block.last_packet):
            return False
        self.end = self.end or "idle"
        return True

    def arm(self, ctx: Context) -> None:
        """Work out at which packet of the block the next timer of a stream runs out."""
        due = fire = NEVER
        for stream in self.streams:
            armed = stream.armed
            if armed is not None:
                due = min(due, armed.clock)
                if armed.clock <= ctx.block.last_clock:
                    fire = min(fire, max(armed.packet, ctx.block.packet_at_clock(armed.clock)))
            if stream.told is not None:
                due = min(due, stream.told.clock)
                if stream.told.clock <= ctx.block.last_clock:
                    fire = min(fire, max(stream.told.packet, ctx.block.packet_at_clock(stream.told.clock)))
            if stream.behind is not None:
                until = stream.behind.since + ctx.limits.gap_timeout
                due = min(due, until)
                if until <= ctx.block.last_clock:
                    fire = min(fire, ctx.block.packet_at_clock(until))
        self.due = due
        self.fire = fire if fire <= ctx.block.last_packet else NEVER
        if due != NEVER:
            ctx.armed[self.key] = None

    def run_timers(self, ctx: Context, until: int) -> None:
        """Everything that runs out at or before packet `until` of the block."""
        while self.fire <= until:
            packet = self.happened = max(self.fire, self.happened)
            ts = ctx.block.ts_of(packet)
            clock = ctx.block.clock_of(packet)
            for stream in self.streams:
                told = stream.told
                if told is not None and packet >= told.packet and clock >= told.clock:
                    stream.told = None
                    if told.start == stream.next:
                        stream.give_up_below(ctx, told.end, ACKNOWLEDGED, packet, ts)
                if stream.armed is not None and packet >= stream.armed.packet and clock >= stream.armed.clock:
                    stream.give_up_acknowledged(ctx, packet, ts)
                while stream.behind is not None and clock >= stream.behind.since + ctx.limits.gap_timeout:
                    stream.give_up_oldest(ctx, TIMEOUT, packet, ts)
                stream.arm_from_sacks(packet, clock)
                self.reached_fin(ctx, stream, packet, ts)
            self.arm(ctx)
        if self.due == NEVER:
            ctx.armed.pop(self.key, None)
