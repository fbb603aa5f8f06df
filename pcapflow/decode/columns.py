"""The column path: Ethernet, Linux cooked, raw IP and loopback frames with up to two VLAN tags, IPv4, IPv6 without extension headers, TCP with any
options.

Contract: takes a `PacketBlock`, returns `SegmentColumns` and adds to `DecodeCounts`. Rows that the path does not
understand go to `dpkt_path.decode_row` and come back as rows of the same columns. It refuses nothing and raises for nothing
that the wire said. Invariant: on rows that both paths understand they agree (tests/decode/test_paths_agree.py).

How: every header is gathered with one numpy take through a view in which each byte of the buffer begins a row. The
buffer is padded, so a gather at a packet's end reads zeros or the next record; rows too short for their header are
masked before a value of theirs is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock, gather
from pcapflow.decode import dpkt_path, tunnels
from pcapflow.decode.fragments import Fragments
from pcapflow.decode.options import mark_multipath
from pcapflow.decode.segments import ACK, IPV6_TAG, RST, SYN, ZERO_WINDOW, DecodeCounts, SegmentColumns, tunnel_tag
from pcapflow.decode.unread import Kind, service_of

_IPV4, _IPV6, _VLAN, _QINQ, _QINQ_OLD = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100
_TCP, _UDP = 6, 17
_ETHERNET = 1
_NEITHER = frozenset((1, 2, 50, 58, 89, 103, 112, 132))
"""IP protocols that are packets of their own and hold no TCP that this version looks for (ICMP, IGMP, ESP, ...)."""
_FRAGMENT_BITS = 0x3FFF
"""More-fragments and the offset of an IPv4 header."""

_VNI = np.dtype({"names": ["flags", "type", "vni"], "formats": ["u1", ">u2", ">u4"], "offsets": [0, 2, 4], "itemsize": 8})
_TAG = np.dtype([("tci", ">u2"), ("type", ">u2")])
_IP4 = np.dtype(
    {
        "names": ["vihl", "total", "id", "frag", "proto", "src", "dst"],
        "formats": ["u1", ">u2", ">u2", ">u2", "u1", ">u4", ">u4"],
        "offsets": [0, 2, 4, 6, 9, 12, 16],
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
        "names": ["sport", "dport", "seq", "ack", "off", "flags", "window"],
        "formats": [">u2", ">u2", ">u4", ">u4", "u1", "u1", ">u2"],
        "offsets": [0, 2, 4, 8, 12, 13, 14],
        "itemsize": 20,
    }
)
_PLAIN = np.dtype(
    {
        "names": ["ip", "tcp", "total", "id", "src", "dst", "sport", "dport", "seq", "ack", "off", "flags", "window"],
        "formats": ["<u8", "<u8", ">u2", ">u2", ">u4", ">u4", ">u2", ">u2", ">u4", ">u4", "u1", "u1", "u2"],
        "offsets": [8, 16, 14, 16, 24, 28, 32, 34, 36, 40, 44, 45, 46],
        "itemsize": 48,
    }
)
"""Ethernet but for its first _PLAIN_FROM bytes, IPv4 and TCP: so that each field lies where numpy reads it fastest."""
_PLAIN_FROM = 2
_PLAIN_IP = np.uint64(0xFF_FFFF_0000), np.uint64(0x45_0008_0000)
"""Which bits of `ip` tell, and what they are: EtherType, version and a header without options."""
_PLAIN_TCP = np.uint64(0xFF00_FF3F_0000), np.uint64(0x0600_0000_0000)
"""The same of `tcp`: no fragment, and the protocol."""

_I64 = npt.NDArray[np.int64]
_U64 = npt.NDArray[np.uint64]


# --- link layers: where the network layer begins, and its EtherType; 0 where this path does not know


def _ethertype_at(offset: int, size: int) -> Callable[[bytearray, _I64], tuple[_I64, _I64]]:
    """A header of so many bytes with an EtherType at that offset."""

    def path(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
        return gather(buffer, at + offset, np.dtype(">u2")).astype(np.int64), at + size

    return path


def _raw(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
    version = gather(buffer, at, np.dtype("u1")) >> 4
    return np.where(version == 4, _IPV4, np.where(version == 6, _IPV6, 0)).astype(np.int64), at


def _family(buffer: bytearray, at: _I64) -> tuple[_I64, _I64]:
    """BSD loopback: the address family in the byte order of the machine that captured."""
    family = gather(buffer, at, np.dtype("<u4"))
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


class _Layer(NamedTuple):
    """Packets of which the network layer is next: their rows in the block; its EtherType and where it begins; where the captured bytes end, and
    where the packet did on the wire; what tells connections apart so far. int64 (n,), tags uint64 (n,). depth: tunnels that may still be opened.
    """

    rows: _I64
    kind: _I64
    at: _I64
    end: _I64
    wire: _I64
    tag: _U64
    tunnel: _U64
    depth: int

    def take(self, index: npt.NDArray[Any]) -> _Layer:
        """The packets at index."""
        rows, kind, at, end, wire, tag, tunnel, depth = self
        return _Layer(rows[index], kind[index], at[index], end[index], wire[index], tag[index], tunnel[index], depth)


class _Segments(NamedTuple):
    """Rows of which the TCP header is whole: the row of each in the block; its header, with the fields of `_TCP_HEAD`; where that begins and its size; where the captured
    bytes end, and the packet as IP says; what tells connections apart; IP identifications. (n,) each.
    """

    rows: _I64
    head: npt.NDArray[np.void]
    l4: _I64
    size: _I64
    captured_end: _I64
    wire_end: _I64
    tag: _U64
    tunnel: _U64
    ip_id: _I64


class _ColumnPath:
    """One block on its way through."""

    def __init__(self, block: PacketBlock, counts: DecodeCounts, *, open_tunnels: bool) -> None:
        self.block = block
        self.counts = counts
        self.open_tunnels = open_tunnels
        self.taken = np.zeros(len(block), dtype=bool)
        """Rows that are done with; the others are for the slow path."""
        self.short = 0
        """Rows of those that have no whole link header."""
        self.parts: list[SegmentColumns] = []
        self.inside: list[_Layer] = []
        """What tunnels carry."""

    def link(self, link_type: int, rows: _I64) -> None:
        """Frames of one link type."""
        known = _LANES.get(link_type)
        if known is None:
            return
        shortest, path = known
        at = self.block.offsets[rows]
        end = at + self.block.caplen[rows]
        if link_type == _ETHERNET and self._plain(rows, at, end):
            return
        short = at + shortest > end
        if short.any():
            self.short += int(np.count_nonzero(short))
            self.taken[rows[short]] = True
            rows, at, end = rows[~short], at[~short], end[~short]
            if not len(rows):
                return
        kind, l3 = path(self.block.buffer, at)
        none = np.zeros(len(rows), dtype=np.uint64)
        wire = at + self.block.wirelen[rows]
        self.network(_Layer(rows, kind, l3, end, wire, none, none, tunnels.DEPTH_MAX if self.open_tunnels else 0))

    def _plain(self, rows: _I64, at: _I64, end: _I64) -> bool:
        """Frames of Ethernet at once that all hold TCP in IPv4, without VLAN tags, IP options, fragments or lengths that say none: what the steps below would make
        of them with a gather and a test each. False, and nothing done, where one is anything else.
        """
        head = gather(self.block.buffer, at + _PLAIN_FROM, _PLAIN)
        for name, (telling, plain) in (("ip", _PLAIN_IP), ("tcp", _PLAIN_TCP)):
            if not ((head[name] & telling) == plain).all():
                return False
        total = head["total"].astype(np.int64)
        l4, wire_end = at + 34, at + 14 + total
        size = (head["off"] >> 4).astype(np.int64) << 2
        captured_end = np.minimum(wire_end, end)
        if size.min() < 20 or not total.all() or (l4 + 20 > captured_end).any() or (l4 + size > wire_end).any():
            return False
        none = np.zeros(len(rows), dtype=np.uint64)
        addresses = none, head["src"].astype(np.uint64), none, head["dst"].astype(np.uint64)
        self._add(_Segments(rows, head, l4, size, captured_end, wire_end, none, none, head["id"].astype(np.int64)), addresses)
        return True

    def network(self, layer: _Layer) -> None:
        """VLAN tags, then IP."""
        _, kind, at, end, _, tag, _, _ = layer
        for shift in (1, 14):
            tagged = np.flatnonzero((kind == _VLAN) | (kind == _QINQ) | (kind == _QINQ_OLD))
            if not len(tagged):
                break
            tags = gather(self.block.buffer, np.minimum(at[tagged], end[tagged]), _TAG)
            tag, kind, whole = tag.copy(), kind.copy(), at[tagged] + 4 <= end[tagged]
            tag[tagged] |= ((tags["tci"] & 0xFFF) | 0x1000).astype(np.uint64) << np.uint64(shift)
            kind[tagged] = np.where(whole, tags["type"], 0)
            at = at.copy()
            at[tagged] += 4
        layer = layer._replace(kind=kind, at=at, tag=tag)
        for ethertype, size, ip in ((_IPV4, 20, self.ipv4), (_IPV6, 40, self.ipv6)):
            those = (kind == ethertype) & (at + size <= end)
            if those.all():
                ip(layer)
            elif those.any():
                ip(layer.take(those))

    def ipv4(self, layer: _Layer) -> None:
        """Packets that begin with 20 bytes of a header."""
        head = gather(self.block.buffer, layer.at, _IP4)
        vihl = head["vihl"].astype(np.int64)
        size = (vihl & 15) * 4
        total = self._total(layer, head["total"].astype(np.int64), 0)
        plain = (vihl >> 4 == 4) & (size >= 20) & (total >= size) & ((head["frag"] & _FRAGMENT_BITS) == 0)
        tcp = self._others(layer, plain, head["proto"], layer.at + size, layer.at + total)
        if not tcp.all():
            keep = np.flatnonzero(tcp)
            layer, head, size, total = layer.take(keep), head[keep], size[keep], total[keep]
        zero = np.zeros(len(layer.rows), dtype=np.uint64)
        addresses = (zero, head["src"].astype(np.uint64), zero, head["dst"].astype(np.uint64))
        self.tcp(layer, layer.at + size, layer.at + total, addresses, head["id"].astype(np.int64))

    def ipv6(self, layer: _Layer) -> None:
        """Packets that begin with 40 bytes of a header."""
        head = gather(self.block.buffer, layer.at, _IP6)
        total = self._total(layer, head["length"].astype(np.int64) + 40, 40)
        tcp = self._others(layer, head["version"] >> 4 == 6, head["next"], layer.at + 40, layer.at + total)
        keep = np.flatnonzero(tcp)
        layer, head, total = layer.take(keep), head[keep], total[keep]
        layer = layer._replace(tag=layer.tag | np.uint64(IPV6_TAG))
        addresses = tuple(head[name].astype(np.uint64) for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"))
        self.tcp(layer, layer.at + 40, layer.at + total, addresses, np.zeros(len(keep), dtype=np.int64))

    def _total(self, layer: _Layer, total: _I64, none: int) -> _I64:
        """Length of the IP packets; where the header says none, as offloading leaves it, the frame says it."""
        return np.where(total == none, layer.wire - layer.at, total)

    def _others(
        self, layer: _Layer, plain: npt.NDArray[np.bool_], proto: npt.NDArray[np.uint8], l4: _I64, wire_end: _I64
    ) -> npt.NDArray[np.bool_]:
        """Counts UDP and the protocols that hold no TCP, opens tunnels, and leaves what is neither to the slow path. Which packets are TCP."""
        tcp: npt.NDArray[np.bool_] = plain & (proto == _TCP)
        if tcp.all():
            return tcp
        other = plain & np.isin(proto, list(_NEITHER))
        if not layer.depth:
            other |= plain & np.isin(proto, list(tunnels.PROTOCOLS))
        udp = plain & (proto == _UDP) & (l4 + 8 <= np.minimum(wire_end, layer.end))  # of the others the slow path says what they are
        if layer.depth and udp.any():
            at = np.flatnonzero(udp)
            port = gather(self.block.buffer, l4[at] + 2, np.dtype(">u2"))
            tunnelled = np.isin(port, list(tunnels.PORTS))
            if tunnelled.any():
                at, port = at[tunnelled], port[tunnelled]
                udp[at] = False
                self._open(layer.take(at), port, l4[at] + 8, np.minimum(wire_end, layer.end)[at], wire_end[at])
        self.counts.udp += int(np.count_nonzero(udp))
        self.counts.other += int(np.count_nonzero(other))
        wire = self.block.wirelen[layer.rows]
        self.counts.unread.add(Kind.PROTOCOL, proto[other], wire[other])
        if udp.any():
            ports = gather(self.block.buffer, l4[udp], np.dtype(">u4")).astype(np.int64)
            self.counts.unread.add(Kind.SERVICE, service_of(ports >> 16, ports & 0xFFFF), wire[udp])
        self.taken[layer.rows[udp | other]] = True
        return tcp

    def _open(self, layer: _Layer, port: npt.NDArray[np.uint16], at: _I64, end: _I64, wire: _I64) -> None:
        """VXLAN and Geneve, whose header begins at `at`; what is not whole, or not plain, stays for the slow path."""
        head = gather(self.block.buffer, np.minimum(at, end), _VNI)
        vxlan = np.isin(port, list(tunnels.VXLAN_PORTS)) & (head["flags"] & 0x08 != 0)
        geneve = (port == tunnels.GENEVE_PORT) & (head["flags"] >> 6 == 0) & np.isin(head["type"], (tunnels.ETHERNET, _IPV4, _IPV6))
        framed = vxlan | (geneve & (head["type"] == tunnels.ETHERNET))
        inner = at + 8 + np.where(geneve, (head["flags"] & 0x3F).astype(np.int64) * 4, 0)
        whole = (vxlan | geneve) & (inner + np.where(framed, 14, 0) <= end)
        kind = np.where(framed, gather(self.block.buffer, np.minimum(inner, end) + 12, np.dtype(">u2")), head["type"]).astype(np.int64)
        number = (head["vni"].astype(np.uint64) >> np.uint64(8)) | np.where(
            vxlan, np.uint64(tunnel_tag("vxlan", 0)), np.uint64(tunnel_tag("geneve", 0))
        )
        opened = _Layer(layer.rows, kind, inner + np.where(framed, 14, 0), end, wire, np.zeros_like(layer.tag), number, layer.depth - 1)
        if whole.any():
            self.inside.append(opened.take(whole))

    def tcp(self, layer: _Layer, l4: _I64, wire_end: _I64, addresses: tuple[_U64, ...], ip_id: _I64) -> None:
        """Rows whose TCP header is whole, but for its options; the others stay for the slow path. l4: where the header begins; wire_end: where IP says
        that the packet ends.
        """
        head = gather(self.block.buffer, np.minimum(l4, layer.end), _TCP_HEAD)
        size = (head["off"] >> 4).astype(np.int64) * 4
        captured_end = np.minimum(wire_end, layer.end)
        good = (size >= 20) & (l4 + 20 <= captured_end) & (l4 + size <= wire_end)
        if not good.all():
            keep = np.flatnonzero(good)
            layer, head, size, l4, captured_end, wire_end, ip_id = (
                layer.take(keep), head[keep], size[keep], l4[keep], captured_end[keep], wire_end[keep], ip_id[keep],
            )  # fmt: skip
            addresses = tuple(a[keep] for a in addresses)
        self._add(_Segments(layer.rows, head, l4, size, captured_end, wire_end, layer.tag, layer.tunnel, ip_id), addresses)

    def _add(self, found: _Segments, addresses: tuple[_U64, ...]) -> None:
        """They are done with."""
        rows, head, l4, size, captured_end, wire_end, tag, tunnel, ip_id = found
        payload = np.minimum(l4 + size, captured_end)  # the snap length may cut the options
        self.taken[rows] = True
        flags = head["flags"].astype(np.int64)
        no_room = head["window"] == 0
        if no_room.any():
            flags[no_room & ((flags & (SYN | RST | ACK)) == ACK)] |= ZERO_WINDOW
        self.parts.append(
            SegmentColumns(
                packet=rows + self.block.first_packet,
                row=rows,
                seq=head["seq"].astype(np.int64),
                ack=head["ack"].astype(np.int64),
                flags=flags,
                options=payload - l4 - 20,
                payload_at=payload,
                payload_len=captured_end - payload,
                snapped=wire_end - np.maximum(captured_end, l4 + size),
                src_hi=addresses[0],
                src_lo=addresses[1],
                dst_hi=addresses[2],
                dst_lo=addresses[3],
                sport=head["sport"].astype(np.int64),
                dport=head["dport"].astype(np.int64),
                tag=tag,
                tunnel=tunnel,
                ip_id=ip_id,
            )
        )


def decode(block: PacketBlock, counts: DecodeCounts, *, open_tunnels: bool = True, fragments: Fragments | None = None) -> SegmentColumns:
    """The TCP segments of a block; what else it held is added to counts. open_tunnels: or leave them as packets of the outer protocol. fragments:
    where they are put together; the block may then get another buffer, with datagrams at its end.
    """
    if fragments is not None:
        fragments.next_block()
    n = len(block)
    counts.packets += n
    counts.bytes += int(block.wirelen.sum())
    counts.snapped += int(np.count_nonzero(block.caplen < block.wirelen))
    path = _ColumnPath(block, counts, open_tunnels=open_tunnels)
    if block.link_types is None:
        path.link(block.link_type, np.arange(n))
    else:
        for link_type in np.unique(block.link_types).tolist():
            path.link(link_type, np.flatnonzero(block.link_types == link_type))
    for layer in path.inside:  # grows while tunnels lie in tunnels
        path.network(layer)
    return _finish(path, np.flatnonzero(~path.taken), fragments)


def _finish(path: _ColumnPath, rest: _I64, fragments: Fragments | None) -> SegmentColumns:
    """Sends the rest through the slow path and puts all rows in packet order."""
    parts = path.parts
    if len(rest) or not parts:
        parts.append(dpkt_path.decode_rows(path.block, rest, path.counts, tunnels=path.open_tunnels, fragments=fragments))
    if len(parts) == 1:
        columns = parts[0]
    else:
        columns = SegmentColumns(*(np.concatenate([getattr(p, name) for p in parts]) for name in SegmentColumns.__struct_fields__))
        columns = columns.take(np.argsort(columns.packet, kind="stable"))
    mark_multipath(path.block.buffer, columns)
    path.counts.tcp += len(columns)
    path.counts.malformed += path.short
    path.counts.ip += int(np.count_nonzero(path.taken)) - path.short  # nothing else is taken here
    return columns
