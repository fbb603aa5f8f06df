"""The column lane: Ethernet, Linux cooked, raw IP and loopback frames with up to two VLAN tags, IPv4, IPv6 without extension headers, TCP with any
options.

Contract: takes a `PacketBlock`, returns `SegmentColumns` and adds to `DecodeCounts`. Rows that the lane does not
understand go to `slow.decode_row` and come back as rows of the same columns. It refuses nothing and raises for nothing
that the wire said. Invariant: on rows that both lanes understand they agree (tests/decode/test_lanes_agree.py).

How: every header is gathered with one numpy take through a view in which each byte of the buffer begins a row. The
buffer is padded, so a gather at a packet's end reads zeros or the next record; rows too short for their header are
masked before a value of theirs is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock
from pcapflow.decode import slow
from pcapflow.decode.segments import IPV6_TAG, DecodeCounts, SegmentColumns

_IPV4, _IPV6, _VLAN, _QINQ, _QINQ_OLD = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100
_TCP, _UDP = 6, 17
_NEITHER = frozenset((1, 2, 47, 50, 51, 58, 89, 103, 112, 132))
"""IP protocols that are packets of their own and hold no TCP that this version looks for (ICMP, IGMP, GRE, ESP, ...)."""
_FRAGMENT_BITS = 0x3FFF
"""More-fragments and the offset of an IPv4 header."""

_TAG = np.dtype([("tci", ">u2"), ("type", ">u2")])
_IP4 = np.dtype(
    {
        "names": ["vihl", "total", "frag", "proto", "src", "dst"],
        "formats": ["u1", ">u2", ">u2", "u1", ">u4", ">u4"],
        "offsets": [0, 2, 6, 9, 12, 16],
        "itemsize": 20,
    }
)
_IP6 = np.dtype(
    {
        "names": ["version", "length", "next", "src_hi", "src_lo", "dst_hi", "dst_lo"],
        "formats": ["u1", ">u2", "u1", ">u8", ">u8", ">u8", ">u8"],
        "offsets": [0, 4, 6, 8, 16, 24, 32],
        "itemsize": 40,
    }
)
_TCP_HEAD = np.dtype(
    {
        "names": ["sport", "dport", "seq", "ack", "off", "flags"],
        "formats": [">u2", ">u2", ">u4", ">u4", "u1", "u1"],
        "offsets": [0, 2, 4, 8, 12, 13],
        "itemsize": 20,
    }
)

_I64 = npt.NDArray[np.int64]


def _gather(buffer: bytearray, at: _I64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    rows = np.ndarray((len(buffer) - dtype.itemsize + 1,), dtype=f"V{dtype.itemsize}", buffer=buffer, strides=(1,))
    return rows[at].view(dtype)


# --- link layers: where the network layer begins, and its EtherType; 0 where this lane does not know


def _ethertype_at(offset: int, size: int) -> Callable[[bytearray, _I64], tuple[_I64, _I64]]:
    """A header of so many bytes with an EtherType at that offset."""

    def lane(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
        return _gather(buffer, at + offset, np.dtype(">u2")).astype(np.int64), at + size

    return lane


def _raw(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
    version = _gather(buffer, at, np.dtype("u1")) >> 4
    return np.where(version == 4, _IPV4, np.where(version == 6, _IPV6, 0)).astype(np.int64), at


def _family(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
    """BSD loopback: the address family in the byte order of the machine that captured."""
    family = _gather(buffer, at, np.dtype("<u4"))
    family = np.where(family > 0xFFFF, family.byteswap(), family)
    return np.where(family == 2, _IPV4, np.where(np.isin(family, (10, 24, 28, 30)), _IPV6, 0)).astype(np.int64), at + 4


_LANES: dict[int, tuple[int, Callable[[bytearray, _I64], tuple[_I64, _I64]]]] = {
    0: (4, _family),
    1: (14, _ethertype_at(12, 14)),
    12: (1, _raw),
    14: (1, _raw),
    101: (1, _raw),
    108: (4, _family),
    113: (16, _ethertype_at(14, 16)),
    228: (1, _raw),
    229: (1, _raw),
    276: (20, _ethertype_at(0, 20)),
}
"""LINKTYPE number to the bytes that a frame must have, and how the network layer is found in it."""

LINK_TYPES = frozenset(_LANES)


def decode(block: PacketBlock, counts: DecodeCounts) -> SegmentColumns:
    """The TCP segments of a block; what else it held is added to counts."""
    n = len(block)
    counts.packets += n
    counts.snapped += int(np.count_nonzero(block.caplen < block.wirelen))
    taken = np.zeros(n, dtype=bool)
    parts: list[SegmentColumns] = []
    if block.link_types is None:
        parts += _frames(block, block.link_type, np.arange(n), taken, counts)
    else:
        for link_type in np.unique(block.link_types).tolist():
            parts += _frames(block, link_type, np.flatnonzero(block.link_types == link_type), taken, counts)
    return _finish(block, parts, np.flatnonzero(~taken), counts)


def _frames(block: PacketBlock, link_type: int, rows: _I64, taken: npt.NDArray[np.bool_], counts: DecodeCounts) -> list[SegmentColumns]:
    """The segments among rows of one link type. Marks the rows that are done with."""
    known = _LANES.get(link_type)
    if known is None:
        return []
    shortest, lane = known
    buffer, at = block.buffer, block.offsets[rows]
    end = at + block.caplen[rows]
    kind, l3 = lane(buffer, at)
    kind = np.where(at + shortest <= end, kind, 0)
    tag = np.zeros(len(rows), dtype=np.uint64)
    for shift in (1, 14):
        tagged = np.flatnonzero((kind == _VLAN) | (kind == _QINQ) | (kind == _QINQ_OLD))
        if not len(tagged):
            break
        tags = _gather(buffer, np.minimum(l3[tagged], end[tagged]), _TAG)
        tag[tagged] |= ((tags["tci"] & 0xFFF) | 0x1000).astype(np.uint64) << np.uint64(shift)
        kind[tagged] = np.where(l3[tagged] + 4 <= end[tagged], tags["type"], 0)
        l3 = l3.copy()
        l3[tagged] += 4
    parts: list[SegmentColumns] = []
    for ethertype, size, network in ((_IPV4, 20, _ipv4), (_IPV6, 40, _ipv6)):
        those = (kind == ethertype) & (l3 + size <= end)
        if those.all():
            parts.append(network(block, rows, l3, end, tag, taken, counts))
        elif those.any():
            parts.append(network(block, rows[those], l3[those], end[those], tag[those], taken, counts))
    return parts


def _ipv4(
    block: PacketBlock, rows: _I64, l3: _I64, end: _I64, tag: npt.NDArray[np.uint64], taken: npt.NDArray[np.bool_], counts: DecodeCounts
) -> SegmentColumns:
    head = _gather(block.buffer, l3, _IP4)
    vihl = head["vihl"].astype(np.int64)
    size = (vihl & 15) * 4
    total = head["total"].astype(np.int64)
    total = np.where(total == 0, block.offsets[rows] + block.wirelen[rows] - l3, total)  # offloaded: the frame says it
    proto = head["proto"]
    plain = (vihl >> 4 == 4) & (size >= 20) & (total >= size) & ((head["frag"] & _FRAGMENT_BITS) == 0)
    _count_rest(rows, plain, proto, taken, counts)
    tcp = plain & (proto == _TCP)
    if not tcp.all():
        keep = np.flatnonzero(tcp)
        rows, head, size, total, l3, end, tag = rows[keep], head[keep], size[keep], total[keep], l3[keep], end[keep], tag[keep]
    zero = np.zeros(len(rows), dtype=np.uint64)
    addresses = (zero, head["src"].astype(np.uint64), zero, head["dst"].astype(np.uint64))
    return _tcp(block, rows, l3 + size, l3 + total, end, addresses, tag, taken)


def _ipv6(
    block: PacketBlock, rows: _I64, l3: _I64, end: _I64, tag: npt.NDArray[np.uint64], taken: npt.NDArray[np.bool_], counts: DecodeCounts
) -> SegmentColumns:
    head = _gather(block.buffer, l3, _IP6)
    total = head["length"].astype(np.int64) + 40
    total = np.where(total == 40, block.offsets[rows] + block.wirelen[rows] - l3, total)
    proto = head["next"]
    plain = head["version"] >> 4 == 6
    _count_rest(rows, plain, proto, taken, counts)
    keep = np.flatnonzero(plain & (proto == _TCP))
    rows, head, total, l3, end, tag = rows[keep], head[keep], total[keep], l3[keep], end[keep], tag[keep]
    addresses = tuple(head[name].astype(np.uint64) for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"))
    return _tcp(block, rows, l3 + 40, l3 + total, end, addresses, tag | np.uint64(IPV6_TAG), taken)


def _count_rest(rows: _I64, plain: npt.NDArray[np.bool_], proto: npt.NDArray[np.uint8], taken: npt.NDArray[np.bool_], counts: DecodeCounts) -> None:
    """Counts UDP and the protocols that are neither, and takes their rows off the slow lane."""
    if (plain & (proto == _TCP)).all():
        return
    udp = plain & (proto == _UDP)
    counts.udp += int(np.count_nonzero(udp))
    other = plain & np.isin(proto, list(_NEITHER))
    counts.other += int(np.count_nonzero(other))
    taken[rows[udp | other]] = True


def _tcp(
    block: PacketBlock,
    rows: _I64,
    l4: _I64,
    wire_end: _I64,
    end: _I64,
    addresses: tuple[npt.NDArray[np.uint64], ...],
    tag: npt.NDArray[np.uint64],
    taken: npt.NDArray[np.bool_],
) -> SegmentColumns:
    """Rows whose TCP header is whole; the others stay for the slow lane. l4: where the header begins; wire_end: where IP says that the packet ends."""
    head = _gather(block.buffer, np.minimum(l4, end), _TCP_HEAD)
    size = (head["off"] >> 4).astype(np.int64) * 4
    payload = l4 + size
    captured_end = np.minimum(wire_end, end)
    good = (size >= 20) & (payload <= captured_end)
    if not good.all():
        keep = np.flatnonzero(good)
        rows, head, size, payload, captured_end, wire_end, tag = (
            rows[keep], head[keep], size[keep], payload[keep], captured_end[keep], wire_end[keep], tag[keep],
        )  # fmt: skip
        addresses = tuple(a[keep] for a in addresses)
    taken[rows] = True
    return SegmentColumns(
        packet=rows + block.first_packet,
        row=rows,
        seq=head["seq"].astype(np.int64),
        ack=head["ack"].astype(np.int64),
        flags=head["flags"].astype(np.int64),
        options=size - 20,
        payload_at=payload,
        payload_len=captured_end - payload,
        snapped=wire_end - captured_end,
        src_hi=addresses[0],
        src_lo=addresses[1],
        dst_hi=addresses[2],
        dst_lo=addresses[3],
        sport=head["sport"].astype(np.int64),
        dport=head["dport"].astype(np.int64),
        tag=tag,
    )


def _finish(block: PacketBlock, parts: list[SegmentColumns], rest: _I64, counts: DecodeCounts) -> SegmentColumns:
    """Sends the rest through the slow lane and puts all rows in packet order."""
    if len(rest):
        parts.append(slow.decode_rows(block, rest, counts))
    if len(parts) == 1:
        columns = parts[0]
    elif not parts:
        columns = slow.decode_rows(block, rest, counts)
    else:
        columns = SegmentColumns(*(np.concatenate([getattr(p, name) for p in parts]) for name in SegmentColumns.__slots__))
        columns = columns.take(np.argsort(columns.packet, kind="stable"))
    counts.tcp += len(columns)
    return columns
