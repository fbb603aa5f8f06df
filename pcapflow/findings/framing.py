"""Where the framing of a connection's messages stands, which no mask may touch; and where its bytes are missing.

Contract: `Framing` takes the ends of messages and what frames the chunks of their bodies, in the order of each stream; `apart` takes that out of ranges of the stream. A secret ends where its message does: what a range has
behind that is no part of it. Invariant: places are reserved in the account; what there is no room for is not kept, and may be masked.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from pcapflow.budget import Account
from pcapflow.payload.json_values import LITERAL
from pcapflow.ranges import BLIND, MaskRange

_LINE_END = LITERAL + 10
_PLACE_BYTES = 32
"""An end, or both ends of what frames a chunk, in arrays that grow."""
CHUNK_LINE_MOST = 16
"""Bytes between two chunks that are their framing: an extension may have a secret."""


class Framing:
    """One stream's."""

    __slots__ = ("_account", "_begins", "_ends", "_heads", "_missing", "_over", "_read", "_reserved")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._over = array("q")
        """Where messages end or begin."""
        self._heads = array("q")
        """Of those where one begins, which is with no secret."""
        self._begins = array("q")
        """Of what frames chunks, and where it ends."""
        self._ends = array("q")
        self._read = array("q")
        """Of heads, and of messages that came whole: from and up to."""
        self._missing = array("q")
        """Where bytes are, from and up to."""
        self._reserved = 0

    @property
    def has_messages(self) -> bool:
        """Whether a message of it was read."""
        return bool(self._heads)

    def message(self, at: int, size: int) -> None:
        """A message begins at that offset, with a head of so many bytes."""
        self.message_over(at)
        if self._take() and (not self._read or self._read[-1] <= at):
            self._heads.append(at)
            self._read.extend((at, at + size))

    def body_over(self, at: int) -> None:
        """The body of the last message came whole, up to that offset."""
        self.message_over(at)
        if self._read and self._read[-1] < at:
            self._read[-1] = at

    def message_over(self, at: int) -> None:
        """A message ends at that offset."""
        if (not self._over or self._over[-1] < at) and self._take():
            self._over.append(at)

    def chunk_line(self, begin: int, end: int) -> None:
        """Between two chunks of a body."""
        if end - begin <= CHUNK_LINE_MOST and (not self._ends or self._ends[-1] <= begin) and self._take():
            self._begins.append(begin)
            self._ends.append(end)

    def missing(self, begin: int, end: int) -> None:
        """Bytes are: if they come later, nobody looks at them."""
        if self._take():
            self._missing.extend((begin, end))

    def behind(self, begin: int, n: int) -> int:
        """Where so many bytes end that came from an offset on: those that are missing are none of them."""
        end = begin + n
        missing = self._missing
        i = bisect_left(range(len(missing) // 2), begin, key=lambda i: missing[2 * i])
        while 2 * i < len(missing) and missing[2 * i] < end:
            end += missing[2 * i + 1] - missing[2 * i]
            i += 1
        return end

    def lost(self) -> Iterator[MaskRange]:
        """Ranges of the stream that are missing."""
        for i in range(0, len(self._missing), 2):
            yield self._missing[i], self._missing[i + 1], BLIND

    def _take(self) -> bool:
        if not self._account.reserve(_PLACE_BYTES):
            return False
        self._reserved += _PLACE_BYTES
        return True

    def close(self) -> None:
        """Give all memory back."""
        self._account.release(self._reserved)
        self._reserved = 0
        del self._over[:], self._heads[:], self._read[:], self._begins[:], self._ends[:], self._missing[:]

    def _unread(self, begin: int, end: int) -> Iterator[MaskRange]:
        """Of bytes of which nobody knows what they are those that no message is known to have."""
        i = bisect_right(self._read, begin)
        if i % 2:
            begin, i = self._read[i], i + 1
        while i < len(self._read) and self._read[i] < end:
            if begin < self._read[i]:
                yield begin, self._read[i], BLIND
            begin, i = self._read[i + 1], i + 2
        if begin < end:
            yield begin, end, BLIND

    def before_messages(self, ranges: Iterable[MaskRange]) -> Iterator[MaskRange]:
        """Ranges of which one that ends where a message begins ends with a line there, if it is of no message itself: else it would be read as a part of the method."""
        for begin, end, kind in ranges:
            at = bisect_left(self._heads, end)
            if at < len(self._heads) and self._heads[at] == end and bisect_right(self._read, begin) % 2 == 0:
                if begin < end - 1:
                    yield begin, end - 1, kind
                yield end - 1, end, _LINE_END
            else:
                yield begin, end, kind

    def apart(self, ranges: Iterable[MaskRange]) -> Iterator[MaskRange]:
        """Ranges without what is framing."""
        for begin, end, kind in ranges:
            if kind == BLIND:
                yield from self._unread(begin, end)
                continue
            head = bisect_left(self._heads, begin)
            if head < len(self._heads) and self._heads[head] == begin:
                continue
            i = bisect_right(self._over, begin)
            stop = min(end, self._over[i]) if i < len(self._over) else end
            at = begin
            for j in range(bisect_right(self._ends, begin), bisect_left(self._begins, stop)):
                if self._begins[j] > at:
                    yield at, self._begins[j], kind
                at = max(at, self._ends[j])
            if at < stop:
                yield at, stop, kind
