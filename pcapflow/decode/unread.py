"""What is in a capture and is not TCP: counted by its name, so that the report can say what was not read.

Contract: `Unread.add` takes packets by what they are: an EtherType, an IP protocol, a UDP service; `named` gives packets and bytes by name. Each
packet that counts under `udp` or `other` is in exactly one of them. Invariant: what is kept is an array for each kind, of the size of its numbers,
so counts are exact whatever the order; only what is shown is cut to a number of names.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.limits import Limits


class Kind(IntEnum):
    """What a packet is named by."""

    ETHERTYPE = 0
    PROTOCOL = 1
    SERVICE = 2


_SIZES = (1 << 16, 1 << 8, 1 << 16)
NO_NETWORK, LLC = 0, 1
"""Stand for an EtherType: frames without a network layer, and those with a length instead of a type."""
QUIC = 443
SERVICES = {
    53: "DNS", 67: "DHCP", 68: "DHCP", 69: "TFTP", 123: "NTP", 137: "NetBIOS", 138: "NetBIOS", 161: "SNMP", 162: "SNMP", QUIC: "QUIC", 500: "IKE", 514: "syslog", 520: "RIP",
    546: "DHCPv6", 547: "DHCPv6", 1194: "OpenVPN", 1812: "RADIUS", 1813: "RADIUS", 1900: "SSDP", 2055: "NetFlow", 2152: "GTP-U", 3478: "STUN", 3544: "Teredo", 4500: "IPsec",
    4754: "GRE", 4789: "VXLAN", 5060: "SIP", 5353: "mDNS", 5355: "LLMNR", 6081: "Geneve", 6343: "sFlow", 8472: "VXLAN", 51820: "WireGuard",
}  # fmt: skip
"""UDP ports to what is spoken there."""
PROTOCOLS = {
    1: "ICMP", 2: "IGMP", 4: "IP in IP", 6: "TCP", 17: "UDP", 33: "DCCP", 41: "IPv6", 47: "GRE", 50: "ESP", 51: "AH", 58: "ICMPv6", 88: "EIGRP", 89: "OSPF", 103: "PIM", 112: "VRRP",
    115: "L2TP", 132: "SCTP", 136: "UDP-Lite",
}  # fmt: skip
"""IP protocols to their names."""
ETHERTYPES = {
    NO_NETWORK: "no network layer", LLC: "LLC", 0x0800: "IPv4", 0x0806: "ARP", 0x22F0: "AVTP", 0x22F3: "TRILL", 0x8035: "RARP", 0x86DD: "IPv6", 0x8809: "LACP", 0x880B: "PPP",
    0x8847: "MPLS", 0x8848: "MPLS", 0x8863: "PPPoE discovery", 0x8864: "PPPoE", 0x888E: "EAPOL", 0x8892: "PROFINET", 0x88B8: "GOOSE", 0x88BA: "sampled values", 0x88CC: "LLDP",
    0x88E5: "MACsec", 0x88F7: "PTP", 0x8906: "FCoE", 0x8914: "FIP", 0x8915: "RoCE", 0x894F: "NSH", 0x9000: "loopback test",
}  # fmt: skip
"""EtherTypes to their names."""

_KNOWN = np.zeros(1 << 16, dtype=bool)
_KNOWN[list(SERVICES)] = True

_I64 = npt.NDArray[np.int64]


class Amount(NamedTuple):
    """Packets, and their bytes on the wire."""

    packets: int
    bytes: int


def service_of(source: _I64, destination: _I64) -> _I64:
    """The port that names a datagram's service, of int64 (n,) ports each: one that is in the table, the destination's first, else the lower one."""
    return np.where(_KNOWN[destination], destination, np.where(_KNOWN[source], source, np.minimum(source, destination)))


class Unread:
    """Over one run."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: list[npt.NDArray[np.int64] | None] = [None, None, None]
        """Of each kind, when there is one: packets and bytes by number."""

    def add(self, kind: Kind, numbers: npt.NDArray[Any], wire: _I64) -> None:
        """Packets of one kind, by their numbers; wire: their bytes. int64 (n,) both."""
        if not len(numbers):
            return
        counts = self._counts[kind]
        if counts is None:
            counts = self._counts[kind] = np.zeros((2, _SIZES[kind]), dtype=np.int64)
        np.add.at(counts[0], numbers, 1)
        np.add.at(counts[1], numbers, wire)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unread) and self.all() == other.all()

    __hash__ = None  # type: ignore[assignment]

    def all(self) -> dict[str, Amount]:
        """Every name, most bytes first."""
        found: dict[str, Amount] = {}
        for kind, counts in zip(Kind, self._counts, strict=True):
            for number in np.flatnonzero(counts[0]).tolist() if counts is not None else ():
                assert counts is not None
                found[name(kind, number)] = Amount(int(counts[0][number]), int(counts[1][number]))
        return dict(sorted(found.items(), key=lambda item: (-item[1].bytes, item[0])))

    def named(self, limits: Limits) -> dict[str, Amount]:
        """The same, `map_keys` names at the most; the others together are `...`."""
        found = list(self.all().items())
        shown, rest = dict(found[: limits.map_keys]), [amount for _, amount in found[limits.map_keys :]]
        if rest:
            shown["..."] = Amount(sum(a.packets for a in rest), sum(a.bytes for a in rest))
        return shown


def name(kind: Kind, number: int) -> str:
    """What to call it: `udp 443 (QUIC)`, `ip protocol 132 (SCTP)`, `ethertype 0x0806 (ARP)`."""
    if kind is Kind.ETHERTYPE:
        known = ETHERTYPES.get(number)
        if number in (NO_NETWORK, LLC):
            return str(known)
        text = f"ethertype 0x{number:04x}"
    elif kind is Kind.PROTOCOL:
        text, known = f"ip protocol {number}", PROTOCOLS.get(number)
    else:
        text, known = f"udp {number}", SERVICES.get(number)
    return f"{text} ({known})" if known is not None else text
