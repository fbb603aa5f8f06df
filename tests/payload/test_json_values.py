"""Where values of JSON stand, told while its bytes come: tokens that are there whole are taken at once, and it comes to the same as byte by byte."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.payload import json_line_values, json_values
from pcapflow.payload.joint_states import JointStates, joint_states
from pcapflow.payload.json_line_values import LinePlaces
from pcapflow.payload.json_values import LITERAL, NUMBER, ValuePlaces
from pcapflow.payload.wanted import wanted

TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"a"',
        b'"b"',
        b'"c\\u0061"',
        b'"\\""',
        b'"',
        b"\\",
        b"1",
        b"-2.5e3",
        b"null",
        b"true",
        b"false",
    ),
    *(b" ", b"\n", b'"a":', b'"b":', b"xyzzyy", b'"a":{', b'"b":[', b"1,2,3,", b'"\xff"', b'"\\u0061":', b'[{"a":"b"}],'),
]
PATHS = [["a"], ["..a"], ["[].a"], ["a.b"], ["item.a"], [".[1]"], ["a.b", "..b"], ["a[2]"], [""], ["."], ["a.*"]]
DIGITS = bytes(0x31 if 0x30 <= c <= 0x39 else c for c in range(256))


def masked(places: ValuePlaces | LinePlaces, pieces: list[bytes]) -> bytes:
    found = [place for piece in pieces for place in places.feed(piece)] + places.finish()
    data = b"".join(pieces)
    out = bytearray(data)
    for begin, end, kind in found:
        if kind == NUMBER:
            out[begin:end] = data[begin:end].translate(DIGITS)
        else:
            out[begin:end] = (b"x" if kind < LITERAL else bytes([kind - LITERAL])) * (end - begin)
    return bytes(out)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(i, len(data)) for i in at), len(data)]
    return [data[a:b] for a, b in pairwise(ends)]


@given(
    st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join),
    st.sampled_from(PATHS),
    st.lists(st.integers(0, 100), max_size=4),
    st.booleans(),
    st.sampled_from([3, 40]),
)
def test_values_are_the_same_however_the_bytes_come(data: bytes, paths: list[str], at: list[int], within: bool, most: int) -> None:
    bytewise = [data[i : i + 1] for i in range(len(data))]
    for kind in (ValuePlaces, LinePlaces):
        assert masked(kind(joint_states(paths), most, within=within), cut(data, at)) == masked(
            kind(joint_states(paths), most, within=within), bytewise
        )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 10**6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", 'c"', "é"]), inner, max_size=4),
    max_leaves=12,
)


def blanked(value: object) -> object:
    """A value as it is when all of it is masked; of the same length as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, dict):
        return {key: blanked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [blanked(one) for one in value]
    if isinstance(value, str):
        return "x" * (len(json.dumps(value)) - 2)
    return int(re.sub("[0-9]", "1", str(value))) if value is not None else None


def masked_model(value: object) -> object:
    """With what `..a` wants masked."""
    if isinstance(value, dict):
        return {key: blanked(one) if key == "a" else masked_model(one) for key, one in value.items()}
    return [masked_model(one) for one in value] if isinstance(value, list) else value


@given(VALUES, st.lists(st.integers(0, 200), max_size=3), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :\n")]))
def test_what_a_path_wants_is_masked_and_nothing_else(value: object, at: list[int], separators: tuple[str, str]) -> None:
    text = json.dumps(value, separators=separators).encode()
    after = masked(ValuePlaces(joint_states(["..a"]), 512), cut(text, at))
    assert json.loads(after) == masked_model(value)
    assert len(after) == len(text)


@given(st.lists(VALUES, min_size=1, max_size=5), st.lists(st.integers(0, 200), max_size=3))
def test_a_first_line_and_the_others_apart_are_all_lines(values: list[object], at: list[int]) -> None:
    text = b"\n".join(json.dumps(value).encode() for value in values)
    first, _, rest = text.partition(b"\n")
    others = masked(LinePlaces(joint_states(["..a"]), 512, second=True), cut(text, at))
    assert others[: len(first)] == first
    assert others[len(first) + 1 :] == masked(LinePlaces(joint_states(["..a"]), 512), [rest])


def test_a_piece_takes_as_many_steps_as_it_has_values_that_may_be_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    class Counting:
        def __init__(self, pattern: re.Pattern[bytes]) -> None:
            self.pattern = pattern

        def match(self, data: bytes, at: int = 0) -> re.Match[bytes] | None:
            nonlocal steps
            steps += 1
            return self.pattern.match(data, at)

    for name in ("_MEMBER", "_ELEMENT", "_NUMBERS", "_BRACKET", "_SKIPPED", "_TOKEN", "_INSIDE", "_NOTHING"):
        module = json_line_values if name == "_NOTHING" else json_values
        monkeypatch.setattr(module, name, Counting(getattr(module, name)))

    def count(data: bytes, places: ValuePlaces | LinePlaces) -> int:
        nonlocal steps
        steps = 0
        for piece in cut(data, list(range(0, len(data), 16384))):
            places.feed(piece)
        return steps

    n = 10_000
    assert count(b"[" + b'{"b":[1,2,{"c":"d"}]},' * n, ValuePlaces(joint_states(["a.b"]), 512)) < 5 * n, (
        "a container in which nothing is wanted"
    )
    assert count(b'{"a":[' + b"1,2,3," * n, ValuePlaces(joint_states(["a"]), 512)) < 100, "numbers"
    assert count(b'{"a":{' + b'"b":"c",' * n, ValuePlaces(joint_states(["..x"]), 512)) < n + 100
    assert count(b"GET / HTTP/1.1\r\n" * n, LinePlaces(joint_states(["..a"]), 512, within=True)) < 100
    assert count(b"[\n" * n, LinePlaces(joint_states(["..a"]), 512)) < 100


def test_states_of_paths_are_bounded_whatever_the_text() -> None:
    joint = JointStates([wanted(f"..k{i}.*.*.x") for i in range(12)])
    state = joint.first
    seen = 0
    for i in range(20_000):
        state = state.of_key(b"k%d" % (hashlib.sha256(b"%d" % i).digest()[0] % 12))
        seen = max(seen, len(joint._known))
    assert 100 < seen <= 4096
    assert joint.first.of_key(b"k1").of_key(b"q").of_key(b"q").of_key(b"x").is_goal
