"""`slice --scrub`: what an attack found - secrets within encoded values, in other spellings, outside of streams - and masks that end where messages do."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.framing import CHUNK_LINE_MOST, Framing
from pcapflow.known_values import KEY, Finder
from pcapflow.limits import Limits
from tests.cli.test_scrub import AUTH, FORM, JSON, PARTS, TOKEN, everything, lost, pcapflow, plain, posted
from tests.cli.test_slice import records, without_places
from tests.craft import Talk, chunked, pcap, request, response
from tests.work import calls, ends

S = "hunterXhunterX"
B = S.encode()
OK = response(b"{}")
HTML = "text/html"
BODY = response(b'{"access_token":"' + B + b'"}')
PACKED = gzip.compress(b'{"access_token":"' + B + b'"}', mtime=0)
CODED = response(PACKED, fields="Content-Encoding: gzip\r\n")


def said(text: str, kind: str = HTML) -> Any:
    return plain(request("/x"), response(text.encode(), kind=kind))


def echoed(credentials: str, echo: bytes = b'{"a":"' + B + b'"}') -> Any:
    return plain(request("/x", fields=f"Authorization: {credentials}\r\n"), response(echo))


def echo_cut(t: Talk) -> None:
    answer = response(b'{"a":"' + TOKEN + b'","b":1}')
    at = answer.index(TOKEN) + len(TOKEN) - 3
    t.send(0, request("/x", fields=AUTH)).send(1, answer[:at]).send(1, answer[at : at + 4], keep=False).send(1, answer[at + 4 :])


KEYED = "aBcd+efgh/ijkl0123=="
LEAKS: dict[str, tuple[Any, bytes]] = {
    "JSON in a form of Python": (posted(urlencode({"payload": json.dumps({"password": S})}), FORM), B),
    "JSON far behind the name of its field": (posted(urlencode({"payload": json.dumps({"a": "b c" * 15_000, "password": S})}), FORM), B),
    "JSON in a query": (plain(request("/graphql?variables=" + quote(json.dumps({"password": S}), safe="")), OK), B),
    "a token in a URL in a query": (plain(request("/login?next=" + quote("/reset?token=" + S, safe="")), OK), B),
    "a URL that is encoded twice": (plain(request("/login?next=" + quote(quote("/reset?token=" + S, safe=""), safe="")), OK), B),
    "a password in a URL in a form": (posted(urlencode({"clone": f"https://bob:{S}@host/x.git"}), FORM), B),
    "a value with an apostrophe": (plain(request("/x?password=it's" + S), OK), B),
    "a value with a semicolon": (plain(request("/x?password=abc;" + S), OK), B),
    "a password with an apostrophe": (plain(request("/x", fields=f"Referer: http://bob:it's{S}@h/\r\n"), OK), B),
    "a token whose echo is cut": (echo_cut, TOKEN[:-3]),
    "a scheme that nobody knows": (echoed(f"Splunk {S}"), B),
    "a scheme with a colon": (echoed(f"Bearer: {S}"), B),
    "credentials that are folded at once": (echoed(f"\r\n Bearer {S}"), B),
    "credentials in parts": (echoed(f'OAuth oauth_consumer_key="k", oauth_token="{S}9", oauth_signature="a"', b'{"a":"' + B + b'9"}'), B),
    "Basic of a user who is not ASCII": (echoed("Basic " + base64.b64encode("zo\u00eb:".encode() + B).decode()), B),
    "the password of a URL again": (plain(request("/x", fields=f"Referer: http://bob:{S}@h/\r\n"), response(b'{"a":"' + B + b'"}')), B),
    "the password of Basic in a form": (plain(request("/x", method="POST", body=b"a=correct+h%40rse+battery", fields=f"Content-Type: {FORM}\r\nAuthorization: Basic {base64.b64encode(b'bob:correct h@rse battery').decode()}\r\n"), OK), b"correct+h%40rse+battery"),
    "the escapes of Gson": (echoed(f"Bearer {KEYED}", b'{"a":"aBcd+efgh/ijkl0123\\u003d\\u003d"}'), b"aBcd+efgh/ijkl0123"),
    "the escapes of System.Text.Json": (echoed(f"Bearer {KEYED}", b'{"a":"aBcd\\u002Befgh/ijkl0123=="}'), b"efgh/ijkl0123=="),
    "escapes in capitals": (posted("password=p%C3%A4ssword-hunter", FORM, b'{"a":"p\\u00E4ssword-hunter"}'), b"ssword-hunter"),
    "the entities of Go": (echoed(f"Bearer {KEYED}", b"<p>aBcd&#43;efgh/ijkl0123=="), b"efgh/ijkl0123=="),
    "an apostrophe as a decimal entity": (posted(f"password=it%27s{S}", FORM, b"<p>it&#39;s" + B), B),
    "a tilde that is encoded": (posted(f"client_secret=abc8Q~{S}", FORM, b"x=abc8Q%7E" + B), B),
    "JSON in a string of System.Text.Json": (posted('{"Message":"{\\u0022password\\u0022:\\u0022' + S + '\\u0022}"}'), B),
    "an array in JSON in a string": (posted(json.dumps({"m": json.dumps({"tokens": [S]})})), B),
    "an object in JSON in a string": (posted(json.dumps({"m": json.dumps({"credentials": {"v": S, "w": [1, "x"]}})})), B),
    "JSON in an attribute of HTML": (said('<div data-page="{&quot;csrf_token&quot;:&quot;' + S + '&quot;}">'), B),
    "a literal of GraphQL": (posted(json.dumps({"query": 'mutation { login(user:"a", password:"' + S + '") { id } }'})), B),
    "a literal of a script": (said(f"<script>var csrfToken = '{S}';</script>"), B),
    "a hidden input": (said(f'<form><input type="hidden" name="csrf_token" value="{S}"></form>'), B),
    "a meta element": (said(f'<meta name="csrf-token" content="{S}">'), B),
    "an element of XML": (said(f"<u:Password Type='x'>{S}</u:Password>", "text/xml"), B),
    "UTF-16": (plain(request("/x"), response(json.dumps({"password": S}).encode("utf-16"))), S.encode("utf-16-le")),
    "an indented key of YAML": (said(f"db:\n  user: a\n  password: {S}\n", "application/yaml"), B),
    "an encrypted key in PEM": (said(f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n{S}\n-----END RSA PRIVATE KEY-----\n", "text/plain"), B),
    "a key in PEM with a hole": (lambda t: lost(t, response(b"-----BEGIN PRIVATE KEY-----\n" + b"".join(b"%064d\n" % n for n in range(20)) + b"-----END PRIVATE KEY-----\n"), b"BEGIN", 40), b"%064d" % 9),
    "a part whose name is lost": (lambda t: lost(t, request("/x", method="POST", body=b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n' + B + b"\r\n--b--\r\n", fields=f"Content-Type: {PARTS}\r\n"), b"; name", 12), B),
    "a web token behind the beginning of one": (said('"keyJar.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"x', "text/plain"), b"dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"),
    "a token of GitLab's runners": (said(f"glrt-{S}{S}", "text/plain"), B),
    "a name in camel case": (posted(json.dumps({"dbPwd": S})), B),
    "a code of a second factor": (posted(json.dumps({"mfaCode": S})), B),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_a_secret_is_found_in(name: str, tmp_path: Path) -> None:
    talk, secret = LEAKS[name]
    t = Talk().open()
    talk(t)
    t.close().save(tmp_path / "x.pcap")
    assert secret in everything(tmp_path / "x.pcap", tmp_path / "before")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    assert secret not in everything(tmp_path / "s.pcap", tmp_path / "after")


def test_a_token_that_the_snap_length_cuts_is_masked(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/x", fields=AUTH)).send(1, response(b'{"a":"' + TOKEN + b'"}'))
    us, frame = t.frames[-1][:2]
    t.frames[-1] = (us, frame[: frame.index(TOKEN) + len(TOKEN) - 3], len(frame))  # type: ignore[assignment]
    (tmp_path / "x.pcap").write_bytes(pcap(t.frames))
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub", status=0)
    assert TOKEN[:-3] in (tmp_path / "x.pcap").read_bytes()
    assert TOKEN[:-3] not in (tmp_path / "s.pcap").read_bytes()


def test_values_at_paths_of_json_are_looked_for_elsewhere(tmp_path: Path) -> None:
    pin = b"8127-4431-9920"
    t = Talk().open()
    t.send(0, request("/x")).send(1, response(b'{"pin":"' + pin + b'","copy":"' + pin + b'"}'))
    t.send(0, request("/pay/" + pin.decode())).send(1, response(b"<p>" + pin, kind=HTML)).close().save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub", "--mask-json", ".pin")
    assert pin not in everything(tmp_path / "s.pcap", tmp_path / "after")


# --- bytes that no stream has


def in_halves(t: Talk) -> Talk:
    asked = request("/x", fields=AUTH)
    at = asked.index(TOKEN) + 13
    return t.send(0, asked[:at]).send(0, asked[at:]).send(1, CODED)


def test_a_segment_with_a_wrong_checksum_is_looked_at_too(tmp_path: Path) -> None:
    in_halves(Talk().open()).close().save(tmp_path / "x.pcap")
    ends = "10.0.0.1:40000-10.0.0.2:80"
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", ends, "-o", tmp_path / "s.pcap", "--scrub", "--verify-checksums")
    after = (tmp_path / "s.pcap").read_bytes()
    assert TOKEN[13:] not in after
    assert PACKED[10:-8] not in after
    assert len(after) > len(TOKEN)


def before_the_first(t: Talk, data: bytes, pieces: int) -> None:
    """What was said before the capture began comes again when it has begun."""
    seq = t.seq[0]
    t.seq[0] = seq + len(data)
    t.send(0, request("/y"))
    step = -(-len(data) // pieces)
    for at in range(0, len(data), step):
        t.packet(0, 0x18, data[at : at + step], seq=seq + at)
    t.send(1, OK)


@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_bytes_from_before_a_stream_s_beginning_and_behind_its_end_are_overwritten(tmp_path: Path, pieces: int) -> None:
    asked = request("/x", method="POST", body=PACKED, fields=AUTH + "Content-Encoding: gzip\r\n")
    t = Talk()
    before_the_first(t, asked, pieces)
    t.save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    after = (tmp_path / "s.pcap").read_bytes()
    assert PACKED[10:30] not in after
    assert asked[len(asked) // 2 :][:12] not in after
    assert b"GET /y HTTP/1.1" in after, "the stream itself stays"


def test_bytes_that_come_into_a_gap_that_was_given_up_are_overwritten(tmp_path: Path) -> None:
    """A part of a coded body, 40 s late."""
    t = Talk().open().send(0, request("/x"))
    seq, at = t.seq[1], CODED.index(PACKED)
    t.send(1, CODED[: at + 5]).send(1, CODED[at + 5 :], keep=False)
    for _ in range(3):
        t.us += 40_000_000
        t.send(0, request("/y")).send(1, OK)
    t.packet(1, 0x18, CODED[at + 5 :], seq=seq + at + 5)
    t.close().save(tmp_path / "x.pcap")
    assert PACKED[12:-8] in (tmp_path / "x.pcap").read_bytes()
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    assert PACKED[12:-8] not in (tmp_path / "s.pcap").read_bytes()


# --- a mask ends where its message does


def exchanges(*pairs: tuple[bytes, bytes]) -> Any:
    def talk(t: Talk) -> None:
        for asked, answered in pairs:
            t.send(0, asked).send(1, answered)

    return talk


R = request("/x")
WHOLE = {
    "a form that ends in its password": exchanges((request("/x", method="POST", body=f"user=a&password={S}".encode(), fields=f"Content-Type: {FORM}\r\n"), OK), (R, OK), (R, OK)),
    "a token over the edge of a chunk": exchanges((R, chunked(b'{"access_token":"' + B * 30 + b'"}', [40] * 20)), (R, OK)),
    "a token over the edges of large chunks": exchanges((R, chunked(b'{"access_token":"' + b"aB3" * 3000 + b'"}', [4096] * 4)), (R, OK)),
    "a chunked body that ends in a token": exchanges((R, chunked(b"token=" + B, [9, 40], kind="text/plain")), (R, OK)),
    "JSON that is cut in its password": exchanges((request("/x", method="POST", body=b'{"user":"a","password":"hunter', fields=f"Content-Type: {JSON}\r\n"), OK), (request("/y", fields='If-None-Match: "abc"\r\n'), OK), (R, OK)),
    "a page with an input at the end of a line": exchanges(*[(R, response(b'<form>\n<input type="password" name="password"\n  class="x">\n\n<p>hello\n</form>\n', kind=HTML))] * 3),
    "a page that names a key": exchanges((R, response(b"<p>look for -----BEGIN PRIVATE KEY-----", kind=HTML)), (R, OK), (R, OK)),
    "a text that ends like a field": exchanges((request("/x", method="POST", body=b"Token: abc"), OK), (R, OK)),
    "parts without their end": exchanges((request("/x", method="POST", body=b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunterXhunterX', fields=f"Content-Type: {PARTS}\r\n"), OK), (R, OK), (R, OK)),
}  # fmt: skip


@pytest.mark.parametrize("size", [1448, 7])
@pytest.mark.parametrize("name", WHOLE)
def test_the_messages_behind_a_secret_are_read_as_before(name: str, size: int, tmp_path: Path) -> None:
    t = Talk().open()
    send = t.send
    t.send = lambda *given, **more: send(*given, **{"size": size, **more})  # type: ignore[method-assign]
    WHOLE[name](t)
    t.close().save(tmp_path / "x.pcap")
    pcapflow("slice", "-q", tmp_path / "x.pcap", "--connection", "1", "-o", tmp_path / "s.pcap", "--scrub")
    before, after = (
        [(r["request"]["method"], r["response"]["status"], r["request"]["body"]["status"], r["response"]["body"]["status"]) for r in records(path) if r["record"] == "http"]
        for path in (tmp_path / "x.pcap", tmp_path / "s.pcap")
    )  # fmt: skip
    assert before == after
    assert len(without_places(records(tmp_path / "x.pcap"))) == len(without_places(records(tmp_path / "s.pcap")))
    assert B not in everything(tmp_path / "s.pcap", tmp_path / "after")


def test_ranges_end_at_messages_and_leave_chunk_lines_out() -> None:
    framing = Framing(Ledger(Limits()).output)
    framing.message(0, 9)
    framing.chunk_line(20, 27)
    framing.chunk_line(30, 30 + CHUNK_LINE_MOST + 1)  # with an extension: it may be masked
    framing.chunk_line(60, 64)
    framing.message_over(80)
    framing.message(80, 9)
    assert list(framing.apart([(10, 25, 0)])) == [(10, 20, 0)]
    assert list(framing.apart([(10, 70, 1)])) == [(10, 20, 1), (27, 60, 1), (64, 70, 1)]
    assert list(framing.apart([(70, 200, 0)])) == [(70, 80, 0)]
    assert list(framing.apart([(80, 90, 0)])) == [], "no secret begins where a message does"
    assert list(framing.apart([(81, 90, 0)])) == [(81, 90, 0)]


def test_ranges_that_overlap_are_given_once_however_many_they_are() -> None:
    framing = Framing(Ledger(Limits()).output)
    framing.message(0, 9)
    for at in range(20, 20_000, 10):
        framing.chunk_line(at, at + 3)
    framing.message_over(25_000)
    framing.message(25_000, 9)
    many = [(begin, 20_000 + begin, 0) for begin in range(10, 1_010)]
    found = list(framing.apart(many))
    assert len(found) < 2_000 + len(many)
    assert found[:3] == [(10, 20, 0), (23, 30, 0), (33, 40, 0)]
    assert {at for begin, end, _ in found for at in range(begin, end)} == set(range(10, 21_009)) - {
        at + i for at in range(20, 20_000, 10) for i in range(3)
    }
    # what is cut at the end of a message hides nothing of what begins behind it
    assert list(framing.apart([(24_000, 26_000, 1), (25_100, 25_900, 1)])) == [(24_000, 25_000, 1), (25_100, 25_900, 1)]


# --- time, memory, what is left on the disk


@pytest.mark.parametrize(
    "text", [b" name=a", b'\\"' + b"\\" * 20, b"token=1;", b"&quot;a", b" token:x\n", b"<input a", b"eyJeyJ", b"password%3D", b"a:'"]
)
def test_time_is_linear_in_what_is_looked_at(text: bytes) -> None:
    from pcapflow.findings.masking import Masking
    from pcapflow.findings.scanning import Scanner

    def look(n: int) -> int:
        def work() -> None:
            scanner = Scanner(Masking((), Ledger(Limits())), form=True)
            scanner.feed((text * (n // len(text) + 1))[:n])
            scanner.flush()

        return calls(work)

    look(10_000)  # what is loaded when something is looked at first
    assert look(400_000) < 2.5 * look(200_000)


@pytest.mark.parametrize("text", [b" name=a", b"\\", b"token=1;", b"token='", b"&quot;a", b" token:x\n", b"<input a", b"eyJ"])
def test_no_pattern_goes_over_bytes_again_and_again(text: bytes) -> None:
    """Some of them did once, within what is looked at together."""
    ends(f"from pcapflow.secret_bytes import secrets_in\nlist(secrets_in(b'x\\\\\"' + {text!r} * (1_000_000 // {len(text)})))")


def test_the_beginning_of_a_value_is_found_at_the_end_of_bytes() -> None:
    finder = Finder([b"abcdefghijkl", b"abcdxxxxxxxx", b"q" * 2 * KEY])
    assert finder.begun(b"... abcdefghi") == 4
    assert finder.begun(b"... abcdefg") == 11, "too short to tell"
    assert finder.begun(b"... abcdefghijkl!") == 17
    assert finder.begun(b"qqqqqqqqq") == 0
    assert finder.begun(b"") == 0
    assert Finder([]).begun(b"abcdefghi") == 9


def test_connections_for_which_there_is_no_memory_are_counted(tmp_path: Path) -> None:
    frames = []
    us = 0
    for i in range(1000):
        t = Talk(sport=2000 + i)
        t.us = us
        frames += t.open().send(0, R).send(1, OK).close().frames
        us = t.us
    (tmp_path / "x.pcap").write_bytes(pcap(frames))
    _, said = pcapflow("slice", "-q", tmp_path / "x.pcap", "--where", "path=/*", "-o", tmp_path / "s.pcap", "--memory-limit", "1MiB")
    written = int(said.split(" packets, ")[1].split(" connection")[0].replace(",", ""))
    left_out = int(said.split("warning: ")[1].split(" connection")[0].replace(",", "")) if "warning: " in said else 0
    assert written + left_out == 1000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system has no /proc")
def test_the_copy_that_is_not_masked_is_gone_when_the_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    in_halves(Talk().open()).close().save(tmp_path / "x.pcap")
    os.mkfifo(tmp_path / "out.pcap")
    command = [
        sys.executable,
        "-m",
        "pcapflow",
        "slice",
        "-q",
        tmp_path / "x.pcap",
        "--connection",
        "1",
        "--scrub",
        "-o",
        tmp_path / "out.pcap",
    ]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE) as process:
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
    assert list(folder.iterdir()) == []
