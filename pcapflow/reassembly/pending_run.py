"""In-order payload that is not handed on yet: where in the block it lies, segment by segment. Never copies.

A piece is where it begins in the block, where it ends counted from the first piece, and packet, time (ns) and raw acknowledgement number of
its segment. Invariant: the ends ascend, and each piece begins where the one before ends.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from pcapflow.streams.events import StreamData


class Rows(NamedTuple):
    """Columns of rows as lists, for walking."""

    packet: list[int]
    ts: list[int]
    clock: list[int]
    direction: list[int]
    flags: list[int]
    seq: list[int]
    ack: list[int]
    options: list[int]
    at: list[int]
    n: list[int]
    snapped: list[int]
    until: list[int]
    """Where the rows end that continue this one: data of the same direction, contiguous, that acknowledges nothing more."""
    ident: list[int]
    """IP identification."""
    heard: list[int]
    """See `duplicate_acks`; -1 for what acknowledges nothing, and for SYNs."""
    tags: list[int] | None = None
    """As they were captured, where some are not those of their connection."""


class Segment(NamedTuple):
    """A segment that is not simply next: its offsets in the stream, when it came, where its first byte lies in the block, and its raw acknowledgement number."""

    start: int
    end: int
    packet: int
    ts: int
    clock: int
    at: int
    ack: int


class Pieces:
    """The pieces since the last event, the first of which has the offset start."""

    __slots__ = ("acks", "at", "ends", "packets", "start", "times")

    def __init__(self, start: int) -> None:
        self.start = start
        self.at: list[int] = []
        self.ends: list[int] = []
        self.packets: list[int] = []
        self.times: list[int] = []
        self.acks: list[int] = []

    @property
    def length(self) -> int:
        """Bytes of all pieces."""
        return self.ends[-1]

    def append(self, at: int, end: int, packet: int, ts: int, ack: int) -> None:
        """One more, up to the stream's offset end."""
        self.at.append(at)
        self.ends.append(end - self.start)
        self.packets.append(packet)
        self.times.append(ts)
        self.acks.append(ack)

    def extend(self, rows: Rows, i: int, j: int, offset: int) -> None:
        """Those of rows[i:j], the first of which has that offset."""
        self.at += rows.at[i:j]
        self.ends += list(accumulate(rows.n[i:j], initial=offset - self.start))[1:]
        self.packets += rows.packet[i:j]
        self.times += rows.ts[i:j]
        self.acks += rows.ack[i:j]

    def event(self, view: memoryview) -> StreamData:
        """All of them as one event."""
        return StreamData(view, self.start, self.ends[-1], self.at, self.ends, self.packets, self.times, self.acks)

    def read(self, view: memoryview, at: int, end: int) -> list[memoryview]:
        """The bytes [at, end), counted from the first piece, in parts. Looks at no piece beside them."""
        parts = []
        i = bisect_right(self.ends, at)
        previous = self.ends[i - 1] if i else 0
        while at < end:
            skip = at - previous
            where, piece_end = self.at[i] + skip, self.ends[i]
            size = min(piece_end, end) - at
            parts.append(view[where : where + size])
            at += size
            previous = piece_end
            i += 1
        return parts
