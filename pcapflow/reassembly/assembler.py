"""Which ranges of a stream are held behind its holes. Knows offsets, not bytes and not TCP.

Invariant: `starts` and `ends` describe disjoint, non-touching, ascending ranges, at most `capacity` of them;
`since[i]` is the capture time (ns) at which the oldest part of the ranges from i on came; `idents[i]` the IP identification of the segment
that began the range. A refused `add` changes nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right


class Assembler:
    """A bounded set of ranges."""

    __slots__ = ("capacity", "ends", "idents", "since", "starts")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.since: list[int] = []
        self.idents = array("H")

    def __len__(self) -> int:
        return len(self.starts)

    def fits(self, start: int, end: int) -> bool:
        """Whether all of [start, end) can be held: it touches a range, so that none is added, or there is room for one more."""
        if len(self.starts) < self.capacity:
            return True
        i = bisect_left(self.ends, start)
        return i < len(self.ends) and self.starts[i] <= end

    def continues(self, start: int, end: int) -> bool:
        """Whether a range ends at start, and none has bytes of [start, end)."""
        i = bisect_left(self.ends, start)
        return i < len(self.ends) and self.ends[i] == start and (i + 1 == len(self.ends) or self.starts[i + 1] >= end)

    def split(self, start: int, end: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """What of [start, end) is not held yet, and what is: two lists of ranges in order."""
        new: list[tuple[int, int]] = []
        known: list[tuple[int, int]] = []
        at = start
        for i in range(bisect_right(self.ends, start), len(self.starts)):
            low = self.starts[i]
            if low >= end:
                break
            if at < low:
                new.append((at, low))
                at = low
            high = min(self.ends[i], end)
            known.append((at, high))
            at = high
        if at < end:
            new.append((at, end))
        return new, known

    def add(self, start: int, end: int, since: int, ident: int = 0) -> bool:
        """Record a range that overlaps none; False where it would need one range too many. ident: of the segment that brought it."""
        i = bisect_left(self.starts, start)
        left = i > 0 and self.ends[i - 1] == start
        right = i < len(self.starts) and self.starts[i] == end
        if left and right:
            self.ends[i - 1] = self.ends[i]
            self.since[i - 1] = min(self.since[i - 1], self.since[i])
            del self.starts[i], self.ends[i], self.since[i], self.idents[i]
        elif left:
            self.ends[i - 1] = end
        elif right:
            self.starts[i] = start
        elif len(self.starts) >= self.capacity:
            return False
        else:
            self.starts.insert(i, start)
            self.ends.insert(i, end)
            self.idents.insert(i, ident)
            # never younger than what lies behind it: since[0] is the oldest
            self.since.insert(i, min(since, self.since[i]) if i < len(self.since) else since)
        return True

    def pop_front(self) -> tuple[int, int]:
        """Take the first range out."""
        del self.since[0], self.idents[0]
        return self.starts.pop(0), self.ends.pop(0)
