"""Texts that only begin as JSON does: told without ijson where no document ends, and then they are nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.payload import json_kept
from pcapflow.payload.at_once import has_no_document
from pcapflow.payload.body import BodyReader

TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"a"',
        b'"',
        b"\\",
        b"1",
        b"01",
        b"-",
        b"-2.5e3",
        b"null",
        b"true",
        b"fals",
        b" ",
        b"\n",
        b'"a":',
    ),
    *(b"\0", b"\xff", b"\xc3\xa9", b"NaN", b"Infinity", b"1.", b".5", b"1e", b'"\\u12"', b'"\\ud800"', b"'a'", b"/*a*/", b"+1", b"\x0b"),
    *(b'"\x01"', b'"\\x"', b"\xef\xbb\xbf", b"\xa0", b"0x1", b"1e999", b"9" * 30),
]


def found(data: bytes, form: str = "") -> tuple[object, object]:
    ledger = Ledger(Limits())
    reader = BodyReader((), form, Limits(), ledger, Looking().sniffing())
    reader.feed(data)
    reader.finish(whole=True)
    assert ledger.used == 0
    return reader.found, reader.drop


@given(st.sampled_from([b"[", b"{", b" [", b"\n{"]), st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join))
def test_what_has_no_document_is_found_to_be_nothing(begin: bytes, rest: bytes) -> None:
    if has_no_document(begin + rest):
        assert found(begin + rest) == (None, None)


@pytest.mark.parametrize("field", [b"=[1", b"={1", b"=[1,", b"a={%22b%22:1]"])
def test_fields_that_break_are_not_looked_at_by_ijson(field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(json_kept.JsonParser):
        def __init__(self, *given: object) -> None:
            made.append(1)
            super().__init__(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(json_kept, "JsonParser", Counted)
    body, drop = found(b"&".join([field] * 1000), "form")
    assert (body.fields, drop) == (1000, None)  # type: ignore[attr-defined]
    assert not made


def test_a_field_with_a_document_behind_which_it_breaks_is_counted() -> None:
    body, _ = found(b"a=[1][2&b={}", "form")
    assert [one.json.status for one in body.listed] == ["invalid", "complete"]  # type: ignore[attr-defined]
