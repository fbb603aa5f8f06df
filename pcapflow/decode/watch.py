"""Signs of how a capture was made, seen in the columns: duplicates, offloaded segments, times that go back, wrong checksums.

Contract: `Watch.look` takes each block and its segments in order; the counts do not depend on where blocks end. Invariant: the cost is a few
comparisons of columns a block; checksums are worked out for one packet in CHECKSUM_EVERY, by its number, so the same ones in every run.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import checksums
from pcapflow.decode.segments import FIN, SYN, SegmentColumns

CHECKSUM_EVERY = 256
"""Packets of which one is checked: the sum over every byte would cost as much as all of the decoding."""
MTU_PAYLOAD = 1460
"""The most payload that fits a packet of 1,500 bytes; what is longer was put together by the sender's or receiver's network card,
or crossed a network of jumbo frames.
"""
SAME_WITHIN = 1_000_000
"""Nanoseconds within which the same segment again is a second copy of one packet, not a retransmission."""
_LOOK_BACK = 2
"""Packets: a mirror port that sees both sides of a switch shows each packet twice, at once or with another one between."""
_COMPARED = ("seq", "ack", "flags", "payload_len", "sport", "dport", "src_lo", "dst_lo")


class Watch:
    """Counts over one run."""

    __slots__ = ("_last_ts", "_tail", "backwards", "checksums", "duplicated", "oversized", "wrong_checksums")

    def __init__(self) -> None:
        self.duplicated = 0
        """Segments that are a second copy of one of the two packets before."""
        self.oversized = 0
        """Segments with more payload than a packet of 1,500 bytes has room for."""
        self.backwards = 0
        """Packets that are older than the one before."""
        self.checksums = 0
        """TCP checksums that were worked out, and how many of them were wrong."""
        self.wrong_checksums = 0
        self._last_ts: int | None = None
        self._tail: list[npt.NDArray[np.int64]] = []

    def look(self, block: PacketBlock, segments: SegmentColumns) -> None:
        """The next block and its segments."""
        ts = block.ts
        first = int(ts[0])
        self.backwards += int(np.count_nonzero(ts[1:] < ts[:-1])) + (self._last_ts is not None and first < self._last_ts)
        self._last_ts = int(ts[-1])
        if not len(segments):
            return
        self.oversized += int(np.count_nonzero(segments.payload_len + segments.snapped > MTU_PAYLOAD))
        self._duplicates(ts, segments)
        for i in np.flatnonzero((segments.packet % CHECKSUM_EVERY == 0) & (segments.snapped == 0)).tolist():
            self.checksums += 1
            self.wrong_checksums += not checksums.adds_up(block, segments, i)

    def _duplicates(self, ts: npt.NDArray[np.int64], segments: SegmentColumns) -> None:
        columns = [segments.packet, ts[segments.row], *(getattr(segments, name).astype(np.int64) for name in _COMPARED)]
        if self._tail:
            columns = [np.concatenate(pair) for pair in zip(self._tail, columns, strict=True)]
        fresh = len(columns[0]) - len(segments)
        packet, when, _, _, flags, length, *_ = columns
        telling = (length > 0) | ((flags & (SYN | FIN)) != 0)
        twice = np.zeros(len(packet), dtype=bool)
        for back in range(1, _LOOK_BACK + 1):
            same = telling[back:] & (np.abs(when[back:] - when[:-back]) < SAME_WITHIN)
            same &= packet[back:] - packet[:-back] <= _LOOK_BACK
            for column in columns[2:]:
                if not same.any():
                    break
                same &= column[back:] == column[:-back]
            twice[back:] |= same
        self.duplicated += int(np.count_nonzero(twice[fresh:]))
        self._tail = [column[-_LOOK_BACK:].copy() for column in columns]
