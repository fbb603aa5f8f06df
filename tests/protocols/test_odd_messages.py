"""First lines as they occur, surplus bytes, lengths that are none, and HTTP where something else was expected: nothing of it is skipped in silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from tests.conftest import Ran, Run
from tests.craft import Talk, request, response
from tests.protocols.test_other_protocols import HELLO

SEGMENTS = pytest.mark.parametrize(("size", "packets"), [(1448, 8192), (1448, 1), (120, 8192), (120, 1)])
"""Behind bytes that are no message the next one is found in their segment, or where a segment begins with its first line."""
CUTS = pytest.mark.parametrize(("size", "packets"), [(1448, 8192), (1448, 1), (1, 3), (7, 8192)])


def talk(ask: bytes, answer: bytes = response(b"{}"), size: int = 1448) -> Talk:
    return Talk().open().send(0, ask, size=size).acknowledge(1).send(1, answer, size=size).acknowledge(0)


def only(ran: Ran) -> dict[str, object]:
    (exchange,) = ran.of("http")
    return {
        "method": exchange["request"]["method"], "target": exchange["request"]["target"], "version": exchange["request"]["version"],
        "status": exchange["response"]["status"], "anomalies": exchange["anomalies"],
    }  # fmt: skip


# --- first lines


@CUTS
@pytest.mark.parametrize(
    ("line", "target", "version", "anomalies"),
    [
        (b"GET /a b HTTP/1.1", "/a b", "1.1", ["space_in_target"]),
        (b"GET / HTTP/1.", "/", "1.", ["malformed_version"]),
        (b"GET / HTTP/11", "/", "11", ["malformed_version"]),
        (b"GET / HTTP", "/ HTTP", "", ["malformed_version", "space_in_target"]),
        (b"GET / HTTP/1.1 x", "/", "1.1 x", ["malformed_version"]),
        (b"GET HTTP/1.1", "", "1.1", ["missing_target"]),
        (b"GET / http/1.1", "/", "1.1", ["malformed_version"]),
        (b"PROPFIND /dav a HTTP/1.1", "/dav a", "1.1", ["space_in_target"]),
    ],
)
def test_a_request_whose_line_is_odd_is_a_request_with_an_anomaly(
    run: Run, line: bytes, target: str, version: str, anomalies: list[str], size: int, packets: int
) -> None:
    ask = line + b"\r\nHost: h\r\n\r\n"
    ran = run(talk(ask, size=size).close().bytes(), replace(Limits(), block_packets=packets))
    found = only(ran)
    assert (found["target"], found["version"], found["status"], found["anomalies"]) == (target, version, 200, anomalies)
    assert ran.summary.tcp.unread == {}


def test_a_request_without_a_version_that_has_fields_is_none_of_http_0_9(run: Run) -> None:
    found = only(run(talk(b"GET /a\r\nHost: h\r\n\r\n").close().bytes()))
    assert (found["target"], found["version"], found["anomalies"]) == ("/a", "", ["malformed_version"])
    found = only(run(talk(b"GET /a\r\n", b"plain words").close().bytes()))
    assert (found["target"], found["version"], found["status"]) == ("/a", "0.9", 0)


@CUTS
@pytest.mark.parametrize(
    ("line", "status", "version", "anomalies"),
    [
        (b"HTTP/1.1 2000 OK", 2000, "1.1", ["malformed_status"]),
        (b"HTTP/2.0 200 OK", 200, "2.0", ["malformed_version"]),
        (b"HTTP/1.10 200 OK", 200, "1.10", ["malformed_version"]),
        (b"HTTP/1.1 200 O\rK", 200, "1.1", ["bare_cr"]),
        (b"HTTP/1.1\x00200 OK", 200, "1.1", ["control_character"]),
    ],
)
def test_a_status_line_that_is_odd_is_an_answer_with_an_anomaly(
    run: Run, line: bytes, status: int, version: str, anomalies: list[str], size: int, packets: int
) -> None:
    answer = line + b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ran = run(talk(request(), answer, size).close().bytes(), replace(Limits(), block_packets=packets))
    (exchange,) = ran.of("http")
    shown = exchange["response"]
    assert (shown["status"], shown["version"], shown["body"]["json"]["status"], exchange["anomalies"]) == (
        status,
        version,
        "complete",
        anomalies,
    )


def test_the_tunnel_behind_a_connect_with_an_extra_word_is_no_body(run: Run) -> None:
    t = talk(b"CONNECT host:25 / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n").send(1, b"220 mail\r\n").send(0, b"EHLO a\r\n").close()
    ran = run(t.bytes())
    (exchange,) = ran.of("http")
    assert (exchange["request"]["method"], exchange["request"]["target"], exchange["anomalies"]) == (
        "CONNECT",
        "host:25 /",
        ["space_in_target"],
    )
    assert exchange["response"]["body"]["framing"] == "none"
    assert ran.summary.tcp.unread["unknown_protocol"].bytes == 18


@pytest.mark.parametrize(
    "first",
    [
        b"EHLO a\r\n",
        b"USER anonymous\r\n",
        b"NICK x\r\nUSER y\r\n",
        b"OPTIONS rtsp://a/b RTSP/1.0\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"NOTIFY * X/1\r\n",
    ],
)
def test_what_other_protocols_begin_with_is_no_request(run: Run, first: bytes) -> None:
    ran = run(Talk(dport=2525).open().send(0, first).acknowledge(1).send(1, b"200 ok\r\n").close().bytes())
    assert [r["protocol"] for r in ran.of("connection")] == ["opaque"]


# --- surplus


@SEGMENTS
@pytest.mark.parametrize("surplus", [b"\x00", b"\x00\x00", b"}", b'"}]', "é".encode()])
def test_what_follows_an_answer_is_surplus_and_the_next_answer_is_not_lost(run: Run, surplus: bytes, size: int, packets: int) -> None:
    t = Talk().open().send(0, request() + request("/2")).acknowledge(1)
    t.send(1, response(b"{}") + surplus + response(b"[]"), size=size).acknowledge(0)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    assert [r["response"]["status"] for r in ran.of("http") if r["response"]] == [200, 200]
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": len(surplus)}
    assert [r["anomalies"] for r in ran.of("http")] == [["more_than_length"], []]


@SEGMENTS
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
def test_a_body_of_an_answer_that_has_none_is_surplus(run: Run, head: bytes, size: int, packets: int) -> None:
    t = Talk().open().send(0, request() + request("/2")).acknowledge(1)
    t.send(1, head + b"{surplus}", size=size).send(1, response(b"[]"), size=size).acknowledge(0)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    first, second = ran.of("http")
    assert (second["response"]["status"], second["response"]["body"]["bytes"]) == (200, 2)
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": 9}
    assert first["anomalies"] == ["more_than_length"]


@SEGMENTS
def test_a_request_with_more_than_its_length_does_not_cost_the_next(run: Run, size: int, packets: int) -> None:
    asked = request("/1", method="POST", body=b'{"a":"', fields="Content-Type: text/plain\r\n")
    t = Talk().open().send(0, asked + b'"}' + request("/2"), size=size).acknowledge(1).send(1, response(b"{}") * 2).acknowledge(0)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    assert [r["request"]["target"] for r in ran.of("http")] == ["/1", "/2"]
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": 2}


SURPLUS = [
    b"x" * 300,
    b"\0" * 300,
    b'{"error": "expected HTTP/1.1"}\n' * 9,
    b"(GET /here HTTP/1.1" * 15,
    b"HTTP/1.1 20" * 30,
    b"\tHTTP/1.1" * 30,
]
"""None of it has a whole start line."""


@pytest.mark.parametrize("packets", [1, 3, 8192])
@pytest.mark.parametrize("surplus", SURPLUS)
def test_surplus_of_several_segments_ends_where_a_start_line_begins_whatever_segments_it_lies_in(
    run: Run, surplus: bytes, packets: int
) -> None:
    first = "HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
    for size in range(45, 130, 4):
        t = Talk().open().send(0, request("/1") + surplus + request("/2"), size=size).acknowledge(1)
        t.send(1, first.encode() + surplus + response(b"[]"), size=size).acknowledge(0)
        ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
        found = ran.of("http")
        assert [(r["request"]["target"], r["response"]["status"]) for r in found] == [("/1", 204), ("/2", 200)]
        assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": 2 * len(surplus)}
        # when the packet came that carried the second request's first byte; three packets open the connection
        packet = 4 + (len(request("/1")) + len(surplus)) // size
        start = ran.summary.captures[0].first_ts
        assert round((found[1]["ts"] - start) * 1e6) == 10 * (packet - 1)


def test_a_start_line_that_never_ends_costs_no_more_than_its_bytes(run: Run) -> None:
    t = Talk().open().send(0, request("/1") + b"\0" + b"GET /" + b"x" * 9000 + request("/2")).acknowledge(1)
    t.send(1, response(b"{}") * 2).acknowledge(0)
    ran = run(t.close().bytes())
    assert [r["request"]["target"] for r in ran.of("http") if r["request"]] == ["/1", "/2"]
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": 9006}


@pytest.mark.parametrize("end", ["close", "bytes"])
def test_what_may_begin_a_message_when_the_stream_ends_is_unread(run: Run, end: str) -> None:
    t = Talk().open().send(0, request("/1")).acknowledge(1).send(1, response(b"{}") + b"\0\0HTTP/1.1 2").acknowledge(0)
    ran = run((t.close() if end == "close" else t).bytes())
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": 12}


def test_a_body_that_a_request_does_not_announce_is_said(run: Run) -> None:
    ran = run(talk(request("/1") + b'{"q":1}').send(0, request("/2")).acknowledge(1).send(1, response(b"{}")).close().bytes())
    assert [(r["request"]["target"], r["anomalies"]) for r in ran.of("http")] == [("/1", ["more_than_length"]), ("/2", [])]


# --- lengths


def test_leading_zeros_are_digits(run: Run) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0000000000000000000000002\r\n\r\n{}"
    ran = run(talk(request(), answer).close().bytes())
    (exchange,) = ran.of("http")
    assert (exchange["response"]["body"]["status"], exchange["anomalies"]) == ("complete", [])


@CUTS
@pytest.mark.parametrize("lengths", [b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: chunked, x\r\n"])
def test_a_request_line_at_the_next_byte_of_a_refused_request_is_reported(run: Run, lengths: bytes, size: int, packets: int) -> None:
    smuggled = request("/smuggled")
    t = talk(b"POST /front HTTP/1.1\r\nHost: h\r\n" + lengths + b"\r\n" + smuggled, response(b"{}") * 2, size)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    (drop,) = ran.of("drop")
    assert drop["reason"] == DropReason.HTTP_AMBIGUOUS_LENGTH
    front = ran.of("http")[0]
    assert (front["request"]["body"]["status"], front["request"]["body"]["drop_reason"]) == ("dropped", "http_ambiguous_length")
    if size > 100:
        assert [r["request"]["target"] for r in ran.of("http")] == ["/front", "/smuggled"]
        assert ran.summary.tcp.unread == {}


def test_what_framing_refuses_is_dropped_with_its_reason(run: Run) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense\r\n"
    ran = run(talk(request(), answer).close().bytes())
    body = ran.of("http")[0]["response"]["body"]
    assert (body["status"], body["drop_reason"], ran.summary.http.bodies.dropped) == ("dropped", "http_malformed_chunk", 1)


@CUTS
@pytest.mark.parametrize("after", [b"", response(b"[1]")])
def test_an_answer_whose_first_chunk_cannot_be_read_has_its_bytes_counted(run: Run, after: bytes, size: int, packets: int) -> None:
    text = b"no size at all\r\n<html>" + b"x" * 300
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text
    t = talk(request() + request("/2"), answer, size).send(1, after).acknowledge(0)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    first, second = ran.of("http")
    body = first["response"]["body"]
    assert (body["bytes"], body["status"], body["drop_reason"]) == (len(text), "dropped", "http_malformed_chunk")
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"malformed": len(text)}
    assert (second["response"] is None) == (not after)
    assert [drop["bytes"] for drop in ran.of("drop")] == [16]


# --- HTTP where something else was expected


@CUTS
def test_http_that_answers_a_tls_hello_is_reported(run: Run, size: int, packets: int) -> None:
    answer = response(b"{}", status="400 Bad Request")
    t = Talk(dport=443).open().send(0, HELLO).acknowledge(1).send(1, answer, size=max(size, 7)).acknowledge(0).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (exchange,) = ran.of("http")
    assert (exchange["request"], exchange["response"]["status"]) == (None, 400)
    (connection,) = ran.of("connection")
    assert (connection["protocol"], connection["tls"]["server_name"], ran.summary.tcp.unread) == ("http", "api.example", {})


@CUTS
def test_a_blank_line_before_http_in_a_tunnel_is_skipped(run: Run, size: int, packets: int) -> None:
    t = talk(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    t.send(0, b"\r\n" + request("/in"), size=size).acknowledge(1).send(1, response(b"{}"), size=size).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert [(r["request"]["method"], r["response"]["status"]) for r in ran.of("http")] == [("CONNECT", 200), ("GET", 200)]
