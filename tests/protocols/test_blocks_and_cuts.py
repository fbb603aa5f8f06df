"""Whatever is said, over whatever is lost: records depend on packets, never on blocks. Each of the first cases was once a defect."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.limits import Limits
from tests.conftest import CASES, Run
from tests.craft import ACK, FIN, PSH, RST, Talk, chunked, request, response
from tests.work import calls

OK = b'{"a":1}'
CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
UPGRADE = request("/u", fields="Connection: Upgrade\r\nUpgrade: h2c\r\n")


def same_in_all_blocks(run: Run, t: Talk) -> None:
    """Records and counts, in blocks of one packet and more; indexes are told apart; nothing stays reserved."""
    ran = run(t.bytes())
    for packets in (1, 2, 3, 7):
        assert run(t.bytes(), replace(Limits(), block_packets=packets)).comparable() == ran.comparable(), packets
    exchanges = [(r["connection"], r["exchange"]) for r in ran.of("http")]
    assert len(set(exchanges)) == len(exchanges)
    assert {(r["connection"], r["exchange"]) for r in ran.of("json") if r["source"] != "raw"} <= set(exchanges)


def said(*parts: tuple[int, bytes], start: bool = True) -> Talk:
    """Packets one by one."""
    t = Talk(dport=7000)
    if start:
        t.open()
    for side, data in parts:
        t.packet(side, ACK | PSH, data)
    return t


HEAD = request("/h", method="HEAD")
POST = request("/p", method="POST", body=b'{"q":1}', fields="Content-Type: application/json\r\n")
TALKS = {
    "a HEAD request that ends behind its answer": said(
        (0, HEAD[:25]), (1, response(OK)), (0, HEAD[25:]), (0, request("/2")), (1, response(OK))
    ),
    "a head that a request parts": said((1, b"HTTP/1.1 200 OK\r\nContent-Le"), (0, POST), (1, b"ngth: 2\r\n\r\nok"), start=False),
    "an answer before its request in the middle": said(
        (1, response(b'{"o":1}', status="404 N")), (0, POST), (1, response(b'{"o":2}')), start=False
    ),
    "a switch that nobody asked for": said(
        (0, request("/")), (1, b"HTTP/1.1 101 S\r\n\r\n"), (0, request("/2")), (1, response(OK)), (0, POST)
    ),
    "CONNECT without waiting": said((0, CONNECT), (0, POST), (1, response(b"", status="304 N")), (1, response(OK, status="404 N"))),
    "CONNECT twice": said((0, CONNECT), (1, b"HTTP/1.1 204 No\r\n\r\n" + b'{"a":'), (0, CONNECT), (1, b"HTTP/1.1 200 OK\r\n")),
    "an upgrade within a tunnel": said((0, CONNECT), (1, b"HTTP/1.1 200 OK\r\n\r\n"), (0, UPGRADE), (1, response(OK, status="500 E"))),
    "a raw stream whose first byte came alone": said((0, b"["), (0, b'{"a":1}]')),
    "a framed message with a head that is none": said(
        (0, b"Content-Length: 7\r\n\r\n" + OK), (0, b"X"), (0, b": 1\r\n\r\n"), (0, b"Content-Length: 7\r\n\r\n" + OK)
    ),
    "lines in the middle of both directions": said((0, b'{"a":1}\n'), (1, b"garbage"), (1, b'{"b":1}\n'), start=False),
    "a body of JSON, then answers": said(
        (1, b'{"tail": 1}'), (0, request("/2")), (1, response(OK)), (0, POST), (1, response(OK)), start=False
    ),
    "a body of JSON, then requests": said((0, b'{"tail": 1}'), (1, response(OK)), (0, request("/2")), (1, response(OK)), start=False),
    "a body of JSON whose end is in two": said((1, b'{"tail"'), (1, b": 1}"), (1, response(OK)), (1, response(OK)), start=False),
    "a CONNECT behind JSON in a tunnel, all from the middle": said(
        (0, CONNECT), (1, response(OK)), (1, b"HTTP/1.1 100 Continue\r\n\r\n"), (0, CONNECT), (0, POST), start=False
    ),
    "a request behind a PROXY header in a tunnel": said(
        (0, CONNECT), (1, b"HTTP/1.1 200 OK\r\n\r\n"), (0, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 80\r\n" + request("/2")), (1, response(OK))
    ),
    "nothing in a body": said((0, request("/")), (1, response(b"")), (0, request("/2")), (1, response(OK))),
}


@pytest.mark.parametrize("name", TALKS)
def test_blocks_change_nothing_where_they_once_did(run: Run, name: str) -> None:
    same_in_all_blocks(run, TALKS[name])


def documents(rng: random.Random) -> bytes:
    return json.dumps(rng.choice([{"a": rng.randint(0, 9)}, [1, 2], {"b": [{"c": "x" * rng.randint(0, 30)}]}, {}])).encode()


def asked(rng: random.Random) -> bytes:
    body = documents(rng)
    return rng.choice(
        [
            request("/g"),
            POST,
            HEAD,
            request("/e", method="PUT", fields=f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n") + body,
            CONNECT,
            UPGRADE,
            b"\0bad\r\n\r\n",
            body + b"\n",
            request("/c", body=body),
        ]
    )


def answered(rng: random.Random) -> bytes:
    body = documents(rng)
    return rng.choice(
        [
            response(body), response(b""), response(body, status="404 N"), response(b"", status="304 N"), chunked(body, [3, 5]), b"HTTP/1.1 100 Continue\r\n\r\n", body + b"\n",
            b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n", response(gzip.compress(body, mtime=0), fields="Content-Encoding: gzip\r\n"), b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + body + b"\n\n",
        ]
    )  # fmt: skip


def raw(rng: random.Random) -> bytes:
    body = documents(rng)
    return rng.choice([body + b"\n", b"Content-Length: %d\r\n\r\n%s" % (len(body), body), body, b"Content-Length: 3\r\n", b"noise"])


@settings(max_examples=60 * CASES)
@given(st.integers(0, 1 << 30))
def test_random_conversations_over_lost_and_late_segments_depend_on_no_block(run: Run, seed: int) -> None:
    rng = random.Random(seed)
    t = Talk(dport=rng.choice([80, 7000]))
    if rng.random() < 0.6:
        t.open()
    says = (raw, raw) if rng.random() < 0.3 else (asked, answered)
    lost = rng.choice([0, 0, 0.1, 0.2])
    held: list[tuple[int, int, bytes]] = []
    for _ in range(rng.randint(1, 8)):
        side = rng.randint(0, 1)
        data = says[side](rng)
        size = rng.choice([1448, rng.randint(5, 60)])
        for at in range(0, len(data), size):
            part = data[at : at + size]
            fate = rng.random()
            if fate < lost / 2:
                t.packet(side, ACK | PSH, part, keep=False)
            elif fate < lost:
                held.append((side, t.seq[side], part))
                t.seq[side] += len(part)
            else:
                t.packet(side, ACK | PSH, part)
            if held and rng.random() < 0.4:
                late, seq, part = held.pop(0)
                t.packet(late, ACK | PSH, part, seq=seq)
        if rng.random() < 0.2:
            t.acknowledge(1 - side)
    ending = rng.random()
    if ending < 0.5:
        t.close()
    elif ending < 0.7:
        t.packet(rng.randint(0, 1), (RST if ending < 0.6 else FIN) | ACK)
    same_in_all_blocks(run, t)


def many(n: int, kind: str) -> Talk:
    t = Talk(dport=7000).open()
    for _ in range(n):
        if kind == "lines":
            t.packet(0, ACK | PSH, OK + b"\n")
        elif kind == "heads":
            t.packet(0, ACK | PSH, b"Content-Length: 55\r\n")
        elif kind == "tls":
            t.packet(0, ACK | PSH, b"\x16\3\1\0\1\1" * 10)
        else:
            t.send(0, request("/", method="PUT", fields="Content-Length: 2\r\nExpect: 100-continue\r\n")).send(
                1, b"HTTP/1.1 100 C\r\n\r\n"
            ).send(0, b"ok").send(1, response(b""))
    return t


@pytest.mark.parametrize(("kind", "n"), [("lines", 8000), ("heads", 8000), ("expect", 2000), ("tls", 8000)])
def test_time_is_linear_in_the_packets_of_a_block(tmp_path, kind: str, n: int) -> None:
    work = []
    for some in (n // 4, n):
        path = many(some, kind).save(tmp_path / f"{some}.pcap")
        work.append(calls(lambda path=path: pipeline.run([path], replace(Limits(), block_packets=1 << 16))))
    assert work[1] < 4.5 * work[0], work
