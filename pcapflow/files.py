"""Paths that a user gave, asked about without a surprise; and how a file that was written beside its place takes it: whole, or not at all.

`pathlib` raises where a folder above cannot be read, or a name is too long; whoever opens the file says that better.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from pcapflow.errors import OutputError

try:
    import fcntl
except ImportError:  # a system without locks: what a killed process left stays
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".pcapflow-", ".tmp"
CAPTURES = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34", b"\n\r\r\n", b"snoop\0\0\0",
    b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\x04\x22\x4d\x18",
)  # fmt: skip
"""How captures begin, and what they are compressed with."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+(::[A-Za-z0-9+.\-]+)*://")
_making = threading.Lock()
"""Held while one is made: whoever holds it knows all."""
_locks: dict[Path, int] = {}
"""Descriptors of this process's temporaries: each is locked until it has taken its place or is discarded, whoever closes it before."""


def is_temporary(name: str) -> bool:
    """Whether a file of that name is one that a run has under way, or that a killed one left: nothing reads it."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def temporary(folder: str | Path) -> tuple[int, Path]:
    """A file in a folder for what is to take a place there when it is whole: open for reading and writing, and its path, for `put_in_place` or `discard`.
    Removes what killed runs left. Raises OSError.
    """
    with _making:
        while True:
            fd, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
            if fcntl is None:
                _locks[Path(name)] = os.dup(fd)
                return fd, Path(name)
            # whoever finds one that is not locked takes it for left over
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.exists(name):  # noqa: PTH110 - see above
                break
            os.close(fd)
        _locks[Path(name)] = os.dup(fd)
    remove_what_is_left(folder)
    return fd, Path(name)


def remove_what_is_left(folder: str | Path) -> None:
    """The temporaries in a folder of processes that are gone."""
    if fcntl is None:
        return
    ours = {path.name for path in list(_locks)}
    with suppress(OSError):
        for entry in os.scandir(folder):
            if is_temporary(entry.name) and entry.name not in ours:
                _remove_what_is_left(entry.path)


def discard_all() -> None:
    """Every temporary of this process, which is about to end, and makes no other: called from any thread."""
    _making.acquire()
    for beside in list(_locks):
        with suppress(OSError):
            beside.unlink()


def discard(beside: Path) -> None:
    """A temporary that will take no place."""
    with suppress(OSError):
        beside.unlink()
    _unlock(beside)


def _unlock(beside: Path) -> None:
    lock = _locks.pop(beside, None)
    if lock is not None:
        os.close(lock)


def begins_as_capture(path: str | Path) -> bool:
    """Whether a file begins as a capture does; False where nobody can tell, and for what is no file: a named pipe would wait."""
    try:
        if not is_file(path):
            return False
        with Path(path).open("rb") as file:
            return file.read(16).startswith(CAPTURES)
    except OSError:
        return False


def _remove_what_is_left(path: str) -> None:
    if not is_file(path):
        return
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not begins_as_capture(path):  # somebody's, of whatever name
                Path(path).unlink()
        finally:
            os.close(fd)


def spool() -> IO[bytes]:
    """A file without a name for what does not fit in memory. Raises `OutputError`."""
    try:
        return tempfile.TemporaryFile(prefix=_PREFIX)
    except OSError as e:
        raise OutputError(f"no temporary file can be made: {e.strerror}") from None


def is_url(path: str) -> bool:
    """Whether it is the name of something on another machine, as fsspec has them: `s3://bucket/key`, also with another before: `simplecache::s3://bucket/key`."""
    return _URL.match(path) is not None


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder; False where nobody can tell."""
    return os.path.isdir(path)  # noqa: PTH112 - see above


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False where nobody can tell."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def can_be_read_twice(path: str) -> bool:
    """Whether what is at a path is still there when it was read: not of standard input and of pipes. What is not there at all is somebody else's to say."""
    return path != "-" and (is_file(path) or is_folder(path) or not is_there(path))


def is_there(path: str | Path) -> bool:
    """Whether there is anything; False where nobody can tell."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def place_of(path: str | Path) -> Path:
    """Where what is written to a path goes: a link is followed, also one that leads nowhere yet."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)  # noqa: PTH114 - see above


def put_in_place(beside: Path, place: Path) -> None:
    """The file takes its place, with the rights of the one before, or of a new file. Raises `OutputError`."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        beside.chmod(place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~umask)
        beside.replace(place)
    except OSError as e:
        raise OutputError(f"{place}: cannot be written: {e.strerror}") from None
    _unlock(beside)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write until all of it is: a write may be cut short, by a signal or a pipe that is full."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


@contextmanager
def closing(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Closes it. What it still holds then was refused before, by a flush that said so: a full disk is one error, not two."""
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()
