"""Where the framing of a connection's messages stands, which no mask may touch; and where its bytes are missing.

Contract: `Framing` takes the ends of messages and what frames the chunks of their bodies, in the order of each stream; `apart` takes that out of ranges of the stream. A secret ends where its message does: what a range has
behind that is no part of it. `Placed` is what is kept of it once the stream is over. Invariant: places are reserved in the account; what there is no room for is not kept, and may be masked.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pcapflow.budget import Account
from pcapflow.payload.json_values import LITERAL
from pcapflow.ranges import BLIND, MaskRange

_LINE_END = LITERAL + 10
_PLACE_BYTES = 32
"""An end, or both ends of what frames a chunk, in arrays that grow."""
ARRAY_BYTES = 96
"""An array, with room for the first places."""
FRAMING_BYTES = 96
"""One without places."""
CHUNK_LINE_MOST = 16
"""Bytes between two chunks that are their framing: an extension may have a secret."""

Numbers: TypeAlias = "array[int] | memoryview[int]"
_NONE = array("q")
"""Shared by all that have no such places: most have not."""


class Placed:
    """One stream's."""

    __slots__ = ("lines", "over", "read")

    def __init__(self, over: Numbers = _NONE, lines: Numbers = _NONE, read: Numbers = _NONE) -> None:
        self.over = over
        """Where messages end or begin."""
        self.lines = lines
        """Of what frames chunks: from and up to."""
        self.read = read
        """Of heads, and of messages that came whole: from, where a message begins with no secret, and up to."""

    def _unread(self, begin: int, end: int) -> Iterator[MaskRange]:
        """Of bytes of which nobody knows what they are those that no message is known to have."""
        i = bisect_right(self.read, begin)
        if i % 2:
            begin, i = self.read[i], i + 1
        while i < len(self.read) and self.read[i] < end:
            if begin < self.read[i]:
                yield begin, self.read[i], BLIND
            begin, i = self.read[i + 1], i + 2
        if begin < end:
            yield begin, end, BLIND

    def _begins_at(self, at: int) -> bool:
        """Whether a message does."""
        i = bisect_right(self.read, at)
        return i % 2 == 1 and self.read[i - 1] == at

    def before_messages(self, ranges: Iterable[MaskRange]) -> Iterator[MaskRange]:
        """Ranges of which one that ends where a message begins ends with a line there, if it is of no message itself: else it would be read as a part of the method."""
        for begin, end, kind in ranges:
            if self._begins_at(end) and bisect_right(self.read, begin) % 2 == 0:
                if begin < end - 1:
                    yield begin, end - 1, kind
                yield end - 1, end, _LINE_END
            else:
                yield begin, end, kind

    def message_end(self, begin: int, end: int) -> int:
        """Where a range that begins there ends, which is with its message at the latest."""
        i = bisect_right(self.over, begin)
        return min(end, self.over[i]) if i < len(self.over) else end

    def apart(self, ranges: Iterable[MaskRange]) -> Iterator[MaskRange]:
        """Sorted ranges without what is framing. Of those of one kind that overlap each byte is given once, and each line looked at once, however many they are."""
        lines = self.lines
        given: dict[int, int] = {}
        """Of each kind: up to where."""
        for begin, end, kind in ranges:
            if kind == BLIND:
                yield from self._unread(begin, end)
                continue
            if self._begins_at(begin):
                continue
            stop = self.message_end(begin, end)
            at = max(begin, given.get(kind, 0))
            if at >= stop:
                continue
            given[kind] = stop
            for j in range(bisect_right(lines, at) // 2, (bisect_left(lines, stop) + 1) // 2):
                if lines[2 * j] > at:
                    yield at, lines[2 * j], kind
                at = max(at, lines[2 * j + 1])
            if at < stop:
                yield at, stop, kind


class Framing(Placed):
    """That of one under way."""

    __slots__ = ("_account", "_missing", "_most", "_reserved")

    def __init__(self, account: Account | None, most: int | None = None) -> None:
        """account: None where nothing is to be kept; most: bytes that may be used of it with what this keeps."""
        super().__init__()
        self._account = account
        self._missing: Numbers = _NONE
        """Where bytes are, from and up to."""
        self._most = most
        self._reserved = 0

    @property
    def has_messages(self) -> bool:
        """Whether a message of it was read."""
        return len(self.read) > 0

    def message(self, at: int, size: int) -> None:
        """A message begins at that offset, with a head of so many bytes."""
        self.message_over(at)
        if size and (not self.read or self.read[-1] <= at):  # an answer of HTTP/0.9 has no head
            self.read = self._with(self.read, at, at + size)

    def body_over(self, at: int) -> None:
        """The body of the last message came whole, up to that offset."""
        self.message_over(at)
        if self.read and self.read[-1] < at:
            self.read[-1] = at

    def message_over(self, at: int) -> None:
        """A message ends at that offset."""
        if not self.over or self.over[-1] < at:
            self.over = self._with(self.over, at)

    def chunk_line(self, begin: int, end: int) -> None:
        """Between two chunks of a body."""
        if end - begin <= CHUNK_LINE_MOST and (not self.lines or self.lines[-1] <= begin):
            self.lines = self._with(self.lines, begin, end)

    def missing(self, begin: int, end: int) -> None:
        """Bytes are: if they come later, nobody looks at them."""
        self._missing = self._with(self._missing, begin, end)

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

    def _with(self, places: Numbers, *more: int) -> Numbers:
        """Places and further ones, if there is room."""
        n = _PLACE_BYTES + (0 if places else ARRAY_BYTES)
        account = self._account
        if account is None or (self._most is not None and account.used + n > self._most) or not account.reserve(n):
            return places
        self._reserved += n
        if not places:
            return array("q", more)
        assert isinstance(places, array)
        places.extend(more)
        return places

    def close(self) -> None:
        """Give all memory back."""
        if self._account is not None:
            self._account.release(self._reserved)
        self._reserved = 0
        self.over = self.lines = self.read = self._missing = _NONE
