"""What is masked of connections that are over, each as some bytes; and those for which there is no room, as bits.

Contract: `packed` makes the bytes of one connection, which begin with its ends and its number, so that they can be put in order; `Known` is one stream of it, read in place. `in_order` makes the ranges of a stream that are
masked of what was found. `Crowd` takes ends of connections of which nothing is kept. Invariant: KEPT_BYTES more than its length is what one costs; a crowd never loses ends, but may take others for them.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple
from zlib import crc32

import numpy as np

from pcapflow.findings.framing import Framing, Numbers, Placed
from pcapflow.ranges import MaskRange

KEPT_BYTES = 72
"""Of one that is kept beside its bytes: the object, and its place in lists."""
FAR = 1 << 30
"""Bytes from which on a stream needs to be followed to tell which of them a sequence number means."""
REACHED_BYTES = 512
"""Of both streams of a connection that are followed."""
_KEY = struct.Struct(">16sH16sH")
KEY_BYTES = _KEY.size
_NUMBER = 8
_REST = struct.Struct("=5qB8I")
_PLACES_AT = KEY_BYTES + _NUMBER + _REST.size
_FEW = 64
"""Ranges that are put in order one by one."""
_CROWD_SHARE, _CROWD_LEAST, _CROWD_MOST = 512, 1 << 10, 128 << 10

End = tuple[int, int]
"""Address and port."""


def key_of(a: End, b: End) -> bytes:
    """Two ends, the lower one first."""
    (low, low_port), (high, high_port) = (a, b) if a <= b else (b, a)
    return _KEY.pack(low.to_bytes(16, "big"), low_port, high.to_bytes(16, "big"), high_port)


class Side(NamedTuple):
    """One stream of a connection that is over."""

    base: int
    """The sequence number of its first byte; -1 for none."""
    length: int
    """Its bytes, those that are missing too."""
    whole: bool
    """All of it is masked."""
    outside: bool
    """Packets of it have bytes before its first or behind its last, which nobody looked at."""
    copies: bool
    """So have those of it that came again with other bytes."""
    ranges: array[int]
    """Of what is masked: from, up to, kind."""
    framing: Placed


def packed(key: bytes, number: int, last_packet: int, sides: tuple[Side, Side]) -> bytes:
    """What is kept of a connection."""
    one, other = sides
    flags = one.whole | other.whole << 1 | one.outside << 2 | other.outside << 3 | one.copies << 4 | other.copies << 5
    places = [numbers for side in sides for numbers in (side.ranges, side.framing.over, side.framing.lines, side.framing.read)]
    rest = _REST.pack(last_packet, one.base, other.base, one.length, other.length, flags, *map(len, places))
    return b"".join((key, number.to_bytes(_NUMBER, "big"), rest, *(numbers.tobytes() for numbers in places)))


def number_of(kept: bytes) -> int:
    """That of a connection."""
    return int.from_bytes(kept[KEY_BYTES : KEY_BYTES + _NUMBER], "big")


def last_packet_of(kept: bytes) -> int:
    """The packet that was its last."""
    found: int = _REST.unpack_from(kept, KEY_BYTES + _NUMBER)[0]
    return found


class Known:
    """A stream whose bytes are masked."""

    __slots__ = ("base", "copies", "framing", "last_packet", "length", "number", "outside", "ranges", "whole")

    def __init__(self, kept: bytes, direction: int) -> None:
        self.number = number_of(kept)
        self.last_packet, *both, flags, n, o, p, q, r, s, t, u = _REST.unpack_from(kept, KEY_BYTES + _NUMBER)
        self.base: int = both[direction]
        self.length: int = both[2 + direction]
        self.whole = bool(flags >> direction & 1)
        self.outside = bool(flags >> 2 + direction & 1)
        self.copies = bool(flags >> 4 + direction & 1)
        view = memoryview(kept)[_PLACES_AT:].cast("q")
        if direction:
            view, n, o, p, q = view[n + o + p + q :], r, s, t, u
        self.ranges: Numbers = view[:n]
        """From, up to, kind."""
        self.framing = Placed(view[n : n + o], view[n + o : n + o + p], view[n + o + p : n + o + p + q])


def in_order(found: array[int], framing: Framing | None, *, lost: bool) -> array[int]:
    """What is masked of a stream: what is secret, but for the framing of messages. lost: and what came where bytes were given up."""
    rows = _sorted(found)
    if framing is None:
        return _flat(_apart(_rows(rows)))
    rows = _sorted(_flat(chain(framing.apart(_rows(rows)), framing.lost() if lost else ())))
    return _flat(framing.before_messages(_apart(_rows(rows))))


def _rows(flat: array[int]) -> Iterator[MaskRange]:
    numbers = iter(flat)
    return zip(numbers, numbers, numbers, strict=True)


def _flat(ranges: Iterable[MaskRange]) -> array[int]:
    return array("q", chain.from_iterable(ranges))


def _sorted(flat: array[int]) -> array[int]:
    """Each once, in order."""
    if len(flat) <= 3 * _FEW:
        return _flat(sorted(set(_rows(flat)))) if len(flat) > 3 else flat
    return array("q", np.unique(np.frombuffer(flat, dtype=np.int64).reshape(-1, 3), axis=0).tobytes())


def _apart(ranges: Iterable[MaskRange]) -> Iterator[MaskRange]:
    """Sorted ranges without overlaps: of two the plain one, `x` for each byte, wins."""
    last: MaskRange | None = None
    for one in ranges:
        if last is not None and one[0] < last[1]:
            last = last[0], max(last[1], one[1]), last[2] if last[2] == one[2] else 0
        else:
            if last is not None:
                yield last
            last = one
    if last is not None:
        yield last


class Crowd:
    """Ends of connections, as bits: whatever has them is masked."""

    def __init__(self, limit: int) -> None:
        """limit: bytes that there are for everything."""
        self.size = max(_CROWD_LEAST, min(_CROWD_MOST, limit // _CROWD_SHARE))
        self._bits: bytearray | None = None

    def add(self, key: bytes) -> None:
        """These too."""
        if self._bits is None:
            self._bits = bytearray(self.size)
        at = crc32(key) % (8 * self.size)
        self._bits[at >> 3] |= 1 << (at & 7)

    def __contains__(self, key: bytes) -> bool:
        if self._bits is None:
            return False
        at = crc32(key) % (8 * self.size)
        return bool(self._bits[at >> 3] >> (at & 7) & 1)
