"""What waits for its turn to be written, in one temporary file: pieces of several bodies, each piece of one with the place of the next.

Contract: `put` adds to a `Chain`, `take` gives all of one in order. Raises `OutputError` where the file cannot be written. Invariant: in memory there are two places a chain, whatever
is in the file; the file is emptied when nothing waits any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from pcapflow.errors import OutputError
from pcapflow.files import spool

_HEAD = struct.Struct("<qQ")
"""Where the next piece of the chain is, -1 for none yet; bytes of this one."""


class Chain:
    """The pieces of one body."""

    __slots__ = ("first", "last")

    def __init__(self) -> None:
        self.first = self.last = -1


class Chains:
    """One run's."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0
        self._waiting = 0
        """Chains that have pieces."""

    def put(self, chain: Chain, data: bytes) -> None:
        """One more piece."""
        try:
            if self._file is None:
                self._file = spool()
            at = self._end
            self._file.seek(at)
            self._file.write(_HEAD.pack(-1, len(data)) + data)
            self._end += _HEAD.size + len(data)
            if chain.last >= 0:
                self._link(chain.last, at)
            else:
                chain.first = at
                self._waiting += 1
            chain.last = at
        except OSError as e:
            raise OutputError(f"a temporary file: cannot be written: {e.strerror}") from None

    def take(self, chain: Chain) -> Iterator[bytes]:
        """All of its pieces, in order; it has none then."""
        at, chain.first, chain.last = chain.first, -1, -1
        if at < 0 or self._file is None:
            return
        while at >= 0:
            self._file.seek(at)
            following, n = _HEAD.unpack(self._file.read(_HEAD.size))
            yield self._file.read(n)
            at = following
        self._gone()

    def join(self, chain: Chain, other: Chain) -> None:
        """The pieces of another, which has none then, behind those of a chain; each has some."""
        assert self._file is not None
        assert chain.last >= 0 <= other.first
        self._link(chain.last, other.first)
        chain.last = other.last
        other.first = other.last = -1
        self._waiting -= 1

    def _link(self, piece: int, following: int) -> None:
        assert self._file is not None
        try:
            self._file.seek(piece)
            self._file.write(struct.pack("<q", following))
        except OSError as e:
            raise OutputError(f"a temporary file: cannot be written: {e.strerror}") from None

    def drop(self, chain: Chain) -> None:
        """Nobody wants its pieces."""
        if chain.first >= 0:
            chain.first = chain.last = -1
            self._gone()

    def _gone(self) -> None:
        self._waiting -= 1
        if not self._waiting and self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._end = 0

    def close(self) -> None:
        """The file goes."""
        if self._file is not None:
            self._file.close()
            self._file = None
