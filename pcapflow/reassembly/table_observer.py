"""Who is told of connections as a whole. Contract: see `TableObserver`; what happens within one, `observer.StreamObserver` is told."""

from __future__ import annotations

from typing import Protocol

from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection


class TableObserver(Protocol):
    """Who is told of connections that are over, or have no room."""

    def gone(self, connection: Connection, packet: int, ts: int) -> None:
        """A connection is over, at that packet and time (ns); nothing of it comes any more."""
        ...

    def half_open(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> None:
        """Connections of which only a SYN was seen are over: key, what was seen, and the packet and time (ns) of it."""
        ...

    def untracked(self, packet: int, ts: int, captured: int) -> None:
        """Segments with so many bytes, from that packet and time (ns) on, are of a connection for which there was no room."""
        ...

    def repeated(self, segments: int, captured: int) -> None:
        """Segments, with so many bytes, came again of a connection that is gone."""
        ...
