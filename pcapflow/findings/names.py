"""Counts by a name that the traffic chooses, in bounded memory.

Contract: `count` takes a name, `named` gives the counts, most first, of equals by name, and what was not kept as `...`. Invariant: names that are
registered are always kept; of the others those `most` whose hashes are least, whatever the order in which they came. So a name that is kept was kept
from its first arrival, its count is exact, and counts of two runs can be added (a bottom-k sample: Cohen and Kaplan, 2007).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from zlib import crc32

REST = "..."

METHODS = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "PURGE",
    "QUERY", "SUBSCRIBE", "UNSUBSCRIBE", "NOTIFY", "M-SEARCH",
)  # fmt: skip
"""Of IANA's registry those that are met, and UPnP's."""
STATUSES = tuple(map(str, (
    0, *range(100, 104), *range(200, 209), 226, *range(300, 309), *range(400, 419), *range(421, 427), 428, 429, 431, 451, 499, *range(500, 509), 510, 511, 520, 521, 522, 523, 524,
)))  # fmt: skip
"""IANA's registry, 0 for HTTP/0.9, and what nginx and Cloudflare say."""


class NamedCounts:
    """One map of the report."""

    __slots__ = ("_counts", "_heap", "_most", "_registered", "_rest")

    def __init__(self, most: int, registered: Iterable[str] = ()) -> None:
        """most: names that are kept beside the registered ones."""
        self._most = most
        self._registered = frozenset(registered)
        self._counts: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        """Of the others, the greatest hash first: negative, and the name."""
        self._rest = 0

    def count(self, name: str) -> None:
        """One more."""
        counts = self._counts
        if name in counts:
            counts[name] += 1
        elif name in self._registered:
            counts[name] = 1
        else:
            self._another(name)

    def _another(self, name: str) -> None:
        entry = (-crc32(name.encode("utf-8", "surrogatepass")), name)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            gone = heapq.heappushpop(self._heap, entry)[1]
            if gone == name:
                self._rest += 1
                return
            self._rest += self._counts.pop(gone)
        self._counts[name] = 1

    def named(self) -> dict[str, int]:
        """The counts by name."""
        found = dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))
        if self._rest:
            found[REST] = self._rest
        return found
