"""Which of the segments that were decoded go on: those within the times and the filter asked for, and, if that was asked for, with right checksums.

Contract: `Selection.take` returns the segments that go on; the others are counted: `left_out` are none of this run's business, `refused` are bytes
of the capture that are dropped with a reason. Packets keep their numbers.
"""

from __future__ import annotations

import numpy as np

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import checksums
from pcapflow.decode.filters import compile_filter
from pcapflow.decode.segments import SegmentColumns


class Selection:
    """What was asked for."""

    def __init__(self, begin: int | None = None, end: int | None = None, expression: str | None = None, *, verify_checksums: bool = False) -> None:
        """begin, end: ns since the epoch, the end not included; raises UsageError for an expression that is none."""
        self._begin = begin
        self._end = end
        self._matches = compile_filter(expression) if expression is not None else None
        self._verify = verify_checksums
        self.asked = verify_checksums or any(one is not None for one in (begin, end, expression))
        """Whether anything was."""
        self.left_out = 0
        """Segments outside the times or the filter."""

    def take(self, block: PacketBlock, segments: SegmentColumns) -> tuple[SegmentColumns, list[tuple[int, int, int]]]:
        """The segments that go on, and packet, time (ns) and bytes of those that are refused for their checksum."""
        keep = np.ones(len(segments), dtype=bool)
        ts = block.ts[segments.row]
        if self._begin is not None:
            keep &= ts >= self._begin
        if self._end is not None:
            keep &= ts < self._end
        if self._matches is not None:
            keep &= self._matches(segments)
        if not keep.all():
            self.left_out += int(np.count_nonzero(~keep))
            segments = segments.take(np.flatnonzero(keep))
        bad = checksums.wrong(block, segments) if self._verify else None
        if bad is None or not bad.any():
            return segments, []
        out = segments.take(np.flatnonzero(bad))
        refused = zip(out.packet.tolist(), block.ts[out.row].tolist(), out.payload_len.tolist(), strict=True)
        return segments.take(np.flatnonzero(~bad)), list(refused)
