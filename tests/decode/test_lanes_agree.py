"""The column lane and the slow lane (dpkt) agree on every row that both understand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.formats import open_capture
from pcapflow.capture.source import open_source
from pcapflow.decode import columns, slow
from pcapflow.decode.segments import DecodeCounts, SegmentColumns
from pcapflow.limits import Limits
from tests import craft
from tests.craft import ACK, ethernet, ipv4_packet, ipv6_packet, pcap, tcp_header
from tests.decode.tunnelled import TUNNELS, wrap

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))


def blocks(path: Path) -> list[PacketBlock]:
    source = open_source(str(path))
    found = []
    for block in open_capture(source, Limits(), Ledger(Limits())).blocks(1, Limits()):
        found.append(PacketBlock(bytearray(block.buffer), block.offsets, block.caplen, block.wirelen, block.ts, block.first_packet, block.link_type))
    source.close()
    return found


def both(block: PacketBlock) -> tuple[SegmentColumns, DecodeCounts, SegmentColumns, DecodeCounts]:
    fast_counts, slow_counts = DecodeCounts(), DecodeCounts()
    fast = columns.decode(block, fast_counts)
    rows = slow.decode_rows(block, np.arange(len(block)), slow_counts)
    slow_counts.tcp = len(rows)
    slow_counts.packets = len(block)
    slow_counts.snapped = fast_counts.snapped
    return fast, fast_counts, rows, slow_counts


def agree(block: PacketBlock) -> SegmentColumns:
    fast, fast_counts, rows, slow_counts = both(block)
    assert fast_counts == slow_counts
    for name in SegmentColumns.__slots__:
        np.testing.assert_array_equal(getattr(fast, name), getattr(rows, name), err_msg=name)
    end = block.offsets + block.caplen
    assert (fast.payload_at + fast.payload_len <= end[fast.row]).all()
    return fast


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_they_agree_on_real_packets(path: Path) -> None:
    assert SAMPLES
    for block in blocks(path):
        agree(block)


frames = st.builds(
    lambda vlans, v6, options, tcp_options, data, pad, cut, spoil, around: _frame(vlans, v6, options, tcp_options, data, pad, cut, spoil, around),
    st.lists(st.integers(0, 4095), max_size=3),
    st.booleans(),
    st.binary(max_size=12),
    st.binary(max_size=12),
    st.binary(max_size=40),
    st.integers(0, 20),
    st.none() | st.integers(0, 220),
    st.none() | st.tuples(st.integers(0, 160), st.integers(0, 255)),
    st.lists(st.sampled_from([*TUNNELS, "plain udp"]), max_size=6),
)


def _frame(vlans: list[int], v6: bool, options: bytes, tcp_options: bytes, data: bytes, pad: int, cut: int | None, spoil: tuple[int, int] | None, around: list[str]) -> tuple[int, bytes, int]:
    segment = tcp_header(1, 2, 3, 4, ACK, tcp_options) + data
    packet = ipv6_packet(bytes(16), b"\1" * 16, segment) if v6 else ipv4_packet("1.2.3.4", "5.6.7.8", segment, options=options + b"\1" * (-len(options) % 4))
    for i, kind in enumerate(around):
        packet = wrap(kind, packet, number=i + 1, v6=bool(i % 2))
    frame = ethernet(packet, 0x86DD if packet[0] >> 4 == 6 else 0x0800, vlans)
    raw = bytearray(frame + bytes(pad))
    if spoil is not None and spoil[0] < len(raw):
        raw[spoil[0]] = spoil[1]
    return 0, bytes(raw[:cut]), len(raw)


@given(st.lists(frames, min_size=1, max_size=8))
def test_they_agree_on_random_packets(tmp_path_factory: pytest.TempPathFactory, packets: list[tuple[int, bytes, int]]) -> None:
    path = tmp_path_factory.mktemp("lanes") / "x.pcap"
    path.write_bytes(pcap(packets))
    for block in blocks(path):
        agree(block)


def decoded(tmp_path: Path, *packets: tuple[int, bytes] | tuple[int, bytes, int], link: int = 1) -> tuple[SegmentColumns, DecodeCounts, PacketBlock]:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(packets, link=link))
    (block,) = blocks(path)
    counts = DecodeCounts()
    return columns.decode(block, counts), counts, block


def payloads(found: SegmentColumns, block: PacketBlock) -> list[bytes]:
    return [bytes(block.buffer[a : a + n]) for a, n in zip(found.payload_at.tolist(), found.payload_len.tolist(), strict=True)]


SEGMENT = tcp_header(1, 2, 3, 4, ACK)


def test_ethernet_padding_is_not_payload(tmp_path: Path) -> None:
    found, _, block = decoded(tmp_path, (0, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"ab")) + bytes(18)))
    assert payloads(found, block) == [b"ab"]


def test_a_snapped_tail_is_counted_and_not_invented(tmp_path: Path) -> None:
    frame = ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"abcdef"))
    found, counts, block = decoded(tmp_path, (0, frame[:-4], len(frame)), (1, frame))
    assert payloads(found, block) == [b"ab", b"abcdef"]
    assert found.snapped.tolist() == [4, 0]
    assert counts.snapped == 1


def test_an_offloaded_segment_without_a_total_length_is_taken_whole(tmp_path: Path) -> None:
    frame = ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"abc", total=0))
    found, _, block = decoded(tmp_path, (0, frame))
    assert payloads(found, block) == [b"abc"]


def test_a_length_that_reaches_into_the_next_record_is_clipped(tmp_path: Path) -> None:
    lying = ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"abc", total=1000))
    found, _, block = decoded(tmp_path, (0, lying), (1, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"next"))))
    assert payloads(found, block) == [b"abc", b"next"]
    assert found.snapped[0] == 1000 - 43


@pytest.mark.parametrize("vlans", [[], [7], [7, 8], [7, 8, 9]])
def test_vlan_ids_are_part_of_the_key(tmp_path: Path, vlans: list[int]) -> None:
    from pcapflow.decode.segments import vlan_ids

    found, _, block = decoded(tmp_path, (0, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"x"), vlans=vlans)))
    assert vlan_ids(int(found.tag[0])) == vlans[:2]
    assert payloads(found, block) == [b"x"]


def test_ipv6_extension_headers_go_through_the_slow_lane(tmp_path: Path) -> None:
    hop_by_hop = bytes([60, 0, 1, 4, 0, 0, 0, 0])
    destination = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    packet = ipv6_packet(bytes(16), b"\1" * 16, hop_by_hop + destination + SEGMENT + b"x", proto=0)
    found, counts, block = decoded(tmp_path, (0, ethernet(packet, 0x86DD)))
    assert payloads(found, block) == [b"x"]
    assert counts.tcp == 1


IPV4 = ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"x")
IPV6 = ipv6_packet(bytes(16), b"\1" * 16, SEGMENT + b"x")


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (101, IPV4),
        (101, IPV6),
        (12, IPV4),
        (228, IPV4),
        (229, IPV6),
        (0, struct.pack("<I", 2) + IPV4),
        (0, struct.pack(">I", 30) + IPV6),
        (108, struct.pack(">I", 2) + IPV4),
        (113, bytes(14) + b"\x08\x00" + IPV4),
        (276, b"\x86\xdd" + bytes(18) + IPV6),
        (9, b"\xff\x03\x00\x21" + IPV4),
        (104, b"\x0f\x00\x08\x00" + IPV4),
        (1, ethernet(struct.pack(">I", 0x100) + IPV4, 0x8847)),
        (1, ethernet(b"\x11\x00\x00\x01\x00\x00\x00\x21" + IPV4, 0x8864)),
    ],
)
def test_other_link_layers_reach_tcp(tmp_path: Path, link: int, frame: bytes) -> None:
    found, counts, block = decoded(tmp_path, (0, frame), link=link)
    assert payloads(found, block) == [b"x"]
    assert counts.tcp == 1


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", bytes(8), proto=17)), "udp"),
        (ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", bytes(8), proto=1)), "other"),
        (ethernet(bytes(28), 0x0806), "other"),
        (ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT, frag=0x2000)), "other"),
        (ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT[:12])), "malformed"),
        (ethernet(b"\x45\x00\x00"), "malformed"),
        (b"\x00\x01", "malformed"),
        (b"", "malformed"),
    ],
)
def test_each_packet_is_under_one_count(tmp_path: Path, frame: bytes, kind: str) -> None:
    _, counts, block = decoded(tmp_path, (0, frame))
    assert getattr(counts, kind) == 1
    assert counts.tcp == 0
    agree(block)


def test_an_unknown_link_type_is_counted(tmp_path: Path) -> None:
    _, counts, _ = decoded(tmp_path, (0, b"anything"), link=249)
    assert counts.unsupported_link == 1


def test_the_craft_used_here_is_sound() -> None:
    import dpkt

    packet = dpkt.ethernet.Ethernet(craft.tcp_frame("1.2.3.4", 5, "6.7.8.9", 10, 11, 12, ACK, b"data"))
    assert packet.data.data.data == b"data"
    assert packet.data.data.seq == 11
