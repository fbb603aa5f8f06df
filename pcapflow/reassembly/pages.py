"""Pages for the rings of one run, from mappings of their own.

Contract: `Pages.take` gives a page, whose bytes are whatever they were; `give` takes it back, and nobody uses it any more. Invariant: of the pages given back WARM at the most are resident. A page that was
an object among others on the heap would leave a hole there, which no other object fills: a run that gives up its rings for connections would then take the memory of both.
"""

from __future__ import annotations

import mmap
from typing import cast

PAGE = 4096
SLAB = 64
"""Pages of one mapping."""
WARM = 256
"""Pages that are kept as they are for the next who ask: giving one to the system and getting it again takes a microsecond."""
_FREE: int | None = getattr(mmap, "MADV_DONTNEED", None)


class Page:
    """PAGE bytes of a mapping, from an offset in it on: a view of its own would take more than all else that a page takes."""

    __slots__ = ("at", "mapping")

    def __init__(self, mapping: memoryview, at: int) -> None:
        """mapping: memoryview of uint8, all of it."""
        self.mapping = mapping
        self.at = at

    def put(self, begin: int, data: bytes | memoryview) -> None:
        """Copy data to that place of it."""
        at = self.at + begin
        self.mapping[at : at + len(data)] = data

    def get(self, begin: int, end: int) -> memoryview:
        """What is there, until it is given back."""
        return self.mapping[self.at + begin : self.at + end]


class Pages:
    """All of a run's."""

    __slots__ = ("_cold", "_warm", "taken")

    def __init__(self) -> None:
        self.taken = 0
        """Pages that somebody has."""
        self._warm: list[Page] = []
        self._cold: list[Page] = []
        """Those that are not resident."""

    def take(self) -> Page:
        """One. Raises MemoryError where the process gets no more."""
        if not self._warm and not self._cold:
            self._map()
        self.taken += 1
        return self._warm.pop() if self._warm else self._cold.pop()

    def give(self, page: Page) -> None:
        """It is not used any more."""
        self.taken -= 1
        if len(self._warm) < WARM:
            self._warm.append(page)
            return
        if _FREE is not None:
            cast("mmap.mmap", page.mapping.obj).madvise(_FREE, page.at, PAGE)
        self._cold.append(page)

    def _map(self) -> None:
        try:
            slab = _mapping(SLAB * PAGE)
        except OSError as e:
            raise MemoryError(f"a mapping of {SLAB * PAGE} bytes: {e.strerror}") from None
        whole = memoryview(slab)
        self._cold += [Page(whole, at) for at in range(0, SLAB * PAGE, PAGE)]


def _mapping(size: int) -> mmap.mmap:
    """Memory of this process alone: what is shared with others stays when it is given back."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)
