"""Something for each name that the traffic chooses, in bounded memory.

Contract: `of` gives what belongs to a name, made where it is new, or what the names share that are not kept. Invariant: of all names that came those `most` are kept whose
hashes are least, whatever the order in which they came: so what a kept name has is all of it, and tables of two runs can be merged (a bottom-k sample: Cohen and Kaplan, 2007).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, Self, TypeVar
from zlib import crc32

T = TypeVar("T", bound="Merged")


class Merged(Protocol):
    """What a name has."""

    def merge(self, other: Self) -> None:
        """What another has too."""
        ...


class Bounded(Generic[T]):
    """One table. Whoever makes it has reserved what it takes."""

    __slots__ = ("_heap", "_kept", "_make", "_most", "rest")

    def __init__(self, most: int, make: Callable[[], T]) -> None:
        self._most = most
        self._make = make
        self._kept: dict[str, T] = {}
        self._heap: list[tuple[int, str]] = []
        """The greatest hash first: negative, and the name."""
        self.rest: T | None = None

    def of(self, name: str) -> T:
        """What a name has."""
        found = self._kept.get(name)
        return found if found is not None else self._another(name)

    def _another(self, name: str) -> T:
        entry = (-crc32(name.encode("utf-8", "surrogatepass")), name)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif not self._heap or entry < self._heap[0]:
            return self._shared()
        else:
            gone = heapq.heappushpop(self._heap, entry)[1]
            self._shared().merge(self._kept.pop(gone))
        made = self._kept[name] = self._make()
        return made

    def _shared(self) -> T:
        if self.rest is None:
            self.rest = self._make()
        return self.rest

    def merge(self, other: Bounded[T]) -> None:
        """What another table has too, of as many names at the most."""
        for name, found in other.items():
            self.of(name).merge(found)
        if other.rest is not None:
            self._shared().merge(other.rest)

    def items(self) -> Iterator[tuple[str, T]]:
        """The names that are kept, and what they have."""
        yield from self._kept.items()
