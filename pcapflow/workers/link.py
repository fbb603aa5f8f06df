"""Messages between two processes over a pair of pipes.

Contract: `message` makes one of a kind, one byte, and bytes; `receive` reads one, and waits for it; `Inbox` takes what there is and gives those that are whole. Invariant: no more is read than
the messages have, and a length beyond MESSAGE_MAX is none of ours.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

_HEADER = struct.Struct("<cQ")
MESSAGE_MAX = 1 << 31
"""Bytes of one message: a block's entries come in steps, and a line is never so long."""
_AT_ONCE = 1 << 16

PAUSE, UNTIL, GONE, BYTES, LAST = b"P", b"U", b"G", b"Y", b"Z"
"""To a worker: stop before the next block, and say where that is; go on up to that packet, and end; so many pieces were taken out of the shared memory; the
bytes of the capture may be read up to that one; that was the last."""
ENTRIES, SHARED, REACHED, PAUSED, READ, RESULT, FAILED = b"E", b"S", b"R", b"B", b"C", b"D", b"X"
"""From a worker: entries in order; the same, in the shared memory; no entry comes any more that a packet completes up to that one; where it stopped; up to which byte it read the
capture; what it found; why it failed."""
TASK, DONE = b"T", b"V"
"""To one that does many: a task; from it: what came of that."""
PIECE = struct.Struct("<QQ")
"""Of SHARED: where it stands, and how long it is."""


class Message(NamedTuple):
    """One."""

    kind: bytes
    body: bytes


def message(kind: bytes, body: bytes | bytearray = b"") -> bytes:
    """The bytes of one."""
    return _HEADER.pack(kind, len(body)) + body


def receive(stream: IO[bytes]) -> Message | None:
    """Read one; None at the end, and where a message is cut short."""
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    kind, size = _HEADER.unpack(head)
    if size > MESSAGE_MAX:
        return None
    body = stream.read(size)
    return Message(kind, body) if len(body) == size else None


class Inbox:
    """Messages from a descriptor that does not wait."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._data = bytearray()
        self.ended = False
        os.set_blocking(fd, False)

    def fill(self) -> None:
        """Take what there is."""
        while not self.ended:
            try:
                some = os.read(self._fd, _AT_ONCE)
            except BlockingIOError:
                return
            self.ended = not some
            self._data += some

    def messages(self) -> Iterator[Message]:
        """Those that are whole."""
        at = 0
        try:
            while len(self._data) - at >= _HEADER.size:
                kind, size = _HEADER.unpack_from(self._data, at)
                begin = at + _HEADER.size
                if size > MESSAGE_MAX:
                    self.ended = True
                    return
                if len(self._data) - begin < size:
                    return
                at = begin + size
                yield Message(kind, bytes(self._data[begin:at]))
        finally:
            del self._data[:at]
