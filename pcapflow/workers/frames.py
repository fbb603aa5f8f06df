"""Entries on their way from one process to another: columns of their places, and their lines in one piece.

Contract: `packed` makes bytes of entries that are in order, `Frame.unpacked` the same entries of them. Invariant: a line stands behind the one before it with the separator between that whoever
writes them puts there, so that neighbors are written as one piece.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pcapflow.entries import Entry

I64 = npt.NDArray[np.int64]
_HEADER = struct.Struct("<QQQ")


def place_of(packet: int, *, at_the_end: bool) -> int:
    """The first part of an entry's place. At the end of the capture come entries that its last packet completed too, behind the others."""
    return 2 * packet + at_the_end


def _columns(entries: Sequence[Entry], *, at_the_end: bool) -> tuple[I64, npt.NDArray[np.uint16], tuple[str, ...], tuple[bytes, ...]]:
    """int64 (3, n): places, connections and lengths of the lines; uint16 (n,): of their kinds; these; the lines."""
    packets, connections, _, _, _, kinds, lines = zip(*entries, strict=True)
    named = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
    columns = np.array((packets, connections, tuple(map(len, lines))), dtype=np.int64)
    columns[0] *= 2
    columns[0] += at_the_end
    codes = np.zeros(len(entries), dtype=np.uint16)
    if len(named) > 1:
        codes[:] = [named[kind] for kind in kinds]
    return columns, codes, tuple(named), lines


def packed(entries: Sequence[Entry], separator: bytes, *, at_the_end: bool = False) -> bytearray:
    """Some entries, in order; at least one."""
    columns, codes, kinds, lines = _columns(entries, at_the_end=at_the_end)
    names = "\n".join(kinds).encode()
    data = bytearray(_HEADER.pack(len(entries), len(names), len(separator)))
    for part in (names, columns.tobytes(), codes.tobytes(), separator.join(lines)):
        data += part
    return data


class Frame(NamedTuple):
    """Some entries of one shard, in order.

    place, connection: int64 (n,), see `place_of`; starts, ends: int64 (n,), of the lines in text; codes: uint16 (n,), of their kinds.
    """

    place: I64
    connection: I64
    starts: I64
    ends: I64
    codes: npt.NDArray[np.uint16]
    kinds: tuple[str, ...]
    text: memoryview

    @classmethod
    def of(cls, entries: Sequence[Entry], separator: bytes, *, at_the_end: bool = False) -> Self:
        """What `packed` would make, without the way there."""
        columns, codes, kinds, lines = _columns(entries, at_the_end=at_the_end)
        return cls._of(columns, codes, kinds, memoryview(separator.join(lines)), len(separator))

    @classmethod
    def _of(cls, columns: I64, codes: npt.NDArray[np.uint16], kinds: tuple[str, ...], text: memoryview, separator: int) -> Self:
        ends = np.cumsum(columns[2] + separator) - separator
        return cls(columns[0], columns[1], ends - columns[2], ends, codes, kinds, text)

    @classmethod
    def unpacked(cls, data: bytes | bytearray | memoryview) -> Self:
        """What `packed` made."""
        n, named, separator = _HEADER.unpack_from(data)
        at = _HEADER.size
        kinds = tuple(str(data[at : at + named], "utf-8").split("\n"))
        at += named
        columns = np.frombuffer(data, dtype=np.int64, count=3 * n, offset=at).reshape(3, n)
        at += 24 * n
        codes = np.frombuffer(data, dtype=np.uint16, count=n, offset=at)
        return cls._of(columns, codes, kinds, memoryview(data)[at + 2 * n :], separator)

    @property
    def last(self) -> tuple[int, int]:
        """The place and connection of the last entry."""
        return int(self.place[-1]), int(self.connection[-1])

    def entry(self, i: int) -> Entry:
        """One of them, as sinks take it."""
        line = bytes(self.text[self.starts[i] : self.ends[i]])
        return Entry(int(self.place[i]) >> 1, int(self.connection[i]), 0, 0, 0, self.kinds[self.codes[i]], line)
