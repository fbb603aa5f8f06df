"""The reassembler against models that are obviously correct: a dictionary of bytes, and itself cut in other ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pcapflow.limits import Limits
from pcapflow.stream_limits import MILLISECOND
from tests.conftest import CASES
from tests.craft import ACK, CLIENT, FIN, RST, SERVER, SYN, Talk, pcap, tcp_frame
from tests.reassembly.recorder import COUNTS, Told, reassemble

WRAPS = st.sampled_from([1, 0xFFFF_FFFF, 0xFFFF_FFF0, 0x7FFF_FFF8])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model") / "x.pcap"


def byte(offset: int, other: int) -> int:
    """What a sender has at an offset; `other` makes a copy that differs."""
    return (offset * 7 + other * 13) % 251


segments = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 24), st.sampled_from([0, 0, 0, 1])), max_size=25)


@given(segments, WRAPS)
@example([(0, 1, 0), (0, 1, 1)], 1)
def test_first_copy_wins_and_each_byte_is_in_its_bucket(path: Path, pieces: list[tuple[int, int, int]], isn: int) -> None:
    """No acknowledgements: every hole waits until the end. The model keeps the first copy of every byte."""
    first: dict[int, int] = {}
    retransmitted = conflicting = 0
    frames = [(0, tcp_frame(CLIENT, 5, SERVER, 6, isn, 0, SYN))]
    for i, (offset, n, other) in enumerate(pieces, 1):
        data = bytes(byte(o, other) for o in range(offset, offset + n))
        frames.append((i, tcp_frame(CLIENT, 5, SERVER, 6, isn + 1 + offset, 0, 0, data)))
        keep_alive = n == 1 and all(o in first for o in range(offset + 1)) and offset + 1 not in first
        for o, b in zip(range(offset, offset + n), data, strict=True):
            if o not in first:
                first[o] = b
            elif first[o] == b or keep_alive:
                retransmitted += 1
            else:
                conflicting += 1
    path.write_bytes(pcap(frames))
    recorder, _ = reassemble(path)
    (told,) = recorder.told
    heard, counts = told.heard[0], told.counts[0]
    span = max(first, default=-1) + 1
    assert heard.data == [first.get(o) for o in range(span)]
    assert counts["delivered"] == len(first)
    assert counts["missing"] == span - len(first)
    assert counts["retransmitted"] == retransmitted
    assert counts["conflicting"] == conflicting
    assert counts["late"] == counts["out_of_window"] == 0


steps = st.lists(
    st.tuples(
        st.integers(0, 1),  # side
        st.integers(-3, 90),  # offset
        st.integers(0, 20),  # length
        st.sampled_from([0, 0, 0, 0, 1]),  # other bytes
        st.none() | st.integers(0, 100),  # acknowledged offset of the other side
        st.sampled_from([0, 10, 300, 1200, 2500, 5000, 12_000, -400]),  # microseconds since the packet before
        st.sampled_from([0, 0, 0, 0, 0, 0, 0, FIN, RST, SYN]),
        st.sampled_from([0, 0, 0, 1, 2]),  # which connection
    ),
    min_size=1,
    max_size=40,
)

TIGHT = replace(
    Limits(),
    ring_size=64,
    ring_ranges=3,
    history_bytes=16,
    late_ranges=3,
    gap_timeout=4 * MILLISECOND,
    idle_timeout=9 * MILLISECOND,
    linger=3 * MILLISECOND,
    ack_grace=MILLISECOND,
    ack_grace_packets=3,
)


def traffic(plan: list[tuple[int, int, int, int, int | None, int, int, int]], isn: int) -> bytes:
    frames = []
    us = 1000
    for side, offset, n, other, ack, gap, flags, which in plan:
        us = max(0, us + gap)
        ends = ((CLIENT, 5 + which), (SERVER, 6))
        (src, sport), (dst, dport) = ends[side], ends[1 - side]
        data = bytes(byte(max(o, 0), other) for o in range(offset, offset + n)) if flags != SYN else b""
        acked = 0 if ack is None else isn + 1 + ack
        seq = isn + other if flags == SYN else isn + 1 + offset
        frames.append((us, tcp_frame(src, sport, dst, dport, seq, acked, flags | (0 if ack is None else ACK), data)))
    return pcap(frames)


def as_tuple(told: Told) -> tuple[object, ...]:
    heard = [(h.data, h.gaps, h.packets, h.end) for h in told.heard]
    return (told.number, told.end, told.packets, told.roles, told.start, heard, told.counts, told.gone_at)


@settings(max_examples=400 * CASES)
@given(steps, WRAPS, st.sampled_from([Limits(), TIGHT]))
@example([(0, 7, 9, 0, None, 0, SYN, 0), (1, 7, 9, 1, None, 10, 0, 1), (0, 0, 0, 0, None, 12_000, SYN, 0)], 1, TIGHT)
def test_neither_blocks_nor_the_column_path_change_anything(
    path: Path, plan: list[tuple[int, int, int, int, int | None, int, int, int]], isn: int, limits: Limits
) -> None:
    path.write_bytes(traffic(plan, isn))
    whole = [as_tuple(t) for t in reassemble(path, limits)[0].told]
    for other, walk_all in ((limits, True), *((replace(limits, block_packets=k), False) for k in (1, 2, 5))):
        assert [as_tuple(t) for t in reassemble(path, other, walk_all=walk_all)[0].told] == whole


moves = st.lists(
    st.tuples(
        st.sampled_from(["open", "syn", "send", "send", "send", "acknowledge", "close", "fin", "reset", "idle"]),
        st.integers(0, 1),  # side
        st.integers(0, 1),  # which connection
        st.integers(1, 40),  # bytes, or time
        st.sampled_from(["", "", "", "", "", "lost", "twice", "late"]),  # what becomes of the packets
    ),
    min_size=3,
    max_size=40,
)


def conversations(plan: list[tuple[str, int, int, int, str]], isn: int) -> bytes:
    """Two connections that speak as TCP does, over and over on the same ports, in a capture that loses, doubles and delays packets."""
    talks = [Talk(sport=5 + i, dport=6, isn=(isn, isn + 77)) for i in range(2)]
    frames: list[tuple[int, bytes]] = []
    late: list[tuple[int, bytes]] = []
    us = 1000
    for number, (move, side, which, n, fate) in enumerate(plan):
        talk = talks[which]
        talk.us, talk.frames = us, []
        if move == "open":
            talk.seq = [isn + number * 1000, isn + number * 2000]
            talk.open()
        elif move == "syn":
            talk.packet(0, SYN, seq=talk.seq[0])
        elif move == "send":
            talk.send(side, bytes(byte(o, 0) for o in range(n)), size=9)
        elif move == "acknowledge":
            talk.acknowledge(side)
        elif move == "close":
            talk.close()
        elif move == "fin":
            talk.packet(side, FIN | ACK, b"end"[: n % 4])
        elif move == "reset":
            talk.packet(side, RST | ACK)
        else:
            us += n * 300
        us = max(us, talk.us)
        if fate == "late":
            late += talk.frames
        elif fate != "lost":
            frames += talk.frames * (2 if fate == "twice" else 1)
        if late and fate != "late":
            frames += late
            late = []
    return pcap([(i * 10 if t < i * 10 else t, data) for i, (t, data) in enumerate(frames)])


@settings(max_examples=400 * CASES)
@given(moves, WRAPS, st.sampled_from([Limits(), TIGHT, replace(TIGHT, ack_grace_packets=1, linger=50_000)]))
def test_connections_that_come_whole_are_what_walking_them_gives(
    path: Path, plan: list[tuple[str, int, int, int, str]], isn: int, limits: Limits
) -> None:
    path.write_bytes(conversations(plan, isn))
    whole = [as_tuple(t) for t in reassemble(path, limits, walk_all=True)[0].told]
    for k in (1000, 1, 2, 5, 9):
        assert [as_tuple(t) for t in reassemble(path, replace(limits, block_packets=k))[0].told] == whole


@settings(max_examples=400 * CASES)
@given(
    steps,
    WRAPS,
    st.sampled_from([Limits(), TIGHT]),
    st.sampled_from([0, 8_192, 14_000, 20_000]),
    st.sampled_from([1, 2, 9]),
    st.sampled_from([1, 4, 100]),
    st.booleans(),
)
def test_what_is_delivered_was_sent_and_the_account_balances(
    path: Path,
    plan: list[tuple[int, int, int, int, int | None, int, int, int]],
    isn: int,
    limits: Limits,
    starved: int,
    connections: int,
    block_packets: int,
    drop_streams: bool,
) -> None:
    """The recorder checks the order of events and the conservation law; here: no byte is made up."""
    limits = replace(limits, block_packets=block_packets)
    if starved:
        limits = replace(limits, rings_total=starved, max_connections=connections)
    path.write_bytes(traffic(plan, isn))
    recorder, ledger = reassemble(path, limits, drop_streams=drop_streams)
    captured = sum(n for _, _, n, *_, flags, _ in plan if flags != SYN)
    assert sum(c["captured"] for t in recorder.told for c in t.counts) + recorder.untracked_bytes + recorder.repeated_bytes == captured
    assert ledger.peak <= limits.memory_limit
    for told in recorder.told:
        for heard in told.heard:
            for value in heard.data:
                assert value is None or value in _ALL_BYTES


crowd = st.lists(
    st.tuples(
        st.integers(0, 5),  # which connection
        st.sampled_from(["held", "held", "held", "next", "answer", "fin", "reset", "syn"]),
        st.integers(0, 30),  # where, in steps of 1500 bytes
        st.sampled_from([10, 1400, 3000]),
        st.sampled_from([1, 1, 1, 5, 700, 3000]),  # microseconds since the packet before
    ),
    min_size=5,
    max_size=70,
)


@settings(max_examples=300 * CASES)
@given(
    crowd,
    st.sampled_from([20, 30, 60]),
    st.sampled_from([1, 2, 3, 100]),
    st.sampled_from([1, 5, 20, 1000]),
    st.sampled_from([50, 75, 100]),
    st.booleans(),
    st.booleans(),
)
def test_a_crowd_that_is_short_of_memory_goes_on_in_order(
    path: Path,
    plan: list[tuple[int, str, int, int, int]],
    kib: int,
    connections: int,
    block_packets: int,
    soft: int,
    brief: bool,
    drop_streams: bool,
) -> None:
    """The recorder checks that packets never go back within a stream, and the accounts."""
    frames = [(s, tcp_frame(CLIENT, 100 + s, SERVER, 80, 1000, 0, SYN)) for s in range(6)]
    us = 10
    for s, what, step, n, gap in plan:
        us += gap
        at, to = 1001 + step * 1500, (CLIENT, 100 + s, SERVER, 80)
        if what in ("held", "next"):
            frames.append((us, tcp_frame(*to, at if what == "held" else 1001, 1, ACK, b"x" * n)))
        elif what == "answer":
            frames.append((us, tcp_frame(SERVER, 80, CLIENT, 100 + s, 1 + step * 1000, at, ACK, b"y" * (n % 1000))))
        else:
            flags = {"fin": FIN | ACK, "reset": RST, "syn": SYN}[what]
            frames.append((us, tcp_frame(*to, 1001 if what != "syn" else 1000 + step % 2, 1, flags)))
    path.write_bytes(pcap(frames))
    limits = replace(Limits(), rings_total=kib * 1024, max_connections=connections, block_packets=block_packets, soft_percent=soft)
    if brief:
        limits = replace(limits, idle_timeout=5 * MILLISECOND, linger=2 * MILLISECOND, gap_timeout=4 * MILLISECOND, ack_grace_packets=3)
    reassemble(path, limits, drop_streams=drop_streams)


_ALL_BYTES = {byte(o, other) for o in range(200) for other in (0, 1)}


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12), st.randoms(use_true_random=False), WRAPS)
def test_any_order_of_the_same_segments_gives_the_same_stream(path: Path, parts: list[bytes], rnd: object, isn: int) -> None:
    frames = [tcp_frame(CLIENT, 5, SERVER, 6, isn, 0, SYN)]
    offset = 0
    some = []
    for part in parts:
        some.append(tcp_frame(CLIENT, 5, SERVER, 6, isn + 1 + offset, 0, 0, part))
        offset += len(part)
    rnd.shuffle(some)  # type: ignore[attr-defined]
    path.write_bytes(pcap([(i, f) for i, f in enumerate([*frames, *some, *some[:3]])]))
    (told,) = reassemble(path)[0].told
    assert bytes(told.heard[0].data) == b"".join(parts)  # type: ignore[arg-type]
    assert told.counts[0]["missing"] == 0


def test_the_counts_named_here_are_all_of_the_law() -> None:
    assert set(COUNTS) >= {"captured", "delivered", "retransmitted", "conflicting", "late", "out_of_window", "dropped", "missing"}
