"""Which copy of a byte a receiver keeps when segments that wait behind a hole overlap with different bytes.

Novak and Sturges (*Target-Based TCP Stream Reassembly*, 2007) give a rule for two segments for each family of systems. Each rule is
a total order of segments as they came, untrimmed: of all that cover a byte, the first in the order has it. That decides any
number of segments, not only pairs (the PYROLYSE paper, 2025, on why triples need their own test). On triples it is what Linux's queue
does while it does not coalesce buffers, and what 4.4BSD and Solaris do for most; docs/overlaps.md has the differences.

Contract: `owners` says who has which bytes. `Witness` keeps, in bounded memory, the copies that differ, and tells when the
bytes are delivered under which policies they would have read differently. Bytes that were delivered stay as they are under every policy: the
receiver's application has them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.policy import Policy

Segment = tuple[int, int, int]
"""Start, end and arrival: offsets of the stream, and the how-manieth segment it is."""


ORDER: dict[Policy, Callable[[Segment], tuple[int, ...]]] = {
    Policy.FIRST: lambda s: (s[2],),
    Policy.LAST: lambda s: (-s[2],),
    Policy.BSD: lambda s: (s[0], s[2]),
    Policy.LINUX: lambda s: (s[0], -s[1], s[2]),
    Policy.WINDOWS: lambda s: (s[0], s[2]),
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


class Arrivals:
    """The segments that went behind a stream's holes, in the order in which they came: at most `most` of them."""

    __slots__ = ("_edges", "_most")

    def __init__(self, most: int) -> None:
        self._edges = array("q")
        self._most = most

    def add(self, start: int, end: int) -> bool:
        """Remember a segment; False where there are too many."""
        if len(self._edges) >= 2 * self._most:
            return False
        self._edges.extend((start, end))
        return True

    @property
    def latest(self) -> int:
        """The number of the last arrival."""
        return len(self._edges) // 2 - 1

    def covering(self, low: int, high: int) -> list[Segment]:
        """Those that have bytes of [low, high)."""
        edges, index = self._covering(low, high)
        return [(*edge, i) for edge, i in zip(edges.tolist(), index.tolist(), strict=True)]

    def hull(self, low: int, high: int, before: int) -> tuple[int, int]:
        """From where to where those reach that have bytes of [low, high) and came before that arrival; the range itself if none."""
        edges, index = self._covering(low, high)
        edges = edges[index < before]
        return (int(edges[:, 0].min()), int(edges[:, 1].max())) if len(edges) else (low, high)

    def _covering(self, low: int, high: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        edges = np.array(self._edges, dtype=np.int64).reshape(-1, 2)
        index = np.flatnonzero((edges[:, 0] < high) & (edges[:, 1] > low))
        return edges[index], index


class _Copy(NamedTuple):
    low: int
    data: bytes


class Witness:
    """The copies of contested bytes behind one stream's holes. Everything it keeps is counted in `held`."""

    __slots__ = ("_base", "_copies", "_most", "full", "held", "reserved")

    def __init__(self, most: int) -> None:
        """most: bytes of copies that are kept."""
        self._most = most
        self._base: list[_Copy] = []
        """What was there before the first copy that differed, disjoint."""
        self._copies: dict[int, list[_Copy]] = {}
        """By arrival."""
        self.held = 0
        self.reserved = 0
        """Of the `rings` account, for this."""
        self.full = False
        """There were more copies than are kept: every policy may read differently."""

    def contested(self, low: int, high: int) -> bool:
        """Whether some byte of [low, high) was contested already."""
        return any(c.low < high and low < c.low + len(c.data) for c in self._base)

    def add(self, arrival: int, low: int, before: bytes, after: bytes) -> None:
        """A segment brought `after` for the offsets from low on, where `before` was held."""
        if self.full or self.held + 2 * len(after) > self._most:
            self.full = True
            return
        high = low + len(after)
        at = low
        fresh: list[_Copy] = []
        for copy in self._base:
            end = copy.low + len(copy.data)
            if end <= at or copy.low >= high:
                continue
            if at < copy.low:
                fresh.append(_Copy(at, before[at - low : copy.low - low]))
            at = end
        if at < high:
            fresh.append(_Copy(at, before[at - low :]))
        self._base = sorted([*self._base, *fresh])
        self._copies.setdefault(arrival, []).append(_Copy(low, after))
        self.held += len(after) + sum(len(c.data) for c in fresh)

    def reads_differently(self, chosen: Policy, arrivals: Arrivals, start: int, end: int) -> set[Policy]:
        """[start, end) is delivered: the policies under which it would have read differently. Forgets those bytes."""
        if self.full:
            return set(Policy) - {chosen}
        differing: set[Policy] = set()
        kept: list[_Copy] = []
        for base in self._base:
            if base.low >= end:
                kept.append(base)
                continue
            low, high = base.low, base.low + len(base.data)
            segments = arrivals.covering(low, high)
            read = self._read(owners(chosen, segments, low, high), base)
            for policy in Policy:
                if policy not in differing and policy is not chosen and self._read(owners(policy, segments, low, high), base) != read:
                    differing.add(policy)
        self._base = kept
        if not kept:
            self._copies.clear()
            self.held = 0
        return differing

    def _read(self, owned: list[Owned], base: _Copy) -> bytes:
        """The bytes of a base's range as those owners have them."""
        out = bytearray(base.data)
        for low, high, arrival in owned:
            for copy in self._copies.get(arrival, ()):
                a, b = max(low, copy.low), min(high, copy.low + len(copy.data))
                if a < b:
                    out[a - base.low : b - base.low] = copy.data[a - copy.low : b - copy.low]
        return bytes(out)
