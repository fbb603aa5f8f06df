"""Where in a message of HTTP/1 a stream is. Vocabulary of the framer and of who puts both directions together."""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """What the next byte belongs to."""

    HEAD = auto()
    BODY = auto()
    CHUNK_LINE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    SEARCH = auto()
    OPAQUE = auto()


BETWEEN = frozenset((State.HEAD, State.SEARCH))
"""No body is under way."""
BODY_BEGINS = frozenset((State.BODY, State.CHUNK_LINE))
