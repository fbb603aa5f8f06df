"""Which of the segments that were decoded go on: those within the times and the filter asked for, and, if that was asked for, with right checksums.

Contract: `Selection.take` returns the segments that go on; the others are counted: `left_out` are none of this run's business, `refused` are bytes
of the capture that are dropped with a reason. Packets keep their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import checksums
from pcapflow.decode.filters import Filter
from pcapflow.decode.segments import SegmentColumns


@dataclass(slots=True)
class Selection:
    """What was asked for. begin, end: ns since the epoch, the end not included."""

    begin: int | None = None
    end: int | None = None
    matches: Filter | None = None
    verify_checksums: bool = False
    left_out: int = 0
    """Segments outside the times or the filter."""

    def take(self, block: PacketBlock, segments: SegmentColumns) -> tuple[SegmentColumns, SegmentColumns | None]:
        """The segments that go on, and those that are refused for their checksum."""
        keep = np.ones(len(segments), dtype=bool)
        ts = block.ts[segments.row]
        if self.begin is not None:
            keep &= ts >= self.begin
        if self.end is not None:
            keep &= ts < self.end
        if self.matches is not None:
            keep &= self.matches(segments)
        if not keep.all():
            self.left_out += int(np.count_nonzero(~keep))
            segments = segments.take(np.flatnonzero(keep))
        if not self.verify_checksums:
            return segments, None
        bad = checksums.wrong(block, segments)
        if not bad.any():
            return segments, None
        return segments.take(np.flatnonzero(~bad)), segments.take(np.flatnonzero(bad))
