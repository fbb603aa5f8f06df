"""The bytes of a capture that one process reads, or decompresses, for all.

Contract: `Feed.write` puts bytes into memory that all share, and waits while the slowest worker has no room for them; `tell` lets the workers see them, `end` that no more come. `Fed` is the source of a worker:
it gives what the workers may see, and waits for more. Invariant: at most the memory's size waits for the slowest; a worker sees no byte behind the block that the first process took last, but where one
block does not fit in the memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.source import Source
from pcapflow.workers.ring import mapped, shared


class Feed:
    """The side that reads."""

    def __init__(
        self, size: int, workers: int, tell: Callable[[int], object], end: Callable[[], object], wait: Callable[[], object]
    ) -> None:
        """size: bytes of memory; tell: says to all workers up to which byte they may read; end: that it was the last; wait: returns when some said something. Raises OSError."""
        self.fd = shared(size)
        self._memory = memoryview(mapped(self.fd, size))
        self._size = size
        self._tell, self._end, self._wait = tell, end, wait
        self._written = self._told = 0
        self.read = [0] * workers
        """Up to which byte each worker has read."""

    def write(self, data: memoryview) -> None:
        """More bytes, behind those before."""
        while len(data):
            room = self._size - (self._written - min(self.read))
            if not room:
                self.tell()  # who reads them makes room
                self._wait()
                continue
            at = self._written % self._size
            n = min(room, len(data), self._size - at)
            self._memory[at : at + n] = data[:n]
            self._written += n
            data = data[n:]

    def tell(self) -> None:
        """What was written may be read."""
        if self._told < self._written:
            self._told = self._written
            self._tell(self._told)

    def end(self) -> None:
        """No more comes."""
        self.tell()
        self._end()

    def close(self) -> None:
        """The workers have it, or nobody needs it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Fed(Source):
    """A worker's side."""

    def __init__(self, path: str, fd: int, size: int, read: Callable[[int], object]) -> None:
        """size: bytes of memory; read: says up to which byte this was read."""
        super().__init__(path, -1, None, Interrupt(), owned=False)
        self._memory = memoryview(mapped(fd, size))
        self._size = size
        self._read = read
        self._changed = threading.Condition()
        self._until = self._at = self._said = 0
        self._last = False

    def may_read(self, until: int) -> None:
        """Up to that byte. Called by another thread."""
        with self._changed:
            self._until = until
            self._changed.notify_all()

    def no_more(self) -> None:
        """What may be read is all there is. Called by another thread."""
        with self._changed:
            self._last = True
            self._changed.notify_all()

    def _ready(self, seconds: float = 0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._at < self._until or self._last, seconds)

    def _raw_into(self, room: memoryview) -> int:
        if self._said < self._at:
            self._said = self._at
            self._read(self._at)
        with self._changed:
            self._changed.wait_for(lambda: self._at < self._until or self._last)
            begin = self._at % self._size
            n = min(self._until - self._at, len(room), self._size - begin)
        room[:n] = self._memory[begin : begin + n]
        self._at += n
        self.taken += n
        return n
