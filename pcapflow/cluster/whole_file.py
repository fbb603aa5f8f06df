"""A file that is written whole, or not at all, on this machine or under a URL.

Contract: `placed` is a context that gives a binary stream, whose bytes take their place when it is left without an error; raises `OutputError`. `folder_at` makes a folder where there is to be one.
Invariant: on an error nothing is there that was not before.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pcapflow.errors import OutputError
from pcapflow.files import closing, discard, is_folder, is_url, place_of, put_in_place, temporary

_WRITE_AT_ONCE = 8 << 20


def file_system(url: str) -> tuple[Any, str]:
    """Of a URL, or of a path that all machines share; and its path there. Raises `OutputError`."""
    try:
        import fsspec  # noqa: PLC0415 - an extra

        fs, path = fsspec.core.url_to_fs(url) if is_url(url) else (fsspec.filesystem("file"), str(Path(url).absolute()))
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise OutputError(f"{url}: cannot be reached: {e}") from None
    return fs, path


def upload(file: IO[bytes], url: str) -> None:
    """What is in a file, to a URL or a path that all machines share. Raises `OutputError`."""
    fs, path = file_system(url)
    try:
        if "file" in fs.protocol:  # objects lie in no folder
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        _copy(file, fs.open(path, "wb", block_size=_WRITE_AT_ONCE, autocommit=False))
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise OutputError(f"{url}: cannot be written: {getattr(e, 'strerror', None) or e}") from None


def _copy(file: IO[bytes], out: Any) -> None:
    """All of it takes its place, or nothing: a stream of fsspec's that is closed takes it else, whatever happened."""
    try:
        shutil.copyfileobj(file, out, _WRITE_AT_ONCE)
        out.close()
    except BaseException:
        with suppress(Exception):
            out.close()
        with suppress(Exception):
            out.discard()
        raise
    out.commit()


def folder_at(path: str) -> None:
    """Raises `OutputError`. Nothing for a URL: objects lie in none."""
    if is_url(path):
        return
    try:
        Path(path).mkdir(exist_ok=True, parents=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None


@contextmanager
def placed(target: str) -> Iterator[IO[bytes]]:
    """See above."""
    remote = is_url(target)
    place = Path(target) if remote else place_of(target)
    if not remote and is_folder(place):
        raise OutputError(f"{target}: is a directory")
    try:
        fd, beside = temporary(tempfile.gettempdir() if remote else place.parent)
    except OSError as e:
        raise OutputError(f"{target}: cannot be written: {e.strerror}") from None
    stream = _Stream(fd, target)
    try:
        with closing(stream):
            yield stream
            stream.end()
        if remote:
            with beside.open("rb") as file:
                upload(file, target)
            discard(beside)
        else:
            put_in_place(beside, place)
    except BaseException:
        discard(beside)
        raise


class _Stream(io.BufferedWriter):
    """What is written to it and refused is said with the place that it was for."""

    def __init__(self, fd: int, target: str) -> None:
        super().__init__(io.FileIO(fd, "wb"))
        self._target = target

    def write(self, data: Any) -> int:
        """See `io.BufferedWriter`."""
        try:
            return super().write(data)
        except OSError as e:
            raise OutputError(f"{self._target}: cannot be written: {e.strerror}") from None

    def end(self) -> None:
        """Nothing more is written."""
        if not self.closed:
            try:
                self.flush()
            except OSError as e:
                raise OutputError(f"{self._target}: cannot be written: {e.strerror}") from None
