"""Where a report goes: standard output, or a file that is written beside its place and renamed when it is whole.

Contract: `open_output` is a context; `write` takes bytes. If the context is left by an exception, a file that was there
before is still there, untouched. A closed pipe raises `ReaderLeft`, any other failure `OutputError`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pcapflow.errors import OutputError, UsageError
from pcapflow.files import begins_as_capture, discard, is_file, is_folder, is_there, put_in_place, temporary
from pcapflow.plain import harmless_json

_AT_ONCE = 64 << 10
_LATER = re.compile(r"([a-z]+)\.[0-9]+\.parquet")
"""The second and later files of a table."""


class ReaderLeft(Exception):
    """Whoever read standard output has closed it; an end of the run, not an error. (click would make status 1 of the OSError.)"""


class Output:
    """Bytes out."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self._name = name
        self._stream = stream

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._stream.write(data)
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
            self._stream.flush()
        except BrokenPipeError:
            raise ReaderLeft from None
        except OSError as e:
            raise OutputError(f"{self._name}: cannot be written: {e.strerror}") from None


def refuse_overwriting(captures: Sequence[str], outputs: Mapping[str, str | None]) -> None:
    """An output that is one of the inputs, by whatever path or link, would be the end of it. outputs: by the option that names each."""
    for option, path in outputs.items():
        if path is None or path == "-" or not is_file(path):
            continue
        for capture in captures:
            if (_is_standard_input(path) if capture == "-" else _same(path, capture)) or (is_folder(capture) and _is_capture_in(path, capture)):
                raise UsageError(f"{option} {path}: is a capture that is to be read, and would be overwritten")


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _is_standard_input(path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stdin.fileno()), Path(path).stat())
    except (OSError, ValueError, AttributeError):
        return False


def _is_capture_in(path: str, folder: str) -> bool:
    """Whether a file in the folder is that one, and begins as a capture does."""
    try:
        with os.scandir(folder) as entries:
            return begins_as_capture(path) and any(entry.is_file() and _same(path, entry.path) for entry in entries)
    except OSError:
        return False


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
    target = Path(path)
    try:
        if is_folder(target):
            raise OutputError(f"{path}: is a directory")
        special = target.open("wb") if is_there(target) and not is_file(target) else None
        fd, beside = temporary(target.parent) if special is None else (-1, target)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None
    if special is not None:
        # a device or a named pipe cannot be replaced
        with _closing(special):
            output = Output(path, special)
            yield output
            output.flush()
        return
    try:
        with _closing(os.fdopen(fd, "wb")) as stream:
            output = Output(path, stream)
            yield output
            output.flush()
        put_in_place(beside, target)
    except BaseException:
        discard(beside)
        raise


@contextmanager
def _closing(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Closes it. What it still holds then was refused before, by a flush that said so: a full disk is one error, not two."""
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


@contextmanager
def open_folder(path: str) -> Iterator[Callable[[str], BinaryIO]]:
    """A folder, made where there is none: a callable that opens a file in it by name. The files appear together when the context is left without an
    error; files of an earlier run, `http.1.parquet` beside a new `http.parquet`, go then.
    """
    folder = Path(path)
    made: dict[str, tuple[Path, BinaryIO]] = {}
    new = not is_there(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}") from None

    def create(name: str) -> BinaryIO:
        if is_folder(folder / name):
            raise OutputError(f"{folder / name}: is a directory")
        try:
            fd, beside = temporary(folder)
        except OSError as e:
            raise OutputError(f"{folder / name}: cannot be written: {e.strerror}") from None
        stream = os.fdopen(fd, "wb")
        made[name] = beside, stream
        return stream

    try:
        yield create
        for name, (_, stream) in made.items():
            try:
                stream.close()
            except OSError as e:
                raise OutputError(f"{folder / name}: cannot be written: {e.strerror}") from None
        for name, (beside, _) in made.items():
            put_in_place(beside, folder / name)
        stems = {name.partition(".")[0] for name in made}
        for old in sorted(folder.iterdir()):
            match = _LATER.fullmatch(old.name)
            if match is not None and match[1] in stems and old.name not in made and old.is_file():
                with suppress(OSError):
                    old.unlink()
    except BaseException:
        for beside, stream in made.values():
            with suppress(OSError):
                stream.close()
            discard(beside)
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise
