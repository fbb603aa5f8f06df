"""What is no TCP has a name and its bytes, whatever it is; and what was added to what is decoded."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.decode.unread import SERVICES
from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import ACK, CLIENT, SERVER, SYN, Talk, ethernet, ipv4_packet, ipv6_packet, pcap, request, response, tcp_frame, tcp_header
from tests.decode.tunnelled import udp, wrap

TALK = Talk().open().send(0, request()).send(1, response(b"{}")).close()


def ip(proto: int, payload: bytes = b"x" * 20) -> bytes:
    return ethernet(ipv4_packet(CLIENT, SERVER, payload, proto=proto))


NAMED = {
    "udp 443 (QUIC)": ip(17, udp(443, b"q" * 100)),
    "udp 53 (DNS)": ip(17, udp(53, b"q")),
    "udp 777": ip(17, struct.pack(">HHHH", 777, 50_000, 8, 0)),
    "udp 123 (NTP)": ethernet(ipv6_packet(bytes(16), b"\1" * 16, struct.pack(">HHHH", 123, 50_000, 8, 0), proto=17), 0x86DD),
    "udp 0": ip(17, b"")[:36],
    "ip protocol 1 (ICMP)": ip(1),
    "ip protocol 132 (SCTP)": ip(132),
    "ip protocol 200": ip(200),
    "ip protocol 58 (ICMPv6)": ethernet(ipv6_packet(bytes(16), b"\1" * 16, bytes(8), proto=58), 0x86DD),
    "ethertype 0x0806 (ARP)": ethernet(bytes(28), 0x0806),
    "ethertype 0x88cc (LLDP)": ethernet(bytes(28), 0x88CC, vlans=[4]),
    "ethertype 0x1234": ethernet(bytes(28), 0x1234),
    "LLC": ethernet(b"\x42\x42\x03" + bytes(40), 43),
    "ip protocol 6 (TCP)": ethernet(ipv4_packet(CLIENT, SERVER, bytes(40), frag=0x2000, ident=7)),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("packets", [8192, 1])
def test_each_packet_has_one_name(run: Run, name: str, packets: int) -> None:
    frame = NAMED[name]
    ran = run(pcap([(i, frame) for i in range(3)]), replace(Limits(), block_packets=packets))
    decode = ran.summary.decode
    assert {n: (a.packets, a.bytes) for n, a in decode.not_read.items()} == {name: (3, 3 * len(frame))}
    assert decode.bytes == 3 * len(frame)


@given(st.lists(st.sampled_from(sorted(NAMED.values())), max_size=30))
def test_names_add_up_to_what_is_not_tcp(run: Run, frames: list[bytes]) -> None:
    decode = run(pcap([*TALK.frames, *((TALK.us + i, frame) for i, frame in enumerate(frames))])).summary.decode
    assert sum(a.packets for a in decode.not_read.values()) == decode.udp + decode.other == len(frames)
    assert sum(a.bytes for a in decode.not_read.values()) == sum(map(len, frames))


def test_names_are_bounded_and_most_bytes_come_first(run: Run) -> None:
    frames = [(i, ip(17, udp(1000 + i, bytes(i)))) for i in range(100)]
    forward, backward = (
        run(pcap(some), replace(Limits(), map_keys=5)).summary.decode.not_read
        for some in (frames, [(99 - us, f) for us, f in frames[::-1]])
    )
    assert list(forward) == [f"udp {n}" for n in (1099, 1098, 1097, 1096, 1095)] + ["..."]
    assert (forward["..."].packets, forward) == (95, backward)


def test_quic_is_said_with_its_part_of_the_bytes(run: Run) -> None:
    frames = [*TALK.frames, *((TALK.us + i, ip(17, udp(443, b"q" * 1000))) for i in range(10))]
    (line,) = run(pcap(frames)).summary.advice
    share = 100 * 10 * (14 + 20 + 8 + 1000) / sum(len(f) for _, f in frames)
    assert line.startswith(f"{share:.1f}% of the bytes are UDP 443 (QUIC), which is not read")
    assert SERVICES[443] == "QUIC"


def test_what_is_within_a_closed_tunnel_is_named_by_the_tunnel(run: Run) -> None:
    frame = ethernet(wrap("vxlan", TALK.frames[0][1][14:]))
    assert list(run(pcap([(0, frame)]), tunnels=False).summary.decode.not_read) == ["udp 4789 (VXLAN)"]


# --- what is decoded beside

AROUND = {
    "VN-Tag": lambda frame: frame[:12] + b"\x89\x26" + bytes(4) + frame[12:],
    "E-Tag": lambda frame: frame[:12] + b"\x89\x3f" + bytes(6) + frame[12:],
    "Cisco metadata": lambda frame: frame[:12] + b"\x89\x09\1\1\0\1\0\7" + frame[12:],
    "VN-Tag and a VLAN": lambda frame: frame[:12] + b"\x89\x26" + bytes(4) + b"\x81\0\0\7" + frame[12:],
    "metadata in a VLAN": lambda frame: frame[:12] + b"\x81\0\0\7\x89\x09\1\1\0\1\0\7" + frame[12:],
    "GRE in UDP": lambda frame: ethernet(ipv4_packet("9.9.9.9", "8.8.8.8", udp(4754, b"\0\0\x08\0" + frame[14:]), proto=17)),
    "PPPoE": lambda frame: ethernet(b"\x11\0\0\1" + struct.pack(">H", len(frame) - 12) + b"\0\x21" + frame[14:], 0x8864),
    "PPPoE with a compressed protocol": lambda frame: ethernet(
        b"\x11\0\0\1" + struct.pack(">H", len(frame) - 13) + b"\x21" + frame[14:], 0x8864
    ),
}


@pytest.mark.parametrize("kind", AROUND)
def test_what_lies_around_ip_is_opened(run: Run, kind: str) -> None:
    ran = run(pcap([(us, AROUND[kind](frame)) for us, frame in TALK.frames]))
    (exchange,) = ran.of("http")
    assert exchange["response"]["status"] == 200
    assert ran.summary.decode.tcp == len(TALK.frames)


@pytest.mark.parametrize("kind", AROUND)
def test_a_header_that_is_cut_is_malformed_or_named_and_never_more(run: Run, kind: str) -> None:
    frame = AROUND[kind](TALK.frames[0][1])
    for n in range(14, len(frame)):
        decode = run(pcap([(0, frame[:n], len(frame))])).summary.decode
        assert decode.packets == 1


def test_a_syn_whose_options_were_cut_is_a_syn(run: Run) -> None:
    options = b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\1\3\3\7"
    frames = [
        (0, ethernet(ipv4_packet(CLIENT, SERVER, tcp_header(5, 80, 1000, 0, SYN, options)))),
        (10, ethernet(ipv4_packet(SERVER, CLIENT, tcp_header(80, 5, 5000, 1001, SYN | ACK, options)))),
        (20, tcp_frame(CLIENT, 5, SERVER, 80, 1001, 5001, ACK, b"x" * 100)),
    ]
    for snap in range(54, 75):
        ran = run(pcap([(us, frame[:snap], len(frame)) for us, frame in frames]))
        (connection,) = ran.of("connection")
        assert (connection["start"], connection["roles"], ran.summary.decode.malformed) == ("syn", "syn", 0)
        assert ran.summary.tcp.payload_bytes.captured == max(0, snap - 54)
        assert ran.summary.tcp.gaps_by_cause == {"snapped": 1}
        assert ran.summary.tcp.snapped_missing_bytes == 100 - max(0, snap - 54)


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_multipath_tcp_is_named(run: Run, sides: tuple[int, ...]) -> None:
    capable = b"\1\1\1\x1e\x0c\1\0" + bytes(9)
    frames = []
    for side, (seq, ack, flags) in enumerate(((1000, 0, SYN), (5000, 1001, SYN | ACK))):
        (src, sport), (dst, dport) = ((CLIENT, 5), (SERVER, 80))[:: -1 if side else 1]
        options = capable if side in sides else b"\2\4\5\xb4"
        frames.append((side, ethernet(ipv4_packet(src, dst, tcp_header(sport, dport, seq, ack, flags, options)))))
    frames.append((5, tcp_frame(CLIENT, 5, SERVER, 80, 1001, 5001, ACK, b"x")))
    for packets in (8192, 1):
        ran = run(pcap(frames), replace(Limits(), block_packets=packets))
        # who answers without it has declined
        assert ran.of("connection")[0]["multipath"] is (1 in sides)
        assert ran.summary.tcp.multipath_connections == (1 in sides)
        assert any("Multipath TCP (MP_CAPABLE)" in line for line in ran.summary.advice) is (1 in sides)
    alone = run(pcap(frames[:1]))
    assert alone.of("connection")[0]["multipath"] is (0 in sides)


@given(st.binary(max_size=40))
def test_options_raise_for_nothing(run: Run, options: bytes) -> None:
    run(pcap([(0, ethernet(ipv4_packet(CLIENT, SERVER, tcp_header(5, 80, 1000, 0, SYN, options))))]))
