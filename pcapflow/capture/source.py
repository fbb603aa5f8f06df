"""Where the bytes come from: a file by its path, or standard input as `-`.

Contract: `open_source` gives a `Source` or raises `CaptureError` with one clear sentence. `Source.fill` reads until the
room given is full, the input ends, or, on a pipe that has something already, until nothing comes for a moment: a slow
pipe does not hold back its last megabyte. `peek` looks ahead; after `decompress` the bytes are those that a decompressor makes of the input.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable

from pcapflow.capture.compression import Corrupt, Decompressor
from pcapflow.capture.interrupt import Interrupt
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits

STDIN = "-"
_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PATIENCE = 0.005
"""Seconds that a block which has something waits for more: who writes to a pipe writes a part of a block at a time."""
_ASKS = os.name == "posix"
"""Whether the system can be asked if a pipe has something; elsewhere a read takes what there is, and no more is tried."""


Tee = Callable[[memoryview], object]


def _read_into(fd: int, room: memoryview) -> int:
    """One read, without a copy where the system can."""
    if hasattr(os, "readv"):
        return os.readv(fd, [room])
    data = os.read(fd, len(room))
    room[: len(data)] = data
    return len(data)


def _in_binary(fd: int) -> None:
    """Windows translates line ends of standard input unless it is told not to."""
    if hasattr(os, "O_BINARY"):
        import msvcrt

        msvcrt.setmode(fd, os.O_BINARY)  # type: ignore[attr-defined,unused-ignore]


class Source:
    """Bytes in order from a file descriptor."""

    def __init__(self, path: str, fd: int, size: int | None, interrupt: Interrupt, *, owned: bool) -> None:
        self.path = path
        self.size = size
        """Of the input, None where it is not known."""
        self.version = ""
        """What tells this input from another one of the same name; empty where nothing does."""
        self.position = 0
        """Bytes handed out."""
        self.taken = 0
        """Bytes of the input read: fewer, where it is compressed."""
        self.ended = False
        self.corrupt = ""
        """What is wrong with the compressed data; it ends there."""
        self.truncated = False
        """The compressed data ends early."""
        self.tee: Tee | None = None
        """Gets the bytes too, as they are handed out."""
        self.on_close: Callable[[], object] | None = None
        """Called once, when the source is closed."""
        self._ahead = b""
        self._decompressor: Decompressor | None = None
        self._fd = fd
        self._interrupt = interrupt
        self._owned = owned
        self._waits = size is None

    def fill(self, room: memoryview, *, at_least: int = 1) -> int:
        """Read into room; the count of bytes read. Fewer than at_least only where the input ended."""
        got = self._fill(room, at_least)
        if self.tee is not None and got:
            self.tee(room[:got])
        return got

    def _fill(self, room: memoryview, at_least: int) -> int:
        got = self._take_ahead(room)
        while got < len(room) and not self.ended:
            if self._waits and got >= at_least and not self._ready(_PATIENCE):
                break
            n = self._raw_into(room[got:]) if self._decompressor is None else self._decompressed_into(room[got:], self._decompressor)
            self.ended = n == 0
            got += n
        self.position += got
        return got

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to stop: whoever reads without giving anything looks at it."""
        return self._interrupt.asked

    def peek(self, n: int) -> bytes:
        """The next n bytes, fewer where the input ends before; they are still to be read."""
        room = bytearray(n)
        got = self._fill(memoryview(room), n)
        self.position -= got
        self._ahead = bytes(room[:got])
        if got:
            self.ended = False
        return self._ahead

    def decompress(self, name: str, limits: Limits) -> int:
        """From here on the bytes are what a decompressor makes of the rest. Returns how many bytes it may keep."""
        raw_ahead, self._ahead = self._ahead, b""

        def read(n: int) -> bytes:
            nonlocal raw_ahead
            if raw_ahead:
                data, raw_ahead = raw_ahead, b""
                return data
            room = bytearray(n)
            return bytes(room[: self._raw_into(memoryview(room))])

        self._decompressor = Decompressor(name, read, limits, self.path)
        return self._decompressor.memory

    def _take_ahead(self, room: memoryview) -> int:
        n = min(len(self._ahead), len(room))
        if n:
            room[:n] = self._ahead[:n]
            self._ahead = self._ahead[n:]
        return n

    def _ready(self, seconds: float = 0) -> bool:
        """Whether there is something, or will be in so many seconds."""
        return _ASKS and bool(select.select([self._fd], [], [], seconds)[0])

    def _raw_into(self, room: memoryview) -> int:
        """One read of the input; waits for some of it. 0 at its end."""
        try:
            if self._waits and _ASKS and not self._ready():
                with self._interrupt.waiting():
                    select.select([self._fd], [], [])
            n = _read_into(self._fd, room)
        except OSError as e:
            raise CaptureError(self.path, f"cannot be read: {e.strerror}", unreadable=True) from None
        self.taken += n
        return n

    def _decompressed_into(self, room: memoryview, decompressor: Decompressor) -> int:
        if self.corrupt:
            return 0
        try:
            data = decompressor.read(len(room))
        except Corrupt as e:
            self.corrupt = str(e)
            self.truncated = e.early
            return 0
        room[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Done with it."""
        if self.on_close is not None:
            self.on_close()
            self.on_close = None
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
        _in_binary(fd)
        mode = os.fstat(fd).st_mode
        return Source(path, fd, os.fstat(fd).st_size if stat.S_ISREG(mode) else None, interrupt, owned=False)
    try:
        # the path as it was given: an empty one is no folder; a named pipe waits for whoever writes to it
        with interrupt.waiting():
            fd = os.open(path, _OPEN)
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise CaptureError(path, f"cannot be opened: {why}", unreadable=True) from None
    info = os.fstat(fd)
    if stat.S_ISDIR(info.st_mode):
        os.close(fd)
        raise CaptureError(path, "is a directory, not a capture")
    source = Source(path, fd, info.st_size if stat.S_ISREG(info.st_mode) else None, interrupt, owned=True)
    source.version = f"{info.st_size} bytes, mtime {info.st_mtime_ns}" if source.size is not None else ""
    return source
