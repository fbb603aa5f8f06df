"""`slice --scrub`: no secret is left, in whatever it stood, and nothing else changes."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import brotli
import pytest

from pcapflow.known_values import Finder
from pcapflow.secret_bytes import secrets_in
from pcapflow.secret_kinds import KNOWN, OPEN
from tests.captures import capture_of
from tests.cli.test_slice import records, without_places
from tests.craft import Talk, chunked, ethernet, merge, pcap, request, response
from tests.decode.tunnelled import wrap
from tests.launcher import launch

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
BEARER, COOKIE, QUERY, KEY = b"tok-8Jq2vQmZ4xKpR7wL", b"s3ss10n-0123456789abcdef", b"Zx9Yw8Vu7Ts6Rq5Po4", b"AKIAIOSFODNN7EXAMPLE"
JWT = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
BASIC = base64.b64encode(b"alice:correct horse battery")
PIN = b"8127-4431-9920"
SECRETS = (BEARER, COOKIE, QUERY, KEY, JWT, BASIC, PIN)


def pcapflow(*arguments: object, status: int = 0) -> tuple[bytes, str]:
    done = launch(*arguments)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


def everything(path: Path, folder: Path) -> bytes:
    """A capture's bytes, those of its streams put together, and its bodies, decoded and as they were sent."""
    folder.mkdir()
    parts = [path.read_bytes()]
    for record in records(path):
        if record["record"] == "connection":
            for side in ("client", "server"):
                parts.append(pcapflow("follow", "-q", path, "--connection", record["connection"], "--stream", side, "--raw")[0])
    for name, options in (("decoded", ()), ("sent", ("--raw",))):
        pcapflow("bodies", "-q", path, "-o", folder / name, *options)
        parts += [file.read_bytes() for file in sorted((folder / name).iterdir())]
    return b"\0".join(parts)


def secret_talk(rng: random.Random, number: int) -> Talk:
    """A conversation with secrets in all places, in segments of any size, some of them lost, sent again or late."""
    t = Talk(sport=41000 + number, isn=(rng.randrange(1 << 32), rng.randrange(1 << 32))).open()
    fields = (
        b"Authorization: Bearer " + BEARER + b"\r\nCookie: theme=dark; sid=" + COOKIE + b"; x=1\r\n"
        b"X-Api-Key: " + KEY + b"\r\nReferer: http://alice:" + PIN + b"@example/x?access_token=" + QUERY + b"\r\n"
    ).decode()  # fmt: skip
    echo = json.dumps({"token": BEARER.decode(), "jwt": JWT.decode(), "nested": [{"pin": PIN.decode()}], "path": "/a/b"}).encode()
    asks = [
        request("/plain?id=7&token=" + QUERY.decode(), fields=fields),
        request("/login", method="POST", body=b"user=alice&password=" + PIN, fields="Content-Type: application/x-www-form-urlencoded\r\n"),
        request("/basic", fields=f"Authorization: Basic {BASIC.decode()}\r\n"),
        request("/post", method="POST", body=echo, fields="Content-Type: application/json\r\n" + fields),
    ]
    answers = [
        response(echo, fields="Set-Cookie: sid=" + COOKIE.decode() + "; Path=/; HttpOnly\r\n"),
        chunked(echo, [3, 7, 5, 11] * 6),
        response(gzip.compress(echo, mtime=0), fields="Content-Encoding: gzip\r\n"),
        response(brotli.compress(b"<p>" + JWT + b"</p>"), kind="text/html", fields="Content-Encoding: br\r\n"),
        response(b"nothing to see", kind="text/plain"),
        response(gzip.compress(b"nothing to see", mtime=0), kind="text/plain", fields="Content-Encoding: gzip\r\n"),
    ]
    for _ in range(rng.randrange(2, 5)):
        for side, data in ((0, rng.choice(asks)), (1, rng.choice(answers))):
            begin, size, odd = t.seq[side], rng.choice([1448, 17, 5, 60]), rng.random()
            first = len(t.frames)
            t.send(side, data, size=size)
            if odd < 0.2:
                t.packet(side, 0x18, data[: rng.randrange(1, len(data))][:1400], seq=begin)  # sent again, cut elsewhere
            elif odd < 0.3:
                del t.frames[rng.randrange(first, len(t.frames))]
            elif odd < 0.4:
                some = t.frames[first:]
                times = [us for us, _ in some]
                rng.shuffle(some)
                t.frames[first:] = [(us, frame) for us, (_, frame) in zip(times, some, strict=True)]
    return t.close()


@pytest.mark.parametrize("seed", range(16))
def test_no_secret_is_left_in_any_form(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    path, out = tmp_path / "x.pcap", tmp_path / "s.pcap"
    path.write_bytes(merge(*(secret_talk(rng, i) for i in range(3))))
    before = everything(path, tmp_path / "before")
    assert any(secret in before for secret in SECRETS)
    pcapflow("slice", "-q", path, "--where", "connection=1", "-o", tmp_path / "one.pcap", "--scrub")
    launch("slice", "-q", path, "--where", "path=/*", "-o", out, "--scrub", "--mask-json", "..pin")
    after = everything(out, tmp_path / "after")
    for secret in SECRETS:
        assert secret not in after


def whole_talk() -> Talk:
    t = Talk(sport=41000).open()
    fields = f"Authorization: Bearer {BEARER.decode()}\r\nCookie: theme=dark; sid={COOKIE.decode()}\r\n"
    t.send(0, request(f"/x?id=7&token={QUERY.decode()}", fields=fields), size=19)
    body = b'{"id": 41, "pin": "8127-4431-9920", "ok": true, "no": false, "n": null, "list": [{"pin": 12.5e3}, {"pin": {"a": "b"}}], "t": "\\u00e9"}'
    t.send(1, chunked(body, [3, 4, 5, 6, 7] * 9), size=31)
    t.send(0, request("/y", method="POST", body=body, fields="Content-Type: application/json\r\n"), size=23)
    return t.send(1, response(b"plain", kind="text/plain")).close()


def test_only_what_is_secret_changes_and_the_records_are_the_same(tmp_path: Path) -> None:
    path, out = tmp_path / "x.pcap", tmp_path / "s.pcap"
    path.write_bytes(merge(whole_talk()))
    _, errors = pcapflow(
        "slice", path, "--connection", "1", "-o", out, "--scrub", "--mask-json", "..pin", "--mask-json", ".ok", "--mask-json", ".no"
    )
    assert "secrets" in errors
    assert without_places(records(out, "--headers", "all")) == without_places(records(path, "--headers", "all"))
    client, server = (pcapflow("follow", "-q", out, "--connection", "1", "--stream", side, "--raw")[0] for side in ("client", "server"))
    assert client.startswith(
        b"GET /x?id=7&token=" + b"x" * len(QUERY) + b" HTTP/1.1\r\nHost: example\r\nAuthorization: Bearer " + b"x" * len(BEARER)
        + b"\r\nCookie: theme=xxxx; sid=" + b"x" * len(COOKIE) + b"\r\n\r\n"
    )  # fmt: skip
    masked = b'{"id": 41, "pin": "xxxxxxxxxxxxxx", "ok": null, "no": null , "n": null, "list": [{"pin": 11.1e1}, {"pin": {"a": "x"}}], "t": "\\u00e9"}'
    assert client.endswith(masked)
    assert pcapflow("bodies", out, "--where", "exchange=0,side=response")[0] == masked
    assert server.endswith(b"\r\n\r\nplain")


def test_checksums_that_were_right_stay_right_and_times_and_lengths_too(tmp_path: Path) -> None:
    from tests.benchmarks.inputs import __name__ as _  # noqa: F401 - the folder is a package

    path, out = tmp_path / "x.pcap", tmp_path / "s.pcap"
    talk = whole_talk()
    talk.frames = [(us, checked(frame)) for us, frame in talk.frames]
    path.write_bytes(pcap(talk.frames))
    assert summary(path)["decode"]["checksums_wrong"] == 0
    pcapflow("slice", "-q", path, "--connection", "1", "-o", out, "--scrub", "--mask-json", "..pin")
    assert summary(out, "--verify-checksums")["decode"]["checksums_wrong"] == 0
    assert summary(out, "--verify-checksums")["http"] == summary(path)["http"]
    assert len(out.read_bytes()) == len(path.read_bytes())


def summary(path: Path, *options: str) -> Any:
    return json.loads(pcapflow("analyze", "-q", "--json", "--no-records", path, *options)[0])


def checked(frame: bytes) -> bytes:
    """The frame with a TCP checksum that adds up."""
    ip = frame[14:34]
    segment = bytearray(frame[34:])
    segment[16:18] = b"\0\0"
    words = ip[12:20] + b"\0\6" + len(segment).to_bytes(2, "big") + segment + b"\0" * (len(segment) & 1)
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    segment[16:18] = (~total & 0xFFFF).to_bytes(2, "big")
    return frame[:34] + bytes(segment)


@pytest.mark.parametrize("sample", [path for path in SAMPLES if path.stem != "login"], ids=lambda path: path.stem)
def test_a_scrubbed_sample_has_the_same_records(sample: Path, tmp_path: Path) -> None:
    pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", tmp_path / "a.pcapng")
    pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", tmp_path / "b.pcapng", "--scrub")
    assert without_places(records(tmp_path / "b.pcapng")) == without_places(records(tmp_path / "a.pcapng"))


def test_a_login_by_a_real_client_keeps_no_secret_and_its_uncoded_bodies(tmp_path: Path) -> None:
    sample, out = next(path for path in SAMPLES if path.stem == "login"), tmp_path / "s.pcap"
    secrets = (b"tok_9Kd3nQ7xVb2LmZ8sWp4RtY6h", b"5f2c9e7a1b8d4036-alice", b"correct-horse-battery", b"4929 1234 5678 9010")
    before = everything(sample, tmp_path / "before")
    assert all(secret in before for secret in secrets)
    pcapflow("slice", "-q", sample, "--where", "path=/*", "-o", out, "--scrub", "--mask-json", "card.number")
    after = everything(out, tmp_path / "after")
    assert not any(secret in after for secret in secrets)
    photo = (tmp_path / "after" / "decoded" / "c13-x2-response.png").read_bytes()
    assert photo == (tmp_path / "before" / "decoded" / "c13-x2-response.png").read_bytes()
    assert [r["response"]["status"] for r in records(out) if r["record"] == "http"] == [200] * 4


@pytest.mark.parametrize("seed", range(10))
def test_traffic_of_all_kinds_is_scrubbed_without_an_error_and_as_many_packets_come(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(capture_of(seed))
    for name in ("a", "b"):
        done = launch(
            "slice",
            "-q",
            path,
            "--problems",
            "-o",
            tmp_path / name,
            "--scrub",
            "--mask-json",
            "..a",
            "--block-size",
            {"a": "1MiB", "b": "2KiB"}[name],
        )
        assert done.returncode in (0, 3, 4), done.stderr
    if (tmp_path / "a").exists():
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_was_masked_and_what_could_not_be_is_said(tmp_path: Path) -> None:
    t = Talk(sport=41000).open().send(0, request("/x", fields="Authorization: Bearer " + BEARER.decode() + "\r\n"))
    t.send(1, response(gzip.compress(b"you said " + BEARER, mtime=0), kind="text/plain", fields="Content-Encoding: gzip\r\n")).close()
    t.save(tmp_path / "x.pcap")
    _, errors = pcapflow("slice", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    assert re.search(r"^pcapflow: \d+ bytes overwritten \(1 known secret\)$", errors, re.MULTILINE)
    assert "1 compressed body overwritten completely: it contains a secret or could not be decoded" in errors
    assert (
        "--mask-json requires --scrub" in pcapflow("slice", tmp_path / "x.pcap", "--problems", "-o", "y", "--mask-json", "a", status=2)[1]
    )
    assert "is not a path" in pcapflow("slice", tmp_path / "x.pcap", "--problems", "-o", "y", "--scrub", "--mask-json", "a[", status=2)[1]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (b"GET /a?b=1&api_key=abc HTTP/1.1\r\n", [b"abc"]),
        (b"Authorization: Bearer abc\r\nHost: x\r\n", [b"abc"]),
        (b"Proxy-Authorization: Basic YTpi\r\n", [b"YTpi"]),
        (b"X-Auth-Token: one two\r\n", [b"one two"]),
        (b"Set-Cookie: a=secret; Path=/; Secure\r\n", [b"secret"]),
        (b"Cookie: a=1; b=2\r\n", [b"1", b"2"]),
        (b"X-Api-Key: a\r\n folded\r\nHost: x\r\n", [b"a\r\n folded"]),
        (b"see http://u:p@host/ there", [b"p", b"u:p"]),
        (b"Referer: http://alice:p@ss@example/x\r\n", [b"alice:p@ss", b"p@ss"]),
        (b"Cookie: opaque\r\n", [b"opaque"]),
        (b"Set-Cookie: opaque; Path=/\r\n", [b"opaque"]),
        (b"X-Cookie-Token: abc\r\n", [b"abc"]),
        (b"..." + JWT + b"...", [JWT]),
        (b"/x?q=Ab3Ab3Ab3Ab3Ab3Ab3Ab3", [b"Ab3Ab3Ab3Ab3Ab3Ab3Ab3"]),
        (b"/x?q=plain&page=2 HTTP/1.1\r\nHost: x\r\nAccess-Control-Allow-Credentials: true\r\n", []),
        (b"WWW-Authenticate: Basic realm=x\r\n", []),
        (b'{"access_token": "a\\"b", "id" : "c", "password":"d"}', [b'a\\"b', b"d"]),
    ],
)
def test_secrets_are_told_by_what_stands_around_them(text: bytes, secrets: list[bytes]) -> None:
    found = sorted({text[begin:end] for begin, end, kind in secrets_in(text) if kind != OPEN})
    assert found == sorted(secrets)


def test_a_finder_finds_the_longest_of_its_values_everywhere() -> None:
    rng = random.Random(1)
    values = [bytes(rng.choices(b"ab", k=rng.randrange(8, 14))) for _ in range(200)]
    text = bytes(rng.choices(b"ab", k=5000))
    found = {begin: end for begin, end, _ in Finder(values).places(text)}
    for at in range(len(text)):
        longest = max((len(value) for value in values if text.startswith(value, at)), default=0)
        assert found.get(at, at) - at == longest
    assert not list(Finder([b"short"]).places(b"short " * 100))
    assert list(Finder([b"x" * 300]).places(b"-" + b"x" * 256)) == [(1, 301, KNOWN)]


TOKEN = b"tok-8Jq2vQmZ4xKpR7wLaaBBcc"
AUTH = f"Authorization: Bearer {TOKEN.decode()}\r\n"
LONG = "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz", k=20_000))


def in_lost_line(t: Talk) -> None:
    data = request("/x", fields=AUTH)
    at = data.index(b"arer ")
    t.send(0, data[:at]).send(0, b"arer ", keep=False).send(0, data[at + 5 :]).send(1, response(b"{}"))


def in_losing_copy(t: Talk) -> None:
    data, seq = request("/x", fields="X-Pad: " + "p" * 80 + "\r\n"), t.seq[0]
    t.send(0, data)
    t.packet(0, 0x18, request("/x", fields=AUTH)[: len(data)], seq=seq)
    t.send(1, response(b'{"a":"' + TOKEN + b'"}'))


def behind_far_segment(t: Talk) -> None:
    t.packet(0, 0x18, b"z" * 1000, seq=(t.seq[0] + 2**31 - 1) & 0xFFFFFFFF)
    t.send(0, request("/x", fields="X-Pad: " + "p" * 50 + "\r\n" + AUTH), size=7).send(1, response(b"{}"))


def in_cut_token(t: Talk) -> None:
    data = request("/x", fields=AUTH)
    at = data.index(TOKEN) + 14
    t.send(0, data[:at]).send(0, data[at : at + 4], keep=False).send(0, data[at + 4 :]).send(1, response(b'{"x":"' + TOKEN + b'"}'))


def padded(line: bytes) -> bytes:
    """A request whose last field begins at byte 16,384."""
    head = b"GET /x HTTP/1.1\r\nHost: x\r\nX-Pad: "
    return head + b"p" * (16_384 - len(head) - 2 - line.index(b": ") - 2) + b"\r\n" + line


def plain(ask: bytes, answer: bytes) -> Any:
    return lambda t: t.send(0, ask).send(1, answer)


FORM, JSON, PARTS = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
CODED = response(gzip.compress(b'{"access_token":"hunterXhunterX"}', mtime=0), fields="Content-Encoding: gzip\r\n")


def posted(body: str, kind: str = JSON, answer: bytes = b"{}") -> Any:
    return plain(request("/x", method="POST", body=body.encode(), fields=f"Content-Type: {kind}\r\n"), response(answer))


def lost(t: Talk, data: bytes, what: bytes, n: int) -> None:
    """An answer of which n bytes are missing, from something on."""
    at = data.index(what)
    t.send(0, request("/x")).send(1, data[:at]).send(1, data[at : at + n], keep=False).send(1, data[at + n :])


LEAKS: dict[str, tuple[Any, bytes]] = {
    "a cookie that has no name": (plain(request("/x", fields="Cookie: opaqueSESSIONvalue12345\r\n"), response(b"{}", fields="Set-Cookie: opaqueSESSIONvalue12345; Path=/\r\n")), b"opaqueSESSIONvalue12345"),
    "many cookies": (plain(request("/x", fields="Cookie: " + "; ".join(f"c{i}=v{i:029}" for i in range(1500)) + "; last=lastLASTlast\r\n"), response(b"{}")), b"lastLASTlast"),
    "a folded field": (plain(request("/x", fields="Authorization: Bearer " + "\r\n ".join(LONG[i : i + 70] for i in range(0, 20_000, 70)) + "\r\n lastLASTlast\r\n"), response(b"{}")), b"lastLASTlast"),
    "a long token again": (plain(request("/x", fields=f"Authorization: Bearer {LONG}\r\n"), response(b'{"t":"' + LONG.encode() + b'"}')), LONG[-3000:].encode()),
    "a long web token": (plain(request("/x"), response(b"<p>" + b"a " * 4000 + b"eyJ" + LONG.encode() + b"." + LONG[:3000].encode() + b".abc", kind="text/html")), LONG[100:3000].encode()),
    "a field whose name is lost": (in_lost_line, TOKEN),
    "a copy that came to nothing": (in_losing_copy, TOKEN),
    "behind a segment that is far off": (behind_far_segment, TOKEN),
    "many chunks": (plain(request("/x", fields=AUTH), chunked(b"<p>" + b"z" * 10_000 + b" " + TOKEN + b" " + b"q" * 4000, [1] * 30_000, kind="text/plain")), TOKEN),
    "another spelling": (plain(request("/x", fields="Authorization: Bearer dddd/eeee+ffff=\r\n"), response(b"x dddd%2feeee%2bffff%3d y", kind="text/plain")), b"dddd%2feeee%2bffff%3d"),
    "an encoded value in capitals": (plain(request("/x?token=aaaa%2fbbbb%2bcccc%3d"), response(b"x aaaa%2Fbbbb%2Bcccc%3D y", kind="text/plain")), b"aaaa%2Fbbbb%2Bcccc%3D"),
    "gzip that nothing announces": (plain(request("/x", fields=AUTH), response(gzip.compress(b"you said " + TOKEN, mtime=0), kind="application/gzip")), TOKEN),
    "a login of SOCKS": (lambda t: t.send(0, b"\5\1\2").send(1, b"\5\2").send(0, b"\1\5alice\x13verysecretpassword1").send(1, b"\1\0"), b"verysecretpassword1"),
    "a value that begins where a stretch ends": (plain(padded(b"X-Api-Key: " + b"abcdefg" * 1290 + b"ENDsecretEND\r\n\r\n"), response(b"{}")), b"ENDsecretEND"),
    "a token that a gap cuts, again": (in_cut_token, b"pR7wLaaBBcc"),
    "an escaped key": (plain(request("/x"), response(b'{"pass\\u0077ord":"hunterXhunterX"}')), b"hunterXhunterX"),
    "a form in parts": (plain(request("/x", method="POST", body=b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunterXhunterX\r\n--b--\r\n'), response(b"{}")), b"hunterXhunterX"),
    "JSON in a string of JSON": (posted(json.dumps({"Type": "Notification", "Message": '{"password":"hunterXhunterX"}'})), b"hunterXhunterX"),
    "JSON in a string in a string": (posted(json.dumps({"a": json.dumps({"b": '{"password":"hunterXhunterX"}'})})), b"hunterXhunterX"),
    "keys of JSON that forms have": (posted('{"pwd":"hunterXhunterX"}'), b"hunterXhunterX"),
    "an array under a key": (posted('{"Authorization":["Bearer hunterXhunterX"],"x":1}'), b"hunterXhunterX"),
    "an object under a key": (posted('{"credentials":{"id":7,"value":["a",{"b":"hunterXhunterX"}]}}'), b"hunterXhunterX"),
    "a query within JSON of Go": (posted('{"next":"http://h/x?p=2\\u0026token=hunterXhunterX"}'), b"hunterXhunterX"),
    "a URL within JSON of PHP": (posted('{"url":"http:\\/\\/u:hunterXhunterX@h\\/"}'), b"hunterXhunterX"),
    "a form that curl did not encode": (posted("user=a&password=correct horse battery&x=1", FORM), b"horse battery"),
    "a form with a quote": (posted('user=a&password=pa"hunterXhunterX', FORM), b"hunterXhunterX"),
    "JSON in a form": (posted("payload=%7B%22password%22%3A%22hunterXhunterX%22%7D", FORM), b"hunterXhunterX"),
    "a form's value again in JSON": (posted("password=correct+horse+battery", FORM, b'{"you":"correct horse battery"}'), b"correct horse battery"),
    "a value of JSON again in a form": (posted('{"password":"correct horse battery"}', JSON, b"you=correct+horse+battery"), b"correct+horse+battery"),
    "a value with escapes again": (posted("password=pa%22ss%5Cword-12345", FORM, b'{"you":"pa\\"ss\\\\word-12345"}'), b'pa\\"ss\\\\word-12345'),
    "a value again as a browser encodes it": (posted('{"password":"Pass!word@2024"}', JSON, b"/a/Pass!word%402024"), b"Pass!word%402024"),
    "the password of Basic again": (plain(request("/x", fields="Authorization: Basic " + base64.b64encode(b"alice:hunterXhunterX").decode() + "\r\n"), response(b'{"a":"hunterXhunterX"}')), b"hunterXhunterX"),
    "a key in a part": (posted('--b\r\nContent-Disposition: form-data; name="private_key"\r\n\r\n-----BEGIN X-----\r\nhunterXhunterX\r\n--b--\r\n', PARTS), b"hunterXhunterX"),
    "a part without quotes": (posted("--b\nContent-Disposition: form-data; name=password\n\nhunterXhunterX\n--b--\n", PARTS), b"hunterXhunterX"),
    "cookies that a proxy joined": (plain(request("/x"), response(b"{}", fields="Set-Cookie: a=1; Path=/, sid=hunterXhunterX; HttpOnly\r\n")), b"hunterXhunterX"),
    "credentials without a scheme": (plain(request("/x", fields="X-Authorization: hunterXhunterX rest\r\n"), response(b"{}")), b"hunterXhunterX"),
    "a field of another key": (plain(request("/x", fields="X-Functions-Key: hunterXhunterX\r\n"), response(b"{}")), b"hunterXhunterX"),
    "a token of npm": (posted("see npm_" + "a1B2" * 9, "text/plain"), b"npm_" + b"a1B2" * 9),
    "a key that is lost in part": (lambda t: lost(t, response(b'{"id":1,"password":"hunterXhunterX","x":1}'), b"ssword", 1), b"hunterXhunterX"),
    "a key that is lost": (lambda t: lost(t, response(b'{"id":1,"password":"correct horse battery","x":1}'), b'"password":"', 12), b"horse battery"),
    "the hexadecimal end of a field": (lambda t: lost(t, response(b"{}", fields="X-Api-Key: 0a1b5f2c9e7a1b8d4036\r\n"), b"0a1b", 4), b"5f2c9e7a1b8d4036"),
    "a coded body whose head is lost": (lambda t: lost(t, CODED, CODED[:-60], len(CODED) - 60), CODED[-40:]),
}  # fmt: skip

LINES = b'{"pin":"8127-4431-9920"}\n'
JSON_LEAKS: dict[str, Any] = {
    "UTF-16": plain(request("/x"), response(json.dumps({"a": "z", "pin": PIN.decode()}).encode("utf-16"))),
    "UTF-16 without a mark": plain(request("/x"), response(json.dumps({"a": "z", "pin": PIN.decode()}).encode("utf-16-le"))),
    "lines behind a broken one": plain(request("/x"), response(b'{"a":"x\n' + LINES, kind="application/x-ndjson")),
    "lines behind an open one": plain(request("/x"), response(b'{"a":[1\n' + LINES, kind="application/x-ndjson")),
    "events behind a comment": plain(request("/x"), response(b': say "hi\n\ndata: ' + LINES + b"\n", kind="text/event-stream")),
    "events behind a broken one": plain(request("/x"), response(b'data: {"a":"\n\ndata: ' + LINES + b"\n", kind="text/event-stream")),
    "a stream of lines": plain(b'{"k":1}\n{"a":"x\n', LINES),
    "a protocol that is not read": plain(b"Content-Length: 24\r\n\r\n" + LINES, b"Content-Length: 2\r\n\r\n{}"),
    "JSON with padding": plain(request("/x"), response(b"cb(" + LINES.strip() + b")", kind="application/javascript")),
    "gzip within gzip": plain(request("/x"), response(gzip.compress(gzip.compress(LINES, mtime=0), mtime=0), fields="Content-Encoding: gzip\r\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON_LEAKS)
def test_a_value_of_json_is_masked_in(name: str, tmp_path: Path) -> None:
    t = Talk(dport=9000 if "stream" in name or "protocol" in name else 80).open()
    JSON_LEAKS[name](t)
    t.close().save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub", "--mask-json", "..pin")
    after = everything(tmp_path / "s.pcap", tmp_path / "after")
    assert PIN not in after
    assert PIN.decode().encode("utf-16-le") not in after
    assert gzip.compress(LINES, mtime=0)[10:-8] not in after


def test_ports_in_use_twice_keep_no_secret_of_either(tmp_path: Path) -> None:
    """One connection after the other, with a late copy of the first; and two at the same time, in two tunnels."""
    ask = request("/a", method="POST", body=b'{"pin":"8127-4431-9920"}', fields="Content-Type: application/json\r\n")
    at = ask.index(b"8127") + 6
    old = Talk().open()
    begin = old.seq[0]
    old.send(0, ask[:at]).send(0, ask[at:]).send(1, response(b"{}")).close()
    new = Talk(isn=(900_000, 800_000))
    new.us, new.ident = old.us + 100_000, 500
    new.open().send(0, request("/b", fields="Authorization: Bearer zzzzzzzzzzz\r\n")).send(1, response(b"{}"))
    new.packet(0, 0x18, ask[:at], seq=begin)
    new.packet(0, 0x18, ask[at:], seq=begin + at)
    new.close()
    (tmp_path / "x.pcap").write_bytes(merge(old, new))
    one, two = whole_talk(), Talk(sport=41000, isn=(77_000, 88_000)).open()
    two.send(0, request("/two", fields="Authorization: Bearer other-token-0123456789\r\n"), size=33).send(
        1, response(b"{}"), size=33
    ).close()
    frames = [
        (us + 5 * k, ethernet(wrap("vxlan", frame[14:], number=5 + k))) for k, talk in enumerate((one, two)) for us, frame in talk.frames
    ]
    (tmp_path / "y.pcap").write_bytes(pcap(sorted(frames)))
    for name in ("x", "y"):
        pcapflow(
            "slice", "-q", tmp_path / f"{name}.pcap", "--where", "path=/*", "-o", tmp_path / "s.pcap", "--scrub", "--mask-json", "..pin"
        )
        after = everything(tmp_path / "s.pcap", tmp_path / f"after-{name}")
        for secret in (b"8127-4", b"431-9920", BEARER, COOKIE, QUERY, b"other-token"):
            assert secret not in after
    assert len(records(tmp_path / "s.pcap", "--records", "connection")) == 2


@pytest.mark.parametrize("name", LEAKS)
def test_a_secret_is_found_in(name: str, tmp_path: Path) -> None:
    talk, secret = LEAKS[name]
    t = Talk(dport=1080 if "SOCKS" in name else 80).open()
    talk(t)
    t.close().save(tmp_path / "x.pcap")
    assert secret in everything(Path(tmp_path / "x.pcap"), tmp_path / "before")
    said = []
    for size in ("1MiB", "2KiB"):
        pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / f"{size}.pcap", "--scrub", "--block-size", size)
        said.append((tmp_path / f"{size}.pcap").read_bytes())
    assert said[0] == said[1]
    after = everything(tmp_path / "1MiB.pcap", tmp_path / "after")
    assert secret not in after
    assert all(gzipped not in after for gzipped in (gzip.compress(b"you said " + TOKEN, mtime=0)[10:-8],))


def test_a_stream_that_begins_in_a_line_has_no_token(tmp_path: Path) -> None:
    t = Talk()
    t.send(0, b"ation: Bearer " + TOKEN + b"\r\nHost: x\r\n\r\n").send(1, response(b"{}")).send(0, request("/next")).send(
        1, response(b"{}")
    )
    t.save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    assert TOKEN not in everything(tmp_path / "s.pcap", tmp_path / "after")
    assert [r["request"]["target"] for r in records(tmp_path / "s.pcap") if r["record"] == "http" and r["request"]] == ["/next"]


def test_a_long_number_is_masked_from_its_first_digit(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/x")).send(1, chunked(b'{"a": "z", "pin": ' + b"123456789" * 7000 + b"}", [100] * 3000)).close()
    t.save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub", "--mask-json", "..pin")
    assert pcapflow("bodies", "-q", tmp_path / "s.pcap")[0] == b'{"a": "z", "pin": ' + b"1" * 63_000 + b"}"


def test_many_values_in_many_chunks_and_many_tokens_without_a_point_take_linear_time(tmp_path: Path) -> None:
    """By the time of each byte, of which there were thousands too many: a minute, not a second."""
    many = chunked(json.dumps([{"pin": "ab"}] * 8000).encode(), [9] * 20_000)
    Talk().open().send(0, request("/x")).send(1, many).send(0, request("/y")).send(
        1, response(b"eyJ" + b"eyJabcde" * 50_000, kind="text/plain")
    ).close().save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub", "--mask-json", "..pin")
    assert pcapflow("bodies", "-q", tmp_path / "s.pcap", "--where", "path=/x")[0] == json.dumps([{"pin": "xx"}] * 8000).encode()
