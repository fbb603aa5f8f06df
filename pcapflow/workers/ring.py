"""Shared memory between two processes: one puts pieces in, the other takes them out in the same order.

Contract: `Room.place` gives where a piece of some bytes may stand, None where there is no room until pieces before it are gone; `Room.gone` says that the oldest are. Invariant: a piece lies in one
piece, none lies where another one still does, and a piece larger than half of the memory has no place there.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import deque

from pcapflow.files import write_all


def shared(size: int) -> int:
    """A descriptor of so many bytes of memory, which a child process inherits. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("pcapflow")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.set_inheritable(fd, True)
    os.ftruncate(fd, size)
    return fd


def filled(data: bytes) -> int:
    """A descriptor from which a child process can read those bytes. Raises OSError."""
    fd = shared(len(data))
    write_all(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def mapped(fd: int, size: int) -> mmap.mmap:
    """That memory."""
    return mmap.mmap(fd, size)


class Room:
    """What of the memory is taken, as the one knows who puts pieces in."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = 0
        """Where the next piece would stand."""
        self._free = size
        self._taken: deque[int] = deque()
        """Bytes of each piece, those left empty before it included, oldest first."""

    def fits(self, n: int) -> bool:
        """Whether a piece of n bytes ever has a place here."""
        return 2 * n <= self._size

    def place(self, n: int) -> int | None:
        """Take a place for n bytes; None for no room yet."""
        at = self._next
        skipped = 0
        if at + n > self._size:
            skipped, at = self._size - at, 0
        if skipped + n > self._free:
            return None
        self._free -= skipped + n
        self._taken.append(skipped + n)
        self._next = at + n
        return at

    @property
    def is_empty(self) -> bool:
        """Whether every piece is gone."""
        return not self._taken

    def pass_by(self) -> None:
        """A piece goes another way: it is gone in its turn all the same."""
        self._taken.append(0)

    def gone(self, pieces: int) -> None:
        """So many of the oldest are."""
        for _ in range(pieces):
            self._free += self._taken.popleft()
        if not self._taken:
            self._next = 0
