"""What the headers of tunnels say: which kind, its id, and where what it carries begins.

Contract: `of_protocol` and `of_port` take the bytes of a packet and where the outer header ended, and return an `Opened`, or None where the header
is not one that makes sense: then it is a packet of the outer protocol. They raise nothing. Sources: RFC 2003 and 4213 (IP in IP), 2784 and 2890
(GRE), 8086 (GRE in UDP), draft-foschiano-erspan, RFC 7348 (VXLAN), 8926 (Geneve), 3GPP TS 29.281 (GTP-U), RFC 4380 (Teredo).
"""

from __future__ import annotations

from typing import NamedTuple

IP, ETHERNET = 0, 0x6558
"""Stand for an EtherType: an IP packet of whichever version, a whole Ethernet frame (its own EtherType as a tunnel's payload)."""
GRE = 47
PROTOCOLS = frozenset((4, 41, GRE))
"""IP protocols that are tunnels."""
VXLAN_PORTS, GENEVE_PORT, GTP_PORT, TEREDO_PORT, GRE_PORT = frozenset((4789, 8472)), 6081, 2152, 3544, 4754
PORTS = frozenset((*VXLAN_PORTS, GENEVE_PORT, GTP_PORT, TEREDO_PORT, GRE_PORT))
"""UDP destination ports on which tunnels are looked for (8472: Linux's VXLAN before its number was assigned)."""
DEPTH_MAX = 4
"""Tunnels in tunnels that are opened."""
_EXTENSIONS_MAX = 8
_LEAST_ETHERTYPE = 0x600
_ERSPAN_2, _ERSPAN_3 = 0x88BE, 0x22EB


class Opened(NamedTuple):
    """A tunnel: kind as in `segments.TUNNELS`, its id or 0, what it carries (`IP`, `ETHERNET` or an EtherType), and where that begins."""

    kind: str
    number: int
    ethertype: int
    at: int


def of_protocol(protocol: int, frame: bytes, at: int) -> Opened | None:
    """The tunnel of an IP protocol, whose header begins at `at`."""
    if protocol == 4:
        return Opened("ipip", 0, 0x0800, at)
    if protocol == 41:
        return Opened("6in4", 0, 0x86DD, at)
    return _gre(frame, at) if protocol == GRE else None


def of_port(port: int, frame: bytes, at: int) -> Opened | None:
    """The tunnel on a UDP port; its header begins at `at`, behind the UDP header."""
    if at + 8 > len(frame):
        return None
    if port in VXLAN_PORTS:
        return Opened("vxlan", int.from_bytes(frame[at + 4 : at + 7], "big"), ETHERNET, at + 8) if frame[at] & 0x08 else None
    if port == GENEVE_PORT:
        ethertype = int.from_bytes(frame[at + 2 : at + 4], "big")
        known = frame[at] >> 6 == 0 and ethertype in (ETHERNET, 0x0800, 0x86DD)
        return (
            Opened("geneve", int.from_bytes(frame[at + 4 : at + 7], "big"), ethertype, at + 8 + (frame[at] & 0x3F) * 4) if known else None
        )
    if port == GTP_PORT:
        return _gtp(frame, at)
    if port == TEREDO_PORT:
        return _teredo(frame, at)
    if port == GRE_PORT:
        opened = _gre(frame, at)
        return opened if opened is not None and opened.ethertype >= _LEAST_ETHERTYPE else None
    return None


def _gre(frame: bytes, at: int) -> Opened | None:
    if at + 4 > len(frame):
        return None
    flags, ethertype = int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")
    version = flags & 7
    if version > 1 or flags & 0x4000:  # with source routes (RFC 1701) nobody sends it
        return None
    begin = at
    at += 4 + 4 * bool(flags & 0x8000)
    at += 4 * bool(flags & 0x2000)  # a key (RFC 2890) labels flows, NVGRE's (RFC 7637) too, and may differ by direction
    sequence = bool(flags & 0x1000)
    at += 4 * sequence
    if version == 1:
        # PPTP (RFC 2637): the key holds a length and a call, which differs by direction
        at += 4 * bool(flags & 0x80)
        return Opened("gre", 0, 0x880B, at) if ethertype == 0x880B and at > begin + 8 else None
    if ethertype == _ERSPAN_2:
        # without a sequence number it is type I, which has no header
        return Opened("erspan", 0, ETHERNET, at + 8 * sequence)
    if ethertype == _ERSPAN_3:
        subheader = 8 * (frame[at + 11] & 1) if at + 12 <= len(frame) else 0
        return Opened("erspan", 0, ETHERNET, at + 12 + subheader)
    return Opened("gre", 0, ethertype, at)


def _gtp(frame: bytes, at: int) -> Opened | None:
    """GTP-U. Its tunnel ids are one for each direction: they tell no connections apart."""
    flags = frame[at]
    if flags >> 4 != 3 or frame[at + 1] != 255:  # version 1, GTP and not GTP', a G-PDU
        return None
    at += 8
    if flags & 7:
        following = frame[at + 3] if flags & 4 and at + 4 <= len(frame) else 0
        at += 4
        for _ in range(_EXTENSIONS_MAX):
            if not following:
                break
            size = frame[at] * 4 if at < len(frame) else 0
            if not size or at + size > len(frame):
                return None
            following = frame[at + size - 1]
            at += size
    return Opened("gtp", 0, IP, at) if at < len(frame) and frame[at] >> 4 in (4, 6) else None


def _teredo(frame: bytes, at: int) -> Opened | None:
    if frame[at : at + 2] == b"\0\1":  # authentication
        at += 13 + frame[at + 2] + frame[at + 3]
    if frame[at : at + 2] == b"\0\0":  # origin
        at += 8
    return Opened("teredo", 0, 0x86DD, at) if at < len(frame) and frame[at] >> 4 == 6 else None
