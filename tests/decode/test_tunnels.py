"""Tunnels are opened: what they carry is decoded, their kind and id are part of a connection's key, and --tunnels off leaves them closed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.decode.tunnels import DEPTH_MAX, PORTS, PROTOCOLS, of_port, of_protocol
from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import Talk, ethernet, ipv6_packet, pcap, request, response, tcp_header
from tests.decode.tunnelled import TUNNELS, wrap

NAMES = {
    "ipip": "ipip", "6in4": "6in4", "gre": "gre", "gre with a key": "gre", "gre of frames": "gre", "erspan 1": "erspan", "erspan 2": "erspan",
    "erspan 3": "erspan", "vxlan": "vxlan 42", "geneve": "geneve 42", "geneve of packets": "geneve 42", "gtp": "gtp", "teredo": "teredo",
}  # fmt: skip
TALK = Talk().open().send(0, request("/a")).send(1, response(b'{"ok":true}')).close()


def around(kind: str, frame: bytes, number: int = 42, *, v6: bool = False) -> bytes:
    """A frame of TALK within a tunnel; what must carry IPv6 carries its segment in IPv6."""
    packet = frame[14:]
    if kind in ("6in4", "teredo"):
        a, b = (bytes(15) + b"\1", bytes(15) + b"\2")
        packet = ipv6_packet(*((a, b) if packet[12:16] == b"\x0a\0\0\1" else (b, a)), packet[20:])
    packet = wrap(kind, packet, number=number, v6=v6)
    return ethernet(packet, 0x86DD if v6 else 0x0800)


@pytest.mark.parametrize("kind", TUNNELS)
@pytest.mark.parametrize("v6", [False, True])
def test_what_a_tunnel_carries_is_decoded(run: Run, kind: str, v6: bool) -> None:
    capture = pcap([(us, around(kind, frame, v6=v6)) for us, frame in TALK.frames])
    for limits in (Limits(), replace(Limits(), block_packets=2)):
        ran = run(capture, limits)
        (connection,) = ran.of("connection")
        assert connection["tunnel"] == NAMES[kind]
        assert connection["end"] == "fin"
        (exchange,) = ran.of("http")
        assert exchange["response"]["body"]["json"]["status"] == "complete"
        assert ran.summary.decode.tcp == len(TALK.frames)


@pytest.mark.parametrize("kind", TUNNELS)
def test_tunnels_may_be_left_closed(run: Run, kind: str) -> None:
    ran = run(pcap([(us, around(kind, frame)) for us, frame in TALK.frames]), tunnels=False)
    decode = ran.summary.decode
    assert decode.tcp == 0
    assert decode.udp + decode.other == len(TALK.frames)
    assert (decode.udp > 0) is (kind in ("vxlan", "geneve", "geneve of packets", "gtp", "teredo"))


def talk(isn: int) -> Talk:
    return Talk(isn=(isn, isn + 4000)).open().send(0, request("/a")).send(1, response(b'{"ok":true}')).close()


@pytest.mark.parametrize("kind", ["vxlan", "geneve"])
def test_the_same_addresses_in_two_tunnels_are_two_connections(run: Run, kind: str) -> None:
    frames = [(us, around(kind, frame, number)) for number in (1, 2) for us, frame in talk(number * 100_000_000).frames]
    ran = run(pcap(sorted(frames + [(us, frame) for us, frame in TALK.frames], key=lambda f: f[0])))
    assert sorted(str(c["tunnel"]) for c in ran.of("connection")) == sorted([f"{kind} 1", f"{kind} 2", "None"])
    assert len(ran.of("http")) == 3


@pytest.mark.parametrize("kind", ["gre with a key", "erspan 2", "erspan 3"])
def test_keys_of_gre_and_sessions_of_erspan_are_labels_that_may_differ_by_direction(run: Run, kind: str) -> None:
    frames = [(us, around(kind, frame, 1 + (frame[34:36] == b"\0\x50"))) for us, frame in TALK.frames]
    (connection,) = run(pcap(frames)).of("connection")
    assert (connection["tunnel"], connection["end"]) == (NAMES[kind], "fin")


def test_both_directions_of_a_gtp_tunnel_are_one_connection(run: Run) -> None:
    """Its ids differ by direction."""
    frames = [(us, around("gtp", frame, 1 + (frame[34:36] == b"\0\x50"))) for us, frame in TALK.frames]
    (connection,) = run(pcap(frames)).of("connection")
    assert connection["end"] == "fin"


def test_tunnels_in_tunnels_are_opened_to_a_depth(run: Run) -> None:
    def deep(frame: bytes, depth: int) -> bytes:
        packet = frame[14:]
        for i in range(depth):
            packet = wrap("vxlan" if i % 2 else "geneve", packet, number=i + 1)
        return ethernet(packet)

    for depth, tcp in ((DEPTH_MAX, len(TALK.frames)), (DEPTH_MAX + 1, 0)):
        ran = run(pcap([(us, deep(frame, depth)) for us, frame in TALK.frames]))
        assert (ran.summary.decode.tcp, ran.summary.decode.udp) == (tcp, len(TALK.frames) - tcp)


def test_what_only_looks_like_a_tunnel_is_a_packet_of_its_own(run: Run) -> None:
    from tests.craft import ipv4_packet
    from tests.decode.tunnelled import udp

    frames = [(i, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", udp(port, b"\0" * 40), proto=17))) for i, port in enumerate(sorted(PORTS))]
    frames.append((9, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", tcp_header(4789, 4789, 1, 1, 16) + b"x"))))
    decode = run(pcap(frames)).summary.decode
    assert (decode.udp, decode.tcp, decode.malformed) == (len(PORTS), 1, 0)


@given(st.sampled_from(sorted(PORTS)), st.sampled_from(sorted(PROTOCOLS)), st.binary(max_size=60), st.integers(0, 30))
def test_headers_of_tunnels_raise_for_nothing(port: int, protocol: int, frame: bytes, at: int) -> None:
    for opened in (of_port(port, frame, at), of_protocol(protocol, frame, at)):
        assert opened is None or opened.at >= at
