"""Tunnels around IP packets, for tests."""

from __future__ import annotations

import struct

from tests.craft import ethernet, ipv4_packet, ipv6_packet

TUNNELS = (
    "ipip",
    "6in4",
    "gre",
    "gre with a key",
    "gre of frames",
    "erspan 1",
    "erspan 2",
    "erspan 3",
    "vxlan",
    "geneve",
    "geneve of packets",
    "gtp",
    "teredo",
)


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", 50_000, port, 8 + len(payload), 0) + payload


def _frame(packet: bytes) -> bytes:
    return ethernet(packet, _ethertype(packet))


def _ethertype(packet: bytes) -> int:
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


def wrap(kind: str, packet: bytes, *, number: int = 0, v6: bool = False) -> bytes:
    """An IP packet around that one; v6: of that version, where the kind leaves a choice."""
    vni = struct.pack(">I", number << 8)
    proto, payload = {
        "ipip": lambda: (4, packet),
        "6in4": lambda: (41, packet),
        "gre": lambda: (47, struct.pack(">HH", 0, _ethertype(packet)) + packet),
        "gre with a key": lambda: (47, struct.pack(">HHIII", 0xB000, _ethertype(packet), 0, number, 7) + packet),
        "gre of frames": lambda: (47, struct.pack(">HH", 0, 0x6558) + _frame(packet)),
        "erspan 1": lambda: (47, struct.pack(">HH", 0, 0x88BE) + _frame(packet)),
        "erspan 2": lambda: (47, struct.pack(">HHIHHI", 0x1000, 0x88BE, 9, 0x1000, number, 0) + _frame(packet)),
        "erspan 3": lambda: (47, struct.pack(">HHIHHIHH", 0x1000, 0x22EB, 9, 0x2000, number, 0, 0, 1) + bytes(8) + _frame(packet)),
        "vxlan": lambda: (17, udp(4789, b"\x08\0\0\0" + vni + _frame(packet))),
        "geneve": lambda: (17, udp(6081, b"\x01\0\x65\x58" + vni + b"opts" + _frame(packet))),
        "geneve of packets": lambda: (17, udp(6081, struct.pack(">BBH", 0, 0, _ethertype(packet)) + vni + packet)),
        "gtp": lambda: (17, udp(2152, struct.pack(">BBHIHBB", 0x34, 255, len(packet) + 8, number, 0, 0, 0x85) + b"\1\0\0\0" + packet)),
        "teredo": lambda: (17, udp(3544, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6) + packet)),
        "plain udp": lambda: (17, udp(53, packet)),
    }[kind]()
    if v6:
        return ipv6_packet(bytes(16), b"\2" * 16, payload, proto=proto)
    return ipv4_packet("9.9.9.9", "8.8.8.8", payload, proto=proto)
