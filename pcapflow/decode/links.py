"""Link layers, packet by packet: what a frame carries, and where that begins.

Contract: `LINKS` has for each link type a function that takes the captured bytes of a frame and returns what it carries as an EtherType or one of
`IP`, `ETHERNET`, `PPP`, `NOTHING`, and the offset. It raises `Malformed` where the frame is too short or makes no sense, and nothing else that
dpkt_path.py does not catch. Sources: the LINKTYPE registry of tcpdump.org and the headers it names; IEEE 802.11; radiotap.org; RFC 1332, 1490, 2516, 4391.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from pcapflow.decode.tunnels import ETHERNET, IP

PPP = 0x880B
"""A PPP frame, with or without address and control (its own EtherType as a tunnel's payload)."""
NOTHING = -1
"""No network layer: management frames, encrypted data."""
_FAMILIES = {2: 0x0800, 10: 0x86DD, 24: 0x86DD, 28: 0x86DD, 30: 0x86DD}
"""Address families of BSD, macOS and Linux to EtherTypes."""
_TLVS_MAX = 64


class Malformed(Exception):
    """A header that is none."""


class Carried(NamedTuple):
    """What a frame carries, and where that begins."""

    ethertype: int
    at: int


def _need(frame: bytes, n: int) -> None:
    if len(frame) < n:
        raise Malformed


def _header(size: int, type_at: int) -> Callable[[bytes], Carried]:
    """A header of so many bytes with an EtherType at that offset."""

    def link(frame: bytes) -> Carried:
        _need(frame, size)
        return Carried(int.from_bytes(frame[type_at : type_at + 2], "big"), size)

    return link


_HDLC = _header(4, 2)


def _ethernet(_: bytes) -> Carried:
    return Carried(ETHERNET, 0)


def _raw(_: bytes) -> Carried:
    return Carried(IP, 0)


def _family(frame: bytes) -> Carried:
    """BSD loopback: the address family in the byte order of the machine that captured."""
    _need(frame, 4)
    for order in ("little", "big"):
        ethertype = _FAMILIES.get(int.from_bytes(frame[:4], order))
        if ethertype is not None:
            return Carried(ethertype, 4)
    return Carried(NOTHING, 4)


def _ppp(frame: bytes) -> Carried:
    if frame[:2] in (b"\x0f\x00", b"\x8f\x00"):  # Cisco's HDLC on the same kind of line
        return _HDLC(frame)
    return Carried(PPP, 0)


def _ppp_with_direction(_: bytes) -> Carried:
    return Carried(PPP, 1)


def _pppoe(_: bytes) -> Carried:
    return Carried(0x8864, 0)


def _llc(frame: bytes) -> Carried:
    return Carried(0, 0) if frame[:3] != b"\xaa\xaa\x03" else snap(frame, 0)


def _frame_relay(frame: bytes) -> Carried:
    """RFC 2427 (1490): two bytes of address, control, perhaps padding, the NLPID; or Cisco's, with an EtherType after the address."""
    _need(frame, 4)
    ethertype = int.from_bytes(frame[2:4], "big")
    if ethertype >= 0x600:
        return Carried(ethertype, 4)
    at = 3 + (frame[3] == 0)
    nlpid = frame[at] if at < len(frame) else 0
    if nlpid == 0x80:
        return snap(frame, at - 2)
    return Carried({0xCC: 0x0800, 0x8E: 0x86DD}.get(nlpid, NOTHING), at + 1)


def snap(frame: bytes, at: int) -> Carried:
    """An LLC header with SNAP (RFC 1042) at that offset."""
    _need(frame, at + 8)
    return Carried(int.from_bytes(frame[at + 6 : at + 8], "big"), at + 8)


def _wireless(frame: bytes, at: int = 0) -> Carried:
    """IEEE 802.11: a data frame whose body is not encrypted, from its LLC header on."""
    _need(frame, at + 2)
    control, flags = frame[at], frame[at + 1]
    if control & 0x0C != 0x08 or control & 0x40 or flags & 0x40:  # no data, or null data, or protected
        return Carried(NOTHING, at)
    size = 24 + 6 * (flags & 3 == 3)
    if control & 0x80:
        _need(frame, at + size + 2)
        aggregated = frame[at + size] & 0x80
        size += 2 + 4 * bool(flags & 0x80)
        if aggregated:
            return Carried(NOTHING, at)
    _need(frame, at + size)
    return snap(frame, at + size) if frame[at + size : at + size + 3] == b"\xaa\xaa\x03" else Carried(NOTHING, at + size)


def _radiotap(frame: bytes) -> Carried:
    _need(frame, 8)
    size, present = struct.unpack_from("<2xHI", frame)
    at = 8
    padded = False
    more = present
    while more & 0x8000_0000:  # further words of what is present
        _need(frame, at + 4)
        more = struct.unpack_from("<I", frame, at)[0]
        at += 4
    if present & 1:  # the time comes first, on a multiple of eight
        at = (at + 7 & ~7) + 8
    if present & 2:
        _need(frame, at + 1)
        padded = bool(frame[at] & 0x20)
    if size < 8 or size > len(frame):
        raise Malformed
    carried = _wireless(frame, size)
    if padded and carried.ethertype == NOTHING and carried.at > size:
        # between header and body lie bytes up to a multiple of four
        at = carried.at + (-(carried.at - size) & 3)
        return snap(frame, at) if frame[at : at + 3] == b"\xaa\xaa\x03" else carried
    return carried


def _prism(frame: bytes) -> Carried:
    """The header of Prism cards, 144 bytes; drivers put AVS there as well."""
    _need(frame, 8)
    code, size = struct.unpack_from(">II", frame)
    if code >> 12 == 0x80211:
        return _wireless(frame, size)
    return _wireless(frame, struct.unpack_from("<4xI", frame)[0] if struct.unpack_from("<I", frame)[0] == 0x44 else 144)


def _avs(frame: bytes) -> Carried:
    _need(frame, 8)
    return _wireless(frame, struct.unpack_from(">4xI", frame)[0])


def _pktap(frame: bytes) -> Carried:
    """Apple's: the header's length, what follows, and the link type of that, in the byte order of the machine."""
    _need(frame, 12)
    size, following, link_type = struct.unpack_from("<III", frame)
    inner = LINKS.get(link_type)
    if following != 1 or inner is None or inner is _pktap or size < 12 or size > len(frame):
        return Carried(NOTHING, 0)
    carried = inner(frame[size:])
    return Carried(carried.ethertype, carried.at + size)


def _nflog(frame: bytes) -> Carried:
    """Linux's netfilter log: an address family, then values with length and type in the machine's byte order; the packet is of type 9."""
    _need(frame, 4)
    ethertype = _FAMILIES.get(frame[0], NOTHING)
    at = 4
    for _ in range(_TLVS_MAX):
        if at + 4 > len(frame):
            break
        size, kind = struct.unpack_from("<HH", frame, at)
        if size < 4:
            raise Malformed
        if kind & 0x7FFF == 9:
            return Carried(ethertype, at + 4)
        at += size + (-size & 3)
    return Carried(NOTHING, at)


def _pflog(frame: bytes) -> Carried:
    """OpenBSD's filter log: its length, rounded up to four, and the address family."""
    _need(frame, 2)
    size = frame[0] + (-frame[0] & 3)
    _need(frame, size)
    return Carried(_FAMILIES.get(frame[1], NOTHING), size)


def _ipnet(frame: bytes) -> Carried:
    """Solaris's: a version, the address family of Solaris, zones and interfaces."""
    _need(frame, 24)
    return Carried({2: 0x0800, 26: 0x86DD}.get(frame[1], NOTHING), 24)


def _enc(frame: bytes) -> Carried:
    """OpenBSD's decapsulated IPsec: an address family and two more words."""
    _need(frame, 12)
    return Carried(_family(frame).ethertype, 12)


LINKS: dict[int, Callable[[bytes], Carried]] = {
    0: _family,
    1: _ethernet,
    9: _ppp,
    12: _raw,
    14: _raw,
    50: _ppp,
    51: _pppoe,
    100: _llc,
    101: _raw,
    104: _HDLC,
    105: _wireless,
    107: _frame_relay,
    108: _family,
    109: _enc,
    113: _header(16, 14),
    117: _pflog,
    119: _prism,
    127: _radiotap,
    163: _avs,
    166: _ppp_with_direction,
    204: _ppp_with_direction,
    226: _ipnet,
    228: _raw,
    229: _raw,
    239: _nflog,
    242: _header(44, 40),
    258: _pktap,
    276: _header(20, 0),
}
"""LINKTYPE number to the function that finds the network layer in a frame."""
