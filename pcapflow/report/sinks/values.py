"""The values that `pcapflow extract` prints, and beside them what did not end well.

Contract: a `Sink` of the entries that `findings.extract` makes: values go to one writer, drops and bodies of JSON that are not complete to another.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pcapflow.entries import OWNED_JSON, Entry
from pcapflow.report.sinks.base import Sink

WriteLines = Callable[[list[bytes]], object]


class _Status(msgspec.Struct):
    status: str


class _Searched(msgspec.Struct):
    bodies: int
    elsewhere: dict[str, int]


_status = msgspec.json.Decoder(_Status).decode
_searched = msgspec.json.Decoder(_Searched).decode


class NothingFound(Sink):
    """Adds up what was searched where no value was found (`findings.extract.Searched`)."""

    kinds = frozenset()

    def __init__(self, own: str) -> None:
        """own: the kind of these entries."""
        self.own = own
        self.bodies = 0
        self.elsewhere: dict[str, int] = {}

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        for entry in some:
            found = _searched(entry.line)
            self.bodies += found.bodies
            for path, count in found.elsewhere.items():
                self.elsewhere[path] = self.elsewhere.get(path, 0) + count


class ValueLines(Sink):
    """Writes them."""

    kinds = frozenset(("drop", "json"))

    def __init__(self, own: str, values: WriteLines, others: WriteLines) -> None:
        """own: the kind of the entries that are values; values, others: take lines of JSON."""
        self.own = own
        self._values = values
        self._others = others
        self.count = 0
        """Values that were found."""

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        values = [entry.line for entry in some if entry.kind == self.own]
        self.count += len(values)
        if values:
            self._values(values)
        others = [
            entry.line
            for entry in some
            if entry.kind == "drop" or (entry.kind in ("json", OWNED_JSON) and _status(entry.line).status != "complete")
        ]
        if others:
            self._others(others)
