"""The messages of one connection, chunking and codings undone, for `pcapflow follow --decode`.

Contract: a `Listener`; what it finds are entries of the kind MESSAGE, in the order of the packets that brought them: a head as it was sent, the bytes of its body, what is missing there, how much is of no message, and notes. Invariant: no byte is kept.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

from pcapflow.drops import Drop
from pcapflow.findings.listening import Listener, Run
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.streams.conversation import Conversation
from pcapflow.unread import Unread

MESSAGE = "message"
HEAD, BYTES, GAP, NOTE, UNREAD = b"h", b"d", b"g", b"n", b"u"
_FIELDS = struct.Struct("<c?QQ")
_RANK = 2
_PIECE = 64 << 10


class Said(NamedTuple):
    """Something that one side said; it can cross a process as bytes."""

    kind: bytes
    server: bool
    packet: int
    """That brought it, or a head's first byte."""
    number: int
    """Of a head, how many bytes there are; of a gap, how many are missing; of what is unread, how many these are."""
    data: bytes = b""

    def packed(self) -> bytes:
        """As a line."""
        return _FIELDS.pack(self.kind, self.server, self.packet, self.number) + self.data

    @classmethod
    def unpacked(cls, line: bytes) -> Self:
        """Of a line."""
        kind, server, packet, number = _FIELDS.unpack_from(line)
        return cls(kind, server, packet, number, line[_FIELDS.size :])


class Decoding(Listener):
    """One run's."""

    by_packet = True
    looks_at_all = True
    keeps_heads = True
    tells_heads = True

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    def head(self, connection: int, side: int, read: HeadRead) -> None:
        """See `Listener`."""
        self.say(read.last_packet, connection, Said(HEAD, bool(side), read.packet, read.size, read.head.raw))

    def body(self, head: Head, origin: BodyOrigin) -> _Body:
        """See `Listener`."""
        return _Body(self, head, origin)

    def unread(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """See `Listener`."""
        packet = self._run.ledger.packet
        self.say(packet, conversation.number, Said(UNREAD, direction != conversation.client, packet, unread.bytes, unread.reason.encode()))

    def say(self, packet: int, connection: int, said: Said) -> None:
        """Give it on."""
        self._run.entry(packet, connection, MESSAGE, said.packed(), _RANK + said.server)


class _Body:
    """Listens to one body."""

    as_sent = False

    def __init__(self, decoding: Decoding, head: Head, origin: BodyOrigin) -> None:
        self._decoding = decoding
        self._head = head
        self._origin = origin
        self._size = 0

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        self._size += len(data)
        for at in range(0, len(data), _PIECE):
            self._say(BYTES, 0, bytes(data[at : at + _PIECE]))

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        self._say(GAP, n)

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._say(NOTE, 0, f"the body is not shown any further: {drop.detail or drop.reason.sentence} ({drop.reason.value})".encode())

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`."""
        self._say(NOTE, 0, f"{problem}: the body is shown as it was sent".encode())

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        if self._head.codings and whole:
            self._say(NOTE, 0, f"{', '.join(self._head.codings)} undone: {self._size:,} bytes".encode())
        elif not whole:
            self._say(NOTE, 0, b"the body is not whole")

    def _say(self, kind: bytes, number: int, data: bytes = b"") -> None:
        origin = self._origin
        self._decoding.say(origin.packet, origin.connection, Said(kind, origin.stream == "server", origin.packet, number, data))
