"""Connections that lie whole in a block and are one exchange that came before, against the same ones taken one by one."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.findings.brief_exchanges import BriefExchanges
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.protocols.stack import Stack
from pcapflow.reassembly import flow_table
from pcapflow.reassembly.connection import CONNECTION_BYTES, Connection
from pcapflow.reassembly.flow_table import FlowTable
from tests.conftest import CASES
from tests.craft import Talk, merge, request, response

SYN, RST, ACK, FIN = 2, 4, 16, 1
ASKS = [request("/a"), request("/b?x=%41"), request("/c/7"), request("/h", method="HEAD"), request("/post", method="POST", body=b"{}")]
ANSWERS = [
    response(b'{"b":['),
    response(b'{"ok":true}'),
    response(b"[1,2]"),
    response(b"[" + b"1," * 300 + b"1]"),
    response(b""),
    response(b'{"a":'),
    response(b"{}", status="404 Not Found"),
    response(b'{"a":1}', kind="text/plain"),
    response(b"text", kind="text/plain"),
    response(b"{}") + b"more",
    b"HTTP/1.1 204 No Content\r\n\r\n",
]


def short(rng: random.Random, port: int) -> Talk:
    """A connection, most often of one usual exchange."""
    t = Talk(sport=port, isn=(rng.choice([1000, 0xFFFFFFF0, rng.getrandbits(32)]), rng.getrandbits(32)))
    usual = rng.random() < 0.8
    t.us = rng.randrange(1, 3000)
    t.step = rng.choice([1, 10, 10, 500])
    t.packet(0, SYN)
    t.packet(1, SYN | ACK)
    if usual or rng.random() < 0.8:
        t.packet(0, ACK)
    some = (ASKS[:3], [*ANSWERS[1:4], response(b'{"r":%d}' % rng.getrandbits(20))]) if usual else (ASKS, ANSWERS)
    for _ in range(1 if usual else rng.choice([0, 1, 1, 2])):
        t.send(0, rng.choice(some[0]), size=1448 if usual else rng.choice([20, 1448]), keep=usual or rng.random() < 0.9)
        if rng.random() < 0.5:
            t.acknowledge(1)
        t.send(1, rng.choice(some[1]), size=rng.choice([1448, 1448, 60, 20]), keep=usual or rng.random() < 0.9)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            t.acknowledge(0)
    if usual or rng.random() < 0.7:
        first = rng.choice([0, 1])
        t.packet(first, FIN | ACK)
        t.packet(1 - first, FIN | ACK)
        t.acknowledge(first)
    after(rng, t)
    return t


def after(rng: random.Random, t: Talk) -> None:
    """What may come of a connection that is over."""
    kind = rng.random()
    if kind < 0.6:
        return
    t.idle(rng.choice([0, 100, 3_000_000, 6_000_000, 20_000_000]))
    if kind < 0.7:
        t.packet(rng.choice([0, 1]), RST | rng.choice([0, ACK]))
    elif kind < 0.8:
        side = rng.choice([0, 1])
        t.packet(side, FIN | ACK, seq=(t.seq[side] - 1) & 0xFFFFFFFF)
    elif kind < 0.9:
        t.packet(1, ACK, b"late", seq=(t.seq[1] - rng.choice([5, 1, 40])) & 0xFFFFFFFF)
    else:
        t.packet(rng.choice([0, 1]), rng.choice([SYN, SYN | ACK]))


def capture(seed: int) -> bytes:
    """Many of them, on few ports, one after the other on each."""
    rng = random.Random(seed)
    talks = []
    for port in range(40000, 40000 + rng.choice([1, 3, 20])):
        at = 0
        for _ in range(rng.choice([1, 2, 8])):
            t = short(rng, port)
            t.frames = [(at + us, frame) for us, frame in t.frames]
            at = t.frames[-1][0] + rng.choice([1, 1000, 7_000_000])
            talks.append(t)
    return merge(*talks)


def counted(path: Path, limits: Limits, **options: Any) -> Any:
    """A summary without records, of what does not depend on how it is come by."""
    found = msgspec.to_builtins(pipeline.run([str(path)], limits, Options(**options)).summary)
    return {name: value for name, value in found.items() if name not in ("run", "memory", "limits", "advice")}


@given(
    seed=st.integers(0, 1 << 40),
    packets=st.sampled_from([7, 50, 300, 8192]),
    connections=st.sampled_from([1, 2, 5, 10_000]),
    http=st.sampled_from([1, 100_000, 16 << 20]),
)
def test_what_is_counted_many_at_a_time_is_what_is_counted_one_by_one(
    tmp_path: Path, seed: int, packets: int, connections: int, http: int
) -> None:
    path = tmp_path / "x.pcap"
    for i in range(CASES):
        path.write_bytes(capture(seed + i))
        limits = replace(Limits(), block_packets=packets, max_connections=connections, http_total=http)
        found = counted(path, limits)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow_table, "wholes", lambda *_: {})
            assert counted(path, limits) == found
        if connections == Limits().max_connections:
            assert counted(path, limits, walk_all=True) == found


@pytest.mark.parametrize("when", ["before it is read", "while it is read", "later"])
@given(seed=st.integers(0, 1 << 40), packets=st.sampled_from([50, 8192]))
def test_who_looks_at_one_sees_the_connection_that_the_column_path_makes(tmp_path: Path, when: str, seed: int, packets: int) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(capture(seed))
    limits = replace(Limits(), block_packets=packets)
    seen: list[dict[str, Any]] = []

    def look(self: Any, connection: Connection, packet: int, ts: int) -> None:
        seen.append(everything(connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcapflow.findings.collector.Collector.gone", look)
        patch.setattr(flow_table, "wholes", lambda *_: {})
        counted(path, limits)
        expected, seen = seen, []
        patch.undo()
        patch.setattr("pcapflow.findings.collector.Collector.gone", look)
        look_at(when, patch)
        counted(path, limits)
    assert seen == expected


def look_at(when: str, patch: pytest.MonkeyPatch) -> None:
    """Have each looked at."""
    if when == "before it is read":
        patch.setattr(BriefExchanges, "take", lambda *_: False)
        patch.setattr(BriefExchanges, "read", lambda self, conversation, *args: len(conversation.streams) > 2)
    elif when == "while it is read":
        patch.setattr(BriefExchanges, "take", lambda *_: False)
        patch.setattr(BriefExchanges, "read", lambda *_: False)
        consume = Stack.consume

        def looked_at(self: Stack, conversation: Any, events: Any) -> None:
            assert len(conversation.streams) == 2
            consume(self, conversation, events)

        patch.setattr(Stack, "consume", looked_at)
    else:
        taken = FlowTable._brief

        def look(self: FlowTable, key: bytes, *args: Any) -> None:
            taken(self, key, *args)
            assert len(self._table[key].streams) == 2

        patch.setattr(FlowTable, "_brief", look)


def everything(connection: Connection) -> dict[str, Any]:
    """Of a connection and both its streams, all attributes that lead to no other."""
    own = {name: getattr(connection, name) for name in names(Connection) - {"streams", "consumer", "readings"}}
    streams: list[dict[str, Any]] = []
    for stream in connection.streams:
        streams.append({name: getattr(stream, name) for name in names(type(stream)) - {"owner", "history", "path"}})
        streams[-1]["path"] = None if stream.path is None else {name: getattr(stream.path, name) for name in names(type(stream.path))}
        streams[-1]["tail"] = stream.history.tail
    return own | {"streams": streams, "read": [reading.read for reading in connection.readings]}


def names(cls: type) -> set[str]:
    return {name for one in cls.__mro__ for name in getattr(one, "__slots__", ())}


def alike(n: int) -> bytes:
    talks = []
    for i in range(n):
        t = Talk(sport=10000 + i).idle(i * 200).open().send(0, request("/a")).acknowledge(1).send(1, response(b'{"ok":true}'), size=80)
        talks.append(t.acknowledge(0).close())
    return merge(*talks)


def test_usual_connections_are_hardly_ever_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(alike(1000))
    made = 0
    original = Connection.__init__

    def count(self: Connection, *args: Any) -> None:
        nonlocal made
        made += 1
        original(self, *args)

    monkeypatch.setattr(Connection, "__init__", count)
    found = counted(path, Limits())
    assert (found["tcp"]["connections"], found["http"]["responses"], found["json"]["documents"]) == (1000, 1000, 1000)
    assert made <= 20


def test_connections_that_differ_are_read_without_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Stack, "consume", never)
    path = tmp_path / "x.pcap"
    some = [Talk(sport=10000 + i).idle(i * 200).open().send(0, request(f"/{i}")).send(1, response(b'{"n":%d}' % i)) for i in range(20)]
    path.write_bytes(merge(*(t.acknowledge(0).close() for t in some)))
    found = counted(path, Limits())
    assert (found["tcp"]["connections"], found["http"]["responses"], found["json"]["documents"]) == (20, 20, 20)
    assert found["tcp"]["payload_bytes"]["balanced"]


def test_one_takes_less_than_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(alike(1000))
    counted(path, Limits())
    taken: list[int] = []
    flush = BriefExchanges.flush

    def measure(self: BriefExchanges, places: Any) -> None:
        flush(self, places)
        if not taken:
            some = [tracemalloc.Filter(True, f"*/pcapflow/{name}.py") for name in ("reassembly/brief", "reassembly/flow_table")]
            taken.append(sum(one.size for one in tracemalloc.take_snapshot().filter_traces(some).statistics("filename")))

    monkeypatch.setattr(BriefExchanges, "flush", measure)
    tracemalloc.start()
    try:
        counted(path, Limits())
    finally:
        tracemalloc.stop()
    assert 0 < taken[0] / 1000 < CONNECTION_BYTES
