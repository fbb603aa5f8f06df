"""What is masked of connections under way.

Contract: `Live` is one connection, `LiveSide` one of its streams, as `masking` fills them. Invariant: LIVE_BYTES and SIDE_BYTES are what they cost, beside ranges and framing; most connections have no side.
"""

from __future__ import annotations

from array import array

from pcapflow.findings.framing import Framing
from pcapflow.streams.conversation import Conversation

LIVE_BYTES = 850
"""Of a connection under way, with what looks at it."""
JSON_BYTES = 2400
"""More where values of JSON are looked for in both streams."""
SIDE_BYTES = 80
"""Of one of its streams of which anything is kept."""


class LiveSide:
    """What is masked of one stream of a connection under way."""

    __slots__ = ("binary", "framing", "headless", "ranges", "whole")

    def __init__(self) -> None:
        self.ranges: array[int] | None = None
        """From, up to, kind: in any order, some of them several times."""
        self.whole = False
        self.headless = False
        """Its first bytes are missing."""
        self.binary = False
        """So are they, and it has bytes of no text."""
        self.framing: Framing | None = None


class Live:
    """A connection under way. Most have nothing that is secret."""

    __slots__ = ("conversation", "left", "reserved", "sides")

    def __init__(self, conversation: Conversation | None) -> None:
        self.conversation = conversation
        self.sides: list[LiveSide | None] = [None, None]
        self.left = False
        """There was no room for what is masked of it."""
        self.reserved = 0
        """Bytes, beside those of framing; 0 where there was no room for it."""

    def is_masked(self) -> bool:
        """Whether anything of it is."""
        return self.left or any(side is not None and (side.whole or side.ranges is not None) for side in self.sides)

    def is_blind(self, direction: int) -> bool:
        """Whether a stream is no text, and no message of it says what it is."""
        side = self.sides[direction]
        return side is not None and side.binary and (side.framing is None or not side.framing.has_messages)

    def framing(self, direction: int) -> Framing | None:
        """What is known of a stream's."""
        side = self.sides[direction]
        return side.framing if side is not None else None
