"""The fixed-size ring that keeps what lies behind a stream's holes. Knows offsets and bytes, not TCP.

A ring covers the offsets [floor, floor + capacity). It commits memory page by page as bytes come and gives a page back
once the floor has passed it, so its cost is what is in it. Contract: `write` copies bytes to offsets inside the ring or,
where the budget refuses a page, changes nothing and says so. Invariant: what is reserved in the `rings` account is
PAGE_BYTES for each committed page plus MARK bytes for each remembered segment start.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from pcapflow.budget import Account
from pcapflow.reassembly.pages import PAGE, Page, Pages
from pcapflow.reassembly.pending_run import Rows

PAGE_BYTES = PAGE + 352
"""Reserved for a page: its bytes, and its places in the tables of pages and of segments."""
MARK = 160
"""Bytes that remembering one held segment takes: where it began, what carried it, and perhaps a range of its own in the assembler."""
MARKS_MAX = 4096
"""Segments remembered in one ring; a further one counts as part of the one before it, and a search for a message head skips it."""


class Mark(NamedTuple):
    """A held segment: the offset at which it begins, the packet and time (ns) that carried it, and its raw acknowledgement number."""

    offset: int
    packet: int
    ts: int
    ack: int


_FIELDS = len(Mark._fields)


class Ring:
    """Bytes at offsets, in pages."""

    __slots__ = ("_account", "_marks", "_pages", "_pool", "held", "marks")

    def __init__(self, account: Account, pool: Pages) -> None:
        self._account = account
        self._pool = pool
        self._pages: dict[int, Page] = {}
        self._marks: dict[int, array[int]] = {}
        """The fields of each mark, one after the other, by the page where the segment begins."""
        self.marks = 0
        """How many of them are remembered."""
        self.held = 0
        """Bytes held, not pages."""

    @property
    def cost(self) -> int:
        """Bytes reserved."""
        return len(self._pages) * PAGE_BYTES + self.marks * MARK

    def write(self, segment: Mark, data: memoryview) -> bool:
        """Copy a segment's data to the offsets from its own on, which hold nothing yet; False, and nothing changed, if over budget."""
        n = len(data)
        offset = segment.offset
        pages = self._pages
        first, last = offset // PAGE, (offset + n - 1) // PAGE
        fresh = [p for p in range(first, last + 1) if p not in pages]
        mark = self.marks < MARKS_MAX
        if not self._account.reserve(len(fresh) * PAGE_BYTES + mark * MARK):
            return False
        for p in fresh:
            pages[p] = self._pool.take()
        if mark:
            self._mark(first, segment)
            self.marks += 1
        self.overwrite(offset, data)
        self.held += n
        return True

    def _mark(self, page: int, segment: Mark) -> None:
        marks = self._marks.get(page)
        if marks is None:
            marks = self._marks[page] = array("q")
        if not marks or marks[-_FIELDS] <= segment.offset:
            marks.extend(segment)
        else:  # those of a page are in the order of their offsets
            at = bisect_right(marks[::_FIELDS], segment.offset) * _FIELDS
            marks[at:at] = array("q", segment)

    def write_run(self, offset: int, view: memoryview, rows: Rows, i: int, j: int, n: int, most: int) -> bool:
        """Copy the n bytes of rows[i:j] as `write` would one after the other; False, and nothing changed, where the account would come above `most`."""
        parts = [view[at : at + k] for at, k in zip(rows.at[i:j], rows.n[i:j], strict=True)]
        pages = self._pages
        fresh = [p for p in range(offset // PAGE, (offset + n - 1) // PAGE + 1) if p not in pages]
        remembered = min(len(parts), MARKS_MAX - self.marks)
        cost = len(fresh) * PAGE_BYTES + remembered * MARK
        if self._account.used + cost > most or not self._account.has_room(cost) or not self._account.reserve(cost):
            return False
        for p in fresh:
            pages[p] = self._pool.take()
        at = offset
        for row in range(i, i + remembered):
            self._mark(at // PAGE, Mark(at, rows.packet[row], rows.ts[row], rows.ack[row]))
            at += rows.n[row]
        self.marks += remembered
        self.overwrite(offset, b"".join(parts))
        self.held += n
        return True

    def overwrite(self, offset: int, data: bytes | memoryview) -> None:
        """Copy data to offsets whose pages are there."""
        done = 0
        while done < len(data):
            p, inside = divmod(offset + done, PAGE)
            size = min(PAGE - inside, len(data) - done)
            self._pages[p].put(inside, data[done : done + size])
            done += size

    def read(self, start: int, end: int) -> bytes:
        """The bytes of [start, end), all of which were written."""
        first, last = start // PAGE, (end - 1) // PAGE
        if first == last:
            return bytes(self._pages[first].get(start - first * PAGE, end - first * PAGE))
        parts = [self._pages[first].get(start - first * PAGE, PAGE)]
        parts.extend(self._pages[p].get(0, PAGE) for p in range(first + 1, last))
        parts.append(self._pages[last].get(0, end - last * PAGE))
        return b"".join(parts)

    def take(self, start: int, end: int, keep_from: int | None) -> tuple[bytes | bytearray, list[Mark]]:
        """The bytes of [start, end) and the segments that were remembered of them, by offset. They leave the ring; pages before keep_from, the next
        offset still held, are given back (all pages where it is None), each as soon as it is copied. Looks at their pages alone.
        """
        # a small one as bytes, which take less
        data = bytearray(end - start) if start // PAGE != (end - 1) // PAGE else self.read(start, end)
        self.held -= end - start
        keep = None if keep_from is None else keep_from // PAGE
        marks: list[Mark] = []
        gone = 0
        for p in range(start // PAGE, (end - 1) // PAGE + 1):
            begin, stop = max(start, p * PAGE), min(end, (p + 1) * PAGE)
            if isinstance(data, bytearray):
                data[begin - start : stop - start] = self._pages[p].get(begin - p * PAGE, stop - p * PAGE)
            if keep is None or p < keep:
                self._pool.give(self._pages.pop(p))
                gone += 1
            here = self._marks.get(p)
            if here is not None:
                leaving = bisect_left(here[::_FIELDS], end) * _FIELDS
                marks += [Mark._make(here[i : i + _FIELDS]) for i in range(0, leaving, _FIELDS)]
                if leaving == len(here):
                    del self._marks[p]
                else:
                    del here[:leaving]
        marks.sort()
        self.marks -= len(marks)
        self._account.release(gone * PAGE_BYTES + len(marks) * MARK)
        return data, marks

    def earliest(self) -> int:
        """The first packet that carried something of what is remembered, 0 where nothing is."""
        return min((min(marks[1::_FIELDS]) for marks in self._marks.values()), default=0)

    def clear(self) -> None:
        """Give everything back."""
        self._account.release(self.cost)
        for page in self._pages.values():
            self._pool.give(page)
        self._pages.clear()
        self._marks.clear()
        self.marks = 0
        self.held = 0
