"""The slow path: one packet at a time through dpkt, for what the column path does not understand.

Contract: takes rows of a `PacketBlock`, returns `SegmentColumns` of those that are TCP, and puts each of the others
under one count: `udp`, `other`, `malformed` or `unsupported_link`. dpkt parses the headers; this module only walks from
one to the next and keeps offsets, so that payload stays in the block. A packet costs some 10 microseconds here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PAD, PacketBlock
from pcapflow.decode.fragments import Fragment, Fragments
from pcapflow.decode.links import LINKS, PPP, Malformed, snap
from pcapflow.decode.segments import ACK, IPV6_TAG, RST, SYN, ZERO_WINDOW, DecodeCounts, SegmentColumns, tunnel_tag, vlan_tag
from pcapflow.decode.tunnels import DEPTH_MAX, ETHERNET, IP, PROTOCOLS, Opened, of_port, of_protocol
from pcapflow.decode.unread import LLC, NO_NETWORK, Kind, service_of

_TCP, _UDP, _FRAGMENT6, _AH = 6, 17, 44, 51
_NUMBERS = struct.Struct(">IBQQ")
_TAGS = {0x8926: 6, 0x893F: 8, 0x8909: 8}
"""VN-Tag, E-Tag (IEEE 802.1BR) and Cisco's metadata: bytes behind their EtherType, the last two of which are the next one."""
_LEAST_ETHERTYPE = 0x600
_MAX_TAGS = 8
"""VLAN tags or MPLS labels that are followed before a packet counts as malformed."""
_MAX_LAYERS = 16
"""EtherTypes that are followed in one packet, frames in frames and in tunnels."""
_MAX_EXTENSIONS = 16
"""IPv6 extension headers that are followed; RFC 8200 lets each appear once, destination options twice."""


SUPPORTED_LINK_TYPES = frozenset(LINKS)


class Packet(msgspec.Struct):
    """What was found of one packet. Offsets are from the frame's start, in bytes."""

    kind: str = "other"
    is_ip: bool = False
    fragment: Fragment | None = None
    datagram: bytes | None = None
    """Where the packet was the last fragment of it: what the offsets are of."""
    tag: int = 0
    tunnel: int = 0
    ip_id: int = 0
    source: int = 0
    destination: int = 0
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    options: int = 0
    payload_at: int = 0
    payload_len: int = 0
    snapped: int = 0
    vlans: list[int] = msgspec.field(default_factory=list)
    headers: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """Which there are, from the outermost on, and where: `ETHERNET`, 4 and 6 for IP's versions, 17 for UDP."""
    layers: int = 0
    """EtherTypes that were followed."""
    depth: int = 0
    """Tunnels that may still be opened."""
    named: tuple[Kind, int] = (Kind.ETHERTYPE, NO_NETWORK)
    """What it is, as far as it was decoded."""


def decode_rows(
    block: PacketBlock, rows: npt.NDArray[np.int64], counts: DecodeCounts, *, tunnels: bool = True, fragments: Fragments | None = None
) -> SegmentColumns:
    """The TCP segments among the rows of a block; the others are counted. tunnels: whether they are opened. fragments: where they are put
    together; the block then gets a buffer with the datagrams at its end.
    """
    found: list[tuple[int, Packet]] = []
    view = memoryview(block.buffer)
    extended: bytearray | None = None
    """The block's bytes and behind them the datagrams, once there is one."""
    unread: dict[tuple[Kind, int], list[int]] = {}
    kinds = [block.link_type] * len(rows) if block.link_types is None else block.link_types[rows].tolist()
    times = block.ts[rows].tolist()
    for row, at, caplen, wirelen, link_type, ts in zip(
        rows.tolist(), block.offsets[rows].tolist(), block.caplen[rows].tolist(), block.wirelen[rows].tolist(), kinds, times, strict=True
    ):
        packet = decode_packet(bytes(view[at : at + caplen]), wirelen, link_type, tunnels=tunnels)
        counts.fragments += packet.fragment is not None
        counts.ip += packet.is_ip
        for _ in range(_MAX_LAYERS):
            whole = (
                fragments.add(packet.fragment, ts, block.first_packet + row)
                if fragments is not None and packet.fragment is not None
                else None
            )
            if whole is None:
                break
            packet = _of_datagram(*whole, packet)
        if packet.kind == "tcp" and packet.datagram is not None:
            assert fragments is not None
            if not fragments.may_stay(len(packet.datagram) + (0 if extended is not None else len(view) + PAD)):
                packet.kind = "other"
            else:
                extended = bytearray(view) if extended is None else extended
                packet.payload_at += len(extended)
                extended += packet.datagram
            packet.datagram = None  # it is copied
        elif packet.kind == "tcp":
            packet.payload_at += at
        if packet.kind == "tcp":
            found.append((row, packet))
        else:
            setattr(counts, packet.kind, getattr(counts, packet.kind) + 1)
            if packet.kind in ("udp", "other"):
                unread.setdefault(packet.named, []).append(wirelen)
    del view
    for (kind, number), wire in unread.items():
        counts.unread.add(kind, np.full(len(wire), number), np.array(wire, dtype=np.int64))
    if extended is not None:
        extended += bytes(PAD)
        block.buffer = extended
    return _columns(found, block.first_packet)


def _columns(found: list[tuple[int, Packet]], first_packet: int) -> SegmentColumns:
    def column(name: str) -> npt.NDArray[np.int64]:
        return np.array([getattr(p, name) for _, p in found], dtype=np.int64)

    def word(name: str, shift: int) -> npt.NDArray[np.uint64]:
        return np.array([getattr(p, name) >> shift & 0xFFFF_FFFF_FFFF_FFFF for _, p in found], dtype=np.uint64)

    row = np.array([r for r, _ in found], dtype=np.int64)
    return SegmentColumns(
        packet=row + first_packet,
        row=row,
        seq=column("seq"),
        ack=column("ack"),
        flags=column("flags"),
        options=column("options"),
        payload_at=column("payload_at"),
        payload_len=column("payload_len"),
        snapped=column("snapped"),
        src_hi=word("source", 64),
        src_lo=word("source", 0),
        dst_hi=word("destination", 64),
        dst_lo=word("destination", 0),
        sport=column("sport"),
        dport=column("dport"),
        tag=word("tag", 0),
        tunnel=word("tunnel", 0),
        ip_id=column("ip_id"),
    )


def decode_packet(frame: bytes, wirelen: int, link_type: int, *, tunnels: bool = True) -> Packet:
    """Decode one packet. frame: the captured bytes; wirelen: how many were on the wire; never raises for their content."""
    packet = Packet(depth=DEPTH_MAX if tunnels else 0)
    link = LINKS.get(link_type)
    if link is None:
        packet.kind = "unsupported_link"
        return packet

    def carried() -> None:
        kind, at = link(frame)
        _carry(frame, at, kind, wirelen, packet)

    return _decoded(packet, carried)


def _decoded(packet: Packet, decode: Callable[[], None]) -> Packet:
    """The packet after a step that may raise for what the wire said."""
    from dpkt import Error

    try:
        decode()
    except (Malformed, Error, struct.error, ValueError, IndexError, KeyError, AttributeError, TypeError):
        # dpkt raises more than dpkt.Error for truncated or absurd headers
        packet.kind = "malformed"
    packet.tag |= vlan_tag(packet.vlans)
    return packet


def _of_datagram(datagram: bytes, protocol: int, packet: Packet) -> Packet:
    """What a datagram carries whose last fragment that packet was."""
    packet.fragment, packet.datagram = None, datagram
    return _decoded(packet, lambda: _transport(datagram, 0, len(datagram), protocol, packet))


def _carry(frame: bytes, at: int, kind: int, wirelen: int, packet: Packet) -> None:
    """What a frame or a tunnel carries, from `at` on."""
    if kind == ETHERNET:
        if len(frame) < at + 14:
            raise Malformed
        packet.headers.append((ETHERNET, at))
        _ethertype(frame, at + 14, int.from_bytes(frame[at + 12 : at + 14], "big"), wirelen, packet)
    elif kind == IP:
        _raw(frame, wirelen, packet, at)
    elif kind == PPP:
        _ppp(frame, at + 2 * (frame[at : at + 2] == b"\xff\x03"), wirelen, packet)
    elif kind > 0:
        _ethertype(frame, at, kind, wirelen, packet)


def _ethertype(frame: bytes, at: int, kind: int, wirelen: int, packet: Packet) -> None:
    """What follows an EtherType: VLAN tags and MPLS labels are passed, PPPoE sessions and frames in frames opened."""
    packet.layers += 1
    if packet.layers > _MAX_LAYERS:
        raise Malformed
    for _ in range(_MAX_TAGS):
        if kind not in (0x8100, 0x88A8, 0x9100):
            break
        if len(frame) < at + 4:
            raise Malformed
        tci, kind = struct.unpack_from(">HH", frame, at)
        packet.vlans.append(tci & 0xFFF)
        at += 4
    packet.named = (Kind.ETHERTYPE, kind if kind >= _LEAST_ETHERTYPE else LLC)
    if kind in (0x8847, 0x8848):
        for _ in range(_MAX_TAGS):
            label = struct.unpack_from(">I", frame, at)[0]
            at += 4
            if label & 0x100:  # bottom of stack
                break
        _raw(frame, wirelen, packet, at)
    elif kind == 0x8864:
        # PPPoE session (RFC 2516): six bytes of header, then the PPP protocol
        _ppp(frame, at + 6, wirelen, packet)
    elif kind == 0x0800:
        _ipv4(frame, at, wirelen, packet)
    elif kind == 0x86DD:
        _ipv6(frame, at, wirelen, packet)
    elif kind < _LEAST_ETHERTYPE and frame[at : at + 6] == b"\xaa\xaa\x03\0\0\0":
        # IEEE 802.3 with LLC and SNAP
        kind, at = snap(frame, at)
        _ethertype(frame, at, kind, wirelen, packet)
    elif kind in _TAGS:
        # tags with ids of ports or groups, which are not the network's
        at += _TAGS[kind]
        if len(frame) < at:
            raise Malformed
        _ethertype(frame, at, int.from_bytes(frame[at - 2 : at], "big"), wirelen, packet)
    elif kind == 0x8903:
        # Cisco's FabricPath: its own addresses and two bytes more, then the frame
        _carry(frame, at + 2, ETHERNET, wirelen, packet)
    elif kind == 0x883E and at < len(frame):
        # WCCP redirected by GRE: four bytes more, unless IP follows at once
        _raw(frame, wirelen, packet, at if frame[at] >> 4 == 4 else at + 4)
    elif kind == 0x88E7:
        # 802.1ah: four bytes with the service's id, then the customer's frame
        _carry(frame, at + 4, ETHERNET, wirelen, packet)


def _ppp(frame: bytes, at: int, wirelen: int, packet: Packet) -> None:
    packet.named = (Kind.ETHERTYPE, PPP)
    if len(frame) < at + 2:
        raise Malformed
    # the last byte of a protocol is odd: one that begins with an odd byte was compressed to that (RFC 1661 section 6.5)
    size = 1 if frame[at] & 1 else 2
    protocol = int.from_bytes(frame[at : at + size], "big")
    if protocol == 0x0021:
        _ipv4(frame, at + size, wirelen, packet)
    elif protocol == 0x0057:
        _ipv6(frame, at + size, wirelen, packet)
    elif protocol in (0x0281, 0x0283):
        _ethertype(frame, at + size, 0x8847, wirelen, packet)


def _raw(frame: bytes, wirelen: int, packet: Packet, at: int = 0) -> None:
    version = frame[at] >> 4
    if version == 4:
        _ipv4(frame, at, wirelen, packet)
    elif version == 6:
        _ipv6(frame, at, wirelen, packet)


def _enter(frame: bytes, wirelen: int, packet: Packet, opened: Opened) -> None:
    """What a tunnel carries; nothing of the packet around it stays."""
    packet.kind, packet.tag, packet.vlans = "other", 0, []
    packet.tunnel = tunnel_tag(opened.kind, opened.number)
    packet.depth -= 1
    _carry(frame, opened.at, opened.ethertype, wirelen, packet)


# --- network and transport layers, by dpkt


def _header(kind: Any, data: bytes) -> Any:
    """dpkt's header of that class alone: what it carries is not looked at, so nothing deeper can fail."""
    from dpkt import Packet as DpktPacket

    head = kind()
    DpktPacket.unpack(head, data)
    return head


def _ipv4(frame: bytes, at: int, wirelen: int, packet: Packet) -> None:
    from dpkt import ip

    head = _header(ip.IP, frame[at : at + 20])
    packet.headers.append((4, at))
    size = head.hl * 4
    total = head.len or wirelen - at  # offloaded segments carry 0: the frame says it
    if head.v != 4 or size < 20 or total < size:
        raise Malformed
    packet.is_ip = True
    packet.source = int.from_bytes(head.src, "big")
    packet.destination = int.from_bytes(head.dst, "big")
    packet.ip_id = head.id
    packet.named = (Kind.PROTOCOL, head.p)
    if head.mf or head.offset:
        key = _datagram(head, packet, head.id, head.p)
        _fragment(frame, at + size, at + total, key, head.offset * 8, head.p, packet, more=bool(head.mf))
        return
    _transport(frame, at + size, at + total, head.p, packet)


def _ipv6(frame: bytes, at: int, wirelen: int, packet: Packet) -> None:
    from dpkt import ip6

    head = _header(ip6.IP6, frame[at : at + 40])
    if head.v != 6:
        raise Malformed
    packet.headers.append((6, at))
    end = at + 40 + head.plen if head.plen else wirelen  # jumbo or offloaded: the frame says it
    packet.is_ip = True
    packet.source = int.from_bytes(head.src, "big")
    packet.destination = int.from_bytes(head.dst, "big")
    packet.ip_id = 0
    packet.tag |= IPV6_TAG
    following = head.nxt
    at += 40
    for _ in range(_MAX_EXTENSIONS):
        if following not in ip6.EXT_HDRS or following == 50:  # ESP hides the rest
            break
        extension = ip6.EXT_HDRS_CLS[following](frame[at : at + 2048])
        packet.named = (Kind.PROTOCOL, extension.nxt)
        if following == _FRAGMENT6 and (extension.frag_off or extension.m_flag):
            key = _datagram(head, packet, extension.id, 0)
            _fragment(frame, at + 8, end, key, extension.frag_off * 8, extension.nxt, packet, more=bool(extension.m_flag))
            return
        at += extension.length
        following = extension.nxt
    _transport(frame, at, end, following, packet)


def _datagram(head: Any, packet: Packet, number: int, protocol: int) -> bytes:
    """What tells the datagram of a fragment from others. Bytes, whose hashes nobody can choose from outside."""
    return head.src + head.dst + _NUMBERS.pack(number, protocol, packet.tag | vlan_tag(packet.vlans), packet.tunnel)  # type: ignore[no-any-return]


def _fragment(frame: bytes, at: int, end: int, key: bytes, start: int, protocol: int, packet: Packet, *, more: bool) -> None:
    """A fragment's part of the datagram is frame[at:end], as far as it was captured."""
    packet.fragment = Fragment(key, start, frame[at : min(end, len(frame))], more, protocol, whole=end <= len(frame))


def _transport(frame: bytes, at: int, wire_end: int, proto: int, packet: Packet) -> None:
    """The TCP header, where it is one. wire_end: where IP says that the packet ends, which may lie beyond the frame."""
    from dpkt import tcp

    if proto == _AH and at + 12 <= len(frame):
        # the authentication header of IPv4 (RFC 4302); IPv6's was passed as an extension
        proto, at = frame[at], at + (frame[at + 1] + 2) * 4
    packet.named = (Kind.PROTOCOL, proto)
    if proto == _UDP:
        packet.kind = "udp"
        packet.headers.append((_UDP, at))
        source, destination = np.frombuffer(frame[at : at + 4].ljust(4, b"\0"), dtype=">u2").astype(np.int64)
        packet.named = (Kind.SERVICE, int(service_of(source, destination)))
    if packet.depth and proto in (_UDP, *PROTOCOLS):
        inner = frame[: min(wire_end, len(frame))]
        opened = of_protocol(proto, inner, at) if proto != _UDP else of_port(int.from_bytes(inner[at + 2 : at + 4], "big"), inner, at + 8)
        if opened is not None:
            _enter(inner, wire_end, packet, opened)
            return
    if proto != _TCP:
        return
    end = min(wire_end, len(frame))
    head = _header(tcp.TCP, frame[at : at + 20])
    size = head.off * 4
    if size < 20 or at + size > wire_end:
        raise Malformed
    packet.kind = "tcp"
    packet.sport, packet.dport, packet.seq, packet.ack = head.sport, head.dport, head.seq, head.ack
    packet.flags = head.flags & 0xFF
    if head.win == 0 and packet.flags & (SYN | RST | ACK) == ACK:
        packet.flags |= ZERO_WINDOW
    packet.payload_at = min(at + size, end)  # the snap length may cut the options
    packet.options = packet.payload_at - at - 20
    packet.payload_len = end - packet.payload_at
    packet.snapped = wire_end - max(end, at + size)
