"""One connection's bytes as they are delivered, for `pcapflow follow`.

Contract: `Follower` is a consumer that hands on what one connection said, in the order of the packets that delivered it; `Silent` takes
the others' events and does nothing. Invariant: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Consumer
from pcapflow.reassembly.events import StreamData, StreamEnd, StreamEvent, StreamGap

Events = tuple[list[StreamEvent], list[StreamEvent]]


class Part(NamedTuple):
    """Bytes of a stream, a gap in it, or its end, with the packet and time (ns) that brought it or told of it."""

    packet: int
    direction: int
    ts: int
    offset: int
    data: bytes
    gap: StreamGap | None
    end: str | None


class Silent:
    """A connection that nobody follows."""

    def consume(self, connection: Connection, events: Events) -> None:
        """Nothing."""


class Follower:
    """The connection that is followed."""

    def __init__(self, take: Callable[[Connection, Part], None], reader: Consumer) -> None:
        """reader: reads the connection first, and finds out who its client is."""
        self._take = take
        self._reader = reader

    def consume(self, connection: Connection, events: Events) -> None:
        """The next events of both directions."""
        self._reader.consume(connection, events)
        parts: list[tuple[int, int, int, StreamEvent, int]] = []
        for d in (0, 1):
            for event in events[d]:
                if isinstance(event, StreamData):
                    parts += [(event.packet(i), d, len(parts) + i, event, i) for i in range(len(event.piece_ends()))]
                else:
                    parts.append((event.packet, d, len(parts), event, 0))
        parts.sort(key=lambda part: part[:3])
        for packet, d, _, event, i in parts:
            if isinstance(event, StreamData):
                begin = event.piece_ends()[i - 1] if i else 0
                size = event.piece_ends()[i] - begin
                self._take(connection, Part(packet, d, event.time(i), event.start + begin, event.take(begin, size), None, None))
            elif isinstance(event, StreamGap):
                self._take(connection, Part(packet, d, event.ts, event.start, b"", event, None))
            elif isinstance(event, StreamEnd):
                self._take(connection, Part(packet, d, event.ts, event.offset, b"", None, event.kind))
