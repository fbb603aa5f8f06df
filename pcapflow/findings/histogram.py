"""Times in a fixed number of buckets, so that any number of them takes the same memory and two runs' can be added.

A log-linear histogram (G. Tene's HdrHistogram): each power of two of nanoseconds has STEPS buckets of one width. Contract: `quantile` is within ERROR of the value that
has that rank. Invariant: nothing depends on the order in which times come.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

_BITS = 4
STEPS = 1 << _BITS
ERROR = 1 / (2 * STEPS)
"""Relative: half a bucket."""
MOST = 1 << 44
"""Longer times (ns, 4.9 hours) are in the last bucket."""
_BUCKETS = (44 - _BITS + 1) * STEPS
HISTOGRAM_BYTES = 4 * _BUCKETS + 160


def _bucket(ns: int) -> int:
    if ns < STEPS:
        return ns
    shift = ns.bit_length() - _BITS - 1
    return (shift << _BITS) + (ns >> shift)


def _middle(bucket: int) -> int:
    if bucket < 2 * STEPS:
        return bucket
    shift = (bucket >> _BITS) - 1
    low = (bucket - (shift << _BITS)) << shift
    return low + ((1 << shift) >> 1)


class Histogram:
    """Of times in nanoseconds, from 0."""

    __slots__ = ("_counts", "count", "most")

    def __init__(self) -> None:
        self._counts = array("I", bytes(4 * _BUCKETS))
        self.count = 0
        self.most = 0
        """The longest, exactly."""

    def add(self, ns: int) -> None:
        """One more."""
        self._counts[_bucket(ns if ns < MOST else MOST - 1)] += 1
        self.count += 1
        if ns > self.most:
            self.most = ns

    def add_all(self, ns: npt.NDArray[np.int64]) -> None:
        """Many more: int64 (n,), n above 0."""
        some = np.minimum(ns, MOST - 1)
        shift = np.maximum(np.frexp(some.astype(np.float64))[1] - _BITS - 1, 0)  # a float has all bits of such a number
        buckets = np.bincount((shift << _BITS) + (some >> shift), minlength=_BUCKETS)
        np.frombuffer(self._counts, dtype=np.uint32)[:] += buckets.astype(np.uint32)
        self.count += len(ns)
        self.most = max(self.most, int(ns.max()))

    def merge(self, other: Histogram) -> None:
        """Those of another too."""
        self._counts = array("I", map(int.__add__, self._counts, other._counts))
        self.count += other.count
        self.most = max(self.most, other.most)

    def quantile(self, part: float) -> int:
        """The time (ns) that this part of them does not exceed, the nearest rank; 0 where there is none."""
        rank = max(1, -(-self.count * round(part * 1000) // 1000))
        if rank == self.count:
            return self.most
        seen = 0
        for bucket, n in enumerate(self._counts):
            seen += n
            if seen >= rank:
                return min(_middle(bucket), self.most)
        return 0
