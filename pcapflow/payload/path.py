"""Where in a JSON text the parser is: the containers that are open, the key or index at hand in each.

Contract: after each slice `follow` takes ijson's events of it and what it is built of; `path` and `location` say the place at
the end of the last slice. Neither raises. Invariant: what is kept is one entry a level, keys of the levels that are named alone, and some of
what the last slices were built of, since most bodies end well and nobody asks for indexes; `kept_bytes` says how much that is.
"""

from __future__ import annotations

from sys import getsizeof

from pcapflow.paths import show_path
from pcapflow.payload.json_outline import count_commas

OPENING = frozenset(("start_map", "start_array"))
CLOSING = frozenset(("end_map", "end_array"))
_KINDS = {"map_key": "k", "start_map": "{", "start_array": "[", "end_map": "c", "end_array": "c"}
"""The events that a path is made of: a key, what opens, what closes."""
_KEY_CHARS = 64
"""Characters of a key kept for the path."""
_LOG_BYTES = 48 << 10
"""Of what was built, kept until somebody asks for indexes or so much of it is there: some 300 KB of text."""

_LEVEL_BYTES = 80
"""The entry of a level that is named, beside its key; the others share theirs."""
_UNNAMED = {"{": ("{", ""), "[": ("[", "")}

Event = tuple[str, object]


class Path:
    """The open containers of one text."""

    __slots__ = ("_indexes", "_log", "_most", "log_bytes", "stack")

    def __init__(self, most: int) -> None:
        """most: levels that are named at most."""
        self._most = most
        self.stack: list[tuple[str, str]] = []
        """Open containers, outermost first: `{` or `[`, and the last key seen in it."""
        self._indexes: list[int] = []
        """Commas seen in each of them before what the log has: in an array, the index of the element at hand."""
        self._log: list[bytes] = []
        self.log_bytes = 0

    def follow(self, events: list[Event], level: int, lowest: int, built: bytes) -> None:
        """A slice was taken that ends at that level and had that least depth in it: what was open at that depth still is."""
        if built:
            self._log.append(built)
            self.log_bytes += len(built)
            if self.log_bytes > _LOG_BYTES:
                self._count()
        self._follow_keys(events, level, max(0, lowest))

    def follow_broken(self, events: list[Event], built: bytes) -> None:
        """A slice broke behind these events; what it is built of up to there."""
        stack = self.stack
        for name, value in events:
            if name == "map_key":
                stack[-1] = (stack[-1][0], str(value)[:_KEY_CHARS])
            elif name in OPENING:
                stack.append(("{" if name == "start_map" else "[", ""))
            elif name in CLOSING:
                stack.pop()
        self._log.append(built)
        self._count()

    def kept_bytes(self) -> int:
        """What this keeps, as Python holds it."""
        named = self.stack[: self._most]
        return self.log_bytes + 8 * len(self.stack) + _LEVEL_BYTES * len(named) + sum([getsizeof(key) for _, key in named if key])

    def clear(self) -> None:
        """Nobody will ask any more."""
        self._log.clear()
        self.log_bytes = 0

    def path(self) -> str:
        """The same for every element of an array: `items[].address`."""
        return show_path(key if kind == "{" else None for kind, key in self.stack[: self._most] if key or kind == "[")

    def location(self) -> str:
        """The place alone: `items[412].address`."""
        self._count()
        indexes = self._indexes
        return show_path(
            key if kind == "{" else indexes[i] if i < len(indexes) else 0
            for i, (kind, key) in enumerate(self.stack[: self._most])
            if key or kind == "["
        )

    def _count(self) -> None:
        """Bring the indexes up to the log's end, and empty it."""
        count_commas(self._indexes, b"".join(self._log), self._most)
        self.clear()

    def _follow_keys(self, events: list[Event], level: int, lowest: int) -> None:
        """Goes backwards over the events and stops as soon as nothing earlier can matter."""
        stack = self.stack
        del stack[lowest:]
        persists = stack[-1][0] if stack else "["
        new: list[tuple[str, str]] = []
        wanted = level - lowest
        key: str | None = None
        closed = 0
        # with nothing new and an array around everything there is nothing to look for
        if wanted or persists == "{":
            kind_of = _KINDS.get
            for name, value in reversed(events):
                kind = kind_of(name)
                if kind is None:
                    continue
                if kind == "k":
                    if not closed and key is None:
                        key = str(value)[:_KEY_CHARS]
                        if len(new) == wanted:
                            break
                elif kind == "c":
                    closed += 1
                elif closed:
                    closed -= 1
                else:
                    new.append((kind, key or ""))
                    key = None
                    if len(new) == wanted and persists == "[":
                        break
        if stack and key is not None and len(new) == wanted:
            stack[-1] = (stack[-1][0], key)
        stack.extend(reversed(new))
        for i in range(max(lowest - 1, self._most), len(stack)):
            stack[i] = _UNNAMED[stack[i][0]]  # nobody will name it


_PATH_MOST = 1024
"""Characters of the path of an error."""


def innermost(path: str) -> str:
    """A path, or its end: hundreds of errors may be kept until their exchanges are over."""
    return path if len(path) <= _PATH_MOST else "..." + path[3 - _PATH_MOST :]
