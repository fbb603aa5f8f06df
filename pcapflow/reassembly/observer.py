"""Who is told what the reassembly finds.

Contract: `StreamObserver` hears of what happens in a connection, as a `Conversation`; `table_observer.TableObserver` of connections that are over. Neither is called while a segment
is being placed, but for a conflict, whose connection it is.
"""

from __future__ import annotations

from typing import Protocol

from pcapflow.drops import DropReason
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.streams.conversation import Consumer, Conversation


class StreamObserver(Protocol):
    """Of one run's streams. direction: 0 or 1."""

    def consumer(self, conversation: Conversation) -> Consumer:
        """Who takes a connection's events, from its first on."""
        ...

    def stream_dropped(
        self, conversation: Conversation, direction: int, reason: DropReason, held: int, why: Why, packet: int, ts: int, offset: int
    ) -> None:
        """A stream was given up at that offset, packet and time (ns); held: bytes that it held."""
        ...

    def conflict(self, conversation: Conversation, direction: int, conflict: Conflict) -> None:
        """Bytes came again and were others."""
        ...
