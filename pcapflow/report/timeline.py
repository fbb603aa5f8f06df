"""What happened when, in buckets of capture time whose number is fixed, however long the capture is.

Contract: `Timeline` takes times in nanoseconds, in any order, and counts; `value` gives plain lists. Invariant: BUCKETS buckets at the most; where the
capture goes beyond them, each becomes twice as wide, and two become one: sums are added, memory is the higher of both.
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


class Timeline:
    """Counts over capture time."""

    def __init__(self) -> None:
        self._width = _NARROWEST
        self._base = 0
        """The first bucket's number: its time is that times the width."""
        self._count = 0
        self._sums: dict[str, npt.NDArray[np.int64]] = {name: np.zeros(BUCKETS, dtype=np.int64) for name in _SUMS}
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
        self._width, self._base = width, base
        self._count = high // width - base + 1

    def value(self) -> dict[str, Any]:
        """start: seconds since the epoch; width: seconds of a bucket; a list a count; memory: a list an account that held anything."""
        n = self._count
        # a look at the accounts ends the time since the look before: buckets between are what it found
        looked = np.flatnonzero(np.any([row[:n] for row in self._memory.values()], axis=0))
        following = np.searchsorted(looked, np.arange(n))
        seen = following < len(looked)
        at = looked[following[seen]]
        return {
            "start": self._base * self._width / 1e9,
            "width": self._width / 1e9,
            **{name: row[:n].tolist() for name, row in self._sums.items()},
            "memory": {name: [*row[at].tolist(), *[0] * (n - len(at))] for name, row in self._memory.items() if row.any()},
        }
