"""Ranges of numbers, from one up to another. Vocabulary: knows nobody."""

from __future__ import annotations

from collections.abc import Iterable

MaskRange = tuple[int, int, int]
"""Of a stream what is masked: from, up to, and what it is (`json_values`), or BLIND."""
BLIND = -1
"""Bytes of which nobody knows what they are, nor where messages end among them."""


def united(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers, each once, in order; ranges that touch become one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found
