"""Which packets are of chosen connections: those between their ends, from the first of each up to the first of the next with the same ends.

Contract: `Intervals.of` answers for the segments of a block. Packets between the same addresses and ports in another VLAN or tunnel are of them too. Invariant: time is n log n in the
segments of a block, whatever the connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import SegmentColumns
from pcapflow.decode.shares import ends_hash
from pcapflow.ranges import united

I64 = npt.NDArray[np.int64]
Ends = tuple[tuple[int, int, int], tuple[int, int, int]]
FOREVER = 1 << 40
"""A packet number that no capture reaches."""
_SHIFT = 40


class Span(NamedTuple):
    """The packets of one connection: from its number on, up to stop; ends: high and low word of the address, and the port, of each."""

    ends: Ends
    number: int
    stop: int = FOREVER


def hash_of(ends: Ends) -> int:
    """As `ends_hash` has it."""
    a, b = ends

    def word(value: int) -> npt.NDArray[np.uint64]:
        return np.array([value], dtype=np.uint64)

    none, no = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.uint64)
    ports = np.array([a[2]]), np.array([b[2]])
    row = SegmentColumns(
        none, none, none, none, none, none, none, none, none, word(a[0]), word(a[1]), word(b[0]), word(b[1]), *ports, no, no, none
    )
    return int(ends_hash(row)[0])


class Intervals:
    """Of some connections."""

    def __init__(self, spans: Sequence[Span]) -> None:
        by_hash: dict[int, list[tuple[int, int]]] = {}
        for span in spans:
            by_hash.setdefault(hash_of(span.ends), []).append((span.number, span.stop))
        self._hashes = np.array(sorted(by_hash), dtype=np.uint64)
        starts, stops = [], []
        for rank, one in enumerate(self._hashes.tolist()):
            for start, stop in united(by_hash[one]):
                starts.append((rank << _SHIFT) + start)
                stops.append((rank << _SHIFT) + stop - 1)
        self._starts, self._last = np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    def of(self, segments: SegmentColumns) -> npt.NDArray[np.bool_]:
        """bool (n,): which of the segments are of chosen connections."""
        found = np.zeros(len(segments), dtype=bool)
        if not len(self) or not len(segments):
            return found
        hashes = ends_hash(segments)
        ranks = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        known = np.flatnonzero(self._hashes[ranks] == hashes)
        places = (ranks[known] << _SHIFT) + segments.packet[known]
        at = np.searchsorted(self._starts, places, side="right") - 1
        found[known] = (at >= 0) & (places <= self._last[np.maximum(at, 0)])
        return found
