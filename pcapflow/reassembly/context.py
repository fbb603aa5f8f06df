"""What the reassembly stage shares during one run: limits, budget, the block at hand, and who holds memory.

Invariant: `_holding` has exactly the streams that hold bytes behind a hole, by what is reserved for it, in classes an eighth of a power of two
wide (a dict is used as an ordered set, so that ties are the same in every run); `armed` has every connection one of whose timers runs.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.beliefs import WINDOW
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.reassembly.sizing import Needs
from pcapflow.streams.conversation import Consumer

if TYPE_CHECKING:
    from pcapflow.reassembly.beliefs import Syn
    from pcapflow.reassembly.connection import Connection
    from pcapflow.reassembly.half_stream import HalfStream


_CLASSES = 64 * 8
_STEPS = 64
_LOOKED_AT = 16
_ALIKE = 3
"""Acknowledgements that were early by about as much, from which on a difference of clocks is believed."""


class Observer(Protocol):
    """Who is told about connections as a whole."""

    def consumer(self, connection: Connection) -> Consumer: ...

    def half_open(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> None:
        """Connections of which only a SYN was seen are over: key, what was seen, and the packet and time (ns) of it."""
        ...

    def gone(self, connection: Connection, packet: int, ts: int) -> None: ...

    def stream_dropped(
        self, connection: Connection, stream: HalfStream, reason: DropReason, held: int, why: Why, packet: int, ts: int
    ) -> None:
        """A stream was given up that held so many bytes."""
        ...

    def conflict(self, connection: Connection, stream: HalfStream, conflict: Conflict) -> None:
        """Bytes came again and were others."""
        ...

    def untracked(self, packet: int, ts: int, captured: int) -> None: ...

    def repeated(self, segments: int, captured: int) -> None:
        """Segments, with so many bytes, came again of a connection that is gone."""
        ...


class Context:
    """One run's shared state."""

    __slots__ = (
        "_clock_list", "_early", "_filled", "_holders", "_holding", "_skews", "armed", "clock", "closed", "drops_streams", "early_acks", "first_packet", "here", "last_clock", "last_packet",
        "ledger", "limits", "needs", "observer", "overlap", "reach", "resets_ignored", "soft_rings", "ts", "view",
    )  # fmt: skip

    def __init__(
        self, limits: Limits, ledger: Ledger, observer: Observer, *, drops_streams: bool = False, overlap: Policy = Policy.FIRST
    ) -> None:
        self.limits = limits
        self.reach = max(limits.ring_size, WINDOW)
        """How many bytes beyond what was delivered a segment of a stream may stand; what stands further on is not believed."""
        self.ledger = ledger
        self.observer = observer
        self.drops_streams = drops_streams
        self.overlap = overlap
        self.needs = Needs()
        self.early_acks = 0
        """Acknowledgements that were captured before the data they acknowledge."""
        self._skews: dict[int, tuple[int, int]] = {}
        """Those of them that were earlier by more than `ack_grace`: how many, and the most (ns), by the power of two that is next above."""
        self.resets_ignored = 0
        """RSTs that ended nothing."""
        self.soft_rings = ledger.rings.limit * limits.soft_percent // 100
        """Bytes of the `rings` account beyond which holes go early."""
        self._early = self.soft_rings
        """The same, or more where that was tried and freed too little."""
        self.view = memoryview(b"")
        self.first_packet = 1
        self.last_packet = 0
        self.last_clock = 0
        """The capture clock at the end of the block."""
        self.clock: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.ts: npt.NDArray[np.int64] = self.clock
        self._holding: list[dict[HalfStream, None]] = [{} for _ in range(_CLASSES)]
        self._filled = 0
        """A bit for each class that has a stream."""
        self._holders = 0
        self.armed: dict[Connection, None] = {}
        self.here: set[Connection | None] = set()
        """Those that have rows in the block."""
        self.closed: list[bytes] = []
        """The keys of those that were closed in the block."""
        self._clock_list: list[int] | None = None

    def enter(self, block: PacketBlock, clock: npt.NDArray[np.int64]) -> None:
        """A new block begins. clock: int64 (n,), the running capture clock at each of its packets."""
        self.view = memoryview(block.buffer)
        self.first_packet = block.first_packet
        self.last_packet = block.first_packet + len(block) - 1
        self.clock = clock
        self.last_clock = int(clock[-1])
        self.ts = block.ts
        self._clock_list = None

    def leave(self) -> None:
        """The block is done with: nothing may look into it any more."""
        self.view = memoryview(b"")
        self.here = set()
        self.closed = []

    def packet_at_clock(self, clock: int) -> int:
        """The first packet of the block at which the capture clock is at least that; one beyond the block if none is."""
        times = self._clock_list
        if times is None:
            times = self._clock_list = self.clock.tolist()
        return self.first_packet + bisect_left(times, clock)

    def ts_of(self, packet: int) -> int:
        """Timestamp of a packet of the block."""
        return int(self.ts[packet - self.first_packet])

    def clock_of(self, packet: int) -> int:
        """The capture clock at a packet of the block."""
        return int(self.clock[packet - self.first_packet])

    def present(self, connection: Connection, packet: int) -> int:
        """At which packet of the block something happens to a connection that a packet of another one causes: not before what was taken of
        it, and not after what is still to come.
        """
        if connection in self.here and connection.last_packet < self.first_packet:
            return self.first_packet
        return max(packet, connection.last_packet, connection.happened)

    def saw_early(self, delay: int) -> None:
        """Data was captured so long (ns) after an acknowledgement of it."""
        self.early_acks += 1
        if delay > self.limits.ack_grace:
            count, most = self._skews.get(delay.bit_length(), (0, 0))
            self._skews[delay.bit_length()] = count + 1, max(most, delay)

    @property
    def clock_skew(self) -> float | None:
        """Seconds by which the clocks of two capture points differ: the most by which acknowledgements were early, of those that were by about as much,
        where they are several and more than the others together.
        """
        if not self._skews:
            return None
        count, most = max(self._skews.values())
        alike = count >= _ALIKE and 2 * count > sum(n for n, _ in self._skews.values())
        return round(most / 1e9, 6) if alike else None

    # --- who holds memory behind holes

    def held_changed(self, stream: HalfStream) -> None:
        """What a stream holds behind its holes, or what is reserved for it, has changed."""
        behind = stream.behind
        now = 0 if behind is None or behind.first < 0 else _class(behind.cost)
        before = stream.bucket
        if now != before:
            if before:
                del self._holding[before][stream]
                if not self._holding[before]:
                    self._filled ^= 1 << before
            if now:
                self._holding[now][stream] = None
                self._filled |= 1 << now
            self._holders += bool(now) - bool(before)
            stream.bucket = now
        rings = self.ledger.rings
        if rings.used <= self.soft_rings - rings.limit // _STEPS:
            self._early = self.soft_rings

    def fattest(self) -> HalfStream | None:
        """A stream for which most is reserved, to within an eighth: among those the one for which so much was for longest and which costs no less
        than an equal share, if that is soon found. Takes the same time however many streams hold something.
        """
        if not self._filled:
            return None
        streams = self._holding[self._filled.bit_length() - 1]
        share = self.ledger.rings.used // self._holders
        for _ in range(min(len(streams), _LOOKED_AT)):
            stream = next(iter(streams))
            if stream.behind is not None and stream.behind.cost >= share:
                return stream
            del streams[stream]
            streams[stream] = None  # to the end
        return next(iter(streams))

    def relieve_early(self, asking: HalfStream, packet: int) -> None:
        """Memory is going to be short: of the streams that cost more than their share, an eighth, those whose holes have waited
        longest, give up their oldest one. Streams within their share are left alone. Before the hard limit is met there is room for who
        comes next (as RFC 8289 and RFC 8290 drop early). Not before a 64th of the account was taken, or given back, since the last time: so a
        call is paid for by what came, even where what holes give back is little.
        """
        rings = self.ledger.rings
        if rings.used <= self._early:
            return
        self.ledger.pressure = True
        share = self.soft_rings // self._holders
        beyond = [s for streams in self._holding[_class(share) :] for s in streams if s.behind is not None and s.behind.cost > share]
        beyond.sort(key=_waits_since)
        why = Why(GapCause.MEMORY, "soft_percent", asking.owner.number)
        for stream in beyond[: -(-len(beyond) // 8)]:
            self.relieve(stream, why, asking, packet)
        self._early = max(self.soft_rings, rings.used + rings.limit // _STEPS)

    def relieve(self, victim: HalfStream, why: Why, asking: HalfStream, packet: int) -> None:
        """Memory is short for who asks at that packet: the victim gives up its oldest hole, or, where that was asked for, itself."""
        connection = victim.owner
        at = self.present(connection, packet)
        if connection is not asking.owner and connection.catch_up(self, at):
            connection.end_early(self)
            return
        connection.happened = at
        ts = self.ts_of(at)
        if victim.behind is not None:
            if self.drops_streams:
                held = victim.held
                victim.drop(self, DropReason.HOLE_MEMORY, at)
                self.observer.stream_dropped(connection, victim, DropReason.HOLE_MEMORY, held, why, at, ts)
            else:
                victim.give_up_oldest(self, why, at, ts)
        connection.flush(self)


def _class(cost: int) -> int:
    """Which class a cost is of: its first four binary digits, and how many there are."""
    digits = cost.bit_length()
    return digits * 8 + (cost >> (digits - 4) & 7) if digits > 3 else cost and 1


def _waits_since(stream: HalfStream) -> int:
    assert stream.behind is not None
    return stream.behind.since
