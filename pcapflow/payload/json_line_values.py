"""Where the values at paths stand in a text in which each line is one of JSON: NDJSON, event streams, logs.

Contract: as `json_values`. Invariant: a line is looked at whatever came of the one before; one that cannot hold what is wanted is passed over.
"""

from __future__ import annotations

import re

from pcapflow.payload.joint_states import JointStates
from pcapflow.payload.json_values import Place, ValuePlaces

_NOTHING = re.compile(rb"(?:[^\[{\n]*+\n|[\[\]{},: \t\r]*+\n)++")
"""Lines without a container, or without a string or scalar."""


class LinePlaces:
    """The same of a text in which each line is one of its own, whatever came of the one before: NDJSON, event streams, logs."""

    __slots__ = ("_at", "_base", "_begins", "_elsewhere", "_places")

    def __init__(self, states: JointStates, most: int, *, within: bool = False, second: bool = False) -> None:
        """See `ValuePlaces`. second: the first line is looked at elsewhere."""
        self._places = ValuePlaces(states, most, within=within)
        self._base = 0
        """Where the line at hand begins."""
        self._at = 0
        self._begins = not second
        """A line begins."""
        self._elsewhere = second

    @property
    def depth(self) -> int:
        """Containers that are kept."""
        return self._places.depth

    def feed(self, data: bytes) -> list[Place]:
        """The next bytes."""
        found: list[Place] = []
        at = 0
        if self._elsewhere:
            at = data.find(b"\n") + 1
            self._elsewhere, self._begins = not at, bool(at)
            at = at or len(data)
        base, places = self._at, self._places
        while at < len(data):
            if self._begins and places.holds_only and (nothing := _NOTHING.match(data, at)) is not None:
                at = nothing.end()
                continue
            if self._begins:
                places.begin()
                self._base = base + at
            end = data.find(b"\n", at) + 1 or len(data)
            self._add(found, places.feed(data[at:end]))
            self._begins = data[end - 1] == 0x0A
            if self._begins:
                self._add(found, places.finish())
            at = end
        self._at += len(data)
        return found

    def finish(self) -> list[Place]:
        """No more bytes come."""
        found: list[Place] = []
        self._add(found, self._places.finish())
        return found

    def _add(self, found: list[Place], places: list[Place]) -> None:
        base = self._base
        found += [(base + begin, base + end, kind) for begin, end, kind in places]
