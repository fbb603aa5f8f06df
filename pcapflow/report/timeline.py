"""What happened when, in buckets of capture time whose number is fixed, however long the capture is.

Contract: `Timeline` takes times in nanoseconds, in any order, and counts; `value` gives plain lists. Invariant: BUCKETS buckets at the most; where the
capture goes beyond them, each becomes twice as wide, and two become one: sums and histograms are added, of the longest time and memory it is the higher
of both. So nothing but memory depends on the order in which times come, or on what comes together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger

BUCKETS = 400
_NARROWEST = 1_000_000
"""A bucket is a millisecond wide at first."""
_SUMS = ("packets", "bytes", "missing_bytes", "gaps", "drops")
CLASSES = ("unanswered", "1xx", "2xx", "3xx", "4xx", "5xx", "other")
"""What became of exchanges: the class of their status, or no answer."""
_BITS = 4
"""A log-linear histogram has 16 buckets to each power of two, as that of the endpoints: a quantile is within 3.2%."""
_LONGEST = 1 << 34
"""Longer times (microseconds, 4.7 hours) are in a histogram's last bucket."""
_CELLS = (34 - _BITS + 1) << _BITS
_LONGEST_NS = 1 << 44
"""The same of the histogram of all exchanges, which has the buckets of an endpoint's: of one endpoint alone both say the same."""
_ALL_CELLS = (44 - _BITS + 1) << _BITS
LATENCY_BYTES = 4 * BUCKETS * _CELLS
"""Of a histogram a bucket."""


class Timeline:
    """Counts over capture time."""

    def __init__(self, *, quantiles: bool = False) -> None:
        """quantiles: keep a histogram of durations a bucket, LATENCY_BYTES, for which the caller has the room."""
        self._width = _NARROWEST
        self._base = 0
        """The first bucket's number: its time is that times the width."""
        self._count = 0
        self._sums: dict[str, npt.NDArray[np.int64]] = {name: np.zeros(BUCKETS, dtype=np.int64) for name in _SUMS}
        self._classes: npt.NDArray[np.int64] = np.zeros((BUCKETS, len(CLASSES)), dtype=np.int64)
        self._all: npt.NDArray[np.int64] = np.zeros(_ALL_CELLS, dtype=np.int64)
        self._durations: npt.NDArray[np.uint32] | None = np.zeros((BUCKETS, _CELLS), dtype=np.uint32) if quantiles else None
        self._longest: npt.NDArray[np.int64] = np.full(BUCKETS, -1, dtype=np.int64)
        self._memory: dict[str, npt.NDArray[np.int64]] = {name: np.zeros(BUCKETS, dtype=np.int64) for name in Ledger.NAMES}

    def packets(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """Packets at those times (ns), with so many bytes each; int64 of shape (packets,)."""
        if not len(ts):
            return
        self._make_room(int(ts.min()), int(ts.max()))
        index = ts // self._width - self._base
        self._sums["packets"] += np.bincount(index, minlength=BUCKETS)
        self._sums["bytes"] += np.bincount(index, weights=lengths, minlength=BUCKETS).astype(np.int64)

    def add(self, name: str, ts: int, n: int) -> None:
        """n of something at a time: `missing_bytes`, `gaps` or `drops`."""
        self._make_room(ts, ts)
        self._sums[name][ts // self._width - self._base] += n

    def exchanges(self, ts: npt.NDArray[np.int64], durations: npt.NDArray[np.int64], statuses: npt.NDArray[np.int64]) -> None:
        """Exchanges that began at those times (ns): how long each took (microseconds, -1 where nobody knows), its status (0 for no answer); int64 of shape (exchanges,)."""
        if not len(ts):
            return
        self._make_room(int(ts.min()), int(ts.max()))
        index = ts // self._width - self._base
        hundreds = statuses // 100
        classes = np.where(statuses == 0, 0, np.where((hundreds >= 1) & (hundreds <= 5), hundreds, len(CLASSES) - 1))
        np.add.at(self._classes.reshape(-1), index * len(CLASSES) + classes, 1)
        known = durations >= 0
        index, durations = index[known], durations[known]
        cells = _cells(durations)
        self._all += np.bincount(_cells(durations * 1000, _LONGEST_NS), minlength=_ALL_CELLS)
        np.maximum.at(self._longest, index, durations)
        if self._durations is not None:
            np.add.at(self._durations.reshape(-1), index * _CELLS + cells, np.uint32(1))

    def memory(self, ts: int, ledger: Ledger) -> None:
        """What the accounts hold at a time."""
        self._make_room(ts, ts)
        at = ts // self._width - self._base
        for account in ledger.accounts():
            row = self._memory[account.name]
            row[at] = max(row[at], account.used)

    def _make_room(self, first: int, last: int) -> None:
        """Make buckets for the times from first to last."""
        if not self._count:
            self._base = first // self._width
            self._count = 1
        low, high = self._base * self._width, (self._base + self._count) * self._width - 1
        low, high = min(low, first), max(high, last)
        width = self._width
        while high // width - low // width >= BUCKETS:
            width *= 2
        base = low // width
        if width != self._width or base != self._base:
            old = (np.arange(self._count, dtype=np.int64) + self._base) * self._width // width - base
            for name, row in self._sums.items():
                new = np.zeros(BUCKETS, dtype=np.int64)
                np.add.at(new, old, row[: self._count])
                self._sums[name] = new
            for name, row in self._memory.items():
                new = np.zeros(BUCKETS, dtype=np.int64)
                np.maximum.at(new, old, row[: self._count])
                self._memory[name] = new
            self._move_exchanges(old)
        self._width, self._base = width, base
        self._count = high // width - base + 1

    def _move_exchanges(self, to: npt.NDArray[np.int64]) -> None:
        """Put what is known of exchanges where its buckets are now."""
        n = len(to)
        classes = np.zeros_like(self._classes)
        np.add.at(classes, to, self._classes[:n])
        longest = np.full_like(self._longest, -1)
        np.maximum.at(longest, to, self._longest[:n])
        self._classes, self._longest = classes, longest
        if self._durations is not None:
            durations = np.zeros_like(self._durations)
            np.add.at(durations, to, self._durations[:n])
            self._durations = durations

    def latency(self) -> dict[str, float | int | None]:
        """Of all exchanges that were answered: how many, and the times (s) that 50% and 95% of them did not exceed, and the longest; None where there is none."""
        longest = int(self._longest.max())
        if longest < 0:
            return {"count": 0, "p50": None, "p95": None, "max": None}
        quantiles = {f"p{part}": (_quantile(self._all, part, longest * 1000) + 500) // 1000 / 1e6 for part in (50, 95)}
        return {"count": int(self._all.sum()), **quantiles, "max": longest / 1e6}

    def value(self) -> dict[str, Any]:
        """start: seconds since the epoch; width: seconds of a bucket; a list a count; memory: a list an account that held anything."""
        n, longest = self._count, self._longest
        # a look at the accounts ends the time since the look before: buckets between are what it found
        looked = np.flatnonzero(np.any([row[:n] for row in self._memory.values()], axis=0))
        following = np.searchsorted(looked, np.arange(n))
        seen = following < len(looked)
        at = looked[following[seen]]
        return {
            "start": self._base * self._width / 1e9,
            "width": self._width / 1e9,
            **{name: row[:n].tolist() for name, row in self._sums.items()},
            "status": {name: self._classes[:n, i].tolist() for i, name in enumerate(CLASSES) if self._classes[:, i].any()},
            "longest": [most / 1e6 if most >= 0 else None for most in longest[:n].tolist()],
            "p95": None
            if self._durations is None
            else [_quantile(self._durations[i], 95, int(longest[i])) / 1e6 if longest[i] >= 0 else None for i in range(n)],
            "memory": {name: [*row[at].tolist(), *[0] * (n - len(at))] for name, row in self._memory.items() if row.any()},
        }


def _cells(durations: npt.NDArray[np.int64], longest: int = _LONGEST) -> npt.NDArray[np.int64]:
    """Which cell of a histogram each duration is in."""
    some = np.minimum(durations, longest - 1)
    shift = np.maximum(np.frexp(some.astype(np.float64))[1] - _BITS - 1, 0)
    found: npt.NDArray[np.int64] = (shift << _BITS) + (some >> shift)
    return found


def _quantile(histogram: npt.NDArray[Any], percent: int, longest: int) -> int:
    """The duration that so many percent did not exceed, the nearest rank; the histogram has one at least."""
    seen = np.cumsum(histogram)
    rank = max(1, -(-int(seen[-1]) * percent // 100))
    if rank == int(seen[-1]):
        return longest
    cell = int(np.searchsorted(seen, rank))
    shift = max((cell >> _BITS) - 1, 0)
    low = (cell - (shift << _BITS)) << shift
    return min(low + ((1 << shift) >> 1), longest)
