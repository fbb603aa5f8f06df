"""`pcapflow follow`: one connection's bytes instead of a report."""

from __future__ import annotations

from collections.abc import Callable

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.protocols.follow import Follower, Part, Silent
from pcapflow.protocols.handler import Handler
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Consumer
from pcapflow.report.collector import Collector


class Following(Collector):
    """A run that hands one connection's bytes on and reports nothing."""

    def __init__(self, number: int, take: Callable[[Connection, Part], None], limits: Limits, ledger: Ledger) -> None:
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
        self._follower = Follower(self._take, Handler(self), self.ledger.output)
        return self._follower

    @property
    def unordered(self) -> int:
        """Bytes whose place between those of the other side is not sure, since there was no room to wait."""
        return self._follower.unordered if self._follower is not None else 0
