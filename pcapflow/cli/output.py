"""Where a report goes: standard output, or a file that is written beside its place and renamed when it is whole.

Contract: `open_output` is a context; `write` takes bytes. If the context is left by an exception, a file that was there
before is still there, untouched. A closed pipe raises `ReaderLeft`, any other failure `OutputError`.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pcapflow.errors import OutputError, UsageError
from pcapflow.files import (
    begins_as_capture,
    closing,
    discard,
    is_file,
    is_folder,
    is_there,
    is_url,
    place_of,
    put_in_place,
    temporary,
    write_all,
)
from pcapflow.terminal_text import harmless_json

_AT_ONCE = 64 << 10
_PARQUET = b"PAR1"
"""How a Parquet file begins."""
_TABLE = re.compile(r"[a-z]+(?:\.[0-9]+)?\.parquet")
_DESCRIPTOR = re.compile(r"(?:/proc/([^/]+)|/dev)/fd/([0-9]{1,9})")
_MOST_LINKS = 40


class ReaderLeft(Exception):
    """Whoever read standard output has closed it; an end of the run, not an error. (click would make status 1 of the OSError.)"""


class Output:
    """Bytes out."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self._name = name
        self._stream = stream
        try:
            stream.flush()
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._fd = None  # a stream that is none of the system's
        self._pending = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """What Python's own buffer would write loses bytes where a signal comes while a reader is slow: it is written here, until all of it is."""
        try:
            if self._fd is None:
                self._stream.write(data)
                return
            if len(self._pending) + len(data) >= _AT_ONCE:
                write_all(self._fd, self._pending)
                self._pending = bytearray()
            if len(data) >= _AT_ONCE:
                write_all(self._fd, data)
            else:
                self._pending += data
        except BrokenPipeError:
            raise ReaderLeft from None
        except OSError as e:
            raise OutputError(f"{self._name}: cannot be written: {e.strerror}") from None

    def json(self) -> Callable[[bytes | memoryview], None]:
        """What writes JSON: to a terminal with nothing in its strings that a terminal would obey, else as it is."""
        if not self.is_terminal:
            return self.write
        return self._harmless

    def _harmless(self, data: bytes | memoryview) -> None:
        """A piece at a time, as what is made of it takes several times as much."""
        at = 0
        while at < len(data):
            end = at + _AT_ONCE
            while end < len(data) and data[end] & 0xC0 == 0x80 and end - at < _AT_ONCE + 4:
                end += 1  # not within a character
            self.write(harmless_json(bytes(data[at:end])))
            at = end

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return self._stream.isatty()

    def flush(self) -> None:
        try:
            if self._fd is None:
                self._stream.flush()
            else:
                write_all(self._fd, self._pending)
                self._pending = bytearray()
        except BrokenPipeError:
            raise ReaderLeft from None
        except OSError as e:
            raise OutputError(f"{self._name}: cannot be written: {e.strerror}") from None


def refuse_overwriting(inputs: Iterable[str], outputs: Mapping[str, str | None]) -> None:
    """An output that is one of the inputs, by whatever path or link, would be the end of it. outputs: by the option that names each; `-` is standard
    output, which may be a file too. inputs: a folder stands for the captures in it.
    """
    written = [(option, path, status) for option, path in outputs.items() if path is not None and (status := status_of(path)) is not None]
    files = [one for one in written if stat.S_ISREG(one[2].st_mode)]
    for name in inputs if files else ():
        read = status_of(name, reads=True)
        if read is None:
            continue
        for option, path, status in files:
            if os.path.samestat(status, read) or (stat.S_ISDIR(read.st_mode) and _is_capture_in(status, name)):
                what = "standard output" if path == "-" else f"{option} {path}"
                raise UsageError(f"{what}: is an input; pcapflow does not overwrite it")


def is_table(name: str) -> bool:
    """Whether a table of `--parquet` may have that name."""
    return _TABLE.fullmatch(name) is not None


def refuse_overwriting_tables(captures: Sequence[str], folder: str | None) -> None:
    """Tables would take the place of captures that have their names."""
    if folder is None or not is_folder(folder):
        return
    try:
        tables = [entry.path for entry in os.scandir(folder) if is_table(entry.name)]
    except OSError:
        return
    for table in tables:
        refuse_overwriting(captures, {f"--parquet {folder}:": table})


def status_of(path: str, *, reads: bool = False) -> os.stat_result | None:
    """Of what is written to that path, or read from it; `-` is standard output or input. None where nobody can tell."""
    try:
        if path != "-":
            return os.stat(path)  # noqa: PTH116 - the path as it was given
        stream = sys.stdin if reads else sys.stdout
        return os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None


def _is_capture_in(written: os.stat_result, folder: str) -> bool:
    """Whether it is a file in the folder that begins as a capture does."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_file() and os.path.samestat(entry.stat(), written) and begins_as_capture(entry.path) for entry in entries)
    except OSError:
        return False


def descriptor(path: str) -> int | None:
    """Which of this process's descriptors a path stands for, by whatever links: `/dev/stdout`, `/dev/fd/3`; None for a path of another kind."""
    for _ in range(_MOST_LINKS):
        match = _DESCRIPTOR.fullmatch(os.path.normpath(path))
        if match is not None and match[1] in (None, "self", "thread-self", str(os.getpid())):
            return int(match[2])
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115, PTH118, PTH120 - the path as it was given
        except OSError:
            return None
    return None


@contextmanager
def open_output(path: str | None) -> Iterator[Output]:
    """Standard output for None or `-`, else a file that appears when the context is left without an error."""
    if path is None or path == "-":
        if sys.stdout is None:
            raise OutputError("standard output: is closed")
        output = Output("standard output", sys.stdout.buffer)
        yield output
        output.flush()
        return
    if is_url(path):
        raise OutputError(f"{path}: cannot be written: reports go to a URL with --separate alone; write a file, and copy it")
    number = descriptor(path)
    target = place_of(path) if number is None else Path(path)
    try:
        if is_folder(target):
            raise OutputError(f"{path}: is a directory")
        if number is not None:
            special: BinaryIO | None = os.fdopen(os.dup(number), "wb")
        else:
            special = target.open("wb") if is_there(target) and not is_file(target) else None
        fd, beside = temporary(target.parent) if special is None else (-1, target)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None
    if special is not None:
        # a device, a named pipe or a descriptor cannot be replaced
        with closing(special):
            output = Output(path, special)
            yield output
            output.flush()
        return
    try:
        with closing(os.fdopen(fd, "wb")) as stream:
            output = Output(path, stream)
            yield output
            output.flush()
        put_in_place(beside, target)
    except BaseException:
        discard(beside)
        raise


def _remove_later_files(folder: Path, made: set[str]) -> None:
    """An earlier run had more rows: its files of a table that go on where those just made end, `http.1.parquet`, `http.2.parquet`, one after the other."""
    for stem in {name.partition(".")[0] for name in made}:
        number = 1
        while f"{stem}.{number}.parquet" in made:
            number += 1
        while is_file(old := folder / f"{stem}.{number}.parquet"):
            try:
                with old.open("rb") as file:
                    if file.read(len(_PARQUET)) != _PARQUET:
                        break
                old.unlink()
            except OSError:
                break
            number += 1


@contextmanager
def open_folder(path: str) -> Iterator[Callable[[str], BinaryIO]]:
    """A folder, made where there is none: a callable that opens a file in it by name. The files appear together when the context is left without an
    error; files of an earlier run, `http.1.parquet` beside a new `http.parquet`, go then.
    """
    folder = Path(path)
    made: dict[str, tuple[Path, Path, BinaryIO]] = {}
    """By name: where it is written, where it goes, and what writes it."""
    new = not is_there(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None

    def create(name: str) -> BinaryIO:
        place = place_of(folder / name)
        if is_folder(place):
            raise OutputError(f"{folder / name}: is a directory")
        try:
            fd, beside = temporary(place.parent)
        except OSError as e:
            raise OutputError(f"{folder / name}: cannot be written: {e.strerror}") from None
        stream = os.fdopen(fd, "wb")
        made[name] = beside, place, stream
        return stream

    try:
        yield create
        for name, (_, _, stream) in made.items():
            try:
                stream.close()
            except OSError as e:
                raise OutputError(f"{folder / name}: cannot be written: {e.strerror}") from None
        for beside, place, _ in made.values():
            put_in_place(beside, place)
        _remove_later_files(folder, set(made))
    except BaseException:
        for beside, _, stream in made.values():
            with suppress(OSError):
                stream.close()
            discard(beside)
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise
