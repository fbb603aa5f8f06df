"""A body on its way out, as entries: where it begins, its bytes piece by piece, their end, and what became of its exchange. Vocabulary; values, which can cross a process.

Contract: the line of an entry of the kind BODY is a `Step`, packed: its letter, the body's number, what it says. Of one body BEGINS comes first, then BYTES and ZEROS in order, then
ENDS, and OVER last. Invariant: a number is one body's alone among those of a connection.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

import msgspec

BODY = "body"
"""The kind of these entries."""
BEGINS, BYTES, ZEROS, ENDS, OVER = b"b", b"d", b"z", b"e", b"o"
_HEAD = struct.Struct("<cQ")
PIECE = 64 << 10
"""Bytes of one entry at the most."""


class Begun(msgspec.Struct, frozen=True):
    """A body that begins."""

    exchange: int | None
    side: str
    status: int | None
    content_type: str | None
    url: str | None
    """Its beginning, where it is long."""
    decided: bool
    """Whether it is wanted for sure; else its end tells."""


class BodyFound(msgspec.Struct, frozen=True):
    """A body whose exchange is over: a line of `index.ndjson`, with the file's name before it."""

    connection: int
    exchange: int | None
    side: str
    packet: int
    """The packet that brought the first byte of its message."""
    ts: float
    method: str | None
    url: str | None
    status: int | None
    content_type: str | None
    content_encoding: str | None
    bytes: int
    """As they are given, content codings undone."""
    sent_bytes: int | None
    """As they were sent."""
    missing_bytes: int
    body: str
    """`complete`, `gapped`, `truncated` or `dropped`."""
    drop_reason: str | None
    problem: str | None
    """What is wrong with it, in words."""
    sha256: str | None
    """Of the bytes that are given, where all of them came."""


class Over(msgspec.Struct, frozen=True):
    """The end of it all."""

    taken: bool
    """Whether it is wanted."""
    left_out: str | None
    """Why it is left out all the same: the limit, or `gapped`."""
    found: BodyFound


class Step(NamedTuple):
    """One step of one body."""

    kind: bytes
    number: int
    said: bytes = b""

    def packed(self) -> bytes:
        """As a line."""
        return _HEAD.pack(self.kind, self.number) + self.said

    @classmethod
    def unpacked(cls, line: bytes) -> Self:
        """Of a line."""
        kind, number = _HEAD.unpack_from(line)
        return cls(kind, number, line[_HEAD.size :])
