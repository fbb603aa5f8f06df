"""Where in a message of HTTP/1 a stream is. Vocabulary of the framer and of who puts both directions together."""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from pcapflow.drops import DropReason


class State(Enum):
    """What the next byte belongs to."""

    HEAD = auto()
    BODY = auto()
    CHUNK_LINE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    SEARCH = auto()
    RESYNC = auto()
    REFUSED = auto()
    OPAQUE = auto()


BETWEEN = frozenset((State.HEAD, State.SEARCH))
"""No body is under way."""
BODY_BEGINS = frozenset((State.BODY, State.CHUNK_LINE))


class Refusal(msgspec.Struct, gc=False):
    """Why a message is not read any further."""

    reason: DropReason
    limit: str
    value: int
    n: int
    """Bytes from where the trouble begins that show it."""
    detail: str
