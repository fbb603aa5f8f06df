"""What an exchange's record says of where and when: packets, instants, waits, ends; and that it is one record, however it was put together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pcapflow import pipeline
from pcapflow.findings.ends import community_id
from pcapflow.limits import Limits
from pcapflow.records import Http, decode
from tests.conftest import Run
from tests.craft import Talk, chunked, pcap, request, response
from tests.test_samples import ALL as SAMPLES

BLOCKS = pytest.mark.parametrize("packets", [1, 3, 8192])
BEGIN = 1_700_000_000


def us(seconds: float) -> int:
    """Microseconds of capture time."""
    return round((seconds - BEGIN) * 1_000_000)


def place(message: dict[str, Any]) -> tuple[int, int, int]:
    return message["packet"], us(message["ts"]), us(message["end_ts"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_record_is_the_same_bytes_as_its_type_gives(run: Run, path: Path) -> None:
    ran = run(path)
    exchanges = [line for line in ran.lines if isinstance(decode(line), Http)]
    for line in exchanges:
        assert msgspec.json.encode(decode(line)) == line


@BLOCKS
@pytest.mark.parametrize("size", [1, 7, 50, 1448])
@pytest.mark.parametrize("body", [b"{}", b"x" * 300])
def test_packets_and_instants_are_those_of_a_messages_first_and_last_byte(run: Run, packets: int, size: int, body: bytes) -> None:
    t = Talk().open()
    model = []
    for i in range(3):
        asked, answered = request(f"/{i}", method="POST", body=body), response(body)
        places = []
        for side, said in ((0, asked), (1, answered)):
            t.idle(1000)
            first, began = len(t.frames) + 1, t.us + 10
            t.send(side, said, size=size)
            places.append((first, began, t.us))
            t.acknowledge(1 - side)
        model.append(tuple(places))
    ran = run(t.close().bytes(), replace(Limits(), block_packets=packets))
    found = ran.of("http")
    assert [(place(r["request"]), place(r["response"])) for r in found] == model
    for record, (asked_at, answered_at) in zip(found, model, strict=True):
        assert us(record["ts"]) == asked_at[1]
        assert round(record["wait"] * 1e6) == answered_at[1] - asked_at[2]
        assert round(record["duration"] * 1e6) == answered_at[2] - asked_at[1]


@BLOCKS
def test_a_message_that_waited_behind_a_hole_has_the_packet_that_carried_it(run: Run, packets: int) -> None:
    first, second = request("/1"), request("/2")
    t = Talk().open()
    seq = t.seq[0]
    t.packet(0, 0x18, second, seq=seq + len(first))
    t.packet(0, 0x18, first, seq=seq)
    t.seq[0] += len(first + second)
    t.idle(500).acknowledge(1).send(1, response(b"{}") * 2).acknowledge(0)
    found = run(t.close().bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert [place(r["request"]) for r in found] == [(5, 50, 50), (4, 40, 40)]
    assert [r["response"]["packet"] for r in found] == [7, 7]


def test_a_slow_upload_is_no_wait(run: Run) -> None:
    asked = request(method="POST", body=b"x" * 2000)
    t = Talk().open().send(0, asked[:1000]).idle(1_000_000).send(0, asked[1000:]).acknowledge(1).send(1, response(b"{}")).acknowledge(0)
    (found,) = run(t.close().bytes()).of("http")
    assert found["duration"] > 1
    assert found["wait"] == 0.00002


@BLOCKS
def test_an_answer_that_begins_before_the_request_ends_waited_for_nothing_and_is_named(run: Run, packets: int) -> None:
    asked = request(method="POST", body=b"x" * 2000)
    t = Talk().open().send(0, asked[:500]).send(1, response(b"no", status="413 Payload Too Large")).send(0, asked[500:]).acknowledge(1)
    (found,) = run(t.close().bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert (found["wait"], found["anomalies"]) == (0, ["answered_early"])


def test_where_one_of_them_is_missing_nobody_waited(run: Run) -> None:
    lone = Talk().open().send(1, response(b"{}")).acknowledge(0).send(0, request()).acknowledge(1).close()
    assert [r["wait"] for r in run(lone.bytes()).of("http")] == [None, None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (response(b"{}"), 2),
        (response(b"{}" * 400), 800),
        (response(b"x" * 900)[:500], 900),
        (chunked(b"{}", [2]), None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", None),
    ],
)
def test_what_the_framing_announced_is_told(run: Run, answer: bytes, expected: int | None) -> None:
    (found,) = run(Talk().open().send(0, request()).acknowledge(1).send(1, answer).acknowledge(0).close().bytes()).of("http")
    assert found["response"]["body"]["expected_bytes"] == expected


def test_who_speaks_stands_in_every_exchange(run: Run) -> None:
    t = Talk(client="10.0.0.9", sport=4711, server="10.0.0.1", dport=8080).open()
    t.send(0, request() * 2).acknowledge(1).send(1, response(b"{}") * 2).acknowledge(0)
    ran = run(t.close().bytes())
    (connection,) = ran.of("connection")
    for record in ran.of("http"):
        assert (record["client"], record["server"]) == ({"ip": "10.0.0.9", "port": 4711}, {"ip": "10.0.0.1", "port": 8080})
        assert record["community_id"] == connection["community_id"]


@pytest.mark.parametrize(
    ("one", "other", "known"),
    [
        ("128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("66.35.250.204:80", "128.232.110.120:34855", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ],
)
def test_community_ids_are_those_of_the_specification(one: str, other: str, known: str) -> None:
    ends: list[Any] = []
    for end in (one, other):
        ip, port = end.split(":")
        ends.append(SimpleNamespace(address=int.from_bytes(bytes(map(int, ip.split("."))), "big"), port=int(port), is_ipv6=False))
    assert community_id(*ends) == known


def test_of_several_captures_each_message_says_file_and_frame(tmp_path: Path) -> None:
    t = Talk().open().send(0, request()).acknowledge(1).send(1, response(b"{}")).acknowledge(0).close()
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    paths[0].write_bytes(pcap(t.frames[:5]))
    paths[1].write_bytes(pcap(t.frames[5:]))
    lines: list[bytes] = []
    pipeline.run([str(path) for path in paths], write=lines.extend)
    (found,) = (r for r in map(json.loads, lines) if r["record"] == "http")
    assert [(m["packet"], m["file"], m["frame"]) for m in (found["request"], found["response"])] == [
        (4, str(paths[0]), 4),
        (6, str(paths[1]), 1),
    ]


def test_the_json_of_a_body_stands_in_its_exchange_and_alone_where_somebody_asks(run: Run) -> None:
    t = Talk().open().send(0, request()).acknowledge(1).send(1, response(b"{}")).acknowledge(0).close()
    alone = Talk(sport=2).open().send(0, b'{"a":1}\n{"a":2}\n').acknowledge(1).close()
    for talk, asked, by_itself in ((t, None, 0), (t, frozenset(("json",)), 1), (alone, None, 1)):
        ran = run(talk.bytes(), kinds=asked)
        assert len(ran.of("json")) == by_itself
        assert {r["record"] for r in map(json.loads, ran.lines)} <= ({"json"} if asked else {"http", "connection", "json"})
        assert ran.summary.json.documents == (2 if talk is alone else 1)


@pytest.mark.parametrize("packets", [1, 2, 3, 8192])
def test_a_request_ends_with_its_own_last_segment_though_an_earlier_one_came_later(run: Run, packets: int) -> None:
    """Four segments wait behind a hole that nobody fills; the second of them comes last, and holds nothing of the second request."""
    said = b"".join(b"GET /%d HTTP/1.1\r\nHost: example\r\n\r\n" % i for i in (1, 2, 3))
    cuts = [0, 20, 34, 60, 102]
    assert len(said) == 102
    t = Talk().open()
    base = t.seq[0]
    t.packet(0, 0x18, b"x" * 50, seq=base, keep=False)
    times = {}
    for i in (0, 2, 3, 1):
        t.packet(0, 0x18, said[cuts[i] : cuts[i + 1]], seq=base + 50 + cuts[i])
        times[i] = t.us
    t.seq[0] = base + 50 + len(said)
    t.acknowledge(1).send(1, response(b"{}") * 3).acknowledge(0)
    found = run(t.close().bytes(), replace(Limits(), block_packets=packets)).of("http")
    asked = {r["request"]["target"]: r["request"] for r in found if r["request"]}
    assert (us(asked["/1"]["ts"]), us(asked["/1"]["end_ts"])) == (times[0], times[1])
    assert (us(asked["/2"]["ts"]), us(asked["/2"]["end_ts"])) == (times[2], times[3])
    assert (us(asked["/3"]["ts"]), us(asked["/3"]["end_ts"])) == (times[3], times[3])
