"""What a layer sees: two streams, and who of the two asks. TCP's connection is one; so is whatever a layer finds inside another.

Contract: directions are 0 and 1, offsets count from a stream's first byte. Invariant: nobody above reassembly computes with sequence or acknowledgement
numbers; those that stand in `StreamData` are marks that only their conversation can read.
"""

from __future__ import annotations

from typing import Protocol

from pcapflow.drops import DropReason
from pcapflow.streams.events import StreamEvent
from pcapflow.unread import Reading

Events = tuple[list[StreamEvent], list[StreamEvent]]
"""What both directions said, up to the same packet."""


class End(Protocol):
    """An end of a connection."""

    @property
    def address(self) -> int:
        """As a number."""
        ...

    @property
    def port(self) -> int:
        """TCP port."""
        ...

    @property
    def is_ipv6(self) -> bool:
        """Else the address is one of IPv4."""
        ...


class Conversation(Protocol):
    """Both directions of a connection, or of what is spoken inside one."""

    @property
    def endpoints(self) -> tuple[End, End]:
        """Who sends direction 0, and who direction 1."""
        ...

    number: int
    """The connection's."""
    client: int
    """Direction of the client's bytes; -1 until it is known."""
    readings: tuple[Reading, Reading]
    """What became of each direction's bytes."""

    @property
    def round_trip(self) -> int:
        """To the server and back, as the handshake tells (ns); -1 where it does not."""
        ...

    @property
    def round_trip_packet(self) -> int:
        """The packet that told."""
        ...

    @property
    def midstream(self) -> bool:
        """Whether its beginning was missed."""
        ...

    def claim_client(self, direction: int, evidence: str) -> None:
        """Fix which direction is the client's; the first word counts. evidence: `roles` of the report."""
        ...

    def fix_roles(self) -> None:
        """Somebody needs to know now: decide by ports, else by who sent first."""
        ...

    def stream_name(self, direction: int) -> str:
        """`client` or `server`; fixes the roles."""
        ...

    def began(self, direction: int) -> bool:
        """Whether the first byte of that stream is known to be its first."""
        ...

    def acknowledged(self, direction: int, mark: int, near: int) -> int:
        """The offset of that stream up to which the other side had it, by a mark of `StreamData.ack`; near: an offset that is not far from it."""
        ...

    def wire_sequence(self, direction: int, offset: int) -> int | None:
        """The raw TCP sequence number of a byte; None where the stream is derived from another."""
        ...

    def waits_from(self, direction: int) -> int:
        """The first packet that carried something which waits behind a hole of that stream; NEVER where nothing does."""
        ...

    def given_up(self, direction: int, reason: DropReason) -> bool:
        """A layer gives that stream up, or a part of it; whether it is the first one to do so."""
        ...


class Consumer(Protocol):
    """Who takes the events of one conversation: in order within a direction, the directions side by side."""

    def consume(self, conversation: Conversation, events: Events) -> None:
        """The next events of both directions, up to the same packet."""
        ...
