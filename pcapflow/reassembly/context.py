"""What the reassembly stage shares during one run: limits, budget, the block at hand, and how memory is given up when it is short.

Contract: `relieve` and `relieve_early` make other streams give something up; they are called when no segment is being placed, since they hand what is delivered then to its consumer. Invariant:
`armed` has the key of every connection one of whose timers runs.
"""

from __future__ import annotations

from typing import Protocol

from pcapflow.budget import Ledger
from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.beliefs import WINDOW
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.reassembly.clock import BlockClock
from pcapflow.reassembly.observer import StreamObserver
from pcapflow.reassembly.pages import Pages
from pcapflow.reassembly.pressure import Holder, Pressure
from pcapflow.reassembly.sizing import Needs
from pcapflow.reassembly.skews import Skews
from pcapflow.streams.conversation import Conversation


class Owner(Conversation, Protocol):
    """A connection, as its streams and whoever asks for memory see it."""

    key: bytes
    last_packet: int
    round_trip: int
    """From the SYN to the SYN-ACK (ns), -1 where that was not seen."""
    happened: int
    """The last packet at which something was done to it that was not its own."""

    def direction_of(self, stream: object) -> int:
        """Which of its streams that is."""
        ...

    def tell(self, ctx: Context, stream: object, conflict: Conflict) -> None:
        """Bytes of a stream came again and were others."""
        ...

    def early(self, ctx: Context, delay: int) -> None:
        """Data was captured so long (ns) after an acknowledgement of it."""
        ...

    def grace(self, ctx: Context) -> int:
        """Capture time (ns) that an acknowledged hole waits for its bytes."""
        ...

    def catch_up(self, ctx: Context, packet: int) -> bool:
        """Run the timers up to a packet of the block; whether the connection is over by then."""
        ...

    def end_early(self, ctx: Context) -> None:
        """It was over at an earlier packet of the block; what waits behind its holes goes now."""
        ...

    def flush(self, ctx: Context) -> None:
        """Hand what both directions have to the consumer."""
        ...


class Victim(Holder, Protocol):
    """A stream that may have to give something up."""

    @property
    def owner(self) -> Owner:
        """Its connection."""
        ...

    @property
    def held(self) -> int:
        """Bytes held behind holes."""
        ...

    @property
    def next(self) -> int:
        """The next offset."""
        ...

    def give_up_oldest(self, ctx: Context, why: Why, packet: int, ts: int) -> None:
        """End the first hole: what is held behind it is delivered."""
        ...

    def drop(self, ctx: Context, reason: DropReason, packet: int) -> None:
        """Give the whole stream up."""
        ...


class Context:
    """One run's shared state."""

    __slots__ = (
        "armed", "block", "closed", "drops_streams", "early_acks", "here", "ident", "ledger", "limits", "needs", "observer", "overlap", "pages", "pressure", "reach", "resets_ignored", "skews",
    )  # fmt: skip

    def __init__(
        self, limits: Limits, ledger: Ledger, observer: StreamObserver, *, drops_streams: bool = False, overlap: Policy = Policy.FIRST
    ) -> None:
        self.limits = limits
        self.reach = max(limits.ring_size, WINDOW)
        """How many bytes beyond what was delivered a segment of a stream may stand; what stands further on is not believed."""
        self.ledger = ledger
        self.observer = observer
        self.drops_streams = drops_streams
        self.overlap = overlap
        self.needs = Needs()
        self.pages = Pages()
        self.block = BlockClock()
        self.pressure: Pressure[Victim] = Pressure(ledger.rings, limits.soft_percent)
        self.early_acks = 0
        """Acknowledgements that were captured before the data they acknowledge."""
        self.skews = Skews()
        """Those of them that were earlier by more than `ack_grace`."""
        self.resets_ignored = 0
        """RSTs that ended nothing."""
        self.ident = 0
        """The IP identification of the row at hand, where a connection is walked."""
        self.armed: dict[bytes, None] = {}
        self.here: set[bytes] = set()
        """The keys of those that have rows in the block."""
        self.closed: list[bytes] = []
        """The keys of those that were closed in the block."""

    def leave(self) -> None:
        """The block is done with."""
        self.block.leave()
        self.here = set()
        self.closed = []

    def present(self, connection: Owner, packet: int) -> int:
        """At which packet of the block something happens to a connection that a packet of another one causes: not before what was taken of
        it, and not after what is still to come.
        """
        if connection.last_packet < self.block.first_packet and connection.key in self.here:
            return self.block.first_packet
        return max(packet, connection.last_packet, connection.happened)

    def saw_early(self, delay: int) -> None:
        """Data was captured so long (ns) after an acknowledgement of it."""
        self.early_acks += 1
        if delay > self.limits.ack_grace:
            self.skews.add(delay)

    # --- when memory is short

    def relieve_early(self, asking: Victim, packet: int) -> None:
        """Memory is going to be short, as what a stream holds shows at that packet: those that cost too much give up their oldest holes."""
        if not self.pressure.rises:
            return
        self.ledger.pressure = True
        why = Why(GapCause.MEMORY, "soft_percent", asking.owner.number)
        for stream in self.pressure.early():
            self.relieve(stream, why, asking, packet)
        self.pressure.relieved()

    def relieve(self, victim: Victim, why: Why, asking: Victim, packet: int) -> None:
        """Memory is short for who asks at that packet: the victim gives up its oldest hole, or, where that was asked for, itself."""
        connection = victim.owner
        at = self.present(connection, packet)
        if connection is not asking.owner and connection.catch_up(self, at):
            connection.end_early(self)
            return
        connection.happened = at
        ts = self.block.ts_of(at)
        if victim.behind is not None:
            if self.drops_streams:
                held = victim.held
                victim.drop(self, DropReason.HOLE_MEMORY, at)
                direction = connection.direction_of(victim)
                self.observer.stream_dropped(connection, direction, DropReason.HOLE_MEMORY, held, why, at, ts, victim.next)
            else:
                victim.give_up_oldest(self, why, at, ts)
        connection.flush(self)
