"""Who takes what a body holds: its bytes as they come out of its codings, what is missing, and its end.

Contract: a body is decoded once, for all who listen to it (`payload.body`). `feed` comes in order, in pieces of bounded size; `gap` where bytes are missing: behind
one nothing comes where a coding was in the way. A listener never raises for what the bytes are, and what it keeps it reserves itself.
"""

from __future__ import annotations

from typing import Protocol

from pcapflow.drops import Drop


class BodyListener(Protocol):
    """Listens to one body."""

    as_sent: bool
    """It gets the bytes as they were sent, content codings and all."""

    def feed(self, data: bytes) -> None:
        """The next bytes, content codings undone."""
        ...

    def gap(self, n: int) -> None:
        """n bytes are missing here, as they were sent."""
        ...

    def stop(self, drop: Drop) -> None:
        """The codings could not be undone any further, for that reason."""
        ...

    def undecoded(self, problem: str) -> None:
        """The bytes come as they were sent: this installation cannot undo the codings, as problem says. Comes before any of them."""
        ...

    def finish(self, *, whole: bool) -> None:
        """The body is over; whole: all of its bytes came."""
        ...
