"""The fixed-size ring that keeps what lies behind a stream's holes. Knows offsets and bytes, not TCP.

A ring covers the offsets [floor, floor + capacity). It commits memory page by page as bytes come and gives a page back
once the floor has passed it, so its cost is what is in it. Contract: `write` copies bytes to offsets inside the ring or,
where the budget refuses a page, changes nothing and says so. Invariant: what is reserved in the `rings` account is
PAGE_BYTES for each committed page plus MARK bytes for each remembered segment start.
"""

from __future__ import annotations

from pcapflow.budget import Account

PAGE = 4096
PAGE_BYTES = PAGE + 320
"""Reserved for a page: its bytes, and its places in the tables of pages and of segments."""
MARK = 160
"""Bytes that remembering one held segment takes: where it began, and perhaps a range of its own in the assembler."""
MARKS_MAX = 4096
"""Segment starts remembered in one ring; further ones are not, and a search for a message head skips them."""


class Ring:
    """Bytes at offsets, in pages."""

    __slots__ = ("_account", "_marks", "_pages", "held", "marks")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._pages: dict[int, bytearray] = {}
        self._marks: dict[int, list[int]] = {}
        """Where segments begin, by page."""
        self.marks = 0
        """How many of them are remembered."""
        self.held = 0
        """Bytes held, not pages."""

    @property
    def cost(self) -> int:
        """Bytes reserved."""
        return len(self._pages) * PAGE_BYTES + self.marks * MARK

    def write(self, offset: int, data: memoryview) -> bool:
        """Copy data to the offsets from `offset` on, which hold nothing yet; False, and nothing changed, if over budget."""
        n = len(data)
        pages = self._pages
        first, last = offset // PAGE, (offset + n - 1) // PAGE
        fresh = [p for p in range(first, last + 1) if p not in pages]
        mark = self.marks < MARKS_MAX
        if not self._account.reserve(len(fresh) * PAGE_BYTES + mark * MARK):
            return False
        for p in fresh:
            pages[p] = bytearray(PAGE)
        if mark:
            self._marks.setdefault(first, []).append(offset)
            self.marks += 1
        self.overwrite(offset, data)
        self.held += n
        return True

    def write_run(self, offset: int, parts: list[memoryview], n: int, most: int) -> bool:
        """Copy n bytes in parts, segment by segment, as `write` would one after the other; False, and nothing changed, where the account would
        come above `most`.
        """
        pages = self._pages
        fresh = [p for p in range(offset // PAGE, (offset + n - 1) // PAGE + 1) if p not in pages]
        remembered = min(len(parts), MARKS_MAX - self.marks)
        cost = len(fresh) * PAGE_BYTES + remembered * MARK
        if self._account.used + cost > most or not self._account.has_room(cost) or not self._account.reserve(cost):
            return False
        for p in fresh:
            pages[p] = bytearray(PAGE)
        at = offset
        for part in parts[:remembered]:
            self._marks.setdefault(at // PAGE, []).append(at)
            at += len(part)
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
            self._pages[p][inside : inside + size] = data[done : done + size]
            done += size

    def read(self, start: int, end: int) -> bytes:
        """The bytes of [start, end), all of which were written."""
        first, last = start // PAGE, (end - 1) // PAGE
        if first == last:
            return bytes(self._pages[first][start - first * PAGE : end - first * PAGE])
        parts = [memoryview(self._pages[first])[start - first * PAGE :]]
        parts.extend(memoryview(self._pages[p]) for p in range(first + 1, last))
        parts.append(memoryview(self._pages[last])[: end - last * PAGE])
        return b"".join(parts)

    def take(self, start: int, end: int, keep_from: int | None) -> tuple[bytes, list[int]]:
        """The bytes of [start, end) and where segments began in them (offsets, start among them). They leave the ring;
        pages before keep_from, the next offset still held, are given back (all pages where it is None). Looks at their pages alone.
        """
        data = self.read(start, end)
        self.held -= end - start
        keep = None if keep_from is None else keep_from // PAGE
        marks: list[int] = []
        gone = 0
        for p in range(start // PAGE, (end - 1) // PAGE + 1):
            if keep is None or p < keep:
                del self._pages[p]
                gone += 1
            here = self._marks.pop(p, None)
            if here is not None:
                marks += [m for m in here if m < end]
                rest = [m for m in here if m >= end]
                if rest:
                    self._marks[p] = rest
        marks.sort()
        self.marks -= len(marks)
        self._account.release(gone * PAGE_BYTES + len(marks) * MARK)
        return data, [start, *(m for m in marks if m > start)]

    def clear(self) -> None:
        """Give everything back."""
        self._account.release(self.cost)
        self._pages.clear()
        self._marks.clear()
        self.marks = 0
        self.held = 0
