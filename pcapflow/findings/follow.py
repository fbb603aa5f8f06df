"""One connection's bytes handed on, for `pcapflow follow`.

Contract: `Following` says who reads each connection (`Collector.consumer` asks), and is told of those of which only a SYN was seen. Invariant: no other
connection is read.
"""

from __future__ import annotations

from collections.abc import Callable

from pcapflow.budget import Ledger
from pcapflow.protocols.follower import Follower, Part, Silent, Take
from pcapflow.streams.conversation import Consumer


class Following:
    """The connection that is followed."""

    def __init__(self, number: int, take: Take) -> None:
        """number: of its first packet; take takes its parts."""
        self._number = number
        self._take = take
        self.seen = False
        """Whether it is in the capture."""
        self._follower: Follower | None = None

    def begin(self, ledger: Ledger) -> None:
        """The run begins."""
        self._account = ledger.output

    def consumer(self, number: int, reader: Callable[[], Consumer]) -> Consumer:
        """Who reads a new connection; reader makes what reads one in a report."""
        if number != self._number:
            return Silent()
        self.seen = True
        self._follower = Follower(self._take, reader(), self._account)
        return self._follower

    def half_open(self, number: int, direction: int, packet: int, ts: int) -> None:
        """Of a connection only a SYN was seen, at that packet and time (ns): it said nothing."""
        if number == self._number:
            self.seen = True
            for d, name in ((direction, "client"), (1 - direction, "server")):
                self._take(name, Part(packet, d, ts, 0, b"", None, "cut"))

    @property
    def unordered(self) -> int:
        """Bytes whose place between those of the other side is not sure, since there was no room to wait."""
        return self._follower.unordered if self._follower is not None else 0
