"""What is no HTTP/1: raw JSON, framed JSON-RPC, TLS, HTTP/2, and what comes through tunnels; whatever the segmentation and blocks."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.protocols.host import Host
from pcapflow.protocols.tls.handshake import Handshake
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import Where
from pcapflow.unread import Reading, Unread
from tests.conftest import Run
from tests.craft import ACK, Talk, request, response

BLOCKS = pytest.mark.parametrize("packets", [1, 2, 8192])
SIZES = pytest.mark.parametrize("size", [1, 7, 1448])


def lines(*documents: Any) -> bytes:
    return b"".join(json.dumps(d).encode() + b"\n" for d in documents)


def framed(*documents: Any) -> bytes:
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(text), text) for text in (json.dumps(d).encode() for d in documents))


CALL, ANSWER = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"x": [1, 2]}}, {"jsonrpc": "2.0", "id": 1, "result": None}


@BLOCKS
@pytest.mark.parametrize("first", [0, 1])
def test_a_capture_that_begins_with_a_body_of_json_goes_on_with_http(run: Run, packets: int, first: int) -> None:
    t = Talk()
    t.send(first, b'{"tail": 1}').acknowledge(1 - first)
    for i in range(3):
        t.send(0, request(f"/{i}")).send(1, response(b'{"i": 1}'))
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert connection["protocol"] == "http"
    assert [one["request"]["target"] for one in ran.of("http")] == ["/0", "/1", "/2"]
    assert [one["response"]["status"] for one in ran.of("http")] == [200, 200, 200]
    assert [one["unread"] for one in connection["streams"].values()] == [[], []]
    (tail,) = [one for one in ran.of("json") if one["source"] == "raw"]
    assert (tail["documents"], tail["status"], tail["bytes"]) == (1, "complete", 11)


@pytest.mark.parametrize("size", [1, 7, 30, 1448])
def test_the_middle_of_a_head_is_no_message_of_a_language_server(run: Run, size: int) -> None:
    head = b"Content-Length: 84\r\nContent-Encoding: br\r\n\r\n" + bytes(range(128, 212))
    (connection,) = run(Talk().send(1, head, size=size).bytes()).of("connection")
    assert connection["protocol"] == "opaque"
    for field in (b"", b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n"):
        talk = Talk(dport=4389).open().send(0, b"Content-Length: 2\r\n" + field + b"\r\n{}", size=size)
        assert run(talk.bytes()).of("connection")[0]["protocol"] == "json"


@BLOCKS
def test_a_stream_of_json_that_quotes_http_at_the_edge_of_a_segment_stays_one(run: Run, packets: int) -> None:
    whole = lines({"m": ["HTTP/1.1 200 OK", "GET / HTTP/1.1"]})
    t = Talk().send(0, b'{"first": 1}\n')
    for at in (whole.index(b"HTTP"), whole.index(b"GET")):
        t.send(0, whole[:at]).send(0, whole[at:])
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert connection["protocol"] == "json"
    assert ran.of("http") == []
    assert [(one["documents"], one["status"]) for one in ran.of("json")] == [(3, "truncated")]


@BLOCKS
@SIZES
@pytest.mark.parametrize("write", [lines, framed])
def test_json_rpc_over_tcp_is_read_in_both_directions(run: Run, size: int, packets: int, write: Any) -> None:
    t = (
        Talk(dport=4389)
        .open()
        .send(0, write(CALL, CALL), size=size)
        .acknowledge(1)
        .send(1, write(ANSWER), size=size)
        .send(0, write(CALL), size=size)
        .close()
    )
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert connection["protocol"] == "json"
    found = {r["stream"]: r for r in ran.of("json")}
    assert {(name, r["source"], r["documents"], r["status"], r["exchange"]) for name, r in found.items()} == {
        ("client", "raw", 3, "complete", None),
        ("server", "raw", 1, "complete", None),
    }
    assert found["client"]["keys"] == 15
    if write is lines:
        assert found["client"]["bytes"] == connection["streams"]["client"]["captured_bytes"]


@BLOCKS
@pytest.mark.parametrize("write", [lines, framed])
def test_messages_behind_a_gap_are_read_again(run: Run, packets: int, write: Any) -> None:
    t = Talk(dport=4389).open().send(0, write(CALL, CALL))
    lost = write(CALL)
    t.send(0, lost[:40]).send(0, lost[40:], keep=False).acknowledge(1).send(0, write(CALL)).send(0, write(CALL, CALL)).close()
    (record,) = run(t.bytes(), replace(Limits(), block_packets=packets)).of("json")
    assert (record["status"], record["documents"], record["broken"]) == ("gapped", 5, 1)


@BLOCKS
def test_lines_in_the_middle_of_a_stream_are_found(run: Run, packets: int) -> None:
    t = Talk(dport=5170).send(0, b'e": 5}\n' + lines(CALL)).send(0, lines(CALL, ANSWER)).send(0, lines(CALL)).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert ran.of("connection")[0]["protocol"] == "json"
    (record,) = ran.of("json")
    assert (record["status"], record["documents"]) == ("complete", 3)


@BLOCKS
def test_a_stream_that_begins_like_json_and_is_none_is_invalid(run: Run, packets: int) -> None:
    t = Talk(dport=5170).open().send(0, b'{"a": what\n' + lines(CALL)).close()
    (record,) = run(t.bytes(), replace(Limits(), block_packets=packets)).of("json")
    assert record["status"] == "invalid"


@BLOCKS
def test_a_framed_message_that_is_no_json_and_a_head_that_is_none(run: Run, packets: int) -> None:
    t = Talk(dport=4389).open().send(0, framed(CALL) + b"Content-Length: 3\r\n\r\n{,}" + framed(CALL))
    t.send(0, b"X-Odd: 1\r\n\r\n").send(0, framed(CALL)).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (record,) = ran.of("json")
    assert (record["status"], record["documents"], record["broken"]) == ("invalid", 3, 1)
    assert [d["reason"] for d in ran.of("drop")] == ["http_malformed_head"]


def client_hello(name: str, protocols: list[str]) -> bytes:
    context = ssl.create_default_context()
    context.set_alpn_protocols(protocols)
    out = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return out.read()


def server_hello(version: int, extensions: bytes) -> bytes:
    body = b"\3\3" + bytes(32) + b"\0" + b"\x13\1" + b"\0" + len(extensions).to_bytes(2, "big") + extensions
    message = b"\2" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\3" + len(message).to_bytes(2, "big") + message


TLS_1_3 = b"\0\x2b\0\2\3\4"
H2 = b"\0\x10\0\5\0\3\2h2"


@BLOCKS
@SIZES
@pytest.mark.parametrize(("extensions", "version", "alpn"), [(TLS_1_3, "1.3", None), (H2, "1.2", "h2"), (b"", "1.2", None)])
def test_a_handshake_says_its_name_version_and_protocol(
    run: Run, size: int, packets: int, extensions: bytes, version: str, alpn: str | None
) -> None:
    t = (
        Talk(dport=8443)
        .open()
        .send(0, client_hello("api.example", ["h2", "http/1.1"]), size=size)
        .acknowledge(1)
        .send(1, server_hello(0x303, extensions), size=size)
    )
    ran = run(t.send(0, b"\x17\3\3\0\1x").close().bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert connection["protocol"] == "tls"
    assert connection["tls"] == {"server_name": "api.example", "version": version, "alpn": alpn, "offered": ["h2", "http/1.1"]}


@BLOCKS
def test_tls_within_a_connect_tunnel_is_named(run: Run, packets: int) -> None:
    t = Talk(dport=3128).open().send(0, b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example\r\n\r\n").acknowledge(1)
    t.send(1, b"HTTP/1.1 200 OK\r\n\r\n").send(0, client_hello("api.example", ["http/1.1"]), size=100).send(
        1, server_hello(0x303, H2)
    ).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert (connection["protocol"], connection["tls"]["server_name"], connection["tls"]["alpn"]) == ("tls", "api.example", "h2")
    assert [r["request"]["method"] for r in ran.of("http")] == ["CONNECT"]


@BLOCKS
def test_an_upgrade_to_http_2_is_named(run: Run, packets: int) -> None:
    t = Talk().open().send(0, request("/", fields="Connection: Upgrade\r\nUpgrade: h2c\r\n")).acknowledge(1)
    t.send(1, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").send(
        0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    ).close()
    assert run(t.bytes(), replace(Limits(), block_packets=packets)).of("connection")[0]["protocol"] == "http2"


@BLOCKS
def test_tunnels_within_tunnels_are_bounded(run: Run, packets: int) -> None:
    t = Talk().open()
    for _ in range(6):
        t.send(0, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").acknowledge(1).send(1, b"HTTP/1.1 200 OK\r\n\r\n").acknowledge(0)
    found = run(t.send(0, request("/deep")).send(1, response(b"{}")).close().bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert [r["exchange"] for r in found] == [0, 1, 2]


@given(st.binary(max_size=60), st.integers(0, 200), st.binary(max_size=3))
def test_no_handshake_raises_and_nothing_stays_reserved(noise: bytes, at: int, insert: bytes) -> None:
    told: list[Unread] = []
    for hello in (HELLO[:at] + insert + HELLO[at:], HELLO[:at] + noise, server_hello(0x304, noise), noise):
        ledger = Ledger(Limits())
        conversation = SimpleNamespace(readings=(Reading(), Reading()))
        services = SimpleNamespace(ledger=ledger, limits=Limits(), unread=lambda *said: told.append(said[-1]))
        handshake = Handshake(cast(Host, services), cast(Conversation, conversation))
        for i in range(0, len(hello), 50):
            handshake._run(0, [], hello[i : i + 50], Where(i, 1, 0, -1, 1))
        assert conversation.readings[0].read + sum(one.bytes for one in told) == len(hello)
        told.clear()
        handshake.finish(0)
        assert ledger.used == 0


HELLO = client_hello("api.example", ["h2"])


def test_an_endless_hello_is_given_up(run: Run) -> None:
    data = b"\x16\3\1\x40\0" + b"\1\xff\xff\xff" + bytes(60_000)
    t = Talk().open().send(0, data).close()
    ran = run(t.bytes())
    assert ran.of("connection")[0]["tls"] == {"server_name": None, "version": None, "alpn": None, "offered": []}
    assert ran.summary.memory.components["http"].peak_bytes <= 40_000


def test_acknowledgements_alone_are_no_protocol(run: Run) -> None:
    t = Talk().open()
    t.packet(0, ACK)
    assert run(t.close().bytes()).of("connection")[0]["protocol"] == "empty"
