"""Selective acknowledgements decide sooner where the receiver has what the capture has not."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.drops import GapCause
from pcapflow.limits import Limits
from pcapflow.reassembly.sack import RANGES, Sacked, Told, sack_blocks
from tests.conftest import Run
from tests.craft import ACK, CLIENT, SERVER, Talk, ethernet, filler, ipv4_packet, pcap, tcp_header
from tests.reassembly.recorder import reassemble
from tests.reassembly.test_against_model import TIGHT, as_tuple


def option(*blocks: tuple[int, int]) -> bytes:
    edges = b"".join(struct.pack(">II", left & 0xFFFFFFFF, right & 0xFFFFFFFF) for left, right in blocks)
    return b"\1\1" + bytes([5, 2 + len(edges)]) + edges


@given(st.binary(max_size=40))
def test_options_never_raise(options: bytes) -> None:
    assert len(sack_blocks(options)) <= 4


@pytest.mark.parametrize(
    ("options", "blocks"),
    [
        (option((1, 2), (5, 9)), [(1, 2), (5, 9)]),
        (b"\1\1\x08\x0aTTTTEEEE" + option((7, 8)), [(7, 8)]),
        (b"", []),
        (b"\0" + option((1, 2)), []),
        (b"\5", []),
        (b"\5\1", []),
        (b"\5\x0a\0\0\0\1\0\0", []),
        (b"\5\x06\0\0\0\1", []),
        (b"\x02\x04\x05\xb4" + option((3, 4)), [(3, 4)]),
    ],
)
def test_blocks_are_what_the_option_says(options: bytes, blocks: list[tuple[int, int]]) -> None:
    assert sack_blocks(options) == blocks


@given(st.binary(max_size=30), st.integers(0, 12))
def test_timestamps_before_it_change_nothing(options: bytes, cut: int) -> None:
    times = b"\1\1\x08\x0aTTTTEEEE"
    assert sack_blocks(times + options) == sack_blocks(options)
    assert sack_blocks(times[:cut]) == []


def test_ranges_are_bounded_and_the_first_word_counts() -> None:
    sacked = Sacked()
    for i in range(RANGES * 3):
        sacked.add(Told(i * 10, i * 10 + 5, i, i), 0, 0, 0)
    assert sacked.covering(0, 5) is None
    latest = (RANGES * 3 - 1) * 10
    assert sacked.covering(latest + 1, latest + 4) == Told(latest + 1, latest + 5, RANGES * 3 - 1, RANGES * 3 - 1)
    sacked.add(Told(latest + 1, latest + 3, 99, 99), 0, 0, 0)
    found = sacked.covering(latest + 1, latest + 3)
    assert found is not None
    assert found.packet == RANGES * 3 - 1


def test_a_block_that_grows_does_not_put_off_what_it_had_at_first() -> None:
    """Told at packet 1 that the peer has [20, 30): whatever follows, a hole in it may end from packet 1 on."""
    sacked = Sacked()
    for i in range(100):
        sacked.add(Told(20, 30 + 10 * i, 1 + i, 1 + i), 0, 0, 0)
        found = sacked.covering(22, 28)
        assert found is not None
        assert found.packet == 1
    latest = sacked.covering(22, 1015)
    assert latest is not None
    assert latest.packet == 100


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=60), st.integers(1, 20))
def test_ranges_whose_time_has_come_lose_nothing(told: list[tuple[int, int]], grace: int) -> None:
    """Whatever is remembered was told, and no earlier than the peer said it; blocks that only grow are never forgotten."""
    sacked, said = Sacked(), {}
    for now, (start, n) in enumerate(told):
        sacked.add(Told(start, start + n, now + grace, now + grace), 0, now, now)
        for offset in range(start, start + n):
            said.setdefault(offset, now + grace)
        for offset in range(60):
            found = sacked.covering(offset, offset + 1)
            assert found is None or found.packet >= said[offset]


def sack(talk: Talk, ack: int, *blocks: tuple[int, int]) -> None:
    """The server acknowledges up to a client offset, and has these blocks of offsets."""
    base = 1001
    talk.us += talk.step
    header = tcp_header(talk.dport, talk.sport, talk.seq[1], base + ack, ACK, option(*((base + a, base + b) for a, b in blocks)))
    talk.frames.append((talk.us, ethernet(ipv4_packet(SERVER, CLIENT, header))))


def two_holes() -> Talk:
    """[10, 20) is lost on the network, [30, 40) by the capture alone; 60 bytes were sent."""
    talk = Talk().open()
    for at in (0, 20, 40):
        talk.packet(0, ACK, bytes(range(at, at + (10 if at < 40 else 20))), seq=1001 + at)
    return talk


def test_a_hole_that_the_peer_has_ends_as_soon_as_it_is_the_first(tmp_path: Path) -> None:
    talk = two_holes()
    sack(talk, 10, (20, 60))
    frames = [*talk.frames, *filler(100, talk.us + 2000)]
    talk.us = frames[-1][0]
    filled = len(frames) + 1
    talk.frames = []
    talk.packet(0, ACK, bytes(range(10, 20)), seq=1011)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*frames, *talk.frames, *filler(5, talk.us + 10)]))
    told = reassemble(path)[0].told[0]
    (gap,) = told.heard[0].gaps
    assert (gap.start, gap.length, gap.cause) == (30, 10, GapCause.ACKNOWLEDGED)
    # its grace ran while the hole before it was open: it ends with that, not 64 packets and 1 ms after an acknowledgement
    assert gap.packet == filled
    assert told.heard[0].data[:30] == list(range(30))


def test_a_hole_that_the_peer_has_not_waits_for_the_retransmission(tmp_path: Path) -> None:
    talk = two_holes()
    sack(talk, 10, (20, 30), (40, 60))
    frames = [*talk.frames, *filler(100, talk.us + 2000)]
    talk.us, talk.frames = frames[-1][0], []
    talk.packet(0, ACK, bytes(range(10, 20)), seq=1011)
    talk.packet(0, ACK, bytes(range(30, 40)), seq=1031)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*frames, *talk.frames]))
    told = reassemble(path)[0].told[0]
    assert told.heard[0].gaps == []
    assert told.heard[0].data == list(range(60))


def test_data_within_the_grace_of_a_selective_acknowledgement_still_fills(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"b" * 10, seq=1011)
    sack(talk, 0, (0, 20))
    talk.packet(0, ACK, b"a" * 10, seq=1001)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*talk.frames, *filler(90, talk.us + 2000)]))
    assert reassemble(path)[0].told[0].heard[0].gaps == []


def grows_into(talk: Talk, parts: int) -> bytes:
    """A hole of which the peer has the second half, then the first half comes in parts."""
    frames = [*talk.frames, *filler(100, talk.us + 2000)]
    talk.us, talk.frames = frames[-1][0], []
    for k in range(parts):
        talk.packet(0, ACK, b"%d" % k * (50 // parts), seq=1001 + 50 // parts * k)
    return pcap([*frames, *talk.frames, *filler(200, talk.us + 10)])


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize("blocks", [[(50, 100)], [(60, 100), (50, 70)], [(50, 100), (200, 210), (300, 310)]])
def test_a_hole_ends_when_rows_in_order_bring_it_into_what_the_peer_has(tmp_path: Path, parts: int, blocks: list[tuple[int, int]]) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"z" * 20, seq=1001 + 80)
    sack(talk, 0, *blocks)
    path = tmp_path / "x.pcap"
    path.write_bytes(grows_into(talk, parts))
    for limits, walk_all in ((Limits(), True), *((replace(Limits(), block_packets=k), False) for k in (1, 2, 3, 1000))):
        (gap,) = reassemble(path, limits, walk_all=walk_all)[0].told[0].heard[0].gaps
        assert (gap.start, gap.length, gap.cause, gap.packet) == (50, 30, GapCause.ACKNOWLEDGED, 105 + parts)


def test_an_acknowledgement_of_something_else_does_not_put_off_what_the_peer_has(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"z" * 20, seq=1001 + 80)
    sack(talk, 0, (50, 100))
    frames = [*talk.frames, *filler(100, talk.us + 2000)]
    talk.us, talk.frames = frames[-1][0], []
    talk.acknowledge(1)
    talk.packet(1, ACK, ack=1001 + 20)
    talk.packet(0, ACK, b"a" * 50, seq=1001)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*frames, *talk.frames, *filler(200, talk.us + 10)]))
    (gap,) = reassemble(path)[0].told[0].heard[0].gaps
    assert gap.packet == len(frames) + len(talk.frames)


def test_what_the_peer_had_when_the_capture_ends_is_acknowledged(run: Run) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"b" * 10, seq=1011)
    sack(talk, 0, (0, 20))
    (gap,) = run(talk.bytes()).of("gap")
    assert gap["cause"] == "acknowledged"


@given(
    st.lists(
        st.tuples(st.integers(0, 80), st.integers(1, 20), st.booleans(), st.integers(0, 100), st.integers(0, 60), st.integers(1, 40)),
        max_size=30,
    ),
    st.sampled_from([1, 0xFFFF_FFF0]),
)
def test_no_way_of_cutting_the_capture_changes_what_selective_acknowledgements_do(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int, bool, int, int, int]], isn: int
) -> None:
    talk = Talk(isn=(isn - 1, 5000)).open()
    for offset, n, acknowledges, ack, left, size in plan:
        talk.step = 10 + 400 * (n % 3)
        if acknowledges:
            talk.us += talk.step
            header = tcp_header(
                talk.dport, talk.sport, talk.seq[1], isn + ack, ACK, option((isn + left, isn + left + size), (isn + ack, isn + ack + 3))
            )
            talk.frames.append((talk.us, ethernet(ipv4_packet(SERVER, CLIENT, header))))
        else:
            talk.packet(0, ACK, bytes(o % 251 for o in range(offset, offset + n)), seq=isn + offset)
    path = tmp_path_factory.getbasetemp() / "sack.pcap"
    path.write_bytes(talk.bytes())
    for limits in (TIGHT, Limits()):
        walked = [as_tuple(t) for t in reassemble(path, limits, walk_all=True)[0].told]
        for k in (1000, 1, 3):
            assert [as_tuple(t) for t in reassemble(path, replace(limits, block_packets=k))[0].told] == walked
