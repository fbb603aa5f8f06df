"""PROXY protocol headers and SOCKS handshakes: what follows them is read as what it is, however they were cut."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import Talk, request, response
from tests.protocols.test_other_protocols import HELLO

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4, V6 = socket.inet_pton(socket.AF_INET, "192.0.2.1"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")


def v2(family: int, parts: bytes, *, command: int = 1, more: bytes = b"") -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + (len(parts) + len(more)).to_bytes(2, "big") + parts + more


def end(ip: str | None, port: int, name: str | None = None) -> dict[str, Any]:
    return {"ip": ip, "name": name, "port": port}


HEADERS = {
    "v1 over IPv4": (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", (end("192.0.2.1", 56324), end("198.51.100.2", 443))),
    "v1 over IPv6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", (end("2001:db8::1", 1), end("2001:db8::2", 65535))),
    "v1 of an unknown one": (b"PROXY UNKNOWN\r\n", None),
    "v1 of an unknown one with words": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    "v1 with a port that is none": (b"PROXY TCP4 192.0.2.1 198.51.100.2 99999 443\r\n", None),
    "v1 with an address that is none": (b"PROXY TCP4 192.0.2.1.9 198.51.100.2 1 443\r\n", None),
    "v2 over IPv4": (v2(0x11, V4 + V4 + b"\x12\x34\x01\xbb"), (end("192.0.2.1", 0x1234), end("192.0.2.1", 443))),
    "v2 over IPv6": (v2(0x21, V6 + V6 + b"\x12\x34\x01\xbb"), (end("2001:db8::1", 0x1234), end("2001:db8::1", 443))),
    "v2 with more than is known": (
        v2(0x11, V4 + V4 + b"\x12\x34\x01\xbb", more=b"\x02\x03\x00GET / HTTP/1.1\r\n\r\n" * 60),
        (end("192.0.2.1", 0x1234), end("192.0.2.1", 443)),
    ),
    "v2 of the balancer itself": (v2(0, b"", command=0), None),
    "v2 over a local socket": (v2(0x31, bytes(216)), None),
}


@pytest.mark.parametrize("size", [1, 7, 1448])
@pytest.mark.parametrize("packets", [1, 3, 8192])
@pytest.mark.parametrize("kind", HEADERS)
def test_a_proxy_header_tells_whose_connection_it_is_and_what_follows_is_read(run: Run, kind: str, packets: int, size: int) -> None:
    header, ends = HEADERS[kind]
    t = Talk().open().send(0, header + request(), size=size).acknowledge(1).send(1, response(b"{}"), size=size).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    (exchange,) = ran.of("http")
    assert (exchange["request"]["method"], exchange["response"]["status"], exchange["anomalies"]) == ("GET", 200, [])
    assert connection["protocol"] == "http"
    assert connection["proxied"] == (None if ends is None else {"by": "proxy", "client": ends[0], "server": ends[1]})
    assert [stream["unread"] for stream in connection["streams"].values()] == [[], []]


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 here there 1 2\r\n",
        b"PROXY UNKNOWN" + b" " * 200 + b"\r\n",
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        v2(0x11, bytes(3)),
    ],
)
def test_a_proxy_header_that_is_broken_is_malformed_and_the_next_segment_is_read(run: Run, header: bytes) -> None:
    t = Talk().open().send(0, header).send(0, request()).acknowledge(1).send(1, response(b"{}")).close()
    ran = run(t.bytes())
    (connection,) = ran.of("connection")
    assert [one["reason"] for one in connection["streams"]["client"]["unread"]] == ["malformed"]
    assert connection["streams"]["client"]["read_bytes"] >= len(request())
    assert len(ran.of("http")) == 1


def test_a_request_by_a_method_of_that_name_is_a_request(run: Run) -> None:
    t = Talk().open().send(0, b"PROXY TCP /x HTTP/1.1\r\n\r\n").send(0, b"PROXY /y HTTP/1.1\r\nHost: h\r\n\r\n").close()
    assert "proxy" not in {r["protocol"] for r in run(t.bytes()).of("connection")}


def test_a_proxy_header_in_front_of_tls_is_read(run: Run) -> None:
    t = Talk().open().send(0, HEADERS["v2 over IPv4"][0]).send(0, HELLO).close()
    (connection,) = run(t.bytes()).of("connection")
    assert (connection["protocol"], connection["proxied"]["client"]["port"]) == ("tls", 0x1234)
    assert connection["tls"]["server_name"] is not None


# --- SOCKS

NAME = b"\x01\x04user\x06secret"
TO_NAME, TO_V4, TO_V6 = b"\x03\x07a.b.com\x00\x50", b"\x01" + V4 + b"\x01\xbb", b"\x04" + V6 + b"\x01\xbb"
FROM = b"\x05\x00\x00\x01" + bytes(6)
SOCKS: dict[str, tuple[list[tuple[int, bytes]], dict[str, Any] | None]] = {
    "5 to a name": ([(0, b"\x05\x01\x00"), (1, b"\x05\x00"), (0, b"\x05\x01\x00" + TO_NAME), (1, FROM)], end(None, 80, "a.b.com")),
    "5 to an address": ([(0, b"\x05\x02\x00\x02"), (1, b"\x05\x00"), (0, b"\x05\x01\x00" + TO_V4), (1, FROM)], end("192.0.2.1", 443)),
    "5 to an address of IPv6": ([(0, b"\x05\x01\x00"), (1, b"\x05\x00"), (0, b"\x05\x01\x00" + TO_V6), (1, FROM)], end("2001:db8::1", 443)),
    "5 with a password": (
        [(0, b"\x05\x02\x00\x02"), (1, b"\x05\x02"), (0, NAME), (1, b"\x01\x00"), (0, b"\x05\x01\x00" + TO_NAME), (1, FROM)],
        end(None, 80, "a.b.com"),
    ),
    "5 without waiting": ([(0, b"\x05\x01\x00\x05\x01\x00" + TO_NAME), (1, b"\x05\x00" + FROM)], end(None, 80, "a.b.com")),
    "4": ([(0, b"\x04\x01\x00\x50" + V4 + b"me\x00"), (1, b"\x00\x5a" + bytes(6))], end("192.0.2.1", 80)),
    "4a": ([(0, b"\x04\x01\x00\x50\x00\x00\x00\x01\x00a.b.com\x00"), (1, b"\x00\x5a" + bytes(6))], end(None, 80, "a.b.com")),
}


def talk(said: list[tuple[int, bytes]], size: int = 1448) -> Talk:
    t = Talk(dport=1080).open()
    for side, data in said:
        t.send(side, data, size=size).acknowledge(1 - side)
    return t


@pytest.mark.parametrize("size", [1, 5, 1448])
@pytest.mark.parametrize("packets", [1, 4, 8192])
@pytest.mark.parametrize("kind", SOCKS)
def test_a_socks_handshake_tells_where_it_goes_and_what_follows_is_read(run: Run, kind: str, packets: int, size: int) -> None:
    said, server = SOCKS[kind]
    t = talk([*said, (0, request()), (1, response(b"{}")), (0, request()), (1, response(b"[]"))], size)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert [(r["request"]["method"], r["response"]["status"]) for r in ran.of("http")] == [("GET", 200)] * 2
    assert (connection["protocol"], connection["proxied"]) == ("http", {"by": "socks", "client": None, "server": server})
    assert [stream["unread"] for stream in connection["streams"].values()] == [[], []]
    assert "secret" not in b"".join(ran.lines).decode()


@pytest.mark.parametrize(
    ("said", "protocol", "unread"),
    [
        ([(0, b"\x05\x01\x00"), (1, b"\x05\xff")], "socks", []),
        ([(0, b"\x05\x01\x02"), (1, b"\x05\x02"), (0, NAME), (1, b"\x01\x01")], "socks", []),
        ([(0, b"\x05\x01\x01"), (1, b"\x05\x01"), (0, b"\x01\x02\x03")], "socks", [("client", "not_supported", 3)]),
        ([(0, b"\x05\x01\x00"), (1, b"\x05\x00"), (0, b"\x05\x03\x00" + TO_V4), (1, FROM)], "socks", [("server", "not_supported", 10)]),
        ([(0, b"\x04\x02\x00\x50" + V4 + b"\x00"), (1, b"\x00\x5a" + bytes(6))], "socks", [("server", "not_supported", 8)]),
        ([(0, b"\x05\x01\x00"), (1, b"hello")], "opaque", [("server", "unknown_protocol", 5)]),
        ([(0, b"\x04\x01\x00\x50" + V4 + b"me\x00"), (1, b"\x00\x5b" + bytes(6))], "socks", []),
        ([(0, b"\x05\x01\x00" + b"x" * 700)], "socks", [("client", "not_supported", 700)]),
    ],
)
def test_what_is_refused_or_not_read_of_socks_is_said(
    run: Run, said: list[tuple[int, bytes]], protocol: str, unread: list[tuple[str, str, int]]
) -> None:
    ran = run(talk(said).close().bytes())
    (connection,) = ran.of("connection")
    assert (connection["protocol"], connection["proxied"]) == (protocol, None)
    assert [(name, one["reason"], one["bytes"]) for name, s in connection["streams"].items() for one in s["unread"]] == unread


def test_behind_a_hole_in_a_handshake_the_next_message_is_read(run: Run) -> None:
    said, _ = SOCKS["5 to a name"]
    t = Talk(dport=1080).open()
    for n, (side, data) in enumerate(said):
        t.send(side, data, keep=n != 2).acknowledge(1 - side)
    for _ in range(3):
        t.send(0, request()).acknowledge(1).send(1, response(b"{}")).acknowledge(0).idle(20_000_000)
    ran = run(t.close().bytes(), replace(Limits(), ack_grace_packets=1))
    assert ran.summary.http.requests == ran.summary.http.responses == 3
    (connection,) = ran.of("connection")
    assert (connection["proxied"], connection["streams"]["client"]["unread"]) == (None, [])
    assert [(one["reason"], one["bytes"]) for one in connection["streams"]["server"]["unread"]] == [("malformed", len(FROM))]


@pytest.mark.parametrize("packets", [1, 2, 8192])
def test_a_server_that_begins_as_a_socks_client_does_speaks_something_else(run: Run, packets: int) -> None:
    t = Talk(dport=443).open().send(0, b"\r\n").send(1, b"\x05\x02").send(1, b"\x01\x00")
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert [r["protocol"] for r in ran.of("connection")] == ["opaque"]
    assert {reason: one.bytes for reason, one in ran.summary.tcp.unread.items()} == {"unknown_protocol": 6}


@pytest.mark.parametrize("packets", [1, 8192])
def test_without_memory_no_byte_is_lost_however_a_header_was_cut(run: Run, packets: int) -> None:
    t = Talk().open().send(0, b"PROXY UNKNOWN\r\n", size=2).send(0, request())
    ran = run(t.bytes(), replace(Limits(), http_total=2048, block_packets=packets))
    assert set(ran.summary.tcp.unread) <= {"limit_reached", "before_protocol"}


def test_without_memory_a_prefix_is_given_up_once_and_counted(run: Run) -> None:
    t = Talk().open().send(0, HEADERS["v1 over IPv4"][0]).send(0, request()).acknowledge(1).send(1, response(b"{}")).close()
    ran = run(t.bytes(), replace(Limits(), http_total=1024))
    assert [(r["reason"], r["stream"]) for r in ran.of("drop")] == [("http_memory", "client")]
    assert set(ran.summary.tcp.unread) == {"limit_reached"}


@given(
    st.sampled_from(
        [*(header for header, _ in HEADERS.values()), *(b"".join(data for side, data in said if not side) for said, _ in SOCKS.values())]
    ),
    st.binary(max_size=30),
    st.integers(0, 80),
    st.sampled_from([b"\x05\x00" + FROM, b"\x00\x5a" + bytes(6), b"", response(b"{}")]),
    st.integers(1, 40),
    st.sets(st.integers(0, 10), max_size=2),
)
@example(
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", b"", 0, response(b"{}"), 2, {6}
)  # the answer's first segments came before it was known
def test_no_prefix_raises_or_loses_a_byte_and_blocks_change_nothing(
    run: Run, first: bytes, noise: bytes, at: int, answer: bytes, size: int, lost: set[int]
) -> None:
    t = Talk(dport=1080).open()
    n = 0
    for side, data in ((0, first[:at] + noise), (1, answer), (0, first[at:] + request()), (1, response(b"{}"))):
        for begin in range(0, len(data), size):
            t.send(side, data[begin : begin + size], keep=n not in lost)
            n += 1
        t.acknowledge(1 - side)
    capture = t.close().bytes()
    assert run(capture, replace(Limits(), block_packets=2)).comparable() == run(capture).comparable()
