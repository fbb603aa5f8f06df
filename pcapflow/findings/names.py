"""Counts by a name that the traffic chooses, in bounded memory.

Contract: `count` takes a name, `named` gives the counts, most first, of equals by name, and what was not kept as `...`. Invariant: names that are
registered are always kept; of the others those that `Bounded` keeps, whose counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterable

from pcapflow.findings.bounded import Bounded

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


class _Count:
    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0

    def merge(self, other: _Count) -> None:
        """See `Merged`."""
        self.n += other.n


class NamedCounts:
    """One map of the report."""

    __slots__ = ("_others", "_registered")

    def __init__(self, most: int, registered: Iterable[str] = ()) -> None:
        """most: names that are kept beside the registered ones."""
        self._registered = dict.fromkeys(registered, 0)
        self._others = Bounded(most, _Count)

    def count(self, name: str, times: int = 1) -> None:
        """So many more."""
        if name in self._registered:
            self._registered[name] += times
        else:
            self._others.of(name).n += times

    def merge(self, other: NamedCounts) -> None:
        """The counts of another map of the same names."""
        for name, n in other._registered.items():
            self._registered[name] += n
        self._others.merge(other._others)

    def named(self) -> dict[str, int]:
        """The counts by name."""
        others = self._others
        counts = {name: n for name, n in self._registered.items() if n} | {name: count.n for name, count in others.items()}
        found = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        if others.rest is not None:
            found[REST] = found.get(REST, 0) + others.rest.n  # a name may be that too
        return found
