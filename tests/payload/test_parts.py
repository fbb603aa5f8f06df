"""Forms and multipart bodies: the same parts whatever the cuts and the holes, each a payload of its own."""

from __future__ import annotations

import base64
import gzip
import json
import re
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.contents import FormBody, JsonBody, MultipartBody, YamlBody
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.payload import content as content_module
from pcapflow.payload import multipart as multipart_module
from pcapflow.payload.extract import Values
from pcapflow.payload.form import LISTED
from pcapflow.payload.wanted import wanted
from tests.payload.bodies import in_pieces, read, under_every_cut

FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="X-y_Z"'


def form(data: bytes, limits: Limits | None = None, **more: Any) -> FormBody:
    body = read([data], FORM, limits, **more).found
    assert isinstance(body, FormBody)
    return body


def multipart(data: bytes, limits: Limits | None = None, kind: str = MULTIPART, **more: Any) -> MultipartBody:
    body = read([data], kind, limits, **more).found
    assert isinstance(body, MultipartBody)
    return body


# --- forms


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60) | st.just("x" * 3000)), max_size=LISTED), st.integers(1, 40))
@settings(max_examples=60)
def test_a_form_has_the_fields_that_the_standard_library_finds(fields: list[tuple[str, str]], size: int) -> None:
    data = urlencode(fields).encode()
    expected = parse_qsl(data.decode(), keep_blank_values=True)
    body = read(in_pieces(data, size), FORM).found
    assert isinstance(body, FormBody)
    assert (body.fields, body.bytes, body.status) == (len(expected), len(data), "complete")
    assert [(one.name, one.bytes) for one in body.listed] == [(name[:100], len(value.encode())) for name, value in expected]


@pytest.mark.parametrize(
    "data",
    [b"a=1&b=%7B%22x%22%3A1%7D&c=", b"&&a&b=&=c&d=e=f&", b"payload=" + quote_plus('{"text": "' + "x" * 1200 + '"}').encode() + b"&a=%", b"a=%zz%4&b=+%20+&" + b"n" * 1100 + b"=1&k=" + b"v%41" * 400],
)  # fmt: skip
def test_a_form_is_the_same_whatever_the_cuts(data: bytes) -> None:
    reader = under_every_cut(data, FORM)
    assert isinstance(reader.found, FormBody)
    assert reader.drop is None


def test_json_in_a_field_is_a_payload_of_its_own() -> None:
    reader = read([b"user=u&payload=" + quote_plus('{"items": [1, {"a": null}]}').encode() + b"&x=%5B1%2C&y=%7Bz"], FORM)
    assert isinstance(reader.found, FormBody)
    assert [one.json.status if one.json is not None else None for one in reader.found.listed] == [None, "complete", None, None]
    assert reader.inner is not None
    assert (reader.inner.json.bodies, reader.inner.json.keys) == (1, 2)


def test_the_values_of_json_in_a_field_and_in_a_part_are_found() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    values: list[bytes] = []
    for kind, data in (
        (FORM, b"a=1&p=" + quote_plus('{"id": 1}').encode() + b"&q=" + quote_plus('[{"id": 2}]').encode()),
        (
            MULTIPART,
            part(b'{"id": 3}') + part(b"id: 4\n", "Content-Type: text/yaml") + part(b'{"id": 5}', "Content-Type: image/png") + LAST,
        ),
    ):
        tap = Values(wanted("..id"), limits, ledger.json, values.append, lambda drop: None)
        read(in_pieces(data, 5), kind, tap=tap)
    assert values == [b"1", b"2", b"3", b"4"]


def test_behind_a_gap_a_form_goes_on_at_the_next_field() -> None:
    body = read([b"a=1&b=2", None, b"2&c=3&d", None, b"=4"], FORM, whole=False).found
    assert isinstance(body, FormBody)
    assert (body.status, body.fields) == ("gapped", 4)
    assert [one.name for one in body.listed] == ["a", "b", "c"], "the beginning of a name is none"
    long = read([b"a=" + b"x" * 3000, None, b"x&b=1"], FORM, whole=False).found
    assert isinstance(long, FormBody)
    assert [(one.name, one.bytes) for one in long.listed] == [("a", 3000), ("b", 1)]


def test_of_a_million_fields_some_are_named_and_all_are_counted() -> None:
    body = form(b"a=1&" * 1_000_000)
    assert (body.fields, len(body.listed), body.status) == (1_000_000, LISTED, "complete")


def test_fields_beyond_the_limit_are_not_looked_into() -> None:
    field = b"p=%7B%7D&"
    reader = read([field * 12], FORM, Limits(parts_max=10))
    assert reader.inner is not None
    assert reader.inner.json.bodies == 10


def test_a_value_that_is_given_up_in_a_field_is_a_drop_and_the_others_are_read() -> None:
    data = b'a={"x": "' + b"y" * 100_000 + b'"}&b={"z": 1}'
    reader = read([data], FORM, Limits(json_scalar_max_bytes=50_000))
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.JSON_SCALAR_TOO_LARGE
    assert isinstance(reader.found, FormBody)
    assert (reader.found.status, reader.found.fields) == ("dropped", 2)
    assert read([data], FORM, Limits(json_total=1700)).drop is not None


# --- multipart


def part(content: bytes, *fields: str, end: bytes = b"\r\n") -> bytes:
    return b"--X-y_Z" + end + b"".join(field.encode() + end for field in fields) + end + content + end


LAST = b"--X-y_Z--\r\n"
NAMED = 'Content-Disposition: form-data; name="%s"'


@given(
    st.lists(
        st.tuples(st.binary(max_size=60), st.sampled_from(["", "a", "b c"]), st.sampled_from([None, "f.png", "é.txt"])),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 40),
    st.sampled_from([b"", b"preamble\r\n", b"\r\n"]),
)
@settings(max_examples=100)
def test_the_parts_are_those_that_the_standard_library_finds(parts: list[tuple[bytes, str, str | None]], size: int, before: bytes) -> None:
    data = before
    for content, name, filename in parts:
        more = f'; filename="{filename}"' if filename is not None else ""
        data += part(content.replace(b"--X", b"--x"), NAMED % name + more, "Content-Type: application/octet-stream")
    data += LAST + b"epilogue"
    model = message_from_bytes(b"Content-Type: " + MULTIPART.encode() + b"\r\n\r\n" + data)
    body = read(in_pieces(data, size), MULTIPART).found
    assert isinstance(body, MultipartBody)
    assert (body.status, body.parts, body.error) == ("complete", len(parts), None)
    assert len(model.get_payload()) == len(parts)
    assert [(one.name, one.filename, one.bytes) for one in body.listed] == [
        (name, filename, len(content)) for content, name, filename in parts
    ]


def whole() -> bytes:
    inner = b"--Y\r\nContent-Type: text/yaml\r\n\r\nk: v\r\n--Y--\r\n"
    return (
        b"preamble\r\n"
        + part(b'{"a": 1}', NAMED % "meta")
        + part(b"\x89PNG--X-y_Z not one\r\n--X-y_Zz\r\n", NAMED % "f" + '; filename="p.png"', "Content-Type: image/png")
        + part(inner, "Content-Type: multipart/mixed; boundary=Y")
        + part(base64.encodebytes(b'{"b": [1, 2]}'), "Content-Type: application/json", "Content-Transfer-Encoding: base64")
        + part(gzip.compress(b"[1]", mtime=0), "Content-Type: application/json", "Content-Encoding: gzip")
        + part(b"")
        + b"--X-y_Z  \r\nContent-Disposition: form-data;\r\n name=folded\r\n\r\n\r\n"
        + LAST
    )


def test_each_part_is_a_payload_of_its_own_whatever_the_cuts() -> None:
    body = under_every_cut(whole(), MULTIPART).found
    assert isinstance(body, MultipartBody)
    assert (body.status, body.parts, body.files) == ("complete", 8, 1)
    assert [(one.number, one.name, one.filename, one.bytes) for one in body.listed] == [
        ("1", "meta", None, 8),
        ("2", "f", "p.png", 31),
        ("3", None, None, 45),
        ("3.1", None, None, 4),
        ("4", None, None, 21),
        ("5", None, None, 23),
        ("6", None, None, 0),
        ("7", "folded", None, 0),
    ]
    held = [one.json or one.payload for one in body.listed]
    assert [type(one) for one in held] == [JsonBody, type(None), type(None), YamlBody, JsonBody, JsonBody, type(None), type(None)]
    assert [one.status for one in held if one is not None] == ["complete"] * 4


def test_lines_may_end_with_lf_alone() -> None:
    data = part(b"[1]", end=b"\n") + part(b"two\nlines", NAMED % "x", end=b"\n") + b"--X-y_Z--"
    body = under_every_cut(data, MULTIPART).found
    assert isinstance(body, MultipartBody)
    assert [(one.name, one.bytes) for one in body.listed] == [(None, 3), ("x", 9)]


@pytest.mark.parametrize(
    ("data", "kind", "words", "parts"),
    [
        (part(b"a"), MULTIPART, "the last boundary line is missing", 1),
        (b"x" * 100, MULTIPART, "no boundary line was found", 0),
        (part(b"a") + LAST, "multipart/form-data", "the Content-Type names no boundary", 0),
        (b"--X-y_Z\r\nName: value", MULTIPART, "the last boundary line is missing", 1),
    ],
)
def test_what_is_no_multipart_body_says_why(data: bytes, kind: str, words: str, parts: int) -> None:
    body = under_every_cut(data, kind).found
    assert isinstance(body, MultipartBody)
    assert body.error is not None
    assert (body.status, body.error.message, body.parts, body.error.part) == ("invalid", words, parts, parts)


def test_a_stream_of_replaced_parts_has_no_last_boundary() -> None:
    kind = "multipart/x-mixed-replace;boundary=X-y_Z"
    body = multipart(part(b"jpeg", "Content-Type: image/jpeg") * 3, kind=kind)
    assert (body.status, body.parts, body.error) == ("complete", 3, None)


def test_a_body_that_is_cut_is_truncated_and_so_is_its_last_part() -> None:
    body = multipart(part(b"one") + part(b"two")[:-4], whole=False)
    assert (body.status, [one.status for one in body.listed]) == ("truncated", ["complete", "truncated"])


def test_behind_a_gap_the_part_goes_on_and_then_the_next_boundary() -> None:
    first, second, third = part(b'{"a": 1}'), part(b"content of two"), part(b'{"b": 2}')
    body = read([first + second[:-8], None, second[-8:] + third + LAST], MULTIPART, whole=False).found
    assert isinstance(body, MultipartBody)
    assert (body.status, [one.status for one in body.listed]) == ("gapped", ["complete", "gapped", "complete"])
    assert [one.json is not None for one in body.listed] == [True, False, True]
    head = read([first + b"--X-y_Z\r\nContent-Ty", None, b"pe: a/b\r\n\r\nx\r\n" + third + LAST], MULTIPART, whole=False).found
    assert isinstance(head, MultipartBody)
    assert [one.status for one in head.listed] == ["complete", "gapped", "complete"]


def test_a_head_that_is_too_large_is_a_drop() -> None:
    limits = Limits(multipart_head_max_bytes=1000)
    assert multipart(part(b"a", "X: " + "y" * 900) + LAST, limits).status == "complete"
    for data in (part(b"a", "X: " + "y" * 1100) + LAST, b"--X-y_Z\r\n" + b"z" * 5000):
        for size in (7, 100, 10_000):
            reader = read(in_pieces(data, size), MULTIPART, limits)
            assert reader.drop is not None
            assert reader.drop.reason is DropReason.MULTIPART_HEAD_TOO_LARGE


def test_of_many_parts_some_are_listed_and_all_are_counted() -> None:
    body = multipart(part(b"{}") * 30_000 + LAST, Limits(parts_max=100))
    assert (body.parts, len(body.listed), body.status) == (30_000, 32, "complete")
    reader = read([part(b"{}") * 200 + LAST], MULTIPART, Limits(parts_max=100))
    assert reader.inner is not None
    assert reader.inner.json.bodies == 100


@pytest.mark.parametrize(
    ("text", "status", "n"),
    [
        (base64.b64encode(b'{"a":1,"bbb":2 }').rstrip(b"="), "complete", 16),
        (base64.b64encode(b'{"a":1,"bbb":2 }') + b"more", "complete", 16),
        (b"eyJhI!joxLCJi\r\nYmIiOjJ9", "complete", 15),
        (b"eyJhIjoxLA==ImJiYiI6Mn0=", "invalid", 7),
        (b"eyJhI", "invalid", 3),
    ],
)
def test_base64_is_read_as_its_senders_write_it_whatever_the_cuts(text: bytes, status: str, n: int) -> None:
    body = under_every_cut(part(text, "Content-Type: application/json", "Content-Transfer-Encoding: base64") + LAST, MULTIPART).found
    assert isinstance(body, MultipartBody)
    json_ = body.listed[0].json
    assert json_ is not None
    assert (json_.status, json_.bytes) == (status, n)


def test_behind_a_part_that_is_given_up_the_others_are_counted_whatever_the_cuts() -> None:
    limits = Limits(json_max_depth=20)
    for kind, data, n in (
        (FORM, b"a=" + b"[" * 40 + b"&c=1" * 50, 51),
        (MULTIPART, part(b"[" * 40, "Content-Type: application/json") + part(b"x") * 20 + LAST, 21),
    ):
        body = under_every_cut(data, kind, limits).found
        assert isinstance(body, FormBody | MultipartBody)
        assert (body.fields if isinstance(body, FormBody) else body.parts, body.status) == (n, "dropped")


def test_heads_that_go_on_are_reserved() -> None:
    from pcapflow.payload.body import BodyReader

    limits = Limits()
    ledger = Ledger(limits)
    reader = BodyReader((), "multipart", limits, ledger, Looking(), content_type=MULTIPART)
    reader.feed(b"--X-y_Z\r\n" + b"x" * 16_000)
    assert ledger.json.used > 16_000
    reader.finish(whole=False)
    assert ledger.json.used == 0


def test_a_boundary_that_never_comes_keeps_nothing() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    peak = 0
    from pcapflow.payload.body import BodyReader

    reader = BodyReader((), "multipart", limits, ledger, Looking(), content_type=MULTIPART)
    for piece in (b"--X-y_Z\r\n\r\n", *[b"\n--X-y_" * 10_000] * 50):
        reader.feed(piece)
        peak = max(peak, ledger.json.used)
    reader.finish(whole=True)
    assert peak < 16_000
    assert isinstance(reader.found, MultipartBody)
    assert reader.found.status == "invalid"


def test_multipart_bodies_in_multipart_bodies_are_read_to_a_bounded_depth() -> None:
    data = b"{}"
    for i in range(9):
        data = b"--b%d\r\nContent-Type: %s\r\n\r\n%s\r\n--b%d--" % (
            i,
            b"multipart/mixed; boundary=b%d" % (i - 1) if i else b"application/json",
            data,
            i,
        )
    body = multipart(data, kind="multipart/mixed; boundary=b8")
    assert [one.number for one in body.listed] == ["1", "1.1", "1.1.1", "1.1.1.1"]


def test_shapes_and_repeated_keys_are_those_of_each_part() -> None:
    data = part(b'{"a": 1, "a": 2}', NAMED % "j") + part(b"b: [x]\n", "Content-Type: application/yaml") + LAST
    body = multipart(data, looking=Looking(shapes=True, duplicate_keys=True))
    first, second = body.listed
    assert first.json is not None
    assert (first.json.shape, first.json.duplicate_keys) == (["a: integer"], 1)
    assert isinstance(second.payload, YamlBody)
    assert second.payload.shape == ["b[]: string"]


@given(st.binary(max_size=200), st.sampled_from([FORM, MULTIPART]), st.integers(1, 20), st.booleans())
def test_no_bytes_raise_and_each_is_the_same_under_cuts(data: bytes, kind: str, size: int, frame: bool) -> None:
    data = (
        b"--X-y_Z\r\n" + data.replace(b"\x00", b"\r\n--X-y_Z").replace(b"\x01", b"\r\n\r\n")
        if frame
        else data.replace(b"\x00", b"&").replace(b"\x01", b"={")
    )
    once, again = read([data], kind), read(in_pieces(data, size), kind)
    assert (once.found, once.drop) == (again.found, again.drop)
    json.dumps(once.decoded_bytes)


class _Counting:
    """A pattern that counts the bytes it may look at."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.bytes = 0

    def search(self, data: bytes, at: int, end: int) -> re.Match[bytes] | None:
        self.bytes += min(end, len(data)) - at
        return self._pattern.search(data, at, end)


def test_the_head_of_a_part_that_comes_byte_by_byte_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = _Counting(multipart_module._BLANK)
    monkeypatch.setattr(multipart_module, "_BLANK", looked)
    head = b"X-A: " + b"a" * 12_000 + b'\r\nContent-Disposition: form-data; name="n"\r\n'
    data = b"--X-y_Z\r\n" + head + b'\r\n{"a": 1}\r\n--X-y_Z--\r\n'
    body = read(in_pieces(data, 1), MULTIPART).found
    assert isinstance(body, MultipartBody)
    assert body == multipart(data)
    assert body.listed[0].name == "n"
    assert looked.bytes < 30 * len(head)


def coded_parts(content: bytes, n: int, mark: str = "a", kind: str = "a/x-ndjson") -> bytes:
    return (
        b"".join(b"--%s\nContent-Type: %s\nContent-Encoding: gzip\n\n%s\n" % (mark.encode(), kind.encode(), content) for _ in range(n))
        + f"--{mark}--".encode()
    )


LINES = gzip.compress(b"".join(b"[%d]\n" % i + b"[]\n" * 2000 for i in range(5)))
"""30 KB in 200 bytes."""


@pytest.mark.parametrize(
    ("body", "kind", "codings"),
    [
        (coded_parts(LINES, 100), "multipart/a; boundary=a", ()),
        (gzip.compress(coded_parts(LINES, 100)), "multipart/a; boundary=a", ("gzip",)),
        (
            gzip.compress(coded_parts(gzip.compress(coded_parts(LINES, 30)), 30, "b", "multipart/a; boundary=a")),
            "multipart/a; boundary=b",
            ("gzip",),
        ),
    ],
    ids=["parts", "parts of a coded body", "two levels"],
)
def test_parts_that_grow_share_what_their_message_may(
    body: bytes, kind: str, codings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    out = content_module.Decoder._stage

    def counted(self: Any, i: int, data: bytes) -> None:
        sizes.append(len(data) * (i == len(self._stages)))
        out(self, i, data)

    monkeypatch.setattr(content_module.Decoder, "_stage", counted)
    limits = Limits(content_max_ratio=100)
    found = read([body], kind, limits, codings=codings)
    assert found.drop is not None
    assert (found.drop.reason, found.drop.limit_name) == (DropReason.CONTENT_RATIO, "content_max_ratio")
    assert sum(sizes) <= max(limits.content_ratio_floor, 100 * len(body)) + 2 * content_module.PIECE
    expected = (found.found, found.drop, found.inner.json if found.inner is not None else None)
    for size in (1, 7, 1000, 4096):
        again = read(in_pieces(body, size), kind, limits, codings=codings)
        assert (again.found, again.drop, again.inner.json if again.inner is not None else None) == expected


def test_coded_parts_within_a_coded_body_are_read() -> None:
    parts = [
        coded_parts(gzip.compress(json.dumps([{"id": i * n} for i in range(300)]).encode()), 1, kind="application/json") for n in range(40)
    ]
    body = gzip.compress(b"".join(part.removesuffix(b"--a--") for part in parts) + b"--a--")
    found = read([body], "multipart/mixed; boundary=a", codings=("gzip",))
    assert found.drop is None
    assert found.inner is not None
    assert (found.inner.json.bodies, found.inner.json.keys) == (40, 12_000)
