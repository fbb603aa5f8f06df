"""Which values of a JSON text are wanted, told while its containers open: a small automaton over keys and positions.

Contract: `wanted` takes a path as jq writes it (`items[].id`, `domains.*.serial`, `..id`), or a prefix as ijson does (`items.item.id`: neither brackets of any kind, quotes, wildcards nor a leading dot), where
`item` is an array's element or a key of that name, and a dot may be in a key. Raises `ValueError`. Invariant: states are as many as the path has steps or characters, whatever the text; no key of the text
is kept.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.path_syntax import Pattern, parse_pattern

NOWHERE = -1
"""The state of a value that leads to none that is wanted."""
_ELEMENT = "item"
_STATES_MAX = 1000
_DEEPEST = 1 << 16
"""Levels that a value may be at behind `..`: more than any text may have."""
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
    """The state of its elements, but for those of `indexes`."""
    indexes: list[dict[int, int]]
    """The state of elements that are told apart, by position."""
    goals: list[bool]
    """Whether a value in that state is wanted."""
    levels: int
    """So many containers are around it at the most."""

    def element(self, state: int, position: int) -> int:
        """The state of an element at a position."""
        return self.indexes[state].get(position, self.elements[state])


def wanted(path: str) -> Wanted:
    """What a path or prefix asks for."""
    return _of_path(path) if _is_path(path) else _of_prefix(path)


def pattern_of(path: str) -> Pattern:
    """The steps of either, as jq would have them."""
    if _is_path(path):
        return parse_pattern(path)
    return tuple(None if key == _ELEMENT else key for key in path.split(".")) if path else ()


def _is_path(path: str) -> bool:
    return path.startswith((".", "$")) or not set(path).isdisjoint("[]\"'|?(){}") or "*" in path.split(".")


def _of_path(path: str) -> Wanted:
    """The subset construction: a state is a set of places between the steps, those behind `...` reached at once."""
    steps = parse_pattern(path)
    end = len(steps)

    def closed(places: set[int]) -> frozenset[int]:
        todo = list(places)
        while todo:
            place = todo.pop()
            if place < end and steps[place] is ... and place + 1 not in places:
                places.add(place + 1)
                todo.append(place + 1)
        return frozenset(places)

    def after(places: frozenset[int], child: str | int | None) -> frozenset[int]:
        """child: a key, a position, None for one that no step names."""
        found = {place for place in places if place < end and steps[place] is ...}
        found |= {
            place + 1
            for place in places
            if place < end and (steps[place] is None or (child is not None and steps[place] == child and type(steps[place]) is type(child)))
        }
        return closed(found)

    states = [closed({0})]
    numbers = {states[0]: 0}

    def number(places: frozenset[int]) -> int:
        if not places:
            return NOWHERE
        if places not in numbers:
            if len(states) >= _STATES_MAX and ... in steps:
                raise ValueError(f"{path}: too many `..` in one path")
            numbers[places] = len(states)
            states.append(places)
        return numbers[places]

    keys: list[dict[object, int]] = []
    others, elements, indexes = [], [], []
    at = 0
    while at < len(states):
        places = states[at]
        leading = [steps[place] for place in sorted(places) if place < end]
        keys.append({key: number(after(places, key)) for key in leading if isinstance(key, str)})
        others.append(number(after(places, None)))
        elements.append(others[-1])
        found = {position: number(after(places, position)) for position in leading if isinstance(position, int)}
        indexes.append({position: state for position, state in found.items() if state != elements[-1]})
        at += 1
    goals = [end in places for places in states]
    return Wanted(
        path, [*keys, {}], [*others, NOWHERE], [*elements, NOWHERE], [*indexes, {}], [*goals, False], end if ... not in steps else _DEEPEST
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
        [{}] * (len(prefix) + 3),
        [i == (len(prefix) + 1 if prefix else 0) for i in range(len(prefix) + 3)],
        prefix.count(".") + (2 if prefix else 0),
    )
