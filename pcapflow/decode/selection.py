"""Which of the segments that were decoded go on: those within the times and the filter asked for, and, if that was asked for, with right checksums.

Contract: `Selection.take` returns the segments that go on; the others are counted: `filtered_out` are none of this run's business, `refused` are bytes
of the capture that are dropped with a reason. Packets keep their numbers.
"""

from __future__ import annotations

import numpy as np

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import checksums
from pcapflow.decode.filters import compile_filter
from pcapflow.decode.segments import SegmentColumns
from pcapflow.errors import UsageError
from pcapflow.sizes import DAY, TimeOfDay, show_day


class Selection:
    """What was asked for."""

    def __init__(
        self, begin: int | None = None, end: int | None = None, expression: str | None = None, *, verify_checksums: bool = False
    ) -> None:
        """begin, end: ns since the epoch, the end not included, or a `TimeOfDay` of the only day that the capture has; raises UsageError for an
        expression that is none.
        """
        self._begin = begin
        self._end = end
        self._matches = compile_filter(expression) if expression is not None else None
        self.asked = verify_checksums or any(one is not None for one in (begin, end, expression))
        """Whether anything was."""
        self._of_day = [(option, time) for option, time in (("--from", begin), ("--to", end)) if isinstance(time, TimeOfDay)]
        self._day: int | None = None
        self.filtered_out = 0
        """Segments outside the times or the filter."""
        self.verified: int | None = 0 if verify_checksums else None
        """Segments whose checksum was verified; None where nobody asked. Of a segment that is not captured whole nobody can tell."""
        self.wrong = 0
        """Of these the ones whose checksum is wrong."""

    def take(self, block: PacketBlock, segments: SegmentColumns) -> tuple[SegmentColumns, list[tuple[int, int, int]]]:
        """The segments that go on, and packet, time (ns) and bytes of those that are refused for their checksum."""
        if self._of_day:
            self._find_day(block)
        keep = np.ones(len(segments), dtype=bool)
        ts = block.ts[segments.row]
        if self._begin is not None:
            keep &= ts >= self._begin
        if self._end is not None:
            keep &= ts < self._end
        if self._matches is not None:
            keep &= self._matches(segments)
        if not keep.all():
            self.filtered_out += int(np.count_nonzero(~keep))
            segments = segments.take(np.flatnonzero(keep))
        if self.verified is None:
            return segments, []
        self.verified += int(np.count_nonzero(segments.snapped == 0))
        bad = checksums.wrong(block, segments)
        if not bad.any():
            return segments, []
        out = segments.take(np.flatnonzero(bad))
        self.wrong += len(out)
        refused = zip(out.packet.tolist(), block.ts[out.row].tolist(), out.payload_len.tolist(), strict=True)
        return segments.take(np.flatnonzero(~bad)), list(refused)

    def _find_day(self, block: PacketBlock) -> None:
        """A time of day is one of the day that all packets have; raises UsageError where they have several."""
        days = block.ts // DAY
        first = int(days[0]) if self._day is None else self._day
        others = days[days != first]
        if len(others):
            option, time = self._of_day[0]
            raise UsageError(
                f"{option} {time.text} says no day, and the capture has packets of several ({show_day(first * DAY)}, {show_day(int(others[0]) * DAY)}); "
                f"write {show_day(first * DAY)}T{time.text}Z"
            )
        if self._day is None:
            self._day = first
            if isinstance(self._begin, TimeOfDay):
                self._begin = first * DAY + self._begin
            if isinstance(self._end, TimeOfDay):
                self._end = first * DAY + self._end
