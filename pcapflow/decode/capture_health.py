"""Signs of how a capture was made, seen in the columns: offloaded segments, times that go back, wrong checksums.

Contract: `Watch.look` takes each block and its segments in order; the counts do not depend on where blocks end. Invariant: the cost is a few
comparisons of columns a block; checksums are worked out for one packet in CHECKSUM_EVERY, by its number, so the same ones in every run.
"""

from __future__ import annotations

import numpy as np

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import checksums
from pcapflow.decode.segments import SegmentColumns

CHECKSUM_EVERY = 256
"""Packets of which one is checked, a power of two: the sum over every byte would cost as much as all of the decoding."""
MTU_PAYLOAD = 1460
"""The most payload that fits a packet of 1,500 bytes; what is longer was put together by the sender's or receiver's network card,
or crossed a network of jumbo frames.
"""


class Watch:
    """Counts over one run."""

    __slots__ = ("_last_ts", "backwards", "checksums", "oversized", "sliced", "wrong_checksums")

    def __init__(self) -> None:
        self.sliced = 0
        """Segments that are longer than their record says they were on the wire: somebody cut both."""
        self.oversized = 0
        """Segments with more payload than a packet of 1,500 bytes has room for."""
        self.backwards = 0
        """Packets that are older than the one before."""
        self.checksums = 0
        """TCP checksums that were worked out, and how many of them were wrong."""
        self.wrong_checksums = 0
        self._last_ts: int | None = None

    def look(self, block: PacketBlock, segments: SegmentColumns) -> None:
        """The next block and its segments."""
        ts = block.ts
        first = int(ts[0])
        self.backwards += int(np.count_nonzero(ts[1:] < ts[:-1])) + (self._last_ts is not None and first < self._last_ts)
        self._last_ts = int(ts[-1])
        if not len(segments):
            return
        if segments.snapped.any():
            whole = block.caplen[segments.row] >= block.wirelen[segments.row]
            self.sliced += int(np.count_nonzero((segments.snapped > 0) & whole))
        self.oversized += int(np.count_nonzero(segments.payload_len + segments.snapped > MTU_PAYLOAD))
        chosen = segments.packet & (CHECKSUM_EVERY - 1) == 0
        for i in (chosen & (segments.snapped == 0)).nonzero()[0].tolist():
            self.checksums += 1
            self.wrong_checksums += not checksums.adds_up(block, segments, i)
