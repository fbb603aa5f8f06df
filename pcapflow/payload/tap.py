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
