"""The entries of a shard, kept from its task until those of all shards are merged.

Contract: `Keeper` is the `Link` of a shard that nobody waits for: it takes entries, in order, and `kept` says where they are: in the result itself, or under a URL. `frames` reads them, a
piece at a time. Invariant: the same entries give the same bytes; what is in the result is no more than was asked for, and of what is written or read one piece is in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import IO, NamedTuple

from pcapflow.cluster.whole_file import file_system, upload
from pcapflow.entries import Entry
from pcapflow.errors import OutputError, ReportError, WorkerError
from pcapflow.files import spool
from pcapflow.sizes import typed_size
from pcapflow.workers.frames import Frame, packed
from pcapflow.zstd import zstd_compressed, zstd_decompressed

PIECE = 512 << 10
"""Bytes of lines that are compressed together."""
_HEAD = struct.Struct("<II")
"""Of a piece: its bytes as they are kept, and without compression."""
_READ_AHEAD = 1 << 20


class Kept(NamedTuple):
    """Where entries are."""

    data: bytes
    """Pieces, where url is empty."""
    url: str = ""
    size: int = 0
    """Bytes there."""


class Keeper:
    """One shard's."""

    source = None
    """See `Link`."""

    def __init__(self, separator: bytes, most: int, url: str) -> None:
        """most: bytes that may be in the result; url: where to write more, empty for nowhere. Raises OutputError where no temporary file can be made."""
        self._separator = separator
        self._most = most
        self._url = url
        self._some: list[Entry] = []
        self._held = 0
        self._at_the_end = False
        self._file: IO[bytes] = spool()

    def ask(self, taken: int) -> None:
        """Nobody stops it."""

    def reached(self, packet: int) -> None:
        """Nobody waits for it."""

    def take(self, some: list[Entry]) -> None:
        """Entries, in order."""
        self._some += some
        self._held += sum(len(entry.line) for entry in some)
        if self._held >= PIECE:
            self._put()

    def end(self) -> None:
        """What comes now stands behind the last packet."""
        self._put()
        self._at_the_end = True

    def _put(self) -> None:
        if not self._some:
            return
        data = packed(self._some, self._separator, at_the_end=self._at_the_end)
        piece = zstd_compressed(bytes(data))
        self._some, self._held = [], 0
        try:
            self._file.write(_HEAD.pack(len(piece), len(data)))
            self._file.write(piece)
        except OSError as e:
            raise OutputError(f"a temporary file cannot be written: {e.strerror}") from None

    def kept(self) -> Kept:
        """All of them. Raises `WorkerError` where they are too many for the result, and there is no other place."""
        self._put()
        size = self._file.tell()
        try:
            self._file.seek(0)  # which writes what is not written yet
        except OSError as e:
            raise OutputError(f"a temporary file cannot be written: {e.strerror}") from None
        if size <= self._most:
            return Kept(self._file.read())
        if not self._url:
            raise WorkerError(
                f"its records take {typed_size(size)}, and a result has room for {typed_size(self._most)}: give --spill URL (spill=), a place that all reach, or ask for fewer records"
            )
        upload(self._file, self._url)
        return Kept(b"", self._url, size)

    def close(self) -> None:
        """Done with it."""
        self._file.close()


def remove(url: str) -> None:
    """What was written to a place, whether or not there is something."""
    with suppress(Exception):  # the report is whole without
        fs, path = file_system(url)
        fs.rm_file(path)


def frames(kept: Kept) -> Iterator[Frame]:
    """The entries, in order. Raises `ReportError` where they cannot be read."""
    if not kept.url:
        yield from _of_bytes(kept.data)
        return
    fs, path = file_system(kept.url)
    try:
        file = fs.open(path, "rb", block_size=_READ_AHEAD, cache_type="readahead")
    except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
        raise ReportError(f"{kept.url}: cannot be opened: {e}") from None
    with closing(file):
        yield from _of_file(file, kept)


def _of_bytes(data: bytes) -> Iterator[Frame]:
    at = 0
    while at < len(data):
        size, whole = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size
        yield Frame.unpacked(zstd_decompressed(data[at - size : at], whole))


def _of_file(file: IO[bytes], kept: Kept) -> Iterator[Frame]:
    at = 0
    while at < kept.size:
        try:
            head = file.read(_HEAD.size)
            size, whole = _HEAD.unpack(head)
            piece = file.read(size)
            frame = Frame.unpacked(zstd_decompressed(piece, whole))
        except Exception as e:  # noqa: BLE001 - whatever a library of a file system raises
            raise ReportError(f"{kept.url}: cannot be read behind byte {at}: {e}") from None
        at += _HEAD.size + size
        yield frame
