"""`pcapflow follow`: one connection's bytes instead of a report."""

from __future__ import annotations

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.protocols.follow import Follower, Part, Silent, Take
from pcapflow.protocols.stack import Stack
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.report.collector import Collector
from pcapflow.streams.conversation import Consumer


class Following(Collector):
    """A run that hands one connection's bytes on and reports nothing."""

    def __init__(self, number: int, take: Take, limits: Limits, ledger: Ledger) -> None:
        super().__init__(limits, ledger, None)
        self._number = number
        self._take = take
        self.seen = False
        self._follower: Follower | None = None

    def consumer(self, connection: Connection) -> Consumer:
        """The consumer of a new connection's events."""
        if connection.number != self._number:
            return Silent()
        self.seen = True
        self._follower = Follower(self._take, Stack(self), self.ledger.output)
        return self._follower

    def unanswered(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> None:
        """See `Observer`: a connection of which only a SYN was seen said nothing."""
        super().unanswered(gone, end)
        for _, syn, packet, ts in gone:
            if syn.number == self._number:
                self.seen = True
                for direction, name in ((syn.direction, "client"), (1 - syn.direction, "server")):
                    self._take(name, Part(packet, direction, ts, 0, b"", None, "cut"))

    @property
    def unordered(self) -> int:
        """Bytes whose place between those of the other side is not sure, since there was no room to wait."""
        return self._follower.unordered if self._follower is not None else 0
