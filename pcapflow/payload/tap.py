"""Who wants the events of JSON themselves: values for extract, repeated keys. Contract: see `Tap`; it keeps what it keeps in the `json` account."""

from __future__ import annotations

from typing import Protocol

from pcapflow.drops import Drop
from pcapflow.payload.path import Event


class Tap(Protocol):
    """Somebody who wants the events themselves."""

    def begin(self) -> None:
        """A text begins, whatever became of the one before."""
        ...

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """Whole tokens, and what ijson made of them; broken: of the first of them, and what lies behind is of no text. A drop ends the body."""
        ...

    def close(self) -> None:
        """The body is over."""
        ...


class Shared:
    """A tap for one of the parts of a body, which is not over with it."""

    __slots__ = ("_tap",)

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def begin(self) -> None:
        """A text begins."""
        self._tap.begin()

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """The next events."""
        return self._tap.take(data, events, broken=broken)

    def close(self) -> None:
        """A part is over, and not the body."""


class Both:
    """Two taps for one body."""

    __slots__ = ("_taps",)

    def __init__(self, *taps: Tap) -> None:
        self._taps = taps

    def begin(self) -> None:
        """A text begins."""
        for tap in self._taps:
            tap.begin()

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """The next events; the first drop counts."""
        drops = [tap.take(data, events, broken=broken) for tap in self._taps]
        return next((drop for drop in drops if drop is not None), None)

    def close(self) -> None:
        """The body is over."""
        for tap in self._taps:
            tap.close()
