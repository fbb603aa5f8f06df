"""Ranges of numbers, from one up to another. Vocabulary: knows nobody."""

from __future__ import annotations

from collections.abc import Iterable


def united(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers, each once, in order; ranges that touch become one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found
