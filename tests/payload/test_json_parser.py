"""The JSON parser under every cut of its input, against json.loads and ijson itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.payload.at_once import parse_at_once
from pcapflow.payload.json_kept import KeptText
from pcapflow.payload.json_outline import Outline
from pcapflow.payload.json_parser import JsonParser
from tests.work import ends

TINY = replace(Limits(), json_slice=16)


def parse(
    data: bytes, cuts: list[int] | None = None, limits: Limits = TINY, *, whole: bool = True, gapped: bool = False
) -> tuple[JsonBody, JsonParser]:
    """By ijson; and the same comes out where it is kept until it is whole."""
    ledger = Ledger(limits)
    parser = JsonParser(limits, ledger.json)
    kept = KeptText(limits, ledger.json)
    at = 0
    for cut in sorted(cuts or []):
        if at < cut < len(data):
            parser.feed(data[at:cut])
            kept.feed(data[at:cut])
            at = cut
    parser.feed(data[at:])
    kept.feed(data[at:])
    body = parser.finish(whole=whole, gapped=gapped)
    again = kept.finish(whole=whole, gapped=gapped)
    assert (again, kept.drop, kept.error) == (body, parser.drop, parser.error)
    assert ledger.json.used == 0
    return body, parser


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


KINDS = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\[]{}\n,:'), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=30,
)


@given(st.lists(values, min_size=1, max_size=4), st.booleans(), st.sampled_from(["", " \r\n", "\n"]))
def test_valid_texts_count_as_json_loads_sees_them_under_every_cut(documents: list[Any], ascii_only: bool, between: str) -> None:
    data = (" " + (between or " ")).join(json.dumps(d, ensure_ascii=ascii_only) for d in documents).encode() + between.encode()
    names = [name for name, _ in ijson.basic_parse(data, multiple_values=True)]
    kinds = {KINDS[type(d)] for d in documents}
    kind = kinds.pop() if len(kinds) == 1 else "mixed"
    expected = JsonBody(len(documents), len(names), names.count("map_key"), max(map(depth, documents)), kind, len(data), "complete")
    assert parse(data)[0] == expected
    for cut in range(1, min(len(data), 60)):
        assert parse(data, [cut])[0] == expected
    assert parse(data, list(range(len(data))))[0] == expected
    assert parse(data, limits=Limits())[0] == expected
    if len(data) <= 512:
        assert parse_at_once(data) == expected


@given(
    st.binary(max_size=120) | st.text('[]{}",:0123456789truefalsn\\u \n', max_size=120).map(str.encode),
    st.lists(st.integers(0, 120), max_size=6),
)
def test_any_bytes_give_the_same_answer_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole, _ = parse(data)
    assert parse(data, cuts)[0] == whole
    assert parse(data, list(range(len(data))))[0] == whole
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return
    assert whole.status in ("complete", "dropped"), whole


@given(st.text('[]{}"\\ab,', max_size=80).map(str.encode), st.integers(1, 9))
def test_the_outline_is_what_a_loop_over_characters_finds(data: bytes, size: int) -> None:
    outline = Outline()
    expected = []
    level = 0
    in_string = escaped = False
    for at in range(0, len(data), size):
        highest = lowest = level
        for c in data[at : at + size].decode():
            if in_string:
                if escaped:
                    escaped = False
                elif c == "\\":
                    escaped = True
                elif c == '"':
                    in_string = False
            elif c == '"':
                in_string = True
            elif c == "\\":
                return  # no JSON: nothing is promised
            elif c in "[{":
                level += 1
            elif c in "]}":
                level -= 1
            highest, lowest = max(highest, level), min(lowest, level)
        scan = outline.scan(data[at : at + size])
        assert (scan.depth, scan.highest, scan.lowest, outline.in_string) == (level, highest, lowest, in_string)
        expected.append(scan)
    together = Outline().scan_all([data[at : at + size] for at in range(0, len(data), size)])
    assert together == expected


@pytest.mark.parametrize(
    ("data", "offset", "path"),
    [
        (b'{"a": [1, 2, x]}', 13, "a[]"),
        (b'{"a": 1, "b" 2}', 13, "b"),
        (b"[1,,2]", 3, "[]"),
        (b"[1,]", 3, "[]"),
        (b'{"items": [{"id": 1}, {"id": tru}]}', 29, "items[].id"),
        (b'{"items": [{"id": 1}, {"id": 2 3}]}', 31, "items[].id"),
        (b'["a\nb"]', 1, "[]"),
        (b"\xef\xbb\xbf[1]", 0, ""),
        (b"[NaN]", 1, "[]"),
        (b'  {"a": 1}  ]', 2, ""),
        (b'["' + b"x" * 50 + b'", ]', 55, "[]"),
        (b'{"k": {"l": [' + b"1," * 40 + b"?]}}", 93, "k.l[]"),
    ],
)
def test_an_error_says_where_the_text_broke(data: bytes, offset: int, path: str) -> None:
    for cuts in ([], [5], list(range(len(data)))):
        body, _ = parse(data, cuts)
        assert body.status == "invalid"
        assert body.error is not None
        assert (body.error.path, body.error.message != "") == (path, True)
        expected = offset if not data.startswith(b"  ") else 0
        assert body.error.offset == expected


def test_an_error_counts_from_its_own_document() -> None:
    data = b'{"a":1}\n{"b":2}\n{"c":?}\n'
    body, _ = parse(data)
    assert body.documents == 2
    assert body.error is not None
    assert (body.error.offset, body.error.path) == (5, "c")


def place_by_characters(text: str) -> tuple[str, int]:
    """Where in a valid JSON text, cut somewhere, one is, as jq says it, and how many keys came."""
    stack: list[list[Any]] = []
    keys, begin, wants_key = 0, -1, False
    at = 0
    while at < len(text):
        c = text[at]
        if begin >= 0:
            if c == "\\":
                at += 1
            elif c == '"':
                if wants_key:
                    keys += 1
                    stack[-1][1] = json.loads(text[begin : at + 1])
                begin = -1
        elif c == '"':
            begin = at
        elif c in "[{":
            stack.append([c, "", 0])
            wants_key = c == "{"
        elif c in "]}":
            stack.pop()
        elif c == ",":
            stack[-1][2] += 1
            wants_key = stack[-1][0] == "{"
        elif c == ":":
            wants_key = False
        at += 1
    parts = [
        f"[{commas}]" if kind == "[" else f".{key}" if key.isalpha() else f"[{json.dumps(key)}]" if key else ""
        for kind, key, commas in stack
    ]
    return "".join(parts).removeprefix("."), keys


plain = st.text('ab,:[]{}\\"', max_size=8)
nested = st.recursive(
    st.none() | st.integers(0, 10**20) | plain,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["id", "name", "a b", "x:y"]), inner, max_size=4),
    max_leaves=25,
)


@given(st.lists(nested, min_size=1, max_size=4), st.data(), st.sampled_from([None, 1]))
def test_a_cut_text_says_where_it_was_as_a_loop_over_characters_finds(value: list[Any], data: st.DataObject, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    cut = data.draw(st.integers(1, len(text) - 1))
    location, keys = place_by_characters(text[:cut])
    for limits in (TINY, Limits()):
        body, _ = parse(text[:cut].encode(), [cut // 2], limits, whole=False)
        assert body.error is not None
        assert (body.status, body.error.location, body.keys, body.error.document) == ("truncated", location, keys, 0)
        # and where the text breaks there
        body, _ = parse(text[:cut].encode() + b"\x01", limits=limits)
        assert body.error is not None
        assert (body.status, body.error.location, body.keys) == ("invalid", location, keys)


def test_a_cut_body_is_truncated_and_says_where_it_was() -> None:
    body, _ = parse(b'{"items": [{"name": "x", "address": {"street": "Main', whole=False)
    assert body.status == "truncated"
    assert body.error is not None
    assert (body.error.path, body.error.offset) == ("items[].address.street", 52)


def test_a_body_with_a_gap_is_gapped_unless_it_was_invalid_before() -> None:
    assert parse(b"[1, 2", whole=False, gapped=True)[0].status == "gapped"
    assert parse(b"[1, , " + b" " * 30, whole=False, gapped=True)[0].status == "invalid"


def test_a_whole_body_that_stops_inside_a_value_is_invalid() -> None:
    body, _ = parse(b'{"a": [1, 2')
    assert body.status == "invalid"
    assert body.error is not None
    assert body.error.kind == "ends_early"


@pytest.mark.parametrize("scalar", [b'"%s"', b"%s"])
def test_a_scalar_beyond_its_limit_is_dropped_at_the_same_place_however_it_is_cut(scalar: bytes) -> None:
    limits = replace(TINY, json_scalar_max_bytes=100)
    data = b"[" + scalar % (b"7" * 200) + b"]"
    bodies = [parse(data, cuts, limits) for cuts in ([], [50], list(range(len(data))))]
    for body, parser in bodies:
        assert body == bodies[0][0]
        assert parser.drop == bodies[0][1].drop
        assert body.status == "dropped"
        assert body.drop_reason == DropReason.JSON_SCALAR_TOO_LARGE
    assert parse(b'["' + b"7" * 90 + b'"]', limits=limits)[0].status == "complete"


def test_depth_beyond_its_limit_is_dropped_before_ijson_sees_it() -> None:
    limits = replace(TINY, json_max_depth=20)
    assert parse(b"[" * 20 + b"]" * 20, limits=limits)[0].status == "complete"
    body, _ = parse(b"[" * 21 + b"]" * 21, limits=limits)
    assert body.drop_reason == DropReason.JSON_TOO_DEEP


@pytest.mark.parametrize("number", [b"1" * 5000, b"1e99999999999999999999"])
def test_a_number_that_python_does_not_convert_is_a_drop_and_no_traceback(number: bytes) -> None:
    body, _ = parse(b"[" + number + b"]", limits=Limits())
    assert body.drop_reason == DropReason.JSON_NUMBER_UNSUPPORTED


def test_a_parser_that_finds_no_memory_is_dropped() -> None:
    ledger = Ledger(replace(Limits(), json_total=7000))
    parser = JsonParser(Limits(), ledger.json)
    parser.feed(b"[" + b"1," * 600)
    assert parser.drop is not None
    assert parser.drop.reason is DropReason.JSON_MEMORY
    assert ledger.json.used == 0


_LONG_STRING = """
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.payload.json_parser import JsonParser
unit = {unit!r}
limits = Limits(json_scalar_max_bytes=1 << 30, json_total=1 << 30, memory_limit=1 << 31)
parser = JsonParser(limits, Ledger(limits).json)
data = b'["' + unit * (48_000_000 // len(unit)) + b'"]'
for at in range(0, len(data), 1448):
    parser.feed(data[at : at + 1448])
parser.finish(whole=True, gapped=False)
assert parser.drop is None or unit == b"[", parser.drop
"""


@pytest.mark.parametrize("unit", [b"x", b"\\\\", b'\\"', b"[", b"\\u00e9"])
def test_a_long_string_fed_in_packets_ends(unit: bytes) -> None:
    """33,000 packets of one string: a parser that looks at all of it for each would look at 800 GB."""
    ends(_LONG_STRING.format(unit=unit))


def test_a_lone_surrogate_is_an_error_of_the_text_and_no_drop() -> None:
    body, _ = parse(b'["\\ude00"]', limits=Limits())
    assert body.status == "invalid"
    assert body.drop_reason is None


def test_where_a_text_stops_early_does_not_depend_on_slices() -> None:
    for data in (b" " * 50_000, b"[1]" + b" " * 50_000 + b"tru"):
        results = {(b.error.message, b.error.offset) for limits in (TINY, Limits()) if (b := parse(data, limits=limits)[0]).error}
        assert len(results) == 1


def test_nothing_is_kept_after_a_drop() -> None:
    ledger = Ledger(Limits())
    parser = JsonParser(Limits(), ledger.json)
    parser.feed(b"[" * 600 + b" " * 20_000)
    assert parser.drop is not None
    assert ledger.json.used == 0
    assert not parser._tail


def test_events_are_bounded_in_each_document_by_itself() -> None:
    limits = replace(TINY, json_document_max_events=50)
    short, long = b"[" + b"1," * 40 + b"1]", b"[" + b"1," * 90 + b"1]"
    assert parse(short * 5, limits=limits)[0].status == "complete"
    body, _ = parse(short + long, [7], limits)
    assert (body.status, body.drop_reason, body.documents) == ("dropped", DropReason.JSON_TOO_MANY_EVENTS, 1)
    assert body == parse(short + long, list(range(len(short + long))), limits)[0]
