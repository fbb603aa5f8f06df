"""Paths with wildcards: what they lead to, against a walk over the values, and how they are read."""

from __future__ import annotations

import json
from functools import partial
from types import EllipsisType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.path_syntax import Pattern, parse_pattern
from pcapflow.payload.body import BodyReader
from pcapflow.payload.extract import Values
from pcapflow.payload.joint_states import joint_states
from pcapflow.payload.json_values import LITERAL, NUMBER, ValuePlaces
from pcapflow.payload.wanted import wanted

KEYS = st.sampled_from(["a", "b", "id", "", "x.y", "é"])
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text('abé"\\', max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=14,
)
_BARE = "\0"
"""Around what is written without quotes."""
STEPS = st.lists(KEYS | st.integers(0, 2) | st.none() | st.just(...), max_size=4).map(tuple)


def selected(value: Any, steps: Pattern) -> list[Any]:
    """The outermost values that the steps lead to, in the order of the text."""
    if leads(steps):
        return [value]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, child in children:
        found += outermost(child, [rest for rest in after(steps, key)])
    return found


def outermost(value: Any, several: list[Pattern]) -> list[Any]:
    if any(leads(steps) for steps in several):
        return [value]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, child in children for one in outermost(child, [rest for steps in several for rest in after(steps, key)])]


def leads(steps: Pattern) -> bool:
    return all(step is ... for step in steps)


def after(steps: Pattern, key: str | int) -> list[Pattern]:
    """What is left of the steps below a child: several, where any depth comes first."""
    if not steps:
        return []
    if steps[0] is ...:
        return [steps, *after(steps[1:], key)]
    return [steps[1:]] if steps[0] is None or (steps[0] == key and type(steps[0]) is type(key)) else []


def written(steps: Pattern) -> str:
    parts = []
    for step in steps:
        if step is ...:
            parts.append("..")
        elif step is None:
            parts.append("[]")
        else:
            parts.append(f"[{step}]" if isinstance(step, int) else f"[{json.dumps(step)}]")
    return "." if not parts else "".join(parts) if parts[0] == ".." else "." + "".join(parts)


def extracted(text: bytes, path: str, size: int) -> list[Any]:
    lines: list[bytes] = []
    ledger = Ledger(Limits())
    tap = Values(wanted(path), Limits(), ledger.json, lines.append, lambda drop: pytest.fail(str(drop)))
    reader = BodyReader((), "json", Limits(), ledger, tap=tap)
    for at in range(0, len(text), size):
        reader.feed(text[at : at + size])
    reader.finish(whole=True)
    assert ledger.used == 0
    return [json.loads(line) for line in lines]


@given(VALUES, STEPS, st.integers(1, 40), st.sampled_from([None, 1]))
def test_a_pattern_leads_to_the_outermost_values_that_a_walk_finds(value: Any, steps: Pattern, size: int, indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    assert extracted(text, written(steps), size) == selected(value, steps)


_ONES = bytes(0x31 if 0x30 <= c <= 0x39 else c for c in range(256))


@given(VALUES, STEPS, st.integers(1, 40), st.sampled_from([None, 1]))
def test_the_places_of_a_pattern_cover_its_values_and_no_other(value: Any, steps: Pattern, size: int, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    places = ValuePlaces(joint_states([written(steps)]), 512)
    masked = bytearray(text)
    for feed in [*(partial(places.feed, text[at : at + size]) for at in range(0, len(text), size)), places.finish]:
        for begin, end, kind in feed():
            assert begin < end <= len(text)
            fill = bytes([kind - LITERAL]) if kind >= LITERAL else b"x"
            masked[begin:end] = text[begin:end].translate(_ONES) if kind == NUMBER else fill * (end - begin)
    plain = json.dumps(expected(value, [steps]), indent=indent, ensure_ascii=False).encode()
    assert bytes(masked).replace(b"-", b"1") == plain.replace(b'"\\u0000', b"").replace(b'\\u0000"', b"").replace(b"-", b"1")


def expected(value: Any, several: list[Pattern], *, masks: bool = False) -> Any:
    """The value with what is masked replaced: strings by x, and the others by a mark of as many bytes."""
    masks = masks or any(leads(steps) for steps in several)
    if isinstance(value, dict):
        return {key: expected(child, [r for s in several for r in after(s, key)], masks=masks) for key, child in value.items()}
    if isinstance(value, list):
        return [expected(child, [r for s in several for r in after(s, i)], masks=masks) for i, child in enumerate(value)]
    if not masks:
        return value
    text = json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, str):
        return "x" * (len(text) - 2)
    return (
        _BARE
        + (
            "-" * (text[:1] == b"-") + "1" * len(text.lstrip(b"-"))
            if isinstance(value, int) and not isinstance(value, bool)
            else "null" + " " * (value is False)
        )
        + _BARE
    )


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("domains.*.serial", ("domains", None, "serial")),
        (".domains.*.serial", ("domains", None, "serial")),
        (".domains[].serial", ("domains", None, "serial")),
        ("..id", (..., "id")),
        (".. | .id?", (..., "id")),
        ('..["id"]', (..., "id")),
        (".items..id", ("items", ..., "id")),
        (".items[]?.id?", ("items", None, "id")),
        (".items | .[] | .id", ("items", None, "id")),
        ("$.items[*].id", ("items", None, "id")),
        ('domains."this.co.uk".serial', ("domains", "this.co.uk", "serial")),
        (".[]", (None,)),
        ("*", (None,)),
        (".", ()),
        ('.["a|b"]', ("a|b",)),
    ],
)  # fmt: skip
def test_what_jq_users_write_is_read_as(text: str, steps: tuple[str | int | EllipsisType | None, ...]) -> None:
    assert parse_pattern(text) == steps
    wanted(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".items | length", "extract .items ... | jq length"),
        (".items[] | select(.id > 3) | .name", "extract '.items[]' ... | jq 'select(.id > 3) | .name'"),
        ("items[1:3]", "is not a path: write it like items"),
        ("items[1:3]", "extract '' ... | jq 'items[1:3]'"),
        ("map(.x)", "extract '' ... | jq 'map(.x)'"),
        ("{a}", "extract '' ... | jq '{a}'"),
        ("a*b[]", "is not a path"),
        ("[" + "].." * 3, "is not a path"),
    ],
)
def test_what_is_no_path_says_the_nearest_right_form(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="path") as e:
        wanted(text)
    assert words in str(e.value)


def test_a_prefix_of_ijsons_with_two_dots_is_one_with_an_empty_key() -> None:
    assert extracted(b'{"a": {"": {"b": 1}}}', "a..b", 3) == [1]
    assert extracted(b'{"a": {"": {"b": 1}}}', ".a..b", 3) == [1]
    assert extracted(b'{"a": {"x": {"y": {"b": 1}}}}', ".a..b", 3) == [1]


def test_any_depth_costs_no_more_states_than_are_allowed() -> None:
    with pytest.raises(ValueError, match="too many"):
        wanted("..a..b[]..c[]..d[][][][]..e[][][]..f[][][][][]..a[][][][][][]..b")


@pytest.mark.parametrize("depth", [40, 400])
def test_values_below_many_levels_are_found(depth: int) -> None:
    assert extracted(b'{"a":' * depth + b'{"id": 7}' + b"}" * depth, "..id", 100) == [7]
