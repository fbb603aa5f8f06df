"""Where JSON lies: encodings of every form, envelopes, undeclared gzip, flushed and never closed, and bodies that only begin like it."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from pcapflow.contents import JsonBody
from tests.conftest import Ran, Run
from tests.craft import Talk, request, response
from tests.payload.test_texts import under_cuts

LINES = "".join(json.dumps({"n": i, "text": "é"}) + "\n" for i in range(30))


def answered(run: Run, body: bytes, kind: str = "application/json", fields: str = "") -> Ran:
    return run(Talk().open().send(0, request()).acknowledge(1).send(1, response(body, kind=kind, fields=fields), size=300).close().bytes())


def found(form: str, data: bytes) -> JsonBody:
    body = under_cuts(form, data)
    assert body is not None
    return body


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_lines_come_in_every_encoding_as_single_texts_do(encoding: str) -> None:
    body = found("ndjson", LINES.encode(encoding))
    assert (body.documents, body.broken, body.status) == (30, 0, "complete")
    assert body.bom == (encoding in ("utf-8-sig", "utf-16", "utf-32"))
    assert body.encoding.replace("-", "").startswith(encoding.replace("-", "")[:4])


def test_a_body_of_documents_on_lines_goes_on_behind_a_hole_and_one_laid_out_does_not(run: Run) -> None:
    for text, documents in ((LINES.encode(), 27), (b"".join(json.dumps({"n": [i, i]}, indent=1).encode() for i in range(30)), 10)):
        lines = text.splitlines(keepends=True)
        parts = lines if documents == 27 else [text[i : i + len(text) // 30] for i in range(0, len(text), len(text) // 30)]
        t = Talk().open().send(0, request()).acknowledge(1)
        t.send(1, f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode())
        for i, part in enumerate(parts):
            t.send(1, part, keep=i not in (10, 11, 20))
        (record,) = run(t.acknowledge(0).close().bytes()).of("json")
        assert (record["status"], record["documents"]) == ("gapped", documents)


@pytest.mark.parametrize("flags", [0, 2])
def test_messages_in_envelopes_are_texts_whatever_the_cut(flags: int) -> None:
    texts = [b"{}", b"[1,[2]]", b'"a"', b'{"b":"' + b"x" * 300 + b'"}']
    body = found("envelopes", b"".join(bytes([flags]) + len(text).to_bytes(4, "big") + text for text in texts))
    assert (body.documents, body.status, body.skipped) == (4, "complete", 0)


def test_what_an_envelope_calls_compressed_or_trailers_is_skipped_and_counted() -> None:
    def envelope(flags: int, data: bytes) -> bytes:
        return bytes([flags]) + len(data).to_bytes(4, "big") + data

    body = found("envelopes", envelope(0, b"{}") + envelope(1, b"\x1f\x8bxx") + envelope(0x80, b"grpc-status: 0\r\n") + envelope(0, b"{]"))
    assert (body.documents, body.skipped, body.broken, body.status) == (1, 2, 1, "invalid")
    cut = found("envelopes", envelope(0, b"{}") + b"\0\0\0\0\x20{")
    assert (cut.documents, cut.status) == (1, "truncated")


def test_gzip_that_is_flushed_and_never_closed_has_its_documents(run: Run) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(LINES.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    for kind, fields in (("application/x-ndjson", "Content-Encoding: gzip\r\n"), ("application/x-ndjson", "")):
        (exchange,) = answered(run, packed, kind, fields).of("http")
        body = exchange["response"]["body"]
        assert (body["status"], body["json"]["documents"], body["json"]["status"]) == ("complete", 30, "complete")
    broken = packer.compress(b'{"a":') + packer.flush(zlib.Z_SYNC_FLUSH)
    packer = zlib.compressobj(wbits=31)
    broken = packer.compress(b'{"a":') + packer.flush(zlib.Z_SYNC_FLUSH)
    (exchange,) = answered(run, broken, fields="Content-Encoding: gzip\r\n").of("http")
    assert (exchange["response"]["body"]["drop_reason"], exchange["response"]["body"]["json"]["status"]) == ("content_malformed", "dropped")


@pytest.mark.parametrize("coding", ["none", "identity", "utf-8", "", "binary"])
def test_a_coding_that_is_none_is_none(run: Run, coding: str) -> None:
    (exchange,) = answered(run, b'{"a":1}', fields=f"Content-Encoding: {coding}\r\n").of("http")
    assert exchange["response"]["body"]["json"]["status"] == "complete"


@pytest.mark.parametrize(
    ("body", "counts"), [(b'{"a":1}', 1), (b"[]", 1), (b'["a"]', 1), (b"[section]\na=1\n", 0), (b"{{name}}", 0), (b"<html>", 0), (b"", 0)]
)
@pytest.mark.parametrize("kind", ["text/plain", "text/html; charset=utf-8"])
def test_a_body_that_begins_like_json_and_says_something_else_is_counted(run: Run, body: bytes, counts: int, kind: str) -> None:
    summary = answered(run, body, kind).summary
    assert (summary.json.not_looked_at, summary.json.bodies) == (counts, 0)
    assert any("--sniff-json" in line for line in summary.advice) == bool(counts)


def test_gzip_that_only_begins_like_it_is_no_text(run: Run) -> None:
    (exchange,) = answered(run, b"\x1f\x8b\x08nonsense").of("http")
    assert exchange["response"]["body"]["drop_reason"] == "content_malformed"
    (exchange,) = answered(run, gzip.compress(b"[1]")[:2]).of("http")
    assert exchange["response"]["body"]["json"]["status"] == "invalid"


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":\n1}\0{"b":x\n2}\0{"c":1}\0',
        b'\n{"a":1}\0{\0{"b":1}\0',
        "\n[]\n[1]".encode("utf-16-le"),
        b'{"a":1}\0{x}\n{"b":1}\0',
        b'{"a":1}\n{}\0\n',
    ],
)
def test_a_raw_stream_is_the_same_whatever_part_of_it_comes_first(text: bytes) -> None:
    assert found("raw", text).bytes == len(text)


def test_a_separator_within_a_message_is_no_part_of_it() -> None:
    body = found("envelopes", b'\0\0\0\0\x08{"a":\x1e1}')
    assert (body.documents, body.status) == (0, "invalid")


def test_what_lies_within_a_document_laid_out_is_no_document_behind_a_hole(run: Run) -> None:
    text = b'{"x":1}\n[' + b" " * 50 + b'\n1\n,\n{"a":1}\n,\n2]'
    t = Talk().open().send(0, request()).acknowledge(1)
    t.send(1, f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode())
    t.send(1, text[:9]).send(1, text[9:59], keep=False).send(1, text[59:]).acknowledge(0)
    (record,) = run(t.close().bytes()).of("json")
    assert (record["documents"], record["status"]) == (1, "gapped")
