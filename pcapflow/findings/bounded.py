"""Something for each name that the traffic chooses, in bounded memory.

Contract: `of` gives what belongs to a name, made where it is new, or what the names share that are not kept. Invariant: of all names that came those `most` are kept whose
hashes are least, whatever the order in which they came: so what a kept name has is all of it, and tables of two runs can be merged (a bottom-k sample: Cohen and Kaplan, 2007).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, Self, TypeVar
from zlib import crc32

from pcapflow.budget import Account

T = TypeVar("T", bound="Merged")


class Merged(Protocol):
    """What a name has."""

    def merge(self, other: Self) -> None:
        """What another has too."""
        ...


class Bounded(Generic[T]):
    """One table. What it keeps is reserved in an account; where that has no room a name is not kept."""

    def __init__(self, most: int, account: Account, cost: int, make: Callable[[], T]) -> None:
        """cost: bytes that one name's takes, beside the name."""
        self._most = most
        self._account = account
        self._cost = cost
        self._make = make
        self._kept: dict[str, T] = {}
        self._heap: list[tuple[int, str]] = []
        """The greatest hash first: negative, and the name."""
        self.rest: T | None = None
        self._reserved = 0

    def of(self, name: str) -> T:
        """What a name has."""
        found = self._kept.get(name)
        return found if found is not None else self._another(name)

    def _another(self, name: str) -> T:
        entry = (-crc32(name.encode("utf-8", "surrogatepass")), name)
        if len(self._heap) == self._most and entry < self._heap[0]:
            return self._shared()
        cost = self._cost + 4 * len(name)
        if not self._account.reserve(cost):
            return self._shared()
        self._reserved += cost
        made = self._kept[name] = self._make()
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            gone = heapq.heappushpop(self._heap, entry)[1]
            self._shared().merge(self._kept.pop(gone))
            self._give(self._cost + 4 * len(gone))
        return made

    def _shared(self) -> T:
        if self.rest is None:
            self.rest = self._make()
        return self.rest

    def _give(self, n: int) -> None:
        self._reserved -= n
        self._account.release(n)

    def items(self) -> Iterator[tuple[str, T]]:
        """The names that are kept, and what they have."""
        yield from self._kept.items()

    def close(self) -> None:
        """The run is over."""
        self._give(self._reserved)
