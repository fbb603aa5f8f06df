"""Where else the keys of a path stand, for whoever found nothing at it: `items[].id` for `items.id`.

Contract: a `Tap`; of each value whose key is the path's last - whatever is around it, in capitals or not - the path is counted; `likeness` tells which are nearest. Invariant: what is kept is a key for each open container, LEVELS at the most
and KEY_CHARS of each, reserved in the `json` account by whoever makes it (BYTES); paths are counted in a dictionary of its maker's, up to PATHS.
"""

from __future__ import annotations

from pcapflow.drops import Drop
from pcapflow.path_syntax import Pattern, parse_path
from pcapflow.paths import show_path
from pcapflow.payload.path import Event

PATHS = 32
LEVELS = 32
KEY_CHARS = 64
BYTES = 8 << 10


def keys_of(pattern: Pattern) -> tuple[str, ...]:
    """The keys that it names, as they are compared."""
    return tuple(step.casefold() for step in pattern if isinstance(step, str))


def likeness(keys: tuple[str, ...], path: str) -> int:
    """How many of the keys, from the last on, the end of a path has, arrays left out."""
    there = [step.casefold() for step in parse_path(path) if isinstance(step, str)]
    return next((n for n, (a, b) in enumerate(zip(reversed(keys), reversed(there), strict=False)) if a != b), min(len(keys), len(there)))


class Nearest:
    """One body's."""

    __slots__ = ("_counts", "_deeper", "_keys", "_stack")

    def __init__(self, keys: tuple[str, ...], counts: dict[str, int]) -> None:
        """keys: see `keys_of`, one at the least; counts: where paths are counted."""
        self._keys = keys
        self._counts = counts
        self._stack: list[str | None] = []
        """Of each open container the key at hand; None for an array."""
        self._deeper = 0

    def begin(self) -> None:
        """See `Tap`."""
        self._stack.clear()
        self._deeper = 0

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """See `Tap`."""
        stack, last = self._stack, self._keys[-1]
        for name, value in events:
            if name == "map_key":
                if not self._deeper and stack:
                    stack[-1] = key = str(value)[:KEY_CHARS]
                    if key.casefold() == last:
                        self._count()
            elif name in ("start_map", "start_array"):
                if len(stack) == LEVELS:
                    self._deeper += 1
                else:
                    stack.append("" if name == "start_map" else None)
            elif name in ("end_map", "end_array"):
                if self._deeper:
                    self._deeper -= 1
                elif stack:
                    stack.pop()
        return None

    def close(self) -> None:
        """See `Tap`."""
        self._stack.clear()

    def _count(self) -> None:
        path = show_path(self._stack)
        if path in self._counts or len(self._counts) < PATHS:
            self._counts[path] = self._counts.get(path, 0) + 1
