"""Puts a block's records into the order of the packets that completed them, in bounded memory.

Contract: `add` takes encoded records in any order; `flush` hands them on as entries, sorted by packet, then connection, then rank, then the order that
was told, else that in which they came. Connections are worked on one after the other within a block, so records come out of order only within a
block. Invariant: what waits in memory is reserved in the `output` account; beyond its limit it goes to one temporary file in
sorted runs, which `flush` merges; of a run that is merged a long line is read when its turn comes.
"""

from __future__ import annotations

import heapq
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

from pcapflow.budget import Account
from pcapflow.entries import Entry
from pcapflow.files import spool

Take = Callable[[list[Entry]], object]
"""Takes entries in order."""
OVERHEAD = 200
"""Bytes of an entry beside its text: a tuple, its integers and the object header of the text."""
FLOOR = 256 << 10
"""Reserved from the start, so that records flow, if slowly, when everything else has taken the memory."""
STEP = 64 << 10
_new = tuple.__new__
_MOST_RUNS = 64
_LONG_LINE = 64 << 10


class _Later(NamedTuple):
    """A line that is read when its turn comes: where in the file it is, and its length."""

    at: int
    length: int


_Kept = tuple[int, int, int, int, int, str, bytes | _Later]
"""An entry in memory or in a file: what `Entry` has, but the line, which may be in the file still."""


class RecordSorter:
    """Encoded records in, the same in order out."""

    def __init__(self, account: Account, take: Take) -> None:
        self._account = account
        self._take = take
        self._entries: list[Entry] = []
        self._held = 0
        self._reserved = FLOOR if account.reserve(FLOOR) else 0
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []
        self._count = 0

    def add(self, packet: int, connection: int, kind: str, line: bytes, rank: int = 0, order: int = -1) -> None:
        """A record that packet completed. rank: for records whose order among those of one packet and connection has to be told; order: the same, among
        those of one rank, all of which tell it.
        """
        self._held += len(line) + OVERHEAD
        if self._held > self._reserved:
            self._grow()
        # half of what Entry(...) takes, once a record
        self._entries.append(_new(Entry, (packet, connection, rank, order if order >= 0 else self._count, self._count, kind, line)))
        self._count += 1

    def flush(self) -> None:
        """Write everything that was added."""
        entries = self._entries
        entries.sort()
        if self._file is None:
            for some in _in_steps(entries, None):
                self._take(some)
        else:
            for some in self._merged(entries):
                self._take(some)
            self._file.close()
            self._file = None
            self._runs = []
        self._entries = []
        self._held = 0
        if self._reserved > FLOOR:
            self._account.release(self._reserved - FLOOR)
            self._reserved = FLOOR

    def _merged(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """All runs and what is in memory, in order, some STEP bytes at a time."""
        assert self._file is not None
        while len(self._runs) > _MOST_RUNS:
            # many runs are merged in levels: each that is open holds a line
            self._file.flush()
            some, self._runs = self._runs[:_MOST_RUNS], self._runs[_MOST_RUNS:]
            start = self._file.tell()
            for entry in heapq.merge(*(_read(self._file, *run) for run in some)):
                _put(self._file, entry, _line_of(entry, self._file))
            self._runs.append((start, self._file.tell()))
        self._file.flush()
        yield from _in_steps(heapq.merge(*(_read(self._file, *run) for run in self._runs), entries), self._file)

    def close(self) -> None:
        """Give the memory back."""
        self._account.release(self._reserved)
        self._reserved = 0

    def _grow(self) -> None:
        account = self._account
        more = -(-(self._held - self._reserved) // STEP) * STEP
        if account.used + more <= account.limit and account.reserve(more):
            self._reserved += more
        elif self._entries:
            self._spill()

    def _spill(self) -> None:
        self._entries.sort()
        if self._file is None:
            self._file = spool()  # lives until the block's flush
        file = self._file
        start = file.tell()
        for entry in self._entries:
            _put(file, entry, entry.line)
        self._runs.append((start, file.tell()))
        self._entries = []
        self._held = 0


def _in_steps(entries: Iterable[_Kept], file: IO[bytes] | None) -> Iterator[list[Entry]]:
    """Entries that take some STEP bytes at a time: whoever writes them joins them."""
    whole: list[Entry] = []
    size = 0
    for entry in entries:
        if type(entry) is not Entry:
            entry = Entry(*entry[:6], _line_of(entry, file))
        whole.append(entry)
        size += len(entry.line) + OVERHEAD
        if size >= STEP:
            yield whole
            whole, size = [], 0
    if whole:
        yield whole


def _line_of(entry: _Kept, file: IO[bytes] | None) -> bytes:
    line = entry[6]
    if isinstance(line, bytes):
        return line
    assert file is not None
    return _read_at(file, line.length, line.at)


def _put(file: IO[bytes], entry: _Kept, line: bytes) -> None:
    file.write(b"%d %d %d %d %d %b %d\n" % (*entry[:5], entry[5].encode(), len(line)))
    file.write(line)


class _Part(io.RawIOBase):
    """A part of a file, read by position, so that several can be read side by side."""

    def __init__(self, file: IO[bytes], at: int, end: int) -> None:
        self._file, self._at, self._end = file, at, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = _read_at(self._file, min(len(buffer), self._end - self._at), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _read_at(file: IO[bytes], n: int, at: int) -> bytes:
    """n bytes from a position; where the file is written stays where it was."""
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), n, at)
    here = file.tell()
    file.seek(at)
    data = file.read(n)
    file.seek(here)
    return data


def _read(file: IO[bytes], at: int, end: int) -> Iterator[_Kept]:
    part = io.BufferedReader(_Part(file, at, end), 16 << 10)
    while head := part.readline():
        *numbers, kind, size = head.split()
        packet, connection, rank, order, number = map(int, numbers)
        length = int(size)
        at += len(head)
        if length <= _LONG_LINE:
            yield packet, connection, rank, order, number, kind.decode(), part.read(length)
        else:
            yield packet, connection, rank, order, number, kind.decode(), _Later(at, length)
            part = io.BufferedReader(_Part(file, at + length, end), 16 << 10)
        at += length
