"""Exchanges that are taken many at a time, and conversations that are read without framers, against the same ones read one by one."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcapflow.findings.bodies import Bodies
from pcapflow.limits import Limits
from pcapflow.protocols.http.cache import Heads
from pcapflow.protocols.http1 import plain, whole_conversation
from pcapflow.protocols.http1.framer import Framer
from tests.conftest import CASES, Ran, Run
from tests.craft import Talk, chunked, merge, request, response

MAY_DIFFER = ("run", "memory", "limits", "advice")
ODD = [
    (request("/h", method="HEAD"), response(b'{"a":1}').partition(b"{")[0]),
    (request("/none"), b"HTTP/1.1 204 No Content\r\n\r\n"),
    (request("/same"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    (request("/x"), response(b"{}", status="404 Not Found")),
    (request("/x"), response(b"{}", status="500 Oh")),
    (request("/x"), response(b"{}") + b"more"),
    (request("/x") + b"more", response(b"{}")),
    (request("/x"), response(b"[" + b"1," * 100 + b"1]")),
    (request("/x"), chunked(b'{"a":[1,2]}', [3, 8])),
    (request("/x"), response(b'{"a":')),
    (request("/x"), response(b"", kind="text/plain")),
    (request("/x"), response(b'{"a":1}', kind="text/plain")),
    (request("/post", method="POST", body=b'{"b":2}'), response(b"{}")),
    (request("/old").replace(b"HTTP/1.1", b"HTTP/1.0"), response(b"{}").replace(b"HTTP/1.1", b"HTTP/1.0")),
    (request("/expect", method="POST", body=b"{}", fields="Expect: 100-continue\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"{}")),
    (request("/up", fields="Upgrade: websocket\r\nConnection: Upgrade\r\n"), response(b"{}")),
    (b"\r\n" + request("/blank"), b"\r\n" + response(b"{}")),
    (request("/odd", fields="Bad header\r\n"), response(b"{}", fields="Bad header\r\n")),
    (b"GET /nine\r\n", b"bare"),
    (request("/cut")[:-2], b""),
    (b"", response(b"{}")),
]
USUAL = [(request(target), response(body)) for target in ("/a", "/b?x=%41", "/c/7") for body in (b'{"ok":true}', b"[1,2]", b"")]


def talk(seed: int) -> bytes:
    """A connection of mostly usual exchanges, with something odd between them."""
    rng = random.Random(seed)
    t = Talk()
    if rng.random() < 0.8:
        t.open()
    some = rng.sample(USUAL, rng.choice([1, 1, 2, 4]))
    for _ in range(rng.choice([1, 1, 2, 3, 10, 30, 80])):
        kind = rng.random()
        ask, answer = rng.choice(some) if kind > 0.08 else rng.choice(ODD)
        size = 1448 if rng.random() < 0.97 else rng.choice([1, 20, 60])
        t.idle(rng.choice([0, 1, 50, 3_000, 200_000]))
        if rng.random() < 0.02:
            more = rng.choice(some)
            t.send(0, ask + more[0], size=size).send(1, answer, size=size).send(1, more[1], size=size)
            continue
        t.send(0, ask, size=size, keep=rng.random() < 0.99)
        if rng.random() < 0.1:
            t.acknowledge(1)
        t.idle(rng.choice([0, 7, 100]))
        t.send(1, answer, size=size, keep=rng.random() < 0.99)
        if rng.random() < 0.3:
            t.acknowledge(0)
        if rng.random() < 0.02:
            t.idle(400_000_000)
    if rng.random() < 0.7:
        t.close()
    return t.bytes()


def told(ran: Ran) -> tuple[list[bytes], Any]:
    summary = msgspec.to_builtins(ran.summary)
    return ran.lines, {name: value for name, value in summary.items() if name not in MAY_DIFFER}


@pytest.mark.parametrize("least", [1, 8])
@given(seed=st.integers(0, 1 << 40), packets=st.sampled_from([1, 7, 50, 8192]), pipeline=st.sampled_from([2, 4, 256]))
@example(
    seed=500215, packets=8192, pipeline=256
)  # bytes that are of no message are the last that is read of a direction before the other one is
def test_what_is_taken_many_at_a_time_is_told_as_what_is_read_one_by_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, least: int, seed: int, packets: int, pipeline: int
) -> None:
    for i in range(CASES):
        data = talk(seed + i)
        limits = replace(Limits(), block_packets=packets, http_pipeline_max=pipeline)
        monkeypatch.setattr(plain, "LEAST", 1 << 60)
        monkeypatch.setattr(whole_conversation, "MOST", 0)
        expected = told(run(data, limits))
        monkeypatch.setattr(plain, "LEAST", least)
        monkeypatch.setattr(whole_conversation, "MOST", 1 << 60)
        assert told(run(data, limits)) == expected


def usual(n: int) -> bytes:
    t = Talk().open()
    for i in range(n):
        t.send(0, request("/a")).send(1, response(b'{"n":%d}' % (i % 3)))
    return t.close().bytes()


def test_usual_exchanges_are_hardly_ever_read_one_by_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = Framer.read

    def counted(self: Framer, *args: Any) -> Any:
        nonlocal reads
        reads += 1
        return read(self, *args)

    monkeypatch.setattr(Framer, "read", counted)
    ran = run(usual(1000))
    assert len(ran.of("http")) == 1000
    assert reads <= 20


@pytest.mark.parametrize("every", [1, 2])
def test_where_every_one_or_every_second_exchange_is_another_they_are_read_one_by_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    takes = 0
    taken = plain._Taking._known

    def counted(self: Any, *args: Any) -> int:
        nonlocal takes
        takes += 1
        return taken(self, *args)

    monkeypatch.setattr(plain._Taking, "_known", counted)
    t = Talk().open()
    for i in range(1000):
        other = i if i % every == 0 else 0
        t.send(0, request("/a")).send(1, response(b'{"n":%d}' % other))
    assert len(run(t.close().bytes()).of("http")) == 1000
    assert takes <= 5


@pytest.mark.parametrize("packets", [1, 8192])
@pytest.mark.parametrize("most", [0, 16])
def test_a_request_of_http_0_9_is_one_where_it_stands_first_and_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch, packets: int, most: int
) -> None:
    monkeypatch.setattr(whole_conversation, "MOST", most)
    limits = replace(Limits(), block_packets=packets)
    bare = b"GET /x\r\n\r\n"
    t = Talk().open().send(0, bare).send(1, response(b"{}")).close()
    assert [r["request"]["version"] for r in run(t.bytes(), limits).of("http")] == ["0.9"]
    first = Talk(sport=40002).idle(10_000).open().send(0, bare).send(1, response(b"{}")).close()
    later = Talk(sport=40001).open().send(0, request("/a")).send(1, response(b"{}")).idle(100_000).send(0, bare).send(1, response(b"{}"))
    found = run(merge(first, later.close()), limits).of("http")
    assert [r["request"]["version"] for r in found] == ["1.1", "0.9", ""]


def test_waits_of_years_add_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    t = Talk().open()
    for _ in range(40):
        t.send(0, request("/a")).send(1, response(b'{"n":0}'))
    records = []
    for i, (_, frame) in enumerate(t.close().frames):
        seconds = 4_000_000_000 if i > 2 and frame[34:36] == b"\0\x50" else 10
        records.append(struct.pack("<IIII", seconds, 0, len(frame), len(frame)) + frame)
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + b"".join(records)
    found = run(data).summary.endpoints[0].parts
    monkeypatch.setattr(plain, "LEAST", 1 << 60)
    assert run(data).summary.endpoints[0].parts == found
    assert found is not None
    assert found.server == 40 * 3_999_999_990.0


def test_a_short_conversation_is_read_without_a_framer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Framer, "read", never)
    answer = response(json.dumps([1.5, None] * 2000).encode())
    t = Talk().open().send(0, request("/a")).send(1, answer).acknowledge(0).send(0, request("/b")).send(1, response(b"{}")).close()
    ran = run(t.bytes())
    assert [(r["request"]["target"], r["response"]["body"]["json"]["events"]) for r in ran.of("http")] == [("/a", 4002), ("/b", 2)]


def test_broken_json_that_comes_again_and_again_is_counted_each_time(run: Run) -> None:
    t = Talk().open()
    for _ in range(20):
        t.send(0, request("/a")).send(1, response(b'{"a":'))
    found = run(t.close().bytes()).summary.json
    assert (found.bodies, found.invalid, found.complete) == (20, 20, 0)


def test_an_answer_of_a_kilobyte_that_comes_again_is_looked_at_twice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"[" + b"1," * 300 + b"1]"
    looked_at = 0
    whole_body = Bodies.whole_body

    def counted(self: Bodies, *args: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return whole_body(self, *args)

    monkeypatch.setattr(Bodies, "whole_body", counted)
    t = Talk().open()
    for _ in range(20):
        t.send(0, request("/a")).send(1, response(body))
    ran = run(t.close().bytes())
    assert looked_at == 2
    assert [r["response"]["body"]["json"]["events"] for r in ran.of("http")] == [303] * 20
    assert (ran.summary.json.bodies, ran.summary.json.complete, ran.summary.http.bodies.complete) == (20, 20, 20)


def test_an_answer_that_comes_once_is_not_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(Heads, "keep_answer", lambda _, head, body, answer: bool(kept.append(body)))
    t = Talk().open()
    for i in range(20):
        t.send(0, request("/a")).send(1, response(b'{"n":%d}' % (i + 10)))
    assert run(t.close().bytes()).summary.json.complete == 20
    assert not kept


def test_which_answers_are_kept_depends_on_no_address_and_no_hash_seed(run: Run) -> None:
    t = Talk().open()
    for _ in range(3):
        for i in range(200):
            t.send(0, request("/x")).send(1, response(b'{"a":%d}' % i))
    capture = t.acknowledge(0).close().bytes()
    kept = []
    peaks = set()
    for n in range(6):
        peaks.add(run(capture).summary.memory.components["http"].peak_bytes)
        kept.append([object() for _ in range(1000 * n + 1)])  # the next run's objects lie elsewhere
    assert len(peaks) == 1
