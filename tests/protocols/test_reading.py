"""What is delivered is read, or unread under a reason: counted twice, once by the layers and once here."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.limits import Limits
from pcapflow.unread import UNREAD_BYTES, Reading, Unread, UnreadReason
from tests.conftest import Ran, Run
from tests.craft import Talk, chunked, request, response
from tests.protocols.test_other_protocols import HELLO

JUNK = b"\x00\x01junk that no message begins with\n\n"


def sides(ran: Ran) -> tuple[dict[str, Any], dict[str, Any]]:
    (connection,) = ran.of("connection")
    return connection["streams"]["client"], connection["streams"]["server"]


def reasons(stream: dict[str, Any]) -> dict[str, int]:
    return {one["reason"]: one["bytes"] for one in stream["unread"]}


def message(kind: str, n: int) -> list[bytes]:
    """An answer as its head and what follows: segments that begin with neither of both are no message's first."""
    body = b'{"a":"' + b"x" * n + b'"}'
    if kind == "chunked":
        whole = chunked(body, [1, 7, 1000, 3000])
    elif kind == "none":
        return [b"HTTP/1.1 204 No Content\r\n\r\n"]
    else:
        whole = response(body)
    at = whole.index(b"\r\n\r\n") + 4
    return [whole[:at], *(whole[i : i + 500] for i in range(at, len(whole), 500))]


@given(
    st.lists(st.tuples(st.sampled_from(("length", "chunked", "none")), st.integers(0, 3000), st.booleans()), min_size=1, max_size=6),
    st.sampled_from((1, 5, 8192)),
)
def test_heads_framing_and_bodies_add_up_to_what_is_read_and_junk_to_what_is_not(
    run: Run, messages: list[tuple[str, int, bool]], packets: int
) -> None:
    t = Talk().open()
    read = {0: 0, 1: 0}
    junk = 0
    for kind, n, noise in messages:
        asked = request()
        t.send(0, asked).acknowledge(1)
        read[0] += len(asked)
        for part in message(kind, n):
            t.send(1, part)
            read[1] += len(part)
        if noise:
            t.send(1, JUNK)
            junk += len(JUNK)
        t.acknowledge(0)
    client, server = sides(run(t.close().bytes(), replace(Limits(), block_packets=packets)))
    assert (client["read_bytes"], client["unread"]) == (read[0], [])
    assert server["read_bytes"] == read[1]
    assert reasons(server) == ({"malformed": junk} if junk else {})


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.sets(st.integers(0, 7), max_size=3)), min_size=1, max_size=6), st.sampled_from((1, 5, 8192))
)
def test_with_loss_what_the_records_show_is_what_is_read(run: Run, messages: list[tuple[int, set[int]]], packets: int) -> None:
    t = Talk().open()
    heads: set[int] = set()
    for n, lost in messages:
        t.send(0, request()).acknowledge(1)
        parts = message("length", n)
        for i, part in enumerate(parts):
            t.send(1, part, keep=i not in lost)
        heads.add(len(parts[0]))
        t.acknowledge(0)
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    _, server = sides(ran)
    shown = [r["response"] for r in ran.of("http") if r["response"] is not None]
    # a head's length is that of its number of digits, which the length that it announces tells
    read = sum(len(response(b"x" * (r["body"]["bytes"] + r["body"]["missing_bytes"]))) - r["body"]["missing_bytes"] for r in shown)
    assert server["read_bytes"] == read
    assert set(reasons(server)) <= {"behind_loss"}


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from((request(), response(b"{}"), chunked(b"[1,2]", [2]), JUNK, b"\r\n", HELLO))),
        max_size=12,
    ),
    st.lists(st.integers(0, 1), min_size=12, max_size=12),
    st.sets(st.integers(0, 40), max_size=6),
    st.integers(5, 60),
    st.booleans(),
)
def test_every_delivered_byte_has_its_place_whatever_was_said(
    run: Run, parts: list[bytes], who: list[int], lost: set[int], size: int, midstream: bool
) -> None:
    t = Talk() if midstream else Talk().open()
    n = 0
    for side, part in zip(who, parts, strict=False):
        for at in range(0, len(part), size):
            t.send(side, part[at : at + size], keep=n not in lost)
            n += 1
        t.acknowledge(1 - side)
    capture = t.close().bytes()
    found = [run(capture, replace(Limits(), block_packets=packets)) for packets in (3, 8192)]
    assert found[0].comparable() == found[1].comparable()
    total = found[0].summary.tcp
    assert total.read_bytes + sum(one.bytes for one in total.unread.values()) == total.payload_bytes.delivered


# --- each reason


def test_the_handshake_is_read_and_what_follows_it_is_encrypted(run: Run) -> None:
    hello, change, data = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"\x14\x03\x03\x00\x01\x01", b"\x17\x03\x03\x00\x20" + bytes(32)
    t = (
        Talk(dport=443)
        .open()
        .send(0, HELLO)
        .acknowledge(1)
        .send(1, hello + change + data)
        .acknowledge(0)
        .send(0, change + data * 3)
        .close()
    )
    client, server = sides(run(t.bytes()))
    assert (client["read_bytes"], reasons(client)) == (len(HELLO) + len(change), {"encrypted": 3 * len(data)})
    assert (server["read_bytes"], reasons(server)) == (len(hello) + len(change), {"encrypted": len(data)})
    (entry,) = client["unread"]
    assert (entry["stream_offset"], entry["packet"], entry["name"]) == (len(HELLO) + len(change), 8, None)


def test_what_nobody_knows_is_of_an_unknown_protocol(run: Run) -> None:
    t = Talk().open().send(0, JUNK).acknowledge(1).send(1, JUNK * 2).close()
    client, server = sides(run(t.bytes()))
    assert (client["read_bytes"], reasons(client)) == (0, {"unknown_protocol": len(JUNK)})
    assert (server["read_bytes"], reasons(server)) == (0, {"unknown_protocol": 2 * len(JUNK)})


def test_what_is_known_by_name_alone_is_not_supported(run: Run) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    t = Talk().open().send(0, preface).acknowledge(1).send(1, bytes(9)).close()
    ran = run(t.bytes())
    client, server = sides(ran)
    assert [(one["reason"], one["name"], one["bytes"]) for one in client["unread"] + server["unread"]] == [
        ("not_supported", "http2", len(preface)),
        ("not_supported", "http2", 9),
    ]
    assert ran.summary.tcp.unread["not_supported"].by_name == {"http2": len(preface) + 9}


def test_messages_of_a_websocket_are_not_supported_by_name(run: Run) -> None:
    asked = request(fields="Connection: Upgrade\r\nUpgrade: websocket\r\n")
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    t = (
        Talk()
        .open()
        .send(0, asked)
        .acknowledge(1)
        .send(1, switched + b"\x81\x02hi")
        .acknowledge(0)
        .send(0, b"\x81\x82abcd\x00\x00")
        .close()
    )
    client, server = sides(run(t.bytes()))
    assert (client["read_bytes"], server["read_bytes"]) == (len(asked), len(switched))
    assert [(one["reason"], one["name"], one["bytes"]) for one in client["unread"] + server["unread"]] == [
        ("not_supported", "websocket", 8),
        ("not_supported", "websocket", 4),
    ]


def test_what_came_before_the_protocol_was_known_is_told(run: Run) -> None:
    t = Talk().send(1, b"the rest of a body").send(0, request()).acknowledge(1).send(1, response(b"{}")).close()
    client, server = sides(run(t.bytes()))
    assert (client["read_bytes"], client["unread"]) == (len(request()), [])
    assert (server["read_bytes"], reasons(server)) == (len(response(b"{}")), {"before_protocol": 18})
    assert server["unread"][0]["packet"] == 1


def test_between_a_loss_and_the_next_message_nothing_is_read(run: Run) -> None:
    first = response(b'{"a":"' + b"x" * 3000 + b'"}')
    t = Talk().open().send(0, request()).acknowledge(1)
    t.send(1, first[:50], keep=False).send(1, first[50:]).acknowledge(0)
    t.send(0, request()).acknowledge(1).send(1, response(b"{}")).acknowledge(0).close()
    _, server = sides(run(t.bytes()))
    assert (server["read_bytes"], reasons(server)) == (len(response(b"{}")), {"behind_loss": len(first) - 50})
    assert server["unread"][0]["stream_offset"] == 50


@pytest.mark.parametrize(("end", "reason"), [("fin", "malformed"), ("cut", "behind_loss")])
def test_a_first_line_without_an_end_says_nothing(run: Run, end: str, reason: str) -> None:
    t = Talk().open().send(0, request()).acknowledge(1).send(1, response(b"{}")).acknowledge(0).send(0, b"GE")
    client, _ = sides(run((t.close() if end == "fin" else t).bytes()))
    assert (client["read_bytes"], reasons(client)) == (len(request()), {reason: 2})


def test_a_head_beyond_a_limit_is_unread_for_that_limit(run: Run) -> None:
    limits = replace(Limits(), http_head_max_lines=20)
    long = request(fields="X: y\r\n" * 30)
    t = Talk().open().send(0, request()).acknowledge(1).send(0, long).acknowledge(1).send(0, request()).close()
    client, _ = sides(run(t.bytes(), limits))
    assert (client["read_bytes"], reasons(client)) == (2 * len(request()), {"limit_reached": len(long)})


# --- what it costs


def test_an_entry_costs_no_more_than_is_reserved() -> None:
    tracemalloc.start()
    try:
        kept = []
        for i in range(1000):
            entries = [Unread(reason.value, None, (1 << 40) + i, (1 << 41) + i, (1 << 42) + i) for reason in UnreadReason]
            kept.append(entries)
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.4 * UNREAD_BYTES < traced / (1000 * len(UnreadReason)) < UNREAD_BYTES


def test_without_memory_for_a_reason_its_bytes_are_counted_all_the_same() -> None:
    reading = Reading(read=3, beyond=5, unread=[Unread("malformed", None, 7, 0, 1)])
    assert reading.total() == 15
    assert [(one.reason, one.bytes, one.stream_offset) for one in reading.entries()] == [("malformed", 7, 0), ("limit_reached", 5, None)]
    reading = Reading(beyond=5, unread=[Unread("limit_reached", None, 7, 0, 1)])
    assert [(one.reason, one.bytes, one.stream_offset) for one in reading.entries()] == [("limit_reached", 12, 0)]
