"""Where the bytes come from: a file by its path, or standard input as `-`.

Contract: `open_source` gives a `Source` or raises `CaptureError` with one clear sentence. `Source.fill` reads until the
room given is full, the input ends, or, on a pipe that has something already, until the next read would block: a slow
pipe does not hold back its last megabyte.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path

from pcapflow.capture.interrupt import Interrupt
from pcapflow.errors import CaptureError

STDIN = "-"


class Source:
    """Bytes in order from a file descriptor."""

    def __init__(self, path: str, fd: int, size: int | None, interrupt: Interrupt, *, owned: bool) -> None:
        self.path = path
        self.size = size
        self.position = 0
        self.ended = False
        self._fd = fd
        self._interrupt = interrupt
        self._owned = owned
        self._waits = size is None

    def fill(self, room: memoryview, *, at_least: int = 1) -> int:
        """Read into room; the count of bytes read. Fewer than at_least only where the input ended."""
        got = 0
        while got < len(room):
            if self._waits and got >= at_least and not select.select([self._fd], [], [], 0)[0]:
                break
            try:
                if self._waits:
                    with self._interrupt.waiting():
                        select.select([self._fd], [], [])
                n = os.readv(self._fd, [room[got:]])
            except OSError as e:
                raise CaptureError(self.path, f"cannot be read: {e.strerror}") from None
            if n == 0:
                self.ended = True
                break
            got += n
        self.position += got
        return got

    def close(self) -> None:
        if self._owned:
            os.close(self._fd)
            self._owned = False


def open_source(path: str, interrupt: Interrupt | None = None) -> Source:
    """Open a capture for reading; `-` is standard input."""
    interrupt = interrupt or Interrupt()
    if path == STDIN:
        try:
            fd = sys.stdin.fileno()
        except (AttributeError, ValueError):
            raise CaptureError("standard input", "is closed") from None
        mode = os.fstat(fd).st_mode
        return Source(path, fd, os.fstat(fd).st_size if stat.S_ISREG(mode) else None, interrupt, owned=False)
    try:
        fd = os.open(Path(path), os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise CaptureError(path, f"cannot be opened: {why}") from None
    info = os.fstat(fd)
    if stat.S_ISDIR(info.st_mode):
        os.close(fd)
        raise CaptureError(path, "is a directory, not a capture")
    return Source(path, fd, info.st_size if stat.S_ISREG(info.st_mode) else None, interrupt, owned=True)
