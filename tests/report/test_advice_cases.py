"""Captures on which advice was once false, or asked for far more than it takes; each in both ways of giving up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB, MIB
from tests.craft import ACK, CLIENT, FIN, SERVER, SYN, Talk, filler, pcap, tcp_frame
from tests.report.test_advice import SMALL, advised, lost_for_room

BASE = 1001
Case = tuple[bytes, Limits]


def second_hole() -> Case:
    """A small hole, acknowledged, then one with much more behind it."""
    t = Talk().open()
    for i in range(20):
        t.packet(0, ACK, b"a" * 1000, seq=BASE + 100 + 1000 * i)
    t.packet(0, ACK, b"h" * 100, seq=BASE)
    t.seq[0] = BASE + 20_100
    t.acknowledge(1)
    frames = [*t.frames, *filler(200, t.us + 5000)]
    t.us, t.frames = frames[-1][0], []
    for _ in range(5):
        t.packet(0, ACK, b"c" * 1000)
    start = t.seq[0]
    for i in range(600):
        t.packet(0, ACK, b"d" * 1000, seq=start + 100 + 1000 * i)
    t.packet(0, ACK, b"h" * 100, seq=start)
    t.seq[0] = start + 600_100
    t.acknowledge(1)
    return pcap(frames + t.frames), replace(SMALL, ring_size=4 * MIB, rings_total=16 * KIB)


def bare_fin() -> Case:
    """A FIN below what would have been held: believed only where nothing is."""
    t = Talk().open()
    for i in range(20):
        t.packet(0, ACK, b"x" * 1000, seq=BASE + 100 + 1000 * i)
    t.packet(0, FIN | ACK, b"", seq=BASE)
    for i in range(20, 600):
        t.packet(0, ACK, b"x" * 1000, seq=BASE + 100 + 1000 * i)
    return t.bytes(), replace(SMALL, ring_size=4 * MIB, rings_total=16 * KIB)


def far_ahead() -> Case:
    """Segments that a small ring does not believe, long after others began to wait."""
    t = Talk().open()
    t.step = 5
    t.packet(0, ACK, b"x" * 10, seq=BASE + 10)
    t.idle(20_000_000)
    for i in range(300):
        t.packet(0, ACK, b"y" * 1000, seq=BASE + 20_000 + 3000 * i)
    t.idle(11_000_000)
    for i in range(300, 600):
        t.packet(0, ACK, b"y" * 1000, seq=BASE + 20_000 + 3000 * i)
    return t.bytes(), replace(SMALL, ring_size=KIB, rings_total=512 * KIB)


def acknowledged() -> Case:
    """Acknowledged holes that a full ring ends early: with a larger ring they wait for their grace."""
    frames: list[tuple[int, bytes]] = []
    us = 0
    for s in range(40):
        us += 1
        frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, 1000, 0, SYN)))
    for k in range(16):
        for s in range(40):
            us += 1
            frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, BASE + 100 + 1400 * k, 1, ACK, b"a" * 1400)))
            if k == 0:
                frames.append((us, tcp_frame(SERVER, 80, CLIENT, 100 + s, 1, BASE + 1500, ACK)))
    us += 5000
    frames.append((us, tcp_frame(CLIENT, 99, SERVER, 80, 1000, 0, SYN)))
    for k in range(10):
        us += 1
        frames.append((us, tcp_frame(CLIENT, 99, SERVER, 80, BASE + 100 + 1400 * k, 1, ACK, b"a" * 1400)))
    frames.append((us, tcp_frame(CLIENT, 99, SERVER, 80, BASE, 1, ACK, b"a" * 100)))
    return pcap(frames), replace(SMALL, ring_size=8 * KIB, rings_total=800 * KIB)


def contested() -> Case:
    """Thirty streams whose segments come again with other bytes."""
    frames: list[tuple[int, bytes]] = [(s, tcp_frame(CLIENT, 100 + s, SERVER, 80, 1000, 0, SYN)) for s in range(30)]
    us = 30
    for letter in (b"a", b"b"):
        for k in range(20):
            for s in range(30):
                us += 1
                frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, BASE + 10 + 1000 * k, 1, ACK, letter * 1000)))
    for s in range(30):
        us += 1
        frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, BASE + 20_010, 1, ACK, b"a" * 1000)))
    return pcap(frames), replace(SMALL, rings_total=64 * KIB, ring_size=MIB)


def in_turn() -> Case:
    """Thirty streams in which two segments come again and again in turn."""
    frames: list[tuple[int, bytes]] = [(s, tcp_frame(CLIENT, 100 + s, SERVER, 80, 1000, 0, SYN)) for s in range(30)]
    us = 30
    for k in range(1500):
        for s in range(30):
            us += 1
            frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, BASE + 10 + 500 * (k % 2), 1, ACK, b"a" * 500)))
    for s in range(30):
        us += 1
        frames.append((us, tcp_frame(CLIENT, 100 + s, SERVER, 80, BASE + 1010, 1, ACK, b"a" * 500)))
    return pcap(frames), replace(SMALL, rings_total=64 * KIB, ring_size=MIB)


def two_graces() -> Case:
    """The grace of a second acknowledgement begins when the first one's is over, first by packets, then by time."""
    t = Talk().open()
    t.step = 1
    t.packet(0, ACK, b"x" * 600, seq=BASE + 100)
    t.packet(1, ACK, ack=BASE + 50)
    for i in range(1, 3):
        t.packet(0, ACK, b"x" * 600, seq=BASE + 100 + 600 * i)
    t.packet(1, ACK, ack=BASE + 101)
    frames = list(t.frames)
    frames += [(t.us + 1 + i, tcp_frame("10.9.9.9", 9, "10.9.9.8", 9, 1, 1, ACK)) for i in range(970)]
    t.us, t.frames = frames[-1][0], []
    t.packet(1, ACK, ack=BASE + 102)
    t.idle(60)
    t.packet(1, ACK)
    t.idle(3000)
    for i in range(3, 58):
        t.packet(0, ACK, b"x" * 6000, seq=BASE + 100 + 600 * 3 + 6000 * (i - 3))
    return pcap(frames + t.frames), replace(SMALL, ring_size=KIB, rings_total=64 * KIB)


CASES: list[Callable[[], Case]] = [second_hole, bare_fin, far_ahead, acknowledged, contested, in_turn, two_graces]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("drop_streams", [False, True])
def test_what_is_claimed_holds(tmp_path: Path, case: Callable[[], Case], drop_streams: bool) -> None:
    data, limits = case()
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    options = pipeline.Options(drop_streams=drop_streams)
    first = pipeline.run([str(path)], limits, options).summary
    certain = first.advice[0].startswith("no hole would be given up for lack of buffer space with --")
    if drop_streams and case in (second_hole, bare_fin):
        assert first.advice[0].startswith("fewer holes would be given up with --")
    else:
        assert certain
        assert lost_for_room(pipeline.run([str(path)], advised(limits, first), options).summary) == {}


def test_far_more_is_not_asked_for_than_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    tiny = Talk().open()
    tiny.step = 1
    for i in range(20_000):
        tiny.packet(0, ACK, b"a" * 10, seq=BASE + 100 + 10 * i)
    tiny.packet(0, ACK, b"h" * 100, seq=BASE)
    path.write_bytes(tiny.bytes())
    summary = pipeline.run([str(path)], replace(SMALL, rings_total=8 * MIB, ring_size=8 * KIB)).summary
    assert summary.advice[0] == "no hole would be given up for lack of buffer space with --ring-size 1MiB"
    pairs = Talk().open()
    for i in range(600):
        for k in (2 * i + 1, 2 * i):
            pairs.packet(0, ACK, b"a" * 100, seq=BASE + 100 + 100 * k)
    pairs.packet(0, ACK, b"h" * 100, seq=BASE)
    path.write_bytes(pairs.bytes())
    summary = pipeline.run([str(path)], replace(SMALL, rings_total=4 * MIB, ring_size=8 * KIB)).summary
    assert summary.advice[0] == "no hole would be given up for lack of buffer space with --ring-size 1MiB"


def test_what_a_dropped_stream_went_on_with_is_not_part_of_its_hole(tmp_path: Path) -> None:
    """20 KB behind a hole that the next packet fills, then megabytes in order, one direction only."""
    talk = Talk()
    talk.packet(0, SYN)
    for i in range(20):
        talk.packet(0, ACK, b"a" * 1000, seq=BASE + 100 + 1000 * i)
    talk.packet(0, ACK, b"h" * 100, seq=BASE)
    talk.seq[0] = BASE + 20_100
    for _ in range(3000):
        talk.packet(0, ACK, b"c" * 1400)
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.bytes())
    limits = replace(SMALL, ring_size=MIB, rings_total=16 * KIB)
    summary = pipeline.run([str(path)], limits, pipeline.Options(drop_streams=True)).summary
    assert advised(limits, summary).rings_total < 256 * KIB


def test_connections_that_closed_in_the_block_leave_before_those_that_are_open(tmp_path: Path) -> None:
    open_one = Talk(sport=5).open().send(0, b"hello")
    frames = [*open_one.frames, *filler(300, open_one.us + 10)]
    base = frames[-1][0]
    for i in range(600):
        talk = Talk(sport=1000 + i)
        talk.us, talk.step = base + i * 50, 1
        frames += talk.open().send(0, b"q").send(1, b"r").close().frames
    open_one.us, open_one.frames = frames[-1][0], []
    frames += open_one.send(0, b"more").frames
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(frames))
    for block_packets in (8192, 100):
        summary = pipeline.run([str(path)], replace(Limits(), max_connections=100, block_packets=block_packets)).summary
        assert summary.tcp.evicted_connections == 0
        assert summary.tcp.connections == 602
