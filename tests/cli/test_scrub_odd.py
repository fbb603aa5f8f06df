"""`slice --scrub` of conversations that are not as they should be: other codings, lost beginnings, copies with other bytes, answers without a head."""

from __future__ import annotations

import base64
import gzip
import json
import random
from pathlib import Path
from urllib.parse import quote

import pytest

from pcapflow.known_values import variants
from tests.cli.test_scrub import pcapflow
from tests.cli.test_scrub_spares import outline, scrubbed
from tests.craft import Talk, chunked, request, response

SECRET = b"Zk39secret81Q"
ACK = 0x10


def slice_of(t: Talk, folder: Path, *options: str) -> bytes:
    t.save(folder / "x.pcap")
    pcapflow("slice", folder / "x.pcap", "--connection", "1", "-o", folder / "s.pcap", "--scrub", *options)
    return (folder / "s.pcap").read_bytes()


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("first", [1, 2, 3, 5])
def test_text_of_wide_characters_is_overwritten_however_it_comes(coding: str, first: int, tmp_path: Path) -> None:
    body = f'\n {{"password":"{SECRET.decode()}"}}'.encode(coding)
    t = Talk().open().send(0, request("/a")).send(1, chunked(body, [first, 500]))
    after = slice_of(t.close(), tmp_path)
    assert SECRET.decode().encode(coding)[-8:] not in after


def test_what_follows_a_lost_beginning_is_overwritten_though_its_syn_was_captured(tmp_path: Path) -> None:
    data = gzip.compress(random.Random(1).randbytes(3000))
    answer = response(data, fields="Content-Encoding: gzip\r\n")
    t = Talk().open().send(0, request("/a"), keep=False).acknowledge(1)
    t.send(1, answer[:1000], keep=False).acknowledge(0).send(1, answer[1000:]).acknowledge(0)
    after = slice_of(t.close(), tmp_path)
    assert not any(answer[at : at + 8] in after for at in range(1000, len(answer) - 8))


def test_an_answer_without_a_head_is_masked_from_its_first_byte(tmp_path: Path) -> None:
    coded = gzip.compress(b'{"password":"' + SECRET + b'"}')
    t = Talk().open().send(0, b"GET /a\r\n").send(1, coded)
    assert coded[12:30] not in slice_of(t.close(), tmp_path)


def test_a_known_value_is_masked_in_a_copy_that_begins_where_a_message_does(tmp_path: Path) -> None:
    t = Talk().open()
    first = request("/a", fields=f"Cookie: sid={SECRET.decode()}\r\n")
    begin = t.seq[0]
    t.send(0, first).send(1, response(b"{}"))
    t.packet(0, ACK, SECRET + b"-and-more", seq=begin)
    assert SECRET not in slice_of(t.close(), tmp_path)


def test_json_in_a_field_of_a_form_is_masked_by_its_path(tmp_path: Path) -> None:
    value = quote('{"card":{"number":"4111222233334444"},"a":1}')
    fields = "Content-Type: application/x-www-form-urlencoded\r\n"
    t = Talk().open().send(0, request("/a", method="POST", body=f"x=1&j={value}&y=2".encode(), fields=fields))
    t.send(1, response(b'{"seen":"4111222233334444"}'))
    after = slice_of(t.close(), tmp_path, "--mask-json", "card.number")
    assert b"4111222233334444" not in after
    assert b"x=1&j=xxx" in after
    assert b"xxx&y=2" in after


def test_a_packet_that_begins_or_ends_within_a_string_leaves_what_is_around_it(tmp_path: Path) -> None:
    body = b'{"text":"of a token: none of these <password> words is one","n":1,"also":"a session: b"}'
    for cut in range(5, len(body), 3):
        answer = response(body)
        at = len(answer) - len(body) + cut
        t = Talk().open().send(0, request("/a")).send(1, answer[:at]).send(1, answer[at:])
        before, after, masked = scrubbed(t.close(), tmp_path)
        assert (masked, outline(after)) == (0, outline(before)), body[cut:]


def test_of_credentials_with_one_part_alone_that_is_the_secret() -> None:
    for plain in (b":" + SECRET, SECRET + b":"):
        assert SECRET in variants(base64.b64encode(plain))


def test_a_mask_ends_with_its_message_where_the_next_one_follows_in_the_same_segment(tmp_path: Path) -> None:
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    login = request("/login", method="POST", body=b"user=bob&password=MqhZ60DaWlF0VPqdw5D", fields=form)
    answer = response(b"DB_PASSWORD=" + SECRET, kind="text/plain")
    t = Talk().open().send(0, login + request("/next") + login).send(1, answer * 3)
    after = slice_of(t.close(), tmp_path)
    assert b"password=" + b"x" * 19 + b"GET /next HTTP/1.1\r\n" in after
    assert b"DB_PASSWORD=" + b"x" * len(SECRET) + b"HTTP/1.1 200 OK\r\n" in after


@pytest.mark.parametrize("cut", range(12))
def test_a_secret_in_two_chunks_leaves_what_is_between_them_wherever_segments_end(cut: int, tmp_path: Path) -> None:
    body = b'{"a":1,"password":"MqhZ60DaWlF0VPqdw5D","b":2}'
    said = chunked(body, [25, 100])
    at = said.index(b"\r\n", said.index(b"MqhZ60")) - 4 + cut
    t = Talk().open().send(0, request("/a")).send(1, said[:at]).send(1, said[at:])
    after = slice_of(t.close(), tmp_path)
    assert b"MqhZ60" not in after
    assert b"VPqdw5D" not in after
    (record,) = (
        json.loads(line) for line in pcapflow("analyze", "--ndjson", "--records", "http", tmp_path / "s.pcap")[0].splitlines()[:-1]
    )
    assert (record["response"]["body"]["status"], record["response"]["body"]["json"]["keys"]) == ("complete", 3)


def test_the_rest_of_a_key_is_masked_where_a_loss_ends_with_one_of_its_lines(tmp_path: Path) -> None:
    r = random.Random(3)
    lines = [base64.b64encode(r.randbytes(48)) for _ in range(20)]
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"\n".join(lines) + b"\n-----END PRIVATE KEY-----\n"
    answer = response(key, kind="text/plain")
    begin = answer.index(lines[0]) + len(lines[0])
    t = (
        Talk()
        .open()
        .send(0, request("/a"))
        .send(1, answer[: begin - 20])
        .send(1, answer[begin - 20 : begin], keep=False)
        .send(1, answer[begin:])
    )
    after = slice_of(t.acknowledge(0).close(), tmp_path)
    assert not any(line[:16] in after for line in lines)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"html":"<input type=\"hidden\" name=\"authenticity_token\" value=\"%s\">"}',
        rb'{"h":"<meta name=\"csrf-token\" content=\"%s\">"}',
        rb'{"h":"\u003cinput name=\"csrfmiddlewaretoken\" value=\"%s\"\u003e"}',
        rb'{"x":"<Password>%s<\/Password>"}',
        rb'{"u":"https:\/\/shop.example\/reset-password\/%s"}',
        rb'{"u":"https:\/\/hooks.slack.com\/services\/T04ABCDEF12\/B05ABCDEF34\/%s"}',
        rb'{"u":"http:\/\/a.example\/b?access_token\u003d%s\u0026x\u003d1"}',
    ],
)
def test_markup_and_links_in_strings_of_json_are_looked_at_without_their_escapes(body: bytes, tmp_path: Path) -> None:
    secret = b"Pz9RB3LoKtvHRlTlchIe"
    t = Talk().open().send(0, request("/a")).send(1, response(body % secret))
    after = slice_of(t.close(), tmp_path)
    assert secret not in after
    (record,) = (
        json.loads(line) for line in pcapflow("analyze", "--ndjson", "--records", "http", tmp_path / "s.pcap")[0].splitlines()[:-1]
    )
    assert record["response"]["body"]["json"]["status"] == "complete"


def test_links_in_strings_that_hold_no_secret_stay(tmp_path: Path) -> None:
    body = rb'{"next":"https:\/\/shop.example\/products?page=2\u0026sort=price","img":"https:\/\/cdn.example\/a\/b_c-1.png","h":"<p class=\"lead\">Reset your password<\/p>"}'
    t = Talk().open().send(0, request("/a")).send(1, response(body))
    assert body in slice_of(t.close(), tmp_path)
