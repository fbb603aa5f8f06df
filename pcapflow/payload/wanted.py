"""Which values of a JSON text are wanted, told while its containers open: a small automaton over keys and positions.

Contract: `wanted` takes a path as jq writes it (`items[].id`), or a prefix as ijson does (`items.item.id`: neither brackets, quotes nor a leading dot), where `item` is an array's element or
a key of that name, and a dot may be in a key. Raises `ValueError`. Invariant: states are as many as the path has steps or characters, whatever the text; no key of the text
is kept.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.path_syntax import parse_path

NOWHERE = -1
"""The state of a value that leads to none that is wanted."""
_ELEMENT = "item"
DOTS_MAX = 64
"""Keys of a prefix: any dot may be in a key, so that what is kept grows with their square."""


class Wanted(NamedTuple):
    """States are places in these, the last place stands for NOWHERE; a text begins in state 0."""

    path: str
    keys: list[dict[object, int]]
    """Of each state, the keys that lead on, and to which."""
    others: list[int]
    """The state that every other key leads to."""
    elements: list[int]
    """The state of its elements."""
    indexes: list[int]
    """Which of its elements that is alone; -1 for each of them."""
    goal: int
    """The state of a value that is wanted."""
    levels: int
    """So many containers are around it at the most."""


def wanted(path: str) -> Wanted:
    """What a path or prefix asks for."""
    return _of_path(path) if path.startswith(".") or not set(path).isdisjoint("[]\"'") else _of_prefix(path)


def _of_path(path: str) -> Wanted:
    steps = parse_path(path)
    keys: list[dict[object, int]] = [{step: i + 1} if isinstance(step, str) else {} for i, step in enumerate(steps)]
    return Wanted(
        path,
        [*keys, {}, {}],
        [i + 1 if step is None else NOWHERE for i, step in enumerate(steps)] + [NOWHERE, NOWHERE],
        [NOWHERE if isinstance(step, str) else i + 1 for i, step in enumerate(steps)] + [NOWHERE, NOWHERE],
        [step if isinstance(step, int) else -1 for step in steps] + [-1, -1],
        len(steps),
        len(steps),
    )


def _of_prefix(prefix: str) -> Wanted:
    """State p + 1: the prefix is behind us up to p. State 0 is the top, which no dot parts from its keys."""
    ends = [i for i, c in enumerate(prefix) if c == "."] + [len(prefix)]
    if len(ends) > DOTS_MAX:
        raise ValueError(f"a path of more than {DOTS_MAX} keys: write it with a dot before the first, .a.b, so that no key has a dot in it")

    def keys(begin: int) -> dict[object, int]:
        return {prefix[begin:end]: end + 1 for end in ends if end >= begin}

    def element(begin: int) -> int:
        end = begin + len(_ELEMENT)
        return end + 1 if prefix.startswith(_ELEMENT, begin) and end in ends else NOWHERE

    places = range(len(prefix) + 1)
    dotted = [p < len(prefix) and prefix[p] == "." for p in places]
    return Wanted(
        prefix,
        [{"": 1, **keys(0)} if prefix else {}] + [keys(p + 1) if dotted[p] else {} for p in places] + [{}],
        [NOWHERE] * (len(prefix) + 3),
        # as ijson has it, behind an empty key at the top too
        [element(0)] + [element(0) if p == 0 else element(p + 1) if dotted[p] else NOWHERE for p in places] + [NOWHERE],
        [-1] * (len(prefix) + 3),
        len(prefix) + 1 if prefix else 0,
        prefix.count(".") + (2 if prefix else 0),
    )
