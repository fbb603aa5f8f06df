"""Texts that only begin as JSON does: told without ijson where no document ends, and then they are nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.limits import Limits
from pcapflow.payload import json_kept
from pcapflow.payload.at_once import has_no_document
from pcapflow.payload.body import BodyReader
from pcapflow.payload.json_formats import open_text

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
    *(
        b'"\x01"',
        b'"\\x"',
        b"\xef\xbb\xbf",
        b"\xa0",
        b"0x1",
        b"1e999",
        b"9" * 30,
        b"1e11",
        b"0E+00",
        b"\x0c",
        b"1e" + b"1" * 15,
        b"1e-" + b"1" * 20,
    ),
]


def found(data: bytes, form: str = "", content_type: str = "") -> tuple[object, object]:
    ledger = Ledger(Limits())
    reader = BodyReader((), form, Limits(), ledger, Looking().sniffing(), content_type=content_type)
    reader.feed(data)
    reader.finish(whole=True)
    assert ledger.used == 0
    return reader.found, reader.drop


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an item for each parser of ijson that is made."""
    made: list[int] = []

    class Counted(json_kept.JsonParser):
        def __init__(self, *given: object) -> None:
            made.append(1)
            super().__init__(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(json_kept, "JsonParser", Counted)
    return made


BEGINS = st.sampled_from([b"[", b"{", b" [", b"\n{", b"[[[[", b'{"a":[', b'["' + b"a" * 40 + b'",'])
RESTS = st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join)
LOW = Limits(json_max_depth=2, json_scalar_max_bytes=32)


class Nobody:
    """A tap that wants the events and does nothing with them: for it every text is read as it arrives."""

    def begin(self) -> None: ...

    def take(self, data: bytes, events: object, *, broken: bool = False) -> None: ...

    def close(self) -> None: ...


@given(BEGINS, RESTS)
def test_what_has_no_document_is_invalid_to_ijson(begin: bytes, rest: bytes) -> None:
    if has_no_document(begin + rest, Limits()):
        text = open_text("json", Limits(), Ledger(Limits()).json)
        text.feed(begin + rest)
        json = text.finish(whole=True, gapped=False)
        assert (json.status, json.documents, text.drop) == ("invalid", 0, None)


@pytest.mark.parametrize("limits", [Limits(), LOW], ids=["defaults", "low limits"])
@given(
    BEGINS, RESTS, st.sampled_from([0, 1, 2, 7, 100, 600]), st.integers(0, 40), st.booleans(), st.sampled_from([None, None, 0, 1, 9, 200])
)
def test_a_body_that_only_seems_json_is_the_same_whoever_wants_its_events(
    limits: Limits, begin: bytes, rest: bytes, padding: int, size: int, whole: bool, gap: int | None
) -> None:
    data = begin + b" " * padding + rest

    def read(tap: Nobody | None) -> tuple[object, ...]:
        ledger = Ledger(limits)
        reader = BodyReader((), "", limits, ledger, Looking().sniffing(), tap)  # type: ignore[arg-type]
        for at in range(0, len(data), size or 1000):
            if gap is not None and gap <= at:
                reader.gap(3)
                break
            reader.feed(data[at : at + (size or 1000)])
        reader.finish(whole=whole)
        assert ledger.used == 0
        return reader.found, reader.drop, reader.decoded_bytes, reader.inner

    assert read(None) == read(Nobody())


def test_bodies_that_break_are_not_looked_at_by_ijson(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    body, drop = found(b"--a\r\n\r\n[1\r\n" * 900 + b"--a--", "multipart", "multipart/mixed; boundary=a")
    assert (body.parts, drop) == (900, None)  # type: ignore[attr-defined]
    assert not made


@pytest.mark.parametrize("field", [b"=[1", b"={1", b"=[1,", b"a={%22b%22:1]", b"=[[\x0b", b"=[0e00", b"=[1234567890123456789"])
def test_fields_that_break_are_not_looked_at_by_ijson(field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    body, drop = found(b"&".join([field] * 1000), "form")
    assert (body.fields, drop) == (1000, None)  # type: ignore[attr-defined]
    assert not made


def test_a_field_with_a_document_behind_which_it_breaks_is_counted() -> None:
    body, _ = found(b"a=[1][2&b={}", "form")
    assert [one.json.status for one in body.listed] == ["invalid", "complete"]  # type: ignore[attr-defined]


@given(st.sampled_from([b"[[[[", b'["' + b"a" * 40, b"{"]), RESTS)
def test_a_limit_that_a_field_passes_before_it_breaks_is_told(begin: bytes, rest: bytes) -> None:
    if has_no_document(begin + rest, LOW):
        text = open_text("json", LOW, Ledger(LOW).json)
        text.feed(begin + rest)
        json = text.finish(whole=True, gapped=False)
        assert (json.status, json.documents, text.drop) == ("invalid", 0, None)


@pytest.mark.parametrize("limits", [Limits(), LOW], ids=["defaults", "low limits"])
@given(BEGINS, RESTS, st.booleans(), st.sampled_from([None, None, None, 0, 9]))
def test_a_text_that_nobody_lists_has_the_counts_of_one_whose_error_is_located(
    limits: Limits, begin: bytes, rest: bytes, whole: bool, gap: int | None
) -> None:
    def read(*, counts_alone: bool) -> tuple[object, ...]:
        ledger = Ledger(limits)
        reader = BodyReader((), "", limits, ledger, Looking().sniffing(counts_alone=counts_alone))
        reader.feed((begin + rest)[:gap])
        if gap is not None:
            reader.gap(3)
        reader.finish(whole=whole)
        assert ledger.used == 0
        json = reader.found
        assert json is None or isinstance(json, JsonBody)
        told = None if json is None else (json.documents, json.events, json.keys, json.max_depth, json.top_level, json.bytes, json.status)
        return told, None if json is None else (json.broken, json.drop_reason), reader.drop

    assert read(counts_alone=True) == read(counts_alone=False)


@pytest.mark.parametrize(
    ("form", "content_type", "unit", "between", "end"),
    [("form", "", b"a=[1][2", b"&", b""), ("multipart", "multipart/mixed; boundary=a", b"\r\n[1][2", b"\r\n--a\r\n", b"\r\n--a--")],
)
def test_only_texts_that_are_listed_are_given_to_the_parser_that_locates_errors(
    form: str, content_type: str, unit: bytes, between: bytes, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch)
    body, drop = found(between.lstrip(b"\r\n") * bool(content_type) + between.join([unit] * 900) + end, form, content_type)
    assert (getattr(body, "fields", 0) or getattr(body, "parts", 0), drop) == (900, None)
    assert len(made) == len(body.listed) == 32  # type: ignore[attr-defined]
