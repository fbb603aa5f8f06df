"""Which copy of a byte a receiver keeps when segments that wait behind a hole overlap with different bytes.

Novak and Sturges (*Target-Based TCP Stream Reassembly*, 2007) give a rule for two segments for each family of systems. Each rule is
a total order of segments as they came, untrimmed: of all that cover a byte, the first in the order has it. That decides any
number of segments, not only pairs (the PYROLYSE paper, 2025, on why triples need their own test). On triples it is what Linux's queue
does while it does not coalesce buffers, and what 4.4BSD and Solaris do for most; docs/overlaps.md has the differences.

Contract: `owners` says who has which bytes, `Arrivals` remembers which segments came. Bytes that were delivered stay as they are under every
policy: the receiver's application has them. Invariant: what `Arrivals` keeps is reserved in the `rings` account.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Account
from pcapflow.policy import Policy

Segment = tuple[int, int, int]
"""Start, end and arrival: offsets of the stream, and the how-manieth segment it is."""
Part = tuple[int, int, list[Segment] | None]
"""A range, and the segments that have bytes of it; None where there are too many to say."""


def _by_start(s: Segment) -> tuple[int, ...]:
    return s[0], s[2]


ORDER: dict[Policy, Callable[[Segment], tuple[int, ...]]] = {
    Policy.FIRST: lambda s: (s[2],),
    Policy.LAST: lambda s: (-s[2],),
    Policy.BSD: _by_start,
    Policy.LINUX: lambda s: (s[0], -s[1], s[2]),
    Policy.WINDOWS: _by_start,
    Policy.SOLARIS: lambda s: (-s[1], s[0], -s[2]),
}
"""Of the segments that cover a byte, the one that sorts first has it."""


class Owned(NamedTuple):
    """[low, high) belongs to the segment that came as that arrival."""

    low: int
    high: int
    arrival: int


def owners(policy: Policy, segments: Iterable[Segment], low: int, high: int) -> list[Owned]:
    """Who has the bytes of [low, high), all of which some segment covers, in order."""
    free = [(low, high)]
    found: list[Owned] = []
    for start, end, arrival in sorted(segments, key=ORDER[policy]):
        rest: list[tuple[int, int]] = []
        for a, b in free:
            begin, stop = max(a, start), min(b, end)
            if begin >= stop:
                rest.append((a, b))
                continue
            found.append(Owned(begin, stop, arrival))
            if a < begin:
                rest.append((a, begin))
            if stop < b:
                rest.append((stop, b))
        free = rest
        if not free:
            break
    return sorted(found)


Table = npt.NDArray[np.int64]
"""int64 (n, 3): start, end and number of n arrivals."""
_FAR = 1 << 62
_MANY = 8
"""Times as many segments as are told apart may have bytes of one range, side by side."""
_ROWS_A_BYTE = 4
"""What telling segments apart may cost for each byte that is contested: rows, summed over the parts in which they lie. Without that, some hundred segments
of which each has another one's bytes would be gone through for every byte of every later copy."""
_STEP = 64
"""Arrivals for which memory is reserved at a time."""
_STEP_BYTES = 28 * _STEP
"""Three numbers each, and what an array keeps in reserve."""
_AT_ONCE = 16
"""Arrivals whose memory is reserved by whoever makes the object."""


class Arrivals:
    """The segments that came for what waits behind a stream's holes, in the order in which they came: at most `most` of them at one time."""

    __slots__ = ("_account", "_edges", "_most", "_room", "_varied", "complete", "latest", "reserved")

    def __init__(self, account: Account, most: int, varied: int) -> None:
        """varied: segments over one byte that are told apart."""
        self._account = account
        self._edges = array("q")
        """Start, end and number of each."""
        self._most = most
        self._varied = varied
        self._room = 3 * _AT_ONCE
        self.latest = -1
        """The number of the last arrival, from 0."""
        self.complete = True
        """Whether every segment is remembered that has bytes of what waits."""
        self.reserved = 0

    def add(self, start: int, end: int, known_to: int) -> None:
        """A segment comes; those that end at or before known_to may be forgotten."""
        self.latest += 1
        if not self.complete:
            return
        edges = self._edges
        if edges and edges[-3] == start and edges[-2] == end and len(edges) >= 6 and edges[-6] == start and edges[-5] == end:
            edges[-1] = self.latest  # of many that are alike, the first and the last tell all
            return
        if len(edges) >= self._room:
            self._make_room(known_to)
        if self.complete:
            edges.extend((start, end, self.latest))

    def _make_room(self, known_to: int) -> None:
        if len(self._edges) >= 3 * self._most:
            keep = self.table(known_to, _FAR)
            self._edges[:] = array("q", keep.tobytes())
            self.complete = 2 * len(keep) <= self._most
        elif self._account.reserve(_STEP_BYTES):
            self.reserved += _STEP_BYTES
            self._room = min(self._room + 3 * _STEP, 3 * self._most)
        else:
            self.complete = False
        if not self.complete:
            self.close()

    def close(self) -> None:
        """Give all memory back; nothing is remembered any more."""
        self.complete = False
        self._edges = array("q")
        self._account.release(self.reserved)
        self.reserved = 0

    def table(self, low: int, high: int) -> Table:
        """Those that have bytes of [low, high), in the order in which they came."""
        if not self._edges:
            return np.zeros((0, 3), dtype=np.int64)
        edges = np.frombuffer(self._edges, dtype=np.int64).reshape(-1, 3)  # for a moment: an array that is looked into cannot grow
        return _within(edges, low, high)

    def parts(self, table: Table, low: int, high: int) -> list[Part]:
        """[low, high) in parts, in order, each with the rows of the table that have bytes of it, at most as many as are told apart. One part, and None
        for its rows, where not all segments were remembered, more have one byte than are told apart, many times more have bytes of it all, or so many
        lie in so many parts that to tell them apart would cost more than a few rows a byte.
        """
        unknown: list[Part] = [(low, high, None)]
        inside = _within(table, low, high)
        if not self.complete or len(inside) > _MANY * self._varied or (len(inside) > self._varied and _depth(inside) > self._varied):
            return unknown
        left = max(_MANY * self._varied, _ROWS_A_BYTE * (high - low))
        found: list[Part] = []
        todo = [(low, high, inside)]
        while todo:
            begin, end, inside = todo.pop()
            left -= min(len(inside), self._varied)
            if left < 0:
                return unknown
            if len(inside) <= self._varied:
                found.append((begin, end, [(start, stop, number) for start, stop, number in inside.tolist()]))
            else:
                middle = (begin + end) // 2
                todo += [(middle, end, _within(inside, middle, end)), (begin, middle, _within(inside, begin, middle))]
        return found

    def hull(self, table: Table, low: int, high: int) -> tuple[int, int]:
        """From where to where those of a table reach that came before the latest; [low, high) itself if none is known."""
        edges = table[table[:, 2] < self.latest]
        return (int(edges[:, 0].min()), int(edges[:, 1].max())) if len(edges) else (low, high)


def _depth(edges: Table) -> int:
    """The most segments that have one byte."""
    at = np.concatenate((edges[:, 1], edges[:, 0]))  # where one ends and another begins, the end comes first
    step = np.repeat((-1, 1), len(edges))
    return int(np.cumsum(step[np.argsort(at, kind="stable")]).max())


def _within(edges: Table, low: int, high: int) -> Table:
    return edges[(edges[:, 0] < high) & (edges[:, 1] > low)]
