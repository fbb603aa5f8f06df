"""In-order payload that is not handed on yet: where in the block it lies, segment by segment. Never copies.

A piece is where it begins in the block, where it ends counted from the first piece, and packet, time (ns) and raw acknowledgement number of
its segment. Invariant: the ends ascend, and each piece begins where the one before ends.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from pcapflow.reassembly.events import StreamData

Piece = tuple[int, int, int, int, int]


class Segment(NamedTuple):
    """A segment that is not simply next: its offsets in the stream, and when it came."""

    start: int
    end: int
    packet: int
    ts: int


def event(view: memoryview, start: int, pieces: list[Piece]) -> StreamData:
    """The pieces, of which the first has the offset start, as one event."""
    at, ends, packets, times, acks = map(list, zip(*pieces, strict=True))
    return StreamData(view, start, ends[-1], at, ends, packets, times, acks)


def read(view: memoryview, pieces: list[Piece], at: int, end: int) -> list[memoryview]:
    """The bytes [at, end), counted from the first piece, in parts. Looks at no piece beside them."""
    parts = []
    i = bisect_left(pieces, at + 1, key=_end)
    previous = pieces[i - 1][1] if i else 0
    while at < end:
        where, piece_end, *_ = pieces[i]
        skip = at - previous
        size = min(piece_end, end) - at
        parts.append(view[where + skip : where + skip + size])
        at += size
        previous = piece_end
        i += 1
    return parts


def _end(piece: Piece) -> int:
    return piece[1]
