"""Which worker's a segment is: by its connection, so that each worker sees all of those that are its own, and every worker decides alike.

Contract: `Shares.of` gives the worker of each row; it takes all rows of all blocks, in order, in every worker. Connections are put into BUCKETS by a hash of their addresses and ports alone, which
are the same for both directions, with any VLAN tag and in any tunnel; a bucket is one worker's to the end. Invariant: whose a bucket is depends on the rows before it, which are the same in every worker (`Ledger.leave`), never on how they
were cut into blocks: a new one goes to the worker that has least so far, counted up to the last WINDOW of packets, and what was sampled of a capture before (`costs_of`) counts from its start.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import SYN, SegmentColumns

I64 = npt.NDArray[np.int64]
_BITS = 14
BUCKETS = 1 << _BITS
WINDOW = 1024
"""Packets after which what each worker has is counted anew."""
SEGMENT_COST, BYTE_COST, SYN_COST = 1000, 3, 35_000
"""What a segment and a byte of payload cost, and each of the two SYNs that begin a connection beside that, about, in nanoseconds (measured on captures of JSON)."""
START_COST = 150_000_000
"""What a worker does before it begins, when the first one has begun; less where all there is costs little."""
_EVEN, _MERGING = 16, 20
"""What is a cost of 16 for others is one of 20 for who puts entries in order."""
READING_COST = 2
"""What a byte costs whoever undoes a compression."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Knuth's multiplicative hash: 2^64 divided by the golden ratio."""
_MORE = np.uint64(0xD6E8FEB86659FD93)


def ends_hash(c: SegmentColumns) -> npt.NDArray[np.uint64]:
    """uint64 (n,): a hash of both addresses and ports of each row, the same for both directions."""
    return (_mixed(c.src_hi, c.src_lo, c.sport) + _mixed(c.dst_hi, c.dst_lo, c.dport)) * _MORE


def buckets_of(c: SegmentColumns) -> I64:
    """int64 (n,): the bucket of each row, the same for both directions."""
    return (ends_hash(c) >> np.uint64(64 - _BITS)).astype(np.int64)


def _mixed(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], port: I64) -> npt.NDArray[np.uint64]:
    mixed = (low * _ODD ^ high) * _MORE + port.astype(np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(29)) * _ODD
    return mixed ^ mixed >> np.uint64(32)


def costs_of(c: SegmentColumns) -> I64:
    """int64 (n,): what each row costs, about."""
    costs: I64 = SEGMENT_COST + BYTE_COST * c.payload_len + SYN_COST * ((c.flags & SYN) != 0)
    return costs


class Shares:
    """One run's, as every worker keeps it."""

    def __init__(self, workers: int, sampled: I64 | None = None, *, merges: bool = False, reads: bool = False) -> None:
        """sampled: int64 (BUCKETS,), what the connections of each bucket cost in a sample of the captures; None for no sample. merges: the first worker puts the others' entries
        in order too; reads: and reads the capture, or undoes its compression, for all.
        """
        self.workers = workers
        self._reads = reads
        self._slowness = np.full(workers, _EVEN, dtype=np.int64)
        """What the same cost is for each."""
        if merges:
            self._slowness[0] = _MERGING
        self._owner = np.full(BUCKETS, -1, dtype=np.int64)
        self._load = np.zeros(workers, dtype=np.int64)
        """What each worker has so far, up to the last window."""
        self._since = np.zeros(workers, dtype=np.int64)
        """What came since then."""
        self._given = [0] * workers
        """Buckets that are each one's."""
        self._expected = 1
        """What a new bucket will cost: what all cost up to the window, by bucket."""
        self._window = 0
        if sampled is not None:
            self._load[1:] = min(START_COST, int(sampled.sum()) // (2 * workers))
            self._deal(sampled)

    def _deal(self, sampled: I64) -> None:
        """The heaviest first, each to the one that would have least. What is dealt out counts as load when it comes, not before."""
        load = self._load.tolist()
        for bucket in np.argsort(-sampled, kind="stable")[: np.count_nonzero(sampled)].tolist():
            worker = min(range(self.workers), key=lambda w: (load[w], w))
            load[worker] += int(sampled[bucket] * self._slowness[worker]) // _EVEN
            self._owner[bucket] = worker

    def of(self, columns: SegmentColumns) -> I64:
        """int64 (n,): the worker of each row."""
        buckets, costs = buckets_of(columns), costs_of(columns)
        windows = columns.packet // WINDOW
        found = np.empty(len(columns), dtype=np.int64)
        at = 0
        while at < len(columns):
            window = int(windows[at])
            end = int(np.searchsorted(windows, window, side="right"))
            if window != self._window:
                self._window = window
                self._load += self._since * self._slowness // _EVEN
                self._since[:] = 0
                self._given = [0] * self.workers
                self._expected = max(1, int(self._load.sum()) // max(1, int(np.count_nonzero(self._owner >= 0))))
            some = buckets[at:end]
            owners = self._owner[some]
            if (owners < 0).any():
                self._give_out(some[owners < 0])
                owners = self._owner[some]
            self._since += np.bincount(owners, weights=costs[at:end], minlength=self.workers).astype(np.int64)
            if self._reads:
                self._since[0] += READING_COST * int(columns.payload_len[at:end].sum())
            found[at:end] = owners
            at = end
        return found

    def _give_out(self, buckets: I64) -> None:
        """New buckets, in the order of their first rows: of those of one window each worker gets as many as makes what it has even."""
        fresh, first = np.unique(buckets, return_index=True)
        load, expected = self._load.tolist(), self._expected
        for bucket in fresh[np.argsort(first)].tolist():
            worker = min(range(self.workers), key=lambda w: (load[w] + self._given[w] * expected, w))
            self._given[worker] += 1
            self._owner[bucket] = worker
