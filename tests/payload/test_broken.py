"""What is said of a JSON text that breaks: our own kinds and words, the same however it is cut and whatever parser stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.contents import JsonError
from pcapflow.json_problems import JsonProblem
from pcapflow.limits import Limits
from pcapflow.payload.json_errors import SENTENCES
from pcapflow.payload.json_parser import JsonParser

LIMITS = replace(Limits(), json_slice=16)


def error_of(data: bytes, size: int = 1 << 30, *, whole: bool = True) -> JsonError | None:
    ledger = Ledger(LIMITS)
    parser = JsonParser(LIMITS, ledger.json)
    for at in range(0, len(data), size):
        parser.feed(data[at : at + size])
    error = parser.finish(whole=whole, gapped=False).error
    assert ledger.used == 0
    return error


BROKEN = {
    b'{"a": nope}': ("bad_literal", SENTENCES[JsonProblem.LITERAL], 6),
    b"[1, 2.]": ("bad_number", SENTENCES[JsonProblem.NUMBER], 4),
    b'["a\\q"]': ("bad_string", SENTENCES[JsonProblem.STRING], 1),
    b'["a\nb"]': ("bad_string", SENTENCES[JsonProblem.STRING], 1),
    b'{"a": "\xff"}': ("bad_unicode", SENTENCES[JsonProblem.UNICODE], 6),
    b'{"a": [1, 2': ("ends_early", SENTENCES[JsonProblem.ENDS], 11),
    b'{"a" 1}': ("unexpected_token", "expected a colon, found a number", 5),
    b'{"a": 1 "b": 2}': ("unexpected_token", "expected a comma or the end of the object, found a string", 8),
    b"[1 2]": ("unexpected_token", "expected a comma or the end of the array, found a number", 3),
    b"[1, ]": ("unexpected_token", "expected a value, found the end of an array", 4),
    b"{1: 2}": ("unexpected_token", "expected a key or the end of the object, found a number", 1),
    b'{"a": 1,}': ("unexpected_token", "expected a key, found the end of an object", 8),
    b"[}": ("unexpected_token", "expected a value or the end of the array, found the end of an object", 1),
    b"{'a': 1}": ("unexpected_token", "expected a key or the end of the object, found an invalid character", 1),
}


@pytest.mark.parametrize("size", [1, 3, 1 << 30])
@pytest.mark.parametrize("data", BROKEN)
def test_an_error_says_what_was_expected_what_was_found_and_where(data: bytes, size: int) -> None:
    error = error_of(data, size)
    assert error is not None
    assert (error.kind, error.message, error.offset) == BROKEN[data]


def test_a_body_that_was_cut_is_no_wrong_text() -> None:
    error = error_of(b'{"a": [1', whole=False)
    assert error is not None
    assert (error.kind, error.message) == ("cut", SENTENCES[JsonProblem.CUT])


some = [b"1", b"true", b"nul", b'"x"', b"[", b"{", b'"a":', b" ", b",", b"]", b":", b"-", b'"\\q"', b"}", b"\xff", b"'", b'"\n"']


@given(st.lists(st.sampled_from(some), max_size=9), st.integers(1, 7))
def test_what_is_said_is_the_same_under_every_cut_and_quotes_nothing(made: list[bytes], size: int) -> None:
    data = b"".join(made)
    error = error_of(data)
    assert error_of(data, size) == error
    try:
        json.loads(data)
    except ValueError:
        pass
    else:
        assert error is None
    if error is not None:
        assert error.message == SENTENCES.get(JsonProblem(error.kind), error.message)
        assert "'" not in error.message
