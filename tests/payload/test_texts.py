"""The forms of JSON beside one plain text: encodings, prefixes, lines, record-separated texts, server-sent events, raw streams."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader, read_whole
from pcapflow.payload.json_formats import open_text
from pcapflow.payload.registry import Payloads
from tests.payload.test_json_parser import values

TINY = replace(Limits(), json_slice=16)


def read(form: str, pieces: list[bytes | None], limits: Limits = TINY, *, whole: bool = True) -> JsonBody | None:
    """What a text holds that comes in these pieces, by whichever parser; None among them is a gap."""
    found = read_by(form, pieces, limits, whole=whole)
    assert read_by(form, pieces, replace(limits, json_whole_max_bytes=1), whole=whole) == found
    return found


def read_by(form: str, pieces: list[bytes | None], limits: Limits, *, whole: bool) -> JsonBody | None:
    ledger = Ledger(limits)
    text = open_text(form, limits, ledger.json)
    gapped = False
    for piece in pieces:
        if piece is not None:
            text.feed(piece)
        else:
            gapped = True
            if not text.gap():
                break
    found = text.finish(whole=whole and not gapped, gapped=gapped)
    assert ledger.json.used == 0
    return found


def under_cuts(form: str, data: bytes, limits: Limits = TINY, *, whole: bool = True) -> JsonBody | None:
    first = read(form, [data], limits, whole=whole)
    assert read(form, [data[i : i + 1] for i in range(len(data))], limits, whole=whole) == first
    for cut in range(1, len(data), max(1, len(data) // 40)):
        assert read(form, [data[:cut], data[cut:]], limits, whole=whole) == first, cut
    return first


@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be"])
@pytest.mark.parametrize("value", [{"k": ["é☃😀", 1.5]}, [], "x", 7, [["long" * 40] * 3]])
def test_json_in_every_encoding_is_read_and_named(value: Any, encoding: str, bom: bool) -> None:
    text = json.dumps(value, ensure_ascii=False)
    data = (("\ufeff" if bom else "") + text).encode(encoding)
    if len(text) < 2 and not bom and encoding != "utf-8":
        return  # RFC 4627 told encodings by two characters
    for limits in (TINY, Limits()):
        found = under_cuts("json", data, limits)
        assert found is not None
        assert (found.status, found.documents, found.encoding, found.bom, found.bytes) == ("complete", 1, encoding, bom, len(data))


@pytest.mark.parametrize(
    "data", [b"\xff\xfe[\x00\x00\xd8]\x00", b"\xff\xfe[\x00]\x00\x00", b"\x00[\x00]\x00", b"\xff\xfe\x00\x00\x00\x00\x11\x00" * 3]
)
def test_broken_utf_16_and_32_is_invalid(data: bytes) -> None:
    found = under_cuts("json", data)
    assert found is not None
    assert found.status == "invalid"


@pytest.mark.parametrize(
    ("encoding", "broken"),
    [("utf-32le", b"\0\0\0\x7f"), ("utf-32be", b"\x7f\0\0\0"), ("utf-16le", b"\0\xdc\0\xdc"), ("utf-16be", b"\xdc\0\xdc\0")],
)
def test_what_comes_before_a_byte_that_is_no_text_is_read(encoding: str, broken: bytes) -> None:
    data = ("[" + '{"a":1},' * 30).encode(encoding) + broken + "3]".encode(encoding)
    found = under_cuts("json", data)
    assert found is not None
    assert (found.status, found.keys) == ("invalid", 30)
    assert under_cuts("json", data, Limits()) == found


@pytest.mark.parametrize(
    ("data", "prefix"),
    [
        (b')]}\',\n{"a": 1}', ")]}',"),
        (b")]}'\n[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", ")]}'"),
        (b"while(1);[]", "while(1);"),
        (b"for (;;);{}", "for (;;);"),
        (b"{}&&{}", "{}&&"),
        (b"\xef\xbb\xbf)]}',\n1 ", ")]}',"),
        (b"throw 1; [1]", "throw 1;"),
        (b"{}  ", None),
    ],
)
def test_a_prefix_against_hijacking_is_passed_over_and_named(data: bytes, prefix: str | None) -> None:
    found = under_cuts("json", data)
    assert found is not None
    assert (found.status, found.documents, found.prefix, found.bytes) == ("complete", 1, prefix, len(data))


@given(st.lists(values, max_size=12), st.booleans(), st.integers(1, 40), st.sampled_from(["ndjson", "json-seq", "sse", "raw"]))
def test_documents_in_every_form_count_as_they_do_alone(documents: list[Any], final: bool, size: int, form: str) -> None:
    lines = [json.dumps(d).encode() for d in documents]
    if form == "json-seq":
        data = b"".join(b"\x1e" + line + b"\n" for line in lines)
    elif form == "sse":
        lines = [line for line in lines if line[:1] in (b"{", b"[")]
        data = b"".join(b"event: x\r\ndata: " + line + b"\r\n\r\n" for line in lines)
    else:
        data = b"\n".join(lines) + b"\n" * final
    found = read(form, [data[i : i + size] for i in range(0, len(data), size)])
    alone = [read("json", [line]) for line in lines]
    if not lines and form == "sse":
        assert found is None
        return
    assert found is not None
    assert (found.status if lines or form != "raw" else "complete") == "complete"
    assert (found.documents, found.events, found.keys, found.bytes, found.broken) == (
        len(lines), sum(a.events for a in alone if a), sum(a.keys for a in alone if a), len(data), 0,
    )  # fmt: skip
    assert found == read(form, [data])
    assert found == read(form, [data], Limits())


def test_a_line_that_breaks_costs_itself_alone_and_says_which_it_was() -> None:
    data = b'{"id": 1}\n{"id": 2, "x": [1, tru]}\n\n{"id": 3}\n{"id": \n{"id": 5}'
    for limits in (TINY, Limits()):
        found = under_cuts("ndjson", data, limits)
        assert found is not None
        assert (found.status, found.documents, found.broken) == ("invalid", 3, 2)
        assert found.error is not None
        assert (found.error.document, found.error.location, found.error.offset) == (1, "x[1]", 19)


def test_a_long_line_that_breaks_is_skipped_to_its_end() -> None:
    data = b'{"id": 1}\n["' + b"x" * 100 + b'", bad, ' + b"1," * 60 + b"1]\n[2]\n"
    found = under_cuts("ndjson", data)
    assert found is not None
    assert (found.status, found.documents, found.broken) == ("invalid", 2, 1)


@pytest.mark.parametrize("form", ["ndjson", "raw"])
def test_lines_go_on_behind_a_gap(form: str) -> None:
    before, after = b'{"id": 1}\n{"id": 2}\n{"i', b'3}\n{"id": 4}\n{"id": 5}\n'
    found = read(form, [before, None, after])
    assert found is not None
    assert (found.status, found.documents, found.broken) == ("gapped", 4, 1)
    assert found == read(form, [before[:7], before[7:], None, after[:1], after[1:]])


def test_a_plain_text_ends_at_a_gap() -> None:
    found = read("json", [b'[1, {"a": ', None, b"1}]"])
    assert found is not None
    assert (found.status, found.bytes) == ("gapped", 10)
    assert found.error is not None
    assert found.error.location == "[1].a"


def test_the_last_line_may_be_cut() -> None:
    found = under_cuts("ndjson", b'{"id": 1}\n{"id": [1, 2', whole=False)
    assert found is not None
    assert (found.status, found.documents, found.broken) == ("truncated", 1, 1)
    assert found.error is not None
    assert (found.error.location, found.error.document) == ("id[1]", 1)


def test_a_limit_costs_one_line_and_is_a_drop() -> None:
    limits = replace(TINY, json_scalar_max_bytes=30, json_max_depth=5)
    found = read("ndjson", [b'["' + b"x" * 200 + b'"]\n[1]\n' + b"[" * 9 + b"]" * 9 + b"\n[2]"], limits)
    assert found is not None
    assert (found.status, found.documents, found.broken, found.drop_reason) == ("dropped", 2, 2, DropReason.JSON_SCALAR_TOO_LARGE)


def test_events_that_are_no_json_are_passed_over() -> None:
    data = (
        b'\xef\xbb\xbf: comment\ndata: {"a":\ndata:  1}\n\nevent: ping\ndata: hello there\n\ndata:[1,2]\r\r'
        b'id: 7\r\ndata\r\n\r\nretry: 5\n\ndata: [DONE]\n\ndata: {"b": 2}'
    )
    for limits in (TINY, Limits()):
        found = under_cuts("sse", data, limits)
        assert found is not None
        assert (found.status, found.documents, found.skipped, found.top_level, found.bytes) == ("complete", 3, 3, "mixed", len(data))


def test_an_event_that_breaks_costs_itself_alone() -> None:
    data = b'data: {"a": 1\n\ndata: {"a": 2}\n\n' * 3
    found = under_cuts("sse", data)
    assert found is not None
    assert (found.status, found.documents, found.broken) == ("invalid", 3, 3)


def test_events_go_on_behind_a_gap() -> None:
    found = read("sse", [b'data: {"a": 1}\n\ndata: {"a', None, b'": 2}\n\ndata: {"a": 3}\n\n'])
    assert found is not None
    assert (found.status, found.documents, found.broken) == ("gapped", 2, 1)


def test_a_stream_without_json_has_no_record() -> None:
    assert under_cuts("sse", b"data: hello\n\n: just a comment\n\n") is None


def test_a_raw_stream_of_documents_over_several_lines_is_read_as_one_text() -> None:
    data = b'{\n "a": 1\n}\n{\n "a": [2]\n}\n'
    found = under_cuts("raw", data)
    assert found is not None
    assert (found.status, found.documents) == ("complete", 2)


def test_documents_with_nothing_between_them_are_read_from_a_raw_stream() -> None:
    found = under_cuts("raw", b'{"a": 1}{"b": 2}[3]' * 5)
    assert found is not None
    assert (found.status, found.documents) == ("complete", 15)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "documents"),
    [
        (b'{"a": 1}', 1),
        (b" [1, 2]", 1),
        (b"{}", 1),
        (b"body { color: red }", None),
        (b"{color: red}", None),
        (b"[section]", None),
        (b"12", None),
        (b"{", None),
        (b'{"a": <html>', None),
    ],
)
def test_sniffing_finds_json_and_nothing_else(data: bytes, documents: int | None, size: int) -> None:
    ledger = Ledger(Limits())
    reader = BodyReader((), "", Limits(), ledger, Looking(sniff=True))
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    reader.finish(whole=True)
    assert (reader.found.documents if reader.found is not None else None) == documents
    assert ledger.used == 0


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"body { color: red }" * 900, mtime=0), gzip.compress(b"<p>" * 9000, mtime=0)[:-30], b"no gzip at all", b"\x1f\x8b"],
)
def test_sniffing_says_nothing_of_what_is_no_json(data: bytes, size: int) -> None:
    ledger = Ledger(Limits())
    reader = BodyReader(("gzip",), "", Limits(), ledger, Looking(sniff=True, hashes=True))
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    reader.finish(whole=True)
    assert (reader.found, reader.drop, reader.decoded_bytes, reader.sha256) == (None, None, None, hashlib.sha256(data).hexdigest())
    assert ledger.used == 0


def test_repeated_keys_are_counted_in_each_object() -> None:
    data = b'{"a": 1, "b": {"a": 1, "a": 2}, "a": 3, "a": [{"x": 1}, {"x": 2, "x": 3}]}' + b' {"a": 1}'
    limits = Limits()
    for pieces in ([data], [data[i : i + 5] for i in range(0, len(data), 5)]):
        ledger = Ledger(limits)
        reader = BodyReader((), "json", limits, ledger, Looking(duplicate_keys=True))
        for piece in pieces:
            reader.feed(piece)
        reader.finish(whole=True)
        assert reader.found is not None
        assert reader.found.duplicate_keys == 4
        assert ledger.used == 0


def test_keys_that_find_no_memory_drop_the_body() -> None:
    data = json.dumps({f"key {i}": i for i in range(2000)}).encode()
    limits = replace(Limits(), json_total=150_000)
    ledger = Ledger(limits)
    reader = read_whole(data, (), "json", limits, ledger, Looking(duplicate_keys=True))
    assert isinstance(reader, BodyReader)
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.JSON_MEMORY
    assert ledger.used == 0


@given(
    st.binary(max_size=80) | st.text('[]{}",:01 \n\x1etruefalsn', max_size=80).map(str.encode),
    st.sampled_from(["json", "ndjson", "json-seq", "sse", "raw"]),
    st.lists(st.integers(0, 80), max_size=4),
    st.booleans(),
)
def test_any_bytes_in_any_form_give_one_answer_and_no_exception(data: bytes, form: str, cuts: list[int], whole: bool) -> None:
    at = sorted({0, *(c for c in cuts if c < len(data)), len(data)})
    pieces: list[bytes | None] = [data[a:b] for a, b in itertools.pairwise(at)]
    assert read(form, pieces, whole=whole) == read(form, [data], whole=whole)


def test_what_comes_after_many_blanks_does_not_depend_on_the_cut() -> None:
    under_cuts("json", b" " * 40 + b')]}\',\n{"a": 1}')
    under_cuts("sse", b"data:" + b" " * 10 + b'{"a": 1}\n\n')


def test_lines_that_are_whole_only_together_are_broken() -> None:
    for data in (b"[1,\n2] [3]\n", b'{"a":\n1}\n2 3\n', b"[[1]\n,[2]]\n"):
        for limits in (TINY, Limits()):
            found = under_cuts("ndjson", data, limits)
            assert found is not None
            assert (found.status, found.broken > 0) == ("invalid", True)


# --- which bodies


@pytest.mark.parametrize(
    ("form", "content_types"),
    [
        ("json", ["application/json", "text/json", "Application/JSON; charset=UTF-8", "application/json;", "application/x-json", "text/x-json", "application/vnd.api+json", "application/problem+json; a=b"]),
        ("json", ["application/json-rpc", "application/jsonrequest", "application/x-amz-json-1.1", "application/csp-report", "application/json, application/json", "text/plain, application/json"]),
        ("json", ["application/ld+json", "application/json-patch+json", "model/gltf+json", "image/svg+x-json", ' application/json ; charset="a,b"', "application/reports+json"]),
        ("ndjson", ["application/x-ndjson", "application/ndjson", "application/vnd.elasticsearch+x-ndjson; compatible-with=8", "application/jsonl", "application/x-jsonlines", "application/nd-json", "text/x-ldjson"]),
        ("ndjson", ["application/x-json-stream", "application/json-lines", "application/vnd.x+ndjson"]),
        ("json-seq", ["application/json-seq", "application/geo+json-seq"]),
        ("sse", ["text/event-stream", "text/event-stream;charset=utf-8"]),
        ("", ["text/html", "application/javascript", "application/jsonp", "json", "application/", "/json", "", "application/json5", "application/x-yamlx", "text/yml", "text/plain; charset=application/json", "application/jsonx", "a/b+c", "application/grpc-web-text+json"]),
        ("yaml", ["application/yaml", "text/x-yaml; charset=utf-8", "application/vnd.yaml", "application/openapi+yaml", "APPLICATION/YAML"]),
        ("form", ["application/x-www-form-urlencoded; charset=UTF-8"]),
        ("multipart", ["multipart/form-data; boundary=x", "multipart/mixed"]),
        ("graphql", ["application/graphql"]),
        ("envelopes", ["application/grpc+json", "application/connect+json; charset=utf-8", "application/grpc-web+json"]),
    ],
)  # fmt: skip
def test_a_media_type_says_by_rule_what_comes(form: str, content_types: list[str]) -> None:
    for content_type in content_types:
        assert Payloads().form_of(content_type) == form, content_type


def test_what_parts_a_raw_stream_is_told_by_its_first_slice_however_it_is_cut() -> None:
    data = b"[1]" + b" " * 16_400 + b"\0[2,\n3]\0[4]"
    whole = read("raw", [data], Limits())
    assert read("raw", [data[:16_390], data[16_390:]], Limits()) == whole
    assert read("raw", [data[i : i + 1] for i in range(len(data))], Limits()) == whole
