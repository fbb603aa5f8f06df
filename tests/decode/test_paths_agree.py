"""The column path and the slow path (dpkt) agree on every row that both understand."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.formats import open_capture
from pcapflow.capture.source import open_source
from pcapflow.decode import columns, dpkt_path
from pcapflow.decode.options import mark_multipath
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
        found.append(structs.replace(block, buffer=bytearray(block.buffer)))
    source.close()
    return found


def both(block: PacketBlock) -> tuple[SegmentColumns, DecodeCounts, SegmentColumns, DecodeCounts]:
    fast_counts, slow_counts = DecodeCounts(), DecodeCounts()
    fast = columns.decode(block, fast_counts)
    rows = dpkt_path.decode_rows(block, np.arange(len(block)), slow_counts)
    mark_multipath(block.buffer, rows)
    slow_counts.tcp = len(rows)
    slow_counts.packets = len(block)
    slow_counts.snapped = fast_counts.snapped
    slow_counts.bytes = fast_counts.bytes
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
    lambda vlans, v6, options, tcp_options, data, pad, cut, spoil, around: _frame(
        vlans, v6, options, tcp_options, data, pad, cut, spoil, around
    ),
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


def _frame(
    vlans: list[int],
    v6: bool,
    options: bytes,
    tcp_options: bytes,
    data: bytes,
    pad: int,
    cut: int | None,
    spoil: tuple[int, int] | None,
    around: list[str],
) -> tuple[int, bytes, int]:
    segment = tcp_header(1, 2, 3, 4, ACK, tcp_options) + data
    packet = (
        ipv6_packet(bytes(16), b"\1" * 16, segment)
        if v6
        else ipv4_packet("1.2.3.4", "5.6.7.8", segment, options=options + b"\1" * (-len(options) % 4))
    )
    for i, kind in enumerate(around):
        packet = wrap(kind, packet, number=i + 1, v6=bool(i % 2))
    frame = ethernet(packet, 0x86DD if packet[0] >> 4 == 6 else 0x0800, vlans)
    raw = bytearray(frame + bytes(pad))
    if spoil is not None and spoil[0] < len(raw):
        raw[spoil[0]] = spoil[1]
    return 0, bytes(raw[:cut]), len(raw)


@given(st.lists(frames, min_size=1, max_size=8))
def test_they_agree_on_random_packets(tmp_path_factory: pytest.TempPathFactory, packets: list[tuple[int, bytes, int]]) -> None:
    path = tmp_path_factory.mktemp("paths") / "x.pcap"
    path.write_bytes(pcap(packets))
    for block in blocks(path):
        agree(block)


plain_frames = st.builds(
    lambda tcp_options, data, pad, cut, spoil: _frame([], False, b"", tcp_options, data, pad, cut, spoil, []),
    st.binary(max_size=12),
    st.binary(max_size=40),
    st.integers(0, 20),
    st.none() | st.integers(10, 110),
    st.none() | st.tuples(st.integers(12, 56), st.integers(0, 255)),
)


@given(st.lists(plain_frames, min_size=1, max_size=3))
def test_they_agree_on_packets_that_are_taken_at_once(
    tmp_path_factory: pytest.TempPathFactory, packets: list[tuple[int, bytes, int]]
) -> None:
    path = tmp_path_factory.mktemp("paths") / "x.pcap"
    path.write_bytes(pcap(packets))
    for block in blocks(path):
        agree(block)


@pytest.mark.parametrize("at", range(12, 56))
@pytest.mark.parametrize("value", [0, 1, 0x20, 0x45, 0x46, 0xFF])
def test_they_agree_whatever_one_byte_of_the_headers_is(tmp_path: Path, at: int, value: int) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(
        pcap([_frame([], False, b"", b"", b"data", 0, None, (at, value), []), _frame([], False, b"", b"", b"", 6, None, None, [])])
    )
    for block in blocks(path):
        agree(block)


def decoded(
    tmp_path: Path, *packets: tuple[int, bytes] | tuple[int, bytes, int], link: int = 1
) -> tuple[SegmentColumns, DecodeCounts, PacketBlock]:
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


def test_ipv6_extension_headers_go_through_the_slow_path(tmp_path: Path) -> None:
    hop_by_hop = bytes([60, 0, 1, 4, 0, 0, 0, 0])
    destination = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    packet = ipv6_packet(bytes(16), b"\1" * 16, hop_by_hop + destination + SEGMENT + b"x", proto=0)
    found, counts, block = decoded(tmp_path, (0, ethernet(packet, 0x86DD)))
    assert payloads(found, block) == [b"x"]
    assert counts.tcp == 1


IPV4 = ipv4_packet("1.1.1.1", "2.2.2.2", SEGMENT + b"x")
IPV6 = ipv6_packet(bytes(16), b"\1" * 16, SEGMENT + b"x")
AH = b"\x06\x04" + bytes(22)
"""An authentication header (RFC 4302) before TCP."""
SNAP = b"\xaa\xaa\x03\0\0\0"
RADIOTAP = struct.pack("<BBHI", 0, 0, 13, 0x8000_0000) + bytes(5)
"""Two words of what is present, and nothing of it but a byte that nobody described."""
PADDED = struct.pack("<BBHI", 0, 0, 17, 3) + bytes(8) + b"\x20"
"""A time, and flags that say that the body is padded to a multiple of four."""


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
        (1, ethernet(SNAP + b"\x08\x00" + IPV4, 60)),
        (1, ethernet(bytes(4) + ethernet(IPV4), 0x88E7)),
        (51, b"\x11\x00\x00\x01\x00\x00\x00\x57" + IPV6),
        (50, b"\x00\x21" + IPV4),
        (204, b"\x01\xff\x03\x00\x21" + IPV4),
        (166, b"\x00\x00\x21" + IPV4),
        (100, SNAP + b"\x08\x00" + IPV4),
        (107, b"\x18\x41\x03\xcc" + IPV4),
        (107, b"\x18\x41\x86\xdd" + IPV6),
        (226, b"\x01\x02" + bytes(22) + IPV4),
        (226, b"\x01\x1a" + bytes(22) + IPV6),
        (107, b"\x18\x41\x03\x00\x80\0\0\0\x86\xdd" + IPV6),
        (105, b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + IPV4),
        (105, b"\x88\x03" + bytes(28) + b"\0\0" + SNAP + b"\x86\xdd" + IPV6),
        (105, b"\x88\x81" + bytes(22) + b"\0\0" + bytes(4) + SNAP + b"\x08\x00" + IPV4),
        (127, RADIOTAP + b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + IPV4),
        (127, PADDED + b"\x88\x01" + bytes(22) + b"\0\0" + b"\0\0" + SNAP + b"\x08\x00" + IPV4),
        (119, struct.pack("<II", 0x44, 144) + bytes(136) + b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + IPV4),
        (119, struct.pack(">II", 0x80211001, 64) + bytes(56) + b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + IPV4),
        (163, struct.pack(">II", 0x80211001, 64) + bytes(56) + b"\x08\x01" + bytes(22) + SNAP + b"\x08\x00" + IPV4),
        (258, struct.pack("<III", 108, 1, 1) + bytes(96) + ethernet(IPV4)),
        (258, struct.pack("<III", 108, 1, 0) + bytes(96) + struct.pack("<I", 30) + IPV6),
        (239, b"\x02\0\0\x05" + struct.pack("<HH", 7, 10) + b"abc\0" + struct.pack("<HH", 4 + len(IPV4), 9) + IPV4),
        (239, b"\x0a\0\0\x05" + struct.pack("<HH", 4 + len(IPV6), 9) + IPV6),
        (242, bytes(40) + b"\x08\x00\0\0" + IPV4),
        (9, b"\x0f\x00\x08\x00" + IPV4),
        (9, b"\xff\x03\x02\x81" + struct.pack(">I", 0x100) + IPV4),
        (1, ethernet(b"\0\1" + ethernet(IPV4), 0x8903)),
        (1, ethernet(ipv4_packet("9.9.9.9", "8.8.8.8", b"\0\0\x88\x3e" + bytes(4) + IPV4, proto=47))),
        (117, b"\x3d\x02" + bytes(62) + IPV4),
        (109, struct.pack("<III", 2, 9, 0) + IPV4),
        (1, ethernet(ipv4_packet("1.1.1.1", "2.2.2.2", AH + SEGMENT + b"x", proto=51))),
        (1, ethernet(ipv6_packet(bytes(16), b"\1" * 16, AH + SEGMENT + b"x", proto=51), 0x86DD)),
    ],
)
def test_other_link_layers_reach_tcp(tmp_path: Path, link: int, frame: bytes) -> None:
    found, counts, block = decoded(tmp_path, (0, frame), link=link)
    assert payloads(found, block) == [b"x"]
    assert counts.tcp == counts.ip == 1
    agree(block)


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


@pytest.mark.parametrize("link", sorted(dpkt_path.SUPPORTED_LINK_TYPES))
@given(frame=st.binary(max_size=120), what=st.sampled_from([b"", IPV4, IPV6, ethernet(IPV4)]), at=st.integers(0, 120))
def test_no_frame_of_any_link_type_raises(link: int, frame: bytes, what: bytes, at: int) -> None:
    frame = frame[:at] + what + frame[at:]
    packet = dpkt_path.decode_packet(frame, len(frame), link)
    assert packet.kind in ("tcp", "udp", "other", "malformed")
    assert packet.payload_at + packet.payload_len <= len(frame)


@pytest.mark.parametrize(
    "around", [lambda frame: ethernet(bytes(4) + frame, 0x88E7), lambda frame: ethernet(SNAP + b"\0\x10" + SNAP + b"\x65\x58" + frame, 60)]
)
def test_frames_in_frames_end_somewhere(around: Callable[[bytes], bytes]) -> None:
    frame = ethernet(IPV4)
    for _ in range(500):
        frame = around(frame)
    assert dpkt_path.decode_packet(frame, len(frame), 1).kind in ("malformed", "other")


def test_what_a_wireless_frame_hides_is_other(tmp_path: Path) -> None:
    body = bytes(22) + SNAP + b"\x08\x00" + IPV4
    hidden = [b"\x08\x41" + body, b"\x48\x01" + body, b"\x80\x00" + body, b"\xd8\x01" + body]
    _, counts, _ = decoded(tmp_path, *((i, frame) for i, frame in enumerate(hidden)), link=105)
    assert counts.other == len(hidden)


def test_an_unknown_link_type_is_counted(tmp_path: Path) -> None:
    _, counts, _ = decoded(tmp_path, (0, b"anything"), link=249)
    assert counts.unsupported_link == 1


def test_the_craft_used_here_is_sound() -> None:
    import dpkt

    packet = dpkt.ethernet.Ethernet(craft.tcp_frame("1.2.3.4", 5, "6.7.8.9", 10, 11, 12, ACK, b"data"))
    assert packet.data.data.data == b"data"
    assert packet.data.data.seq == 11
