"""JSON written with a line for each value, as it arrives."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.payload.pretty import DEEPEST, Pretty

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def pretty(data: bytes, *cuts: int) -> bytes:
    one = Pretty()
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return b"".join([one.feed(data[a:b]) for a, b in itertools.pairwise(ends)]) + one.finish()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            b'{"a":1,"b":[1,2,{"c":"d"}],"e":{},"f":[]}',
            b'{\n  "a": 1,\n  "b": [\n    1,\n    2,\n    {\n      "c": "d"\n    }\n  ],\n  "e": {},\n  "f": []\n}\n',
        ),
        (b'"a\\"b{,}"', b'"a\\"b{,}"\n'),
        (b'{"a":1}\n{"b":2}\n', b'{\n  "a": 1\n}\n{\n  "b": 2\n}\n'),
        (b"", b""),
        (b"  \n", b""),
        (b"[1, nope", b"[\n  1,\n  nope\n"),
    ],
)
def test_a_text_is_shown_as(text: bytes, shown: bytes) -> None:
    assert pretty(text) == shown


@given(VALUES, st.booleans())
def test_the_values_are_the_same_and_as_jq_writes_them(value: Any, compact: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if compact else None, ensure_ascii=False)
    assert pretty(text.encode()) == (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


@given(st.binary(max_size=80) | VALUES.map(lambda value: json.dumps(value).encode()), st.lists(st.integers(0, 80), max_size=5))
def test_any_bytes_in_any_pieces_lose_nothing_but_white_space(data: bytes, cuts: list[int]) -> None:
    whole = pretty(data)
    blank = b" \t\r\n"
    assert whole.translate(None, blank) == data.translate(None, blank)
    assert pretty(data, *cuts).translate(None, blank) == whole.translate(None, blank)


@given(VALUES.map(lambda value: json.dumps(value).encode()), st.lists(st.integers(0, 80), max_size=5))
def test_json_is_the_same_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    assert pretty(data, *cuts) == pretty(data)


def test_depth_is_indented_up_to_a_bound() -> None:
    deep = pretty(b"[" * 5000 + b"]" * 5000)
    assert len(deep) < 10_000 * (2 + 2 * DEEPEST)
    assert deep.translate(None, b" \n") == b"[" * 5000 + b"]" * 5000
