"""Header fields in the records, and secrets nowhere: not in headers, targets, tables, HAR or pages, unless somebody asks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pcapflow.header_options import Headers
from pcapflow.limits import Limits
from pcapflow.redaction import hidden, target_shown, value_shown
from tests.conftest import Run
from tests.craft import Talk, request, response
from tests.launcher import launch_text

SECRET = "s3cr3tv4lu3"
FIELDS = (
    f"Authorization: Bearer {SECRET}\r\nCookie: sid={SECRET}\r\nX-Api-Key: {SECRET}\r\nReferer: http://h/?token={SECRET}\r\nAccept: */*\r\n"
)
ASKED = request(f"/a?q=1&access_token={SECRET}", fields=FIELDS)
ANSWER = response(b"{}", fields=f"Set-Cookie: sid={SECRET}; Path=/\r\nLocation: https://me:{SECRET}@h/x\r\n")
CUTS = pytest.mark.parametrize(("size", "packets"), [(1448, 8192), (1, 3), (7, 8192), (40, 1)])


def talk(size: int = 1448) -> Talk:
    return Talk().open().send(0, ASKED, size=size).acknowledge(1).send(1, ANSWER, size=size).acknowledge(0).close()


@CUTS
def test_fields_stand_in_their_order_with_secrets_as_their_length(run: Run, size: int, packets: int) -> None:
    (found,) = run(talk(size).bytes(), replace(Limits(), block_packets=packets), headers=Headers("all")).of("http")
    assert found["request"]["headers"] == [
        {"name": "Host", "value": "example"},
        {"name": "Authorization", "value": f"[{len('Bearer ' + SECRET)} bytes]"},
        {"name": "Cookie", "value": f"[{len('sid=' + SECRET)} bytes]"},
        {"name": "X-Api-Key", "value": f"[{len(SECRET)} bytes]"},
        {"name": "Referer", "value": f"http://h/?token=[{len(SECRET)} bytes]"},
        {"name": "Accept", "value": "*/*"},
    ]
    assert found["request"]["target"] == f"/a?q=1&access_token=[{len(SECRET)} bytes]"
    assert {"name": "Location", "value": f"https://[{len('me:' + SECRET)} bytes]@h/x"} in found["response"]["headers"]
    assert found["response"]["trailers"] is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", None),
        ("names", [("Host", None), ("Authorization", None), ("Cookie", None), ("X-Api-Key", None), ("Referer", None), ("Accept", None)]),
        ("accept,HOST", [("Host", "example"), ("Accept", "*/*")]),
        ("x-none", []),
    ],
)
def test_what_was_asked_for_is_there_and_nothing_else(run: Run, choice: str, expected: list[tuple[str, str | None]] | None) -> None:
    (found,) = run(talk().bytes(), headers=Headers(choice)).of("http")
    headers = found["request"]["headers"]
    assert (None if headers is None else [(h["name"], h["value"]) for h in headers]) == expected


def test_secrets_are_shown_where_somebody_asks(run: Run) -> None:
    (found,) = run(talk().bytes(), headers=Headers("all", secrets=True)).of("http")
    assert found["request"]["target"].endswith(SECRET)
    assert {"name": "Set-Cookie", "value": f"sid={SECRET}; Path=/"} in found["response"]["headers"]


@pytest.mark.parametrize("whole", [True, False])
def test_no_output_has_a_secret(tmp_path: Path, whole: bool) -> None:
    path, out = tmp_path / "x.pcap", tmp_path / "out"
    t = talk() if whole else Talk().open().send(0, ASKED[:-9]).acknowledge(1).send(1, response(b"[1}", status="500 E")[:-1])
    path.write_bytes(t.bytes())
    out.mkdir()
    sinks = ("--har", out / "har", "--html", out / "html", "--parquet", out / "tables", "--prometheus", out / "prom")
    for more in (("--json",), ("--ndjson",), ()):
        done = launch_text("analyze", "-q", "--headers", "all", *more, *(sinks if more == ("--json",) else ()), path)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert "bytes]" in done.stdout or not more
    written = [one for one in out.rglob("*") if one.is_file()]
    assert len(written) >= 6
    for one in written:
        assert SECRET.encode() not in one.read_bytes(), one
    shown = launch_text("analyze", "-q", "--json", "--show-secrets", path)
    assert SECRET in shown.stdout


def test_har_has_every_field_whatever_the_records_have(tmp_path: Path) -> None:
    path, har = tmp_path / "x.pcap", tmp_path / "out.har"
    path.write_bytes(talk().bytes())
    launch_text("analyze", "-q", "--har", har, path)
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert len(entry["request"]["headers"]) == 6
    assert entry["request"]["url"].endswith(f"access_token=[{len(SECRET)} bytes]")


@CUTS
def test_trailers_are_recorded_up_to_a_bound(run: Run, size: int, packets: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    trailer = f"X-Sum: 17\r\nX-Token: {SECRET}\r\n".encode()
    for lines, n in (
        (trailer, 2),
        (trailer + b"X-Long: " + b"y" * 900 + b"\r\n", 3),
        (trailer + (b"X: " + b"y" * 900 + b"\r\n") * 9, 6),
        (b"", None),
    ):
        answer = head + b"2\r\n{}\r\n0\r\n" + lines + b"\r\n" + response(b"[]")
        t = Talk().open().send(0, request() * 2).acknowledge(1).send(1, answer, size=size).acknowledge(0).close()
        ran = run(t.bytes(), replace(Limits(), block_packets=packets), headers=Headers("all"))
        first, second = ran.of("http")
        trailers = first["response"]["trailers"]
        assert (None if trailers is None else len(trailers)) == n
        assert trailers is None or trailers[:2] == [
            {"name": "X-Sum", "value": "17"},
            {"name": "X-Token", "value": f"[{len(SECRET)} bytes]"},
        ]
        assert second["response"]["trailers"] is None
        assert ran.summary.tcp.unread == {}
        assert run(t.bytes()).of("http")[0]["response"]["trailers"] is None


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("Authorization", True), ("Proxy-Authorization", True), ("Cookie", True), ("Set-Cookie", True), ("X-API-Key", True), ("apikey", True),
        ("X-Auth-Token", True), ("X-CSRF-Token", True), ("X-Amz-Security-Token", True), ("X-Goog-Api-Key", True), ("X-Vault-Token", True),
        ("X-Secret", True), ("X-Session-Id", True), ("Host", False), ("Accept", False), ("Content-Type", False), ("ETag", False), ("Idempotency-Key", False),
        ("Access-Control-Allow-Credentials", False), ("Sec-WebSocket-Key", False), ("WWW-Authenticate", False), ("X-Request-Id", False),
    ],
)  # fmt: skip
def test_which_fields_are_secret(name: str, secret: bool) -> None:
    assert value_shown(name, SECRET) == (hidden(SECRET) if secret else SECRET)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a?token=abc", "/a?token=[3 bytes]"),
        ("/a?x=1&api_key=abcd&y=2", "/a?x=1&api_key=[4 bytes]&y=2"),
        ("/a?to%6ben=abc", "/a?to%6ben=[3 bytes]"),
        ("/a;jsessionid=abc?b=1", "/a;jsessionid=[3 bytes]?b=1"),
        ("/a?X-Amz-Signature=ff&X-Amz-Credential=zz", "/a?X-Amz-Signature=[2 bytes]&X-Amz-Credential=[2 bytes]"),
        ("/a?author=bob&page=2&monkey=x", "/a?author=bob&page=2&monkey=x"),
        ("/a?key=k&sig=s&auth=x&oauth_token=y", "/a?key=[1 bytes]&sig=[1 bytes]&auth=[1 bytes]&oauth_token=[1 bytes]"),
        ("/a?token=", "/a?token="),
        ("http://me:pw@h/a", "http://[5 bytes]@h/a"),
        ("/a?q=token", "/a?q=token"),
    ],
)
def test_which_parts_of_a_target_are_secret(target: str, shown: str) -> None:
    assert target_shown(target) == shown


def test_cached_and_other_heads_say_the_same(run: Run) -> None:
    many: list[Any] = []
    for n in (1, 3):
        t = Talk().open()
        for _ in range(n):
            t.send(0, ASKED).acknowledge(1).send(1, ANSWER).acknowledge(0)
        many += [(r["request"]["headers"], r["response"]["headers"]) for r in run(t.bytes(), headers=Headers("all")).of("http")]
    assert all(one == many[0] for one in many)
