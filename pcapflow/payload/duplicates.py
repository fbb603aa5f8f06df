"""Counts keys that their object had already: parsers keep the first or the last of them, and do not say so.

Contract: a `Tap` on the JSON parser. Invariant: what is kept is the keys of the objects that are open, reserved in the `json` account; where
that is refused, the body is given up.
"""

from __future__ import annotations

from sys import getsizeof

from pcapflow.budget import Account
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload.path import Event

_KEY_BYTES = 112
"""A key's place in a set that has just grown, beside the key."""
_OBJECT_BYTES = 320
"""An open object: an empty set and its place."""
_STEP = 4 << 10


class DuplicateKeys:
    """One body's."""

    __slots__ = ("_account", "_held", "_open", "_reserved", "count")

    def __init__(self, limits: Limits, account: Account) -> None:
        self._account = account
        self._open: list[tuple[set[str], int]] = []
        """Keys of the open objects, outermost first, and what was held before each."""
        self._held = 0
        self._reserved = 0
        self.count = 0

    def begin(self) -> None:
        """A text begins."""
        self._open.clear()
        self._held = 0

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """The next events."""
        held = self._held
        for name, value in events:
            if name == "map_key":
                keys = self._open[-1][0]
                key = str(value)
                if key in keys:
                    self.count += 1
                else:
                    keys.add(key)
                    held += _KEY_BYTES + getsizeof(key)
                    if held > self._reserved and not self._grow(held):
                        return self._refused(held)
            elif name == "start_map":
                self._open.append((set(), held))
                held += _OBJECT_BYTES
                if held > self._reserved and not self._grow(held):
                    return self._refused(held)
            elif name == "end_map":
                held = self._open.pop()[1]
        self._held = held
        return None

    def _grow(self, held: int) -> bool:
        more = held - self._reserved + _STEP
        if not self._account.reserve(more):
            return False
        self._reserved += more
        return True

    def _refused(self, held: int) -> Drop:
        drop = Drop(DropReason.JSON_MEMORY, *self._account.refusal(), f"{held} bytes of keys to compare")
        self.close()  # the body may stay open for long, and nobody asks again
        return drop

    def close(self) -> None:
        """The body is over."""
        self._open.clear()
        self._account.release(self._reserved)
        self._held = self._reserved = 0
