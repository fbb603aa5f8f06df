"""Values cut out of JSON texts, against ijson's own items; as they were sent, under every cut."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import ijson
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.path_syntax import parse_path
from pcapflow.paths import Step, show_path
from pcapflow.payload.extract import Values
from pcapflow.payload.json_parser import JsonParser
from pcapflow.payload.wanted import wanted

TINY = replace(Limits(), json_slice=16)


def values(prefix: str, data: bytes, size: int = 1 << 30, limits: Limits = TINY) -> tuple[list[bytes], list[Drop]]:
    ledger = Ledger(limits)
    found: list[bytes] = []
    drops: list[Drop] = []
    tap = Values(wanted(prefix), limits, ledger.json, found.append, drops.append)
    parser = JsonParser(limits, ledger.json, tap)
    for at in range(0, len(data), size):
        parser.feed(data[at : at + size])
    parser.finish(whole=True, gapped=False)
    tap.close()
    assert ledger.used == 0
    return found, drops


keys = st.sampled_from(["a", "b", "item", "", "a.b", 'q"\\'])
inner = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('ab"\\[]{},: \n', max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(keys, children, max_size=4),
    max_leaves=20,
)


@example([{"": [None]}], ["item"], 1, None)
@given(
    st.lists(inner, min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "item", "", "a.b"]), max_size=4),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_what_ijson_gives_as_objects_comes_as_the_text_it_was(
    documents: list[Any], parts: list[str], size: int, indent: int | None
) -> None:
    data = "\n".join(json.dumps(d, indent=indent) for d in documents).encode()
    prefix = ".".join(parts)
    assume(not prefix.startswith("."))  # that is a path as jq has it
    found, drops = values(prefix, data, size)
    assert drops == []
    assert not any(b"\n" in text for text in found)
    theirs = list(ijson.items(data, prefix, multiple_values=True))
    assert [next(ijson.items(text, "", use_float=False)) for text in found] == theirs
    assert found == values(prefix, data)[0] == values(prefix, data, limits=Limits())[0]


def reached(value: Any, steps: tuple[Step, ...]) -> list[Any]:
    """What jq gives for a path, but nothing where it would be an error."""
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if step is None:
        inside = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    elif isinstance(step, str):
        inside = [value[step]] if isinstance(value, dict) and step in value else []
    else:
        inside = value[step : step + 1] if isinstance(value, list) else []
    return [found for one in inside for found in reached(one, rest)]


@given(
    st.lists(inner, min_size=1, max_size=3),
    st.lists(keys | st.none() | st.integers(0, 3), max_size=4).map(tuple),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_a_path_as_jq_has_it_leads_to_the_same_values(documents: list[Any], steps: tuple[Step, ...], size: int, indent: int | None) -> None:
    data = "\n".join(json.dumps(d, indent=indent) for d in documents).encode()
    path = "." + show_path(steps)
    assert parse_path(path) == steps
    found, drops = values(path, data, size)
    assert drops == []
    assert [json.loads(text) for text in found] == [value for document in documents for value in reached(document, steps)]
    assert found == values(path, data)[0] == values(path, data, limits=Limits())[0]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        (".", ()),
        (".a", ("a",)),
        ("a.b", ("a", "b")),
        ("a[]", ("a", None)),
        ("[].a", (None, "a")),
        (".[0].a[12]", (0, "a", 12)),
        ("a.'b.c'", ("a", "b.c")),
        ('a."b\\"c"', ("a", 'b"c')),
        ('a["b c"]["d"]', ("a", "b c", "d")),
        ("a['b c'].d", ("a", "b c", "d")),
        ("by_status.500", ("by_status", "500")),
        ("by_method....", ("by_method", "...")),
        ("headers.content-type", ("headers", "content-type")),
        (".items[][].x", ("items", None, None, "x")),
    ],
)
def test_a_path_is_read_as_its_steps(text: str, steps: tuple[Step, ...]) -> None:
    assert parse_path(text) == steps
    assert parse_path(show_path(steps)) == steps


@pytest.mark.parametrize(
    "text",
    ["a b", "a..b", "a.", "a[", "a[x]", "a[-1]", "a[1", "[]a", "a'b'", '.a"b"', "a.'b", '"\\x"', "a|b", "[1:2]", "..a", "a[][0", "a!"],
)
def test_what_is_no_path_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        parse_path(text)


@pytest.mark.parametrize(
    "text",
    [
        b"9007199254740993",
        b"1.10",
        b"-0.0",
        b"1E400",
        b"1e-7",
        b"12345678901234567890123456789",
        b'"\\u00e9\\/"',
        b'{"a":1,"a":2}',
        b"[ 1 , 2 ]",
    ],
)
def test_digits_escapes_and_repeated_keys_stay_as_they_were(text: bytes) -> None:
    for size in (1, 5, 1000):
        assert values("x.item", b'{"x": [' + text + b", " + text + b"]}", size)[0] == [text, text]
        assert values("", text, size)[0] == [text]


def test_a_value_of_several_lines_comes_on_one() -> None:
    assert values("a", b'{\n "a": {\n  "k": "x  y\\n",\r\n  "l": [1,\n 2]\n }\n}')[0] == [b'{"k":"x  y\\n","l":[1,2]}']


def test_a_value_beyond_its_limit_is_a_drop_and_the_next_is_given() -> None:
    limits = replace(TINY, extract_value_max_bytes=50)
    data = json.dumps([{"k": "x" * 20}, {"k": ["y" * 20] * 4}, {"k": 3}, "z" * 60, 5]).encode()
    for size in (1, 16, 1000):
        found, drops = values("item", data, size, limits)
        assert [json.loads(text) for text in found] == [{"k": "x" * 20}, {"k": 3}, 5]
        assert [drop.reason for drop in drops] == [DropReason.JSON_VALUE_TOO_LARGE] * 2


def test_a_value_that_finds_no_memory_is_a_drop_and_the_next_is_given() -> None:
    data = json.dumps([["y" * 100] * 300, 2]).encode()
    found, drops = values("item", data, 1000, replace(TINY, json_total=20_000))
    assert found == [b"2"]
    assert [drop.reason for drop in drops] == [DropReason.JSON_MEMORY]


def test_values_before_a_break_are_given() -> None:
    assert values("item.a", b'[{"a": 1}, {"a": 2}, {"a": nope}]')[0] == [b"1", b"2"]


def test_documents_that_touch_are_told_apart() -> None:
    assert values("", b"null1 01")[0] == [b"null", b"1", b"0", b"1"]


@pytest.mark.parametrize("size", [1, 3, 1 << 30])
@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b'1true "x" ,5 6', [b"1", b"true", b'"x"']),
        (b'{"a":1}2true ]3', [b'{"a":1}', b"2", b"true"]),
        (b'[1] 1null:"zz"', [b"[1]", b"1", b"null"]),
        (b'1true "ab\\q" 7', [b"1", b"true"]),
        (b"1 2true-x 5", [b"1", b"2", b"true"]),
    ],
)
def test_what_lies_behind_a_break_takes_the_place_of_no_value(data: bytes, whole: list[bytes], size: int) -> None:
    assert values("", data, size)[0] == whole
    assert values("", data, size, Limits())[0] == whole


pieces = st.lists(
    st.sampled_from(
        [b"1", b"true", b"null", b'"x"', b'"a\\u00e9"', b"[]", b'{"a":1}', b"[1,2]", b" ", b",", b"]", b":", b"-", b'"\\q"', b"}", b"0"]
    ),
    max_size=12,
)


@given(pieces, st.integers(1, 9))
def test_values_are_those_that_ijson_gives_before_a_text_breaks(made: list[bytes], size: int) -> None:
    data = b"".join(made)
    theirs = []
    try:
        for value in ijson.items(data, "", multiple_values=True):
            theirs.append(value)
    except ijson.JSONError:
        pass
    for found in (values("", data)[0], values("", data, size)[0], values("", data, size, Limits())[0]):
        assert [next(ijson.items(text, "", use_float=False)) for text in found] == theirs
