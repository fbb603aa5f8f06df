"""The shape of JSON: which paths there are, and of which types their values are. No value is kept.

Contract: `Shapes` is a `Tap` that takes the events of one body and has the shape of all its documents; `Shape.merge` makes one shape of two, `lines` writes it: a path a line
(`items[].name?: string|null`), sorted. Of an object, a key that not all of its like had is optional (`?`); an object with more than KEYS keys is a map (`prices.*`).

Invariant: merging is associative and does not depend on order. A shape has at most NODES paths, and _GROWN times as many while a body is read: where there are more, the deepest levels are left out (`...`); NODE_BYTES and
the keys are reserved for them in the `json` account, and where that refuses there is no shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from sys import getsizeof

from pcapflow.budget import Account
from pcapflow.drops import Drop
from pcapflow.paths import show_path
from pcapflow.payload.path import Event

KEYS = 64
"""Keys of one object: an interface rarely has as many, an object by ids soon does."""
NODES = 500
"""Paths of one shape: what a person reads in a baseline, and what a line of it may take."""
NODE_BYTES = 480
"""Reserved for each path, beside its key (tests/payload/test_shape.py measures it)."""
_GROWN = 16
"""Times NODES that are kept while a body is read: what becomes a map may have KEYS objects before it is one."""
TEXT = 32 << 10
"""Characters of the lines of one shape, about; each line has its whole path, so that few deep ones take as much as many."""
_KEY_CHARS = 100
"""Of a key; a longer one is an id."""

NULL, BOOLEAN, INTEGER, NUMBER, STRING, OBJECT, ARRAY, DEEPER = (1 << i for i in range(8))
_NAMES = {
    OBJECT: "object",
    ARRAY: "array",
    STRING: "string",
    NUMBER: "number",
    INTEGER: "integer",
    BOOLEAN: "boolean",
    NULL: "null",
    DEEPER: "...",
}
_TYPES = {"null": NULL, "boolean": BOOLEAN, "string": STRING}


class Shape:
    """What is known of the values at one path."""

    __slots__ = ("any", "items", "keys", "objects", "seen", "types")

    def __init__(self) -> None:
        self.types = 0
        self.seen = 0
        """As a key: objects that had it."""
        self.objects = 0
        """How many of the values were objects."""
        self.keys: dict[str, Shape] = {}
        self.any: Shape | None = None
        """What every key leads to, of a map."""
        self.items: Shape | None = None

    def key(self, name: str) -> Shape:
        """The shape behind a key."""
        if self.any is None:
            found = self.keys.get(name)
            if found is not None:
                return found
            if len(self.keys) < KEYS:
                found = self.keys[name] = Shape()
                return found
            self._as_map()
        assert self.any is not None
        return self.any

    def element(self) -> Shape:
        """The shape of its elements."""
        if self.items is None:
            self.items = Shape()
        return self.items

    def _as_map(self) -> None:
        self.any = Shape()
        for one in self.keys.values():
            self.any.merge(one)
        self.keys = {}

    def merge(self, other: Shape) -> None:
        """Take what another one has seen. The other is not to be used any more."""
        self.types |= other.types
        self.seen += other.seen
        self.objects += other.objects
        if self.any is None and (other.any is not None or len(self.keys.keys() | other.keys.keys()) > KEYS):
            self._as_map()
        if self.any is not None:
            if other.any is not None:
                self.any.merge(other.any)
            for one in other.keys.values():
                self.any.merge(one)
        else:
            for name, one in other.keys.items():
                if name in self.keys:
                    self.keys[name].merge(one)
                else:
                    self.keys[name] = one
        if other.items is not None:
            if self.items is None:
                self.items = other.items
            else:
                self.items.merge(other.items)

    def inside(self) -> list[Shape]:
        """The shapes one level deeper."""
        return [*self.keys.values(), *(one for one in (self.any, self.items) if one is not None)]

    def bounded(self) -> Shape:
        """The same without its deepest levels, where it has more paths than NODES, or its lines more characters than TEXT."""
        level = [(self, 0, False)]
        before = [self]
        n, text = 1, 0
        """Of the lines above the level at hand: their characters."""
        while level:
            n += len(level)
            all_of_it = sum(path for _, path, _ in level)
            if before[0] is not level[0][0] and (n > NODES or text + all_of_it > TEXT or any(one.types & DEEPER for one in before)):
                for one in before:
                    if one.inside():
                        one.types |= DEEPER
                        one.keys, one.any, one.items = {}, None, None
                break
            text += sum(path for one, path, optional in level if optional or not one.inside() or one.types & (one.types - 1))
            before = [one for one, _, _ in level]
            level = [inner for one, path, _ in level for inner in one.steps(path)]
        return self

    def steps(self, path: int) -> list[tuple[Shape, int, bool]]:
        """The shapes one level deeper; how long the path of each is, about, and whether it is optional. path: of this one's."""
        found = [(one, path + len(name) + 1, one.seen < self.objects) for name, one in self.keys.items()]
        return [*found, *((one, path + 2, False) for one in (self.any, self.items) if one is not None)]

    def lines(self) -> list[str]:
        """A path a line, sorted."""
        return sorted(_written(self))


def _written(whole: Shape) -> Iterator[str]:
    left: list[tuple[int, Shape, str, bool]] = [(0, whole, "", False)]
    """What is still to be written: how many steps lead to where it is, the shape, the last step, and whether it is optional."""
    path: list[str] = []
    while left:
        depth, shape, step, optional = left.pop()
        path[depth:] = [step]
        names = [name for bit, name in _NAMES.items() if shape.types & bit]
        if optional or not shape.inside() or len(names) > 1:
            yield f"{''.join(path).removeprefix('.') or '.'}{'?' * optional}: {'|'.join(names)}"
        for name, one in shape.keys.items():
            key = show_path((name,))
            left.append((depth + 1, one, key if key.startswith("[") else "." + key, one.seen < shape.objects))
        if shape.any is not None:
            left.append((depth + 1, shape.any, ".*", False))
        if shape.items is not None:
            left.append((depth + 1, shape.items, "[]", False))


_LEFT_OUT: dict[str, tuple[None, str | None]] = {"start_map": (None, ""), "start_array": (None, None)}
"""Of an open container whose shape is not kept; one for all, since a text may be hundreds of levels deep."""


class Shapes:
    """A body's, of all its documents."""

    __slots__ = ("_account", "_nodes", "_open", "_refused", "_reserved", "shape")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._reserved = 0
        self._refused = False
        self._nodes = 0
        self.shape = Shape()
        self._open: list[tuple[Shape | None, str | None]] = []
        """Open containers, and in an object the key at hand; None for one whose shape is not kept."""

    def begin(self) -> None:
        """A text begins."""
        self._open.clear()

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """The next events."""
        opened = self._open
        for name, value in events:
            if name == "map_key":
                around = opened[-1][0]
                if around is not None:
                    key = str(value)
                    opened[-1] = (around, key if len(key) <= _KEY_CHARS else key[:_KEY_CHARS] + "...")
            elif name == "end_map" or name == "end_array":
                opened.pop()
            elif name == "start_map" or name == "start_array":
                here = self._here()
                if here is not None:
                    here.types |= OBJECT if name == "start_map" else ARRAY
                    here.objects += name == "start_map"
                if opened and opened[-1][1]:
                    opened[-1] = (opened[-1][0], "")  # what its key led to is known: no key is kept but the innermost one
                opened.append(_LEFT_OUT[name] if here is None else (here, "" if name == "start_map" else None))
            else:
                here = self._here()
                if here is not None:
                    here.types |= _TYPES.get(name) or (INTEGER if isinstance(value, int) else NUMBER)
        return None

    def _here(self) -> Shape | None:
        """The shape of the value that comes; None where it is not kept."""
        if not self._open:
            return self.shape
        around, key = self._open[-1]
        if around is None or around.types & DEEPER or self._refused:
            return None
        if key is None:
            if around.items is None and not self._keep(0):
                return None
            return around.element()
        if around.any is None and key not in around.keys and not self._keep(getsizeof(key)):
            return None
        found = around.key(key)
        found.seen += 1
        return found

    def _keep(self, key_bytes: int) -> bool:
        """One more path."""
        n = NODE_BYTES + key_bytes
        if not self._account.reserve(n):
            self._refused = True
            return False
        self._reserved += n
        self._nodes += 1
        if self._nodes > _GROWN * NODES:
            self.shape.bounded()
            self._nodes, cost = _kept(self.shape)
            self._account.release(self._reserved - cost)
            self._reserved = cost
        return True

    def lines(self) -> list[str] | None:
        """The shape; None where there was no room for it."""
        return None if self._refused or not self.shape.types else self.shape.bounded().lines()

    def close(self) -> None:
        """The body is over."""
        self._open.clear()
        self._account.release(self._reserved)
        self._reserved = 0


def _kept(shape: Shape) -> tuple[int, int]:
    """How many paths there are, and what is to be reserved for them."""
    level, n, names = [shape], 0, 0
    while level:
        n += len(level)
        names += sum(getsizeof(name) for one in level for name in one.keys)
        level = [inner for one in level for inner in one.inside()]
    return n - 1, (n - 1) * NODE_BYTES + names
