"""What differs between two texts: all of it, nothing else, and in time that does not grow with the product of their lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import unified_diff

from hypothesis import given
from hypothesis import strategies as st

from pcapflow.check import line_diff
from pcapflow.check.line_diff import unified

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "once", "twice"]), max_size=24)


def made_of(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Both texts again, of what differs with all lines around it."""
    found = list(unified(old, new, "old", "new", context=1000))
    lines = found[3:]
    return [line[1:] for line in lines if line[0] in " -"], [line[1:] for line in lines if line[0] in " +"]


@given(LINES, LINES)
def test_both_texts_can_be_made_of_it(old: list[str], new: list[str]) -> None:
    if old == new:
        assert list(unified(old, new, "old", "new")) == []
    else:
        assert made_of(old, new) == (old, new)


@given(LINES, LINES)
def test_the_same_holds_where_nothing_is_compared_one_by_one(old: list[str], new: list[str]) -> None:
    few, line_diff._FEW = line_diff._FEW, 1
    try:
        if old != new:
            assert made_of(old, new) == (old, new)
    finally:
        line_diff._FEW = few


@given(st.lists(st.integers(0, 10_000).map(str), unique=True, max_size=60), st.data())
def test_lines_that_are_all_different_are_shown_as_difflib_does(old: list[str], data: st.DataObject) -> None:
    new = [line for line in old if data.draw(st.booleans()) or data.draw(st.booleans())]
    new.insert(data.draw(st.integers(0, len(new))), "more")
    assert list(unified(old, new, "old", "new")) == list(unified_diff(old, new, "old", "new", lineterm="", n=1))


def _calls(work: Callable[[], object]) -> int:
    n = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal n
        n += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n


def test_work_is_in_proportion_to_the_lines() -> None:
    """Each with few lines that repeat between lines of its own, which stopped the library's for a minute."""

    def lines(name: str, n: int) -> list[str]:
        return [text for i in range(n) for text in (f"{name}{i}", f"status {i % 54}", "{", "}")]

    calls = [_calls(lambda n=n: list(unified(lines("a", n), lines("b", n), "old", "new"))) for n in (1000, 2000)]  # type: ignore[misc]
    assert calls[1] < 2.2 * calls[0]
