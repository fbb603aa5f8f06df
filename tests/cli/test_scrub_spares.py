"""`slice --scrub` masks secrets and leaves the rest as it is: messages that were read, numbers of JSON, ordinary text."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.framing import Framing
from pcapflow.limits import Limits
from pcapflow.ranges import BLIND
from tests.cli.test_scrub import pcapflow
from tests.cli.test_slice import records
from tests.craft import Talk, chunked, request, response

OK = response(b"{}")


def scrubbed(t: Talk, folder: Path) -> tuple[list[Any], list[Any], int]:
    """What its exchanges say before and after, and how many bytes are masked."""
    t.save(folder / "x.pcap")
    _, said = pcapflow("slice", folder / "x.pcap", "--connection", "1", "-o", folder / "s.pcap", "--scrub")
    masked = int(next(line for line in said.splitlines() if " overwritten (" in line).split()[1].replace(",", ""))
    before, after = ([one for one in records(folder / name) if one["record"] == "http"] for name in ("x.pcap", "s.pcap"))
    return before, after, masked


def outline(exchanges: list[Any]) -> list[Any]:
    return [((one["request"] or {}).get("target"), (one["response"] or {}).get("status")) for one in exchanges]


@pytest.mark.parametrize("gaps", [1, 2])
def test_messages_that_were_read_behind_gaps_are_spared_though_an_image_follows(gaps: int, tmp_path: Path) -> None:
    script = "".join(f"var a{i} = 1; if (a{i} > 0) {{ a{i} = a{i} + 1; }}\n" for i in range(300)).encode()
    image = b"\x89PNG\r\n\x1a\n" + random.Random(3).randbytes(4000)
    t = Talk().open()
    for j in range(8):
        t.send(0, request(f"/js/{j}.js"))
        answer = response(image, kind="image/png") if j == 6 else chunked(script, [4096] * 9, kind="application/javascript")
        for i, at in enumerate(range(0, len(answer), 1448)):
            lost = j == 1 and (2 <= i <= 5 or (gaps == 2 and i == 8))
            t.packet(1, 0x18, answer[at : at + 1448], keep=not lost)
        t.acknowledge(0)
    before, after, _ = scrubbed(t.close(), tmp_path)
    assert len(before) == 8
    assert outline(before) == outline(after)


def test_text_behind_a_loss_is_not_looked_for_in_streams_that_lost_nothing(tmp_path: Path) -> None:
    """Events of one stream, a segment lost; then the same events again."""
    events = [f'data: {{"id":"c1","choices":[{{"delta":{{"content":"word{i} "}}}}]}}\n\n' for i in range(200)]
    answer = chunked("".join(events).encode(), [len(one) for one in events], kind="text/event-stream")
    t = Talk().open()
    for turn in range(2):
        t.send(0, request("/v1/chat"))
        for i, at in enumerate(range(0, len(answer), 1338)):
            t.packet(1, 0x18, answer[at : at + 1338], keep=not (turn == 0 and i == 3))
    before, after, _ = scrubbed(t.close(), tmp_path)
    assert before[1]["response"]["body"] == after[1]["response"]["body"]
    assert before[1]["response"]["body"]["json"]["documents"] == 200


@pytest.mark.parametrize("pad", range(0, 512, 37))
def test_the_beginning_of_a_url_that_a_packet_cuts_is_not_looked_for(pad: int, tmp_path: Path) -> None:
    base = "https://idp.example.com"
    known = json.dumps({"issuer": base, "token_endpoint": f"{base}/oauth2/token", "scopes": [f"scope{i}" for i in range(150)]}).encode()
    page = "".join(f'<a href="{base}/item/{i}">Item {i}</a>\n' for i in range(300)).encode()
    t = Talk().open().send(0, request("/.well-known/openid-configuration"))
    t.send(1, response(known, fields="X-Pad: " + "p" * pad + "\r\n"), size=512)
    t.send(0, request("/a")).send(1, response(page, kind="text/html"))
    assert scrubbed(t.close(), tmp_path)[2] < 130


@pytest.mark.parametrize(
    ("text", "kind", "most"),
    [
        (
            "kind: Deployment\nspec:\n  automountServiceAccountToken: false\n  template:\n" + "    - name: web\n" * 200,
            "application/yaml",
            10,
        ),
        ("properties:\n  password:\n    type: string\n" + "    description: a text\n" * 200, "application/yaml", 10),
        ("var getToken=function(){return 1};" + "var f=function(){return a.b};" * 500, "application/javascript", 30),
        (".icon-password:before {\n color: red }\n" + ".other:before {\n color: red }\n" * 200, "text/css", 40),
        (
            json.dumps({"password": {"type": "string", "format": "date-time"}, "all": [{"format": "date-time"}] * 200}),
            "application/json",
            40,
        ),
    ],
)
def test_of_text_with_the_names_of_secrets_little_is_masked(text: str, kind: str, most: int, tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/x")).send(1, response(text.encode(), kind=kind)).close()
    before, after, masked = scrubbed(t, tmp_path)
    assert masked <= most
    assert outline(before) == outline(after)


def test_a_cookie_of_digits_leaves_the_same_number_of_json_a_number(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/x", fields="Cookie: uid=12345678\r\n")).send(1, response(b'{"id":12345678,"n":1}')).close()
    before, after, _ = scrubbed(t, tmp_path)
    assert before[0]["response"]["body"]["json"] == after[0]["response"]["body"]["json"]
    assert b"12345678" not in (tmp_path / "s.pcap").read_bytes()


def test_a_word_in_a_cookie_is_masked_there_and_left_elsewhere(tmp_path: Path) -> None:
    page = b'<html class="dark-mode">' + b"<p>x</p>" * 50
    t = (
        Talk()
        .open()
        .send(0, request("/x", fields="Cookie: theme=dark-mode; sid=Ab12Cd34Ef56\r\n"))
        .send(1, response(page, kind="text/html"))
        .close()
    )
    scrubbed(t, tmp_path)
    after = (tmp_path / "s.pcap").read_bytes()
    assert b"theme=xxxxxxxxx" in after
    assert b'class="dark-mode"' in after


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"}"])
def test_the_probe_before_a_first_request_does_not_become_a_part_of_it(byte: bytes, tmp_path: Path) -> None:
    t = Talk()
    t.packet(0, 0x10, byte, seq=t.seq[0] - 1)
    t.us += 10_000_000
    t.send(0, request("/first")).send(1, OK)
    before, after, _ = scrubbed(t, tmp_path)
    assert [(one["request"]["method"], one["duration"]) for one in before] == [(one["request"]["method"], one["duration"]) for one in after]


def test_ranges_of_which_nobody_knows_leave_out_the_messages_that_were_read() -> None:
    framing = Framing(Ledger(Limits()).output)
    framing.message(10, 5)
    framing.body_over(40)
    framing.message(60, 10)
    assert list(framing.apart([(0, 100, BLIND)])) == [(0, 10, BLIND), (40, 60, BLIND), (70, 100, BLIND)]
    assert list(framing.apart([(20, 65, BLIND)])) == [(40, 60, BLIND)]
    assert list(framing.apart([(15, 30, BLIND)])) == []


@pytest.mark.parametrize(
    "name",
    [
        "X-Registry-Auth",
        "X-Hub-Signature-256",
        "Authentication",
        "X-User-Auth",
        "X-JFrog-Art-Api",
        "X-Shopify-Hmac-Sha256",
        "Jenkins-Crumb",
    ],
)
def test_names_of_fields_that_say_that_they_have_a_secret(name: str, tmp_path: Path) -> None:
    scrubbed(Talk().open().send(0, request("/x", fields=f"{name}: hunterXhunterX\r\n")).send(1, OK).close(), tmp_path)
    assert b"hunterXhunterX" not in (tmp_path / "s.pcap").read_bytes()


@pytest.mark.parametrize("key", ["tls.key", "client-key-data", ".dockerconfigjson", "device_code", "pinCode"])
def test_keys_that_say_that_they_have_a_secret(key: str, tmp_path: Path) -> None:
    scrubbed(Talk().open().send(0, request("/x")).send(1, response(json.dumps({key: "hunterXhunterX"}).encode())).close(), tmp_path)
    assert b"hunterXhunterX" not in (tmp_path / "s.pcap").read_bytes()


def test_the_framing_behind_a_gap_that_ends_with_a_chunk_is_spared(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    one, lost, two = b'{"a":1,"token":"' + b"s" * 100, b"s" * 200, b't","b":[1,2,3]}'
    t = Talk().open().send(0, request("/a")).send(1, head + b"%x\r\n" % len(one + lost) + one)
    t.send(1, lost, keep=False).acknowledge(0)
    t.send(1, b"\r\n%x\r\n" % len(two) + two + b"\r\n0\r\n\r\n").send(0, request("/b")).send(1, response(b'{"c": 1}'))
    before, after, _ = scrubbed(t.close(), tmp_path)
    assert outline(after) == outline(before) == [("/a", 200), ("/b", 200)]
    assert after[0]["response"]["body"]["bytes"] == before[0]["response"]["body"]["bytes"]
    assert b"\r\n%x\r\n" % len(two) in (tmp_path / "s.pcap").read_bytes()
    assert b"sss" not in (tmp_path / "s.pcap").read_bytes()
