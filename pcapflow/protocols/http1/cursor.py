"""How far one direction's events were consumed while the other's are read.

Contract: `packet` is that of the next byte, gap or end; NEVER behind the last.
"""

from __future__ import annotations

from pcapflow.streams.events import NEVER, StreamData, StreamEvent


class Cursor:
    """Of one direction, in one call."""

    __slots__ = ("events", "index", "position")

    def __init__(self, events: list[StreamEvent]) -> None:
        self.events = events
        self.index = 0
        self.position = 0

    @property
    def packet(self) -> int:
        """Of what is next."""
        if self.index == len(self.events):
            return NEVER
        event = self.events[self.index]
        return event.packet(event.piece(self.position)) if isinstance(event, StreamData) else event.packet
