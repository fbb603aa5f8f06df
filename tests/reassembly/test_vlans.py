"""VLAN tags that differ by direction are one connection, tags of two networks are two, and it is decided once."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow.limits import Limits
from pcapflow.policy import VlanKey
from tests.conftest import CASES, Run
from tests.craft import ACK, FIN, RST, SYN, Talk, ethernet, ipv4_packet, pcap, request, response

BLOCKS = (8192, 1, 4)
Tag = int | None


def tagged(frame: bytes, tag: Tag) -> bytes:
    return frame if tag is None else frame[:12] + struct.pack(">HH", 0x8100, tag) + frame[12:]


def server(frame: bytes) -> bool:
    return frame[34:36] == b"\0\x50"


def mirrored(talk: Talk, client: Tag, servers: Tag) -> list[tuple[int, bytes]]:
    return [(us, tagged(frame, servers if server(frame) else client)) for us, frame in talk.frames]


def talk(isn: int = 1000, us: int = 0, turns: int = 2, sport: int = 40000) -> Talk:
    made = Talk(isn=(isn, isn + 70_000), sport=sport)
    made.us = us
    made.open()
    for _ in range(turns):
        made.send(0, request()).send(1, response(b'{"a":1}'))
    return made.close()


@pytest.mark.parametrize(("client", "servers"), [(100, 200), (100, None), (None, 100), (0, None), (100, 100)])
@pytest.mark.parametrize("packets", BLOCKS)
def test_tags_that_differ_by_direction_are_one_connection(run: Run, client: Tag, servers: Tag, packets: int) -> None:
    ran = run(pcap(mirrored(talk(), client, servers)), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    ids = [[] if tag is None else [tag] for tag in (client, servers)]
    assert (connection["vlan"], connection["vlan_server"]) == (ids[0], ids[1] if ids[0] != ids[1] else None)
    assert connection["end"] == "fin"
    assert len(ran.of("http")) == 2
    assert all(r["response"] for r in ran.of("http"))


@pytest.mark.parametrize("packets", BLOCKS)
def test_two_networks_with_the_same_addresses_stay_apart(run: Run, packets: int) -> None:
    a, b = talk(1000), talk(2_000_000_000)
    frames = sorted([*mirrored(a, 10, 10), *((us + 1, frame) for us, frame in mirrored(b, 20, 20))], key=lambda f: f[0])
    ran = run(pcap(frames), replace(Limits(), block_packets=packets))
    assert sorted(c["vlan"] for c in ran.of("connection")) == [[10], [20]]
    assert {c["end"] for c in ran.of("connection")} == {"fin"}
    assert sum(r["response"] is not None for r in ran.of("http")) == 4


@pytest.mark.parametrize("packets", BLOCKS)
def test_a_capture_that_begins_in_the_middle_tells_by_numbers(run: Run, packets: int) -> None:
    frames = mirrored(talk(turns=4), 100, 200)[4:]
    ran = run(pcap(frames), replace(Limits(), block_packets=packets))
    (connection,) = ran.of("connection")
    assert connection["packets"] == len(frames)


@pytest.mark.parametrize(("mode", "connections"), [("auto", 1), ("on", 2), ("off", 1)])
def test_the_option_decides_for_all(run: Run, mode: str, connections: int) -> None:
    ran = run(pcap(mirrored(talk(), 100, 200)), vlan_key=VlanKey(mode))
    assert len(ran.of("connection")) == connections


def test_off_puts_two_networks_together(run: Run) -> None:
    frames = sorted([*mirrored(talk(), 10, 10), *mirrored(talk(sport=40001), 20, 20)], key=lambda f: f[0])
    assert len(run(pcap(frames), vlan_key=VlanKey.OFF).of("connection")) == 2


def test_a_second_connection_on_the_same_ports_is_of_the_same_tags(run: Run) -> None:
    first = talk()
    second = talk(500_000_000, us=first.us + 1_000_000)
    ran = run(pcap([*mirrored(first, 100, 200), *mirrored(second, 100, 200)]))
    assert [(c["vlan"], c["vlan_server"], c["end"]) for c in ran.of("connection")] == [([100], [200], "fin")] * 2


def test_decisions_are_bounded_and_the_oldest_go_first(run: Run) -> None:
    frames = []
    for i in range(40):
        frames += mirrored(talk(1000 + i * 10_000_000, us=i * 10_000, sport=1000 + i), 100, 200)
    for most in (1, 3, 16_384):
        ran = run(pcap(frames), replace(Limits(), max_vlan_pairs=most))
        assert len(ran.of("connection")) == 40
        assert ran.summary.memory.components["connections"].at_end_bytes == 0


plans = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, 0, 1, 2])), min_size=1, max_size=5)


@settings(max_examples=60 * CASES)
@given(plans, st.sampled_from([1, 2, 5]))
def test_neither_blocks_nor_walking_change_what_belongs_together(run: Run, plan: list[tuple[int, Tag, Tag]], packets: int) -> None:
    frames = []
    for i, (port, client, servers) in enumerate(plan):
        frames += mirrored(talk(1000 + i * 300_000_000, us=i * 400, turns=1, sport=40000 + port), client, servers)
    capture = pcap(sorted(frames, key=lambda f: f[0]))
    whole = run(capture).comparable()[0]
    assert run(capture, replace(Limits(), block_packets=packets)).comparable()[0] == whole
    assert run(capture, walk_all=True).comparable()[0] == whole


@pytest.mark.parametrize("packets", BLOCKS)
def test_a_tag_that_the_client_changes_hides_none_of_the_server(run: Run, packets: int) -> None:
    made = talk(us=10)
    again = Talk(isn=(1000, 71_000))
    again.ident = 5_000
    for _ in range(3):
        again.packet(0, SYN, seq=1000)
    frames = [*mirrored(again, 6, 6)[:2], *mirrored(again, 7, 7)[2:], *mirrored(made, 6, 5)]
    (connection,) = run(pcap(frames), replace(Limits(), block_packets=packets)).of("connection")
    assert (connection["vlan"], connection["vlan_server"], connection["packets"]) == ([6], [5], len(frames))


@pytest.mark.parametrize("packets", [*range(1, 10), 8192])
def test_what_another_network_says_keeps_no_connection_alive(run: Run, packets: int) -> None:
    made = Talk().open().send(0, request("/")).send(1, response(b"{}"))
    made.packet(0, RST | ACK)
    foreign = Talk(isn=(900_000_000, 800_000_000))
    foreign.us = 200_000
    foreign.packet(0, ACK, b"x")
    foreign.us = 4 * 10**6
    foreign.packet(0, ACK, b"y")
    frames = [*mirrored(made, 5, 5), *mirrored(foreign, 6, 6)]
    made.frames.clear()
    made.us = 8 * 10**6
    frames += mirrored(made.send(0, request("/b")).send(1, response(b"{}")), 7, 5)
    ran = run(pcap(frames), replace(Limits(), block_packets=packets))
    assert [c["vlan"] for c in ran.of("connection")] == [[5], [6], [7], [5]]


odd = st.tuples(
    st.integers(0, 1),
    st.sampled_from([0, 1, 40]),
    st.sampled_from([0, 0, 0, 1 << 25, -(1 << 24), 1 << 31]),
    st.sampled_from([ACK, ACK, ACK, ACK | FIN, RST, SYN, SYN | ACK]),
    st.sampled_from([10, 10, 6 * 10**6, 40 * 10**6, 400 * 10**6]),
    st.sampled_from([None, None, 5, 6, 7]),
)


@settings(max_examples=60 * CASES)
@given(st.lists(odd, max_size=12), st.integers(0, 4))
def test_silences_far_numbers_resets_and_tags_that_change_are_decided_on_alike_in_all_blocks(
    run: Run, rows: list[tuple[int, int, int, int, int, Tag]], plain: int
) -> None:
    made = Talk(isn=(1000, 70_000))
    made.open()
    frames: list[tuple[int, bytes]] = list(made.frames[:plain])
    for side, size, far, flags, us, tag in rows:
        made.frames.clear()
        made.us += us
        made.packet(side, flags, b"x" * size, seq=(made.seq[side] + far) & 0xFFFFFFFF if far else None)
        frames += [(at, tagged(frame, tag)) for at, frame in made.frames]
    if not frames:
        return
    capture = pcap(frames)
    whole = run(capture).comparable()
    for packets in (1, 2, 3, 5):
        assert run(capture, replace(Limits(), block_packets=packets)).comparable() == whole
    assert run(capture, walk_all=True).comparable()[0] == whole[0]


@pytest.mark.parametrize("packets", BLOCKS)
def test_a_syn_that_nobody_answers_has_its_own_tag_whatever_the_connection_before_had(run: Run, packets: int) -> None:
    made = talk()
    made.idle(20 * 10**6)
    made.seq[0] += 900_000_000
    made.packet(0, SYN)
    frames = mirrored(made, 5, 6)
    first = next(i for i, (_, frame) in enumerate(made.frames) if server(frame))
    others = [(us * 10**6, ethernet(ipv4_packet("9.9.9.9", "9.9.9.8", bytes(40), proto=17))) for us in (9, 10, 11, 12, 30)]
    ran = run(pcap(sorted([*frames[first:], *others])), replace(Limits(), block_packets=packets))
    assert [(c["vlan"], c["vlan_server"], c["packets"]) for c in ran.of("connection")] == [
        ([5], [6], len(frames) - first - 1),
        ([5], [6], 1),
    ]
