"""What differs between two texts, line by line, as `diff -u` shows it.

Contract: `unified` gives the lines. Invariant: time is linear but for a sort: lines that each text has once are matched (patience diff, B. Cohen), and between two of those only few are compared with
one another; more of them are shown as taken away and added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

_FEW = 200
"""Lines of each side that are compared with one another: the time for that grows with their product and more."""
_Opcode = tuple[str, int, int, int, int]


def unified(old: Sequence[str], new: Sequence[str], name: str, other: str, context: int = 1) -> Iterator[str]:
    """name, other: what the texts are called."""
    matcher: Any = SequenceMatcher(None, "", "")
    matcher.opcodes = _opcodes(old, new)
    for n, group in enumerate(matcher.get_grouped_opcodes(context)):
        if not n:
            yield f"--- {name}"
            yield f"+++ {other}"
        yield f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@"
        for tag, i, j, k, m in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[i:j])
            else:
                yield from (f"-{line}" for line in old[i:j])
                yield from (f"+{line}" for line in new[k:m])


def _range(begin: int, end: int) -> str:
    """As `diff` writes it."""
    n = end - begin
    return str(begin + 1) if n == 1 else f"{begin + (n > 0)},{n}"


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    """See `SequenceMatcher.get_opcodes`."""
    found: list[_Opcode] = []

    def add(tag: str, i: int, j: int, k: int, m: int) -> None:
        if found and found[-1][0] == tag == "equal":
            found[-1] = (tag, found[-1][1], j, found[-1][3], m)
        elif j > i or m > k:
            found.append((tag, i, j, k, m))

    at, to = 0, 0
    for i, k in [*_anchors(old, new), (len(old), len(new))]:
        begin, end = _same(old[at:i], new[to:k])
        add("equal", at, at + begin, to, to + begin)
        for tag, *where in _between(old[at + begin : i - end], new[to + begin : k - end]):
            add(tag, where[0] + at + begin, where[1] + at + begin, where[2] + to + begin, where[3] + to + begin)
        add("equal", i - end, i, k - end, k)
        if i < len(old) and k < len(new):
            add("equal", i, i + 1, k, k + 1)
        at, to = i + 1, k + 1
    return found


def _same(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines are the same at the beginning, and at the end of the rest."""
    most = min(len(old), len(new))
    begin = next((n for n in range(most) if old[n] != new[n]), most)
    most -= begin
    return begin, next((n for n in range(most) if old[-1 - n] != new[-1 - n]), most)


def _between(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    if not old and not new:
        return []
    if len(old) > _FEW or len(new) > _FEW:
        return [("replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The longest row of lines that each has once, in the order of both."""
    once = [{line for line, n in Counter(lines).items() if n == 1} for lines in (old, new)]
    where = {line: k for k, line in enumerate(new) if line in once[0] and line in once[1]}
    pairs = [(i, where[line]) for i, line in enumerate(old) if line in where]
    ends: list[int] = []
    """Of the rows of each length the smallest place in `new` at which one ends, and which pair that is."""
    last: list[int] = []
    before: list[int] = []
    for number, (_, k) in enumerate(pairs):
        n = bisect_left(ends, k)
        if n == len(ends):
            ends.append(k)
            last.append(number)
        else:
            ends[n], last[n] = k, number
        before.append(last[n - 1] if n else -1)
    row: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        row.append(pairs[number])
        number = before[number]
    return row[::-1]
