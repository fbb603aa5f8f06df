"""A folder for many files, each of which has its name when it is whole: until then it is `NAME.part`.

Contract: `open_part_folder` is a context; `append`, `place` and `discard` take names, no paths. Nothing is written outside the folder, no link is followed, and no file that was there is written
over unless `force`. If the context is left by an exception, files that are not whole go. Raises `UsageError` for a folder that has such files, `OutputError` for what cannot be written.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pcapflow.errors import OutputError, UsageError
from pcapflow.files import write_all

_OURS = re.compile(r"index\.ndjson(?:\.part)?|c[0-9]+-(?:x[0-9]+-(?:request|response)\.[a-z0-9]+|[0-9]+\.part)")
_OPEN_MOST = 64
"""Files that are open at one time; others are opened again when more comes."""
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_AGAIN = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_PENDING = 64 << 10


class PartFolder:
    """One."""

    def __init__(self, path: str, folder: int, *, force: bool) -> None:
        """folder: its descriptor."""
        self._path = path
        self._folder = folder
        self._force = force
        self._open: dict[str, int] = {}
        """The last that were written to, the latest last."""
        self._parts: set[str] = set()

    def append(self, part: str, data: bytes) -> None:
        """Bytes to a file that is under way, which is made where it is not there."""
        try:
            fd = self._open.pop(part, -1)
            if fd < 0:
                fd = self._opened(part)
            self._open[part] = fd
            write_all(fd, data)
        except OSError as e:
            raise self._error(part, e) from None

    def _opened(self, part: str) -> int:
        if len(self._open) >= _OPEN_MOST:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        if part in self._parts:
            return os.open(part, _AGAIN, dir_fd=self._folder)
        if self._force:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self._folder)
        fd = os.open(part, _MAKE, 0o666, dir_fd=self._folder)
        self._parts.add(part)
        return fd

    def place(self, part: str, name: str) -> None:
        """It is whole."""
        self._close(part)
        try:
            if self._force:
                os.rename(part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            else:
                self._link(part, name)
        except OSError as e:
            raise self._error(name, e) from None
        self._parts.discard(part)

    def _link(self, part: str, name: str) -> None:
        """As a rename that writes over nothing."""
        try:
            os.link(part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except OSError as e:
            if e.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            # a file system without links: what is there now is not written over
            os.close(os.open(name, _MAKE, 0o666, dir_fd=self._folder))
            os.rename(part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            return
        os.unlink(part, dir_fd=self._folder)

    def discard(self, part: str) -> None:
        """It goes."""
        self._close(part)
        if part in self._parts:
            self._parts.discard(part)
            with suppress(OSError):
                os.unlink(part, dir_fd=self._folder)

    def discard_all(self) -> None:
        """So do all that are not whole."""
        for part in list(self._parts):
            self.discard(part)

    def _close(self, part: str) -> None:
        fd = self._open.pop(part, -1)
        if fd >= 0:
            os.close(fd)

    def _error(self, name: str, e: OSError) -> OutputError:
        return OutputError(f"{self._path}/{name}: cannot be written: {e.strerror}")


@contextmanager
def open_part_folder(path: str, *, force: bool) -> Iterator[PartFolder]:
    """The folder at a path, made where there is none. force: files of an earlier run may be written over."""
    made = False
    try:
        try:
            os.mkdir(path)  # noqa: PTH102 - the path as it was given
            made = True
        except FileExistsError:
            pass
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None
    files = PartFolder(path, folder, force=force)
    try:
        there = next((name for name in sorted(os.listdir(folder)) if _OURS.fullmatch(name)), None)  # noqa: PTH208 - by its descriptor
        if there is not None and not force:
            raise UsageError(
                f"{path}: contains files of an earlier run (such as {there}); choose another folder, or use --force to overwrite them"
            )
        yield files
    finally:
        files.discard_all()
        os.close(folder)
        if made:
            with suppress(OSError):
                os.rmdir(path)  # noqa: PTH106 - where it is empty
