"""What is read of two directions together does not depend on which packets came in one block: one packet a block is the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pcapflow import pipeline
from pcapflow.capture.packet_places import NOWHERE, RUNS_MAX
from pcapflow.limits import Limits
from tests.craft import ACK, CLIENT, FIN, SERVER, SYN, Talk, filler, pcap, request, response, tcp_frame

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def ended_before(t: Talk) -> None:
    """The client's end, with a byte that tells nothing, came before the server showed what is spoken."""
    t.open().packet(0, FIN | ACK, b"x")
    t.send(1, response(b"{}"))


def ended_before_behind_a_hole(t: Talk) -> None:
    t.open().packet(0, FIN | ACK, b"x")
    t.send(1, b"lost...", keep=False).send(1, response(b"{}"))


def noise_before_an_answer(t: Talk) -> None:
    t.open().send(1, b"\x05\x00").send(0, b"G").send(1, response(b"{}")).send(0, b"ET / HTTP/1.1\r\nHost: a\r\n\r\n").close()


def more_answers_than_wait(t: Talk) -> None:
    """Between two segments of what the client says."""
    t.open().send(0, b"x")
    for _ in range(300):
        t.send(1, response(b"{}"))
    t.send(0, b"G").send(0, b"ET / HTTP/1.1\r\nHost: a\r\n\r\n")


def a_hole_given_up_where_the_answer_begins(t: Talk) -> None:
    asked = request("/p", method="POST", body=b'{"a":1}')
    a = t.seq[0]
    t.packet(1, ACK, b"[1]", ack=a + 17 + 42 + len(asked))
    t.send(0, b'7\r\n{"a":1}\r\n0\r\n\r\n').send(0, b"y" * 42, keep=False).send(0, asked)
    t.idle(31 * 10**6).send(1, b"HTTP/1.1 101 S\r")


def a_refused_chunk_line_in_pieces(t: Talk) -> None:
    t.open().send(0, request("/a") + request("/b"))
    t.send(1, CHUNKED).send(1, b"x").send(1, b"HTTP/1.1 101 S\r").send(1, response(b"{}"))


def a_refused_chunk_line_and_another_answer(t: Talk) -> None:
    t.open().send(0, request("/a") + request("/b"))
    t.send(1, CHUNKED).send(1, b"x").send(1, b"HTTP/1.1 404 S\r").send(1, b"\nContent-Length: 2\r\n\r\n{}")


def an_answer_where_a_chunk_line_should_be(t: Talk) -> None:
    t.open().send(0, request("/a") + request("/b")).send(1, CHUNKED).send(1, b"HTTP/1.1 404 N").send(1, b"\r\nContent-Length: 2\r\n\r\n{}")


def a_refused_chunk_line_in_the_middle(t: Talk) -> None:
    t.send(1, CHUNKED).send(1, b"x").send(1, b"HTTP/1.1 101 S\r").send(1, response(b"{}"))


def a_handshake_answered_behind_the_exchange(t: Talk) -> None:
    """With an earlier time: the capture's clock goes back."""
    t.packet(0, SYN)
    late = (t.us + 5, tcp_frame(SERVER, 80, CLIENT, 40000, 4999, t.seq[0], SYN | ACK, ident=99))
    t.send(0, request("/")).send(1, response(b"{}"))
    t.frames = [*t.frames, *filler(200, t.us), late]


def said(path: Path, packets: int, **limits: int) -> tuple[list[bytes], Any]:
    lines: list[bytes] = []
    result = pipeline.run([str(path)], replace(Limits(**limits), block_packets=packets), write=lines.extend)
    summary = msgspec.to_builtins(result.summary)
    for name in ("run", "memory", "advice", "limits"):
        del summary[name]
    assert result.unbalanced == []
    return [bytes(line) for line in lines], summary


@pytest.mark.parametrize(
    "build",
    [
        ended_before,
        ended_before_behind_a_hole,
        noise_before_an_answer,
        more_answers_than_wait,
        a_hole_given_up_where_the_answer_begins,
        a_refused_chunk_line_in_pieces,
        a_refused_chunk_line_and_another_answer,
        an_answer_where_a_chunk_line_should_be,
        a_refused_chunk_line_in_the_middle,
        a_handshake_answered_behind_the_exchange,
    ],
    ids=lambda build: build.__name__,
)
@pytest.mark.parametrize("limits", [{}, {"http_pipeline_max": 1}], ids=["", "one waits"])
def test_the_report_is_the_same_whatever_came_in_one_block(build: Callable[[Talk], None], limits: dict[str, int], tmp_path: Path) -> None:
    talk = Talk()
    build(talk)
    path = tmp_path / "x.pcap"
    talk.save(path)
    expected = said(path, 1, **limits)
    for packets in (2, 3, 4, 5, 7, 65_536):
        assert said(path, packets, **limits) == expected


def test_bytes_that_ended_before_it_was_known_what_is_spoken_are_unread(tmp_path: Path) -> None:
    talk = Talk()
    ended_before(talk)
    path = tmp_path / "x.pcap"
    talk.save(path)
    lines, _ = said(path, 65_536)
    (connection,) = (one for one in map(json.loads, lines) if one["record"] == "connection")
    assert [(one["reason"], one["bytes"]) for one in connection["streams"]["client"]["unread"]] == [("malformed", 1)]
    assert connection["streams"]["server"]["unread"] == []


def test_counts_by_name_sum_up_beside_a_method_of_three_dots(tmp_path: Path) -> None:
    talk = Talk().open()
    for i in range(100):
        talk.send(0, request("/", method=f"M{i}")).send(1, response(b"{}"))
    for _ in range(7):
        talk.send(0, request("/", method="...")).send(1, response(b"{}"))
    path = tmp_path / "x.pcap"
    talk.close().save(path)
    _, summary = said(path, 65_536)
    assert sum(summary["http"]["by_method"].values()) == summary["http"]["requests"] == 107


@pytest.mark.parametrize("between", [RUNS_MAX // 2 - 2, RUNS_MAX])
def test_where_a_packet_lies_is_known_or_not_whatever_the_blocks(tmp_path: Path, between: int) -> None:
    """Two captures whose packets alternate, and so many of each between a request and its answer."""
    talk = Talk().open().send(0, request("/"))
    asked = talk.frames
    talk.frames = []
    talk.us += 2 * between
    talk.send(1, response(b"{}")).close()
    noise = filler(2 * between, asked[-1][0] + 1)
    one, other = tmp_path / "a.pcap", tmp_path / "b.pcap"
    one.write_bytes(pcap([*asked, *((us, frame) for us, frame in noise[::2]), *talk.frames]))
    other.write_bytes(pcap(noise[1::2]))
    found = []
    for size in (4096, 65_536, 8 << 20):
        lines: list[bytes] = []
        pipeline.run([str(one), str(other)], replace(Limits(), block_size=size), write=lines.extend)
        (http,) = (record for record in map(json.loads, map(bytes, lines)) if record["record"] == "http")
        found.append((http["request"]["file"], http["request"]["frame"], http["response"]["file"]))
    known = (str(one), 4, str(one)) if between < RUNS_MAX else (*NOWHERE, str(one))
    assert found == [known] * 3
