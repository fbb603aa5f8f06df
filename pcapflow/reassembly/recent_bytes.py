"""What one stream delivered and gave up lately: to compare what comes again, and to tell late bytes from repeated ones.

Contract: `remember` keeps the tail of what was delivered, `forget` lets it go (behind a gap it says nothing of what comes next);
`lost` keeps the last `late_ranges` gaps. Invariant: both are reserved in the `history` account; what is refused is not kept, and bytes that
cannot be compared count as retransmitted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from pcapflow.budget import Account

_GAP_BYTES = 24
"""Reserved for each gap that is remembered: two offsets and room to grow."""


class History:
    """Of one stream."""

    __slots__ = ("_gaps", "tail")

    def __init__(self) -> None:
        self.tail = b""
        """The last bytes delivered, up to `next` or to what the caller still has in pieces."""
        self._gaps: array[int] | None = None
        """Begin and end of the last gaps, alternating."""

    def remember(self, account: Account, keep: int, tail: bytes) -> None:
        """Bytes were delivered that end with tail; at most `keep` of them stay."""
        new = tail if len(tail) >= keep else (self.tail + tail)[-keep:]
        more = len(new) - len(self.tail)
        if more > 0 and not account.reserve(more):
            self.forget(account)
            return
        if more < 0:
            account.release(-more)
        self.tail = new

    def forget(self, account: Account) -> None:
        """The tail no longer ends where the stream is."""
        if self.tail:
            account.release(len(self.tail))
            self.tail = b""

    def lost(self, account: Account, most: int, start: int, end: int) -> None:
        """[start, end) was given up; at most so many gaps stay."""
        gaps = self._gaps
        if gaps is None:
            gaps = self._gaps = array("q")
        if gaps and gaps[-1] == start:
            gaps[-1] = end
            return
        if len(gaps) >= 2 * most:
            del gaps[:2]
        elif not account.reserve(_GAP_BYTES):
            return
        gaps.extend((start, end))

    def parts(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """[start, end) in pieces, in order: begin, end, and whether that was given up."""
        gaps = self._gaps
        if gaps:
            for low, high in zip(gaps[::2], gaps[1::2], strict=True):
                if high <= start:
                    continue
                if low >= end:
                    break
                if low > start:
                    yield start, low, False
                    start = low
                stop = min(high, end)
                yield start, stop, True
                start = stop
        if start < end:
            yield start, end, False

    def release(self, account: Account) -> None:
        """The connection is gone: give back what was kept to tell late bytes."""
        if self._gaps:
            account.release(len(self._gaps) // 2 * _GAP_BYTES)
            self._gaps = None
