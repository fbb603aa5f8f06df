"""One connection picked out of a run: its bytes for `pcapflow follow`, its number for whoever asks by a packet.

Contract: a `Picking` is asked who reads each connection (`Collector.consumer`), and told of those that are over, with those of which only a SYN was seen. `Following` hands
one connection's bytes on, `Finding` finds out which connection the last packet is of. Invariant: no other connection is read; of further ones with the same ends
OTHERS are named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pcapflow.budget import Ledger
from pcapflow.connection_names import ConnectionName
from pcapflow.findings.ends import is_called
from pcapflow.protocols.follower import Follower, Part, Silent, Take
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.streams.conversation import Consumer, Conversation, End

OTHERS = 8
Ends = tuple[End, End]


class Picking(Protocol):
    """Who is interested in one connection alone."""

    def begin(self, ledger: Ledger) -> None:
        """The run begins."""
        ...

    def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Consumer:
        """Who reads a new connection; reader makes what reads one in a report."""
        ...

    def gone(self, connection: Connection) -> None:
        """A connection is over."""
        ...

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """One of which only a SYN was seen is over, at that packet and time (ns): it said nothing."""
        ...

    def close(self) -> None:
        """So is the run."""
        ...


class Following:
    """The connection that is followed: the first with that name of which more than a SYN was seen."""

    def __init__(self, name: ConnectionName, take: Take) -> None:
        """take takes its parts."""
        self._name = name
        self._take = take
        self.number = 0
        """The connection that is followed, 0 for none."""
        self.others: list[int] = []
        """Later ones with that name: the first of them."""
        self.more = 0
        """How many there are beyond those."""
        self._follower: Follower | None = None
        self._silent: tuple[Syn, int, int] | None = None
        """One that said nothing, in case there is no other."""

    def begin(self, ledger: Ledger) -> None:
        """See `Picking`."""
        self._account = ledger.output

    def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Consumer:
        """See `Picking`."""
        if not self._is_meant(conversation.number, conversation.endpoints):
            return Silent()
        if self._follower is not None:
            if len(self.others) < OTHERS:
                self.others.append(conversation.number)
            else:
                self.more += 1
            return Silent()
        self.number = conversation.number
        self._follower = Follower(self._take, reader(), self._account)
        return self._follower

    def gone(self, connection: Connection) -> None:
        """See `Picking`."""

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """See `Picking`."""
        if self._silent is None and self._is_meant(syn.number, ends):
            self._silent = syn, packet, ts

    def close(self) -> None:
        """See `Picking`."""
        if self._follower is None and self._silent is not None:
            syn, packet, ts = self._silent
            self.number = syn.number
            for d, name in ((syn.direction, "client"), (1 - syn.direction, "server")):
                self._take(name, Part(packet, d, ts, 0, b"", None, "cut"))

    def _is_meant(self, number: int, ends: Ends) -> bool:
        return is_called(self._name, number, ends)

    @property
    def unordered(self) -> int:
        """Bytes whose place between those of the other side is not sure, since there was no room to wait."""
        return self._follower.unordered if self._follower is not None else 0


class Finding:
    """Which connection a packet is of, by a run that ends with it."""

    def __init__(self, packet: int) -> None:
        self._packet = packet
        self.number = 0
        """The connection, 0 for none."""

    def begin(self, ledger: Ledger) -> None:
        """See `Picking`."""

    def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Consumer:
        """See `Picking`."""
        return Silent()

    def gone(self, connection: Connection) -> None:
        """See `Picking`."""
        if connection.last_packet == self._packet:
            self.number = connection.number

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """See `Picking`."""
        if syn.last_packet == self._packet:
            self.number = syn.number

    def close(self) -> None:
        """See `Picking`."""
