"""The value that the decode stage hands on: the TCP segments of a block, as columns, and what was counted on the way.

Invariant: rows are in packet order, and `payload_at[i] + payload_len[i]` lies inside the captured bytes of its packet, or of the datagram whose
last fragment it was, whatever the headers claim: a length that reaches beyond is clipped, and what is missing is in `snapped`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pcapflow.decode.unread import Unread

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
MULTIPATH = 0x100
"""Beside the flags of a SYN: its options offer Multipath TCP (RFC 8684)."""
ZERO_WINDOW = 0x200
"""Beside the flags of an acknowledgement, but a SYN or RST: its sender has no room for more."""
CONTROL = FIN | SYN | RST
"""Flags that begin or end a stream."""

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


class SegmentColumns(msgspec.Struct):
    """n TCP segments.

    packet: int64 (n,), packet number in the trace; row: int64 (n,), row in the block; seq, ack: int64 (n,) with 32-bit
    wire values; flags: int64 (n,); options: int64 (n,), bytes of TCP options, which end where the payload begins; payload_at, payload_len: int64 (n,), where the captured payload is in the block's
    buffer; snapped: int64 (n,), payload bytes that were on the wire and are not in the capture; src_hi, src_lo, dst_hi,
    dst_lo: uint64 (n,), addresses as 128-bit numbers (IPv4 in the low word); ports: int64 (n,) each; tag, tunnel: uint64 (n,),
    what else tells connections apart: address family, VLAN ids (`vlan_tag`), the innermost tunnel (`tunnel_tag`); ip_id: int64 (n,), the
    identification of IPv4, 0 of IPv6. Options of which the capture holds a part end with that.
    """

    packet: I64
    row: I64
    seq: I64
    ack: I64
    flags: I64
    options: I64
    payload_at: I64
    payload_len: I64
    snapped: I64
    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    sport: I64
    dport: I64
    tag: U64
    tunnel: U64
    ip_id: I64

    def __len__(self) -> int:
        return len(self.packet)

    def take(self, index: npt.NDArray[Any] | slice) -> SegmentColumns:
        """The rows at index, in that order."""
        return SegmentColumns(*(getattr(self, name)[index] for name in self.__struct_fields__))


IPV6_TAG = 1
"""The bit of `tag` that says that the addresses are IPv6."""


def vlan_tag(ids: list[int]) -> int:
    """VLAN ids, outermost first, as bits of `tag`; the third and further ones share their bits."""
    tag = 0
    for i, vid in enumerate(ids):
        tag ^= ((vid & 0xFFF) | 0x1000) << (1 + 13 * min(i, 2))
    return tag


def vlan_ids(tag: int) -> list[int]:
    """The VLAN ids that `vlan_tag` put into a tag, outermost first, two at the most."""
    return [tag >> (1 + 13 * i) & 0xFFF for i in range(2) if tag >> (1 + 13 * i) & 0x1000]


TUNNELS = ("", "ipip", "6in4", "gre", "erspan", "vxlan", "geneve", "gtp", "teredo")
"""Kinds of tunnels by their number in `tunnel`."""


def tunnel_tag(kind: str, number: int) -> int:
    """A tunnel as `tunnel` has it; number: its 32-bit id, 0 where it has none."""
    return TUNNELS.index(kind) << 32 | number & 0xFFFF_FFFF


def tunnel_name(tag: int) -> str | None:
    """The tunnel of a tag for people: `vxlan 42`; None where there is none."""
    kind, number = TUNNELS[tag >> 32], tag & 0xFFFF_FFFF
    return f"{kind} {number}" if number else kind or None


class DecodeCounts(msgspec.Struct):
    """What became of the packets: the first five sum to all packets; the others are attributes beside them."""

    tcp: int = 0
    udp: int = 0
    other: int = 0
    malformed: int = 0
    unsupported_link: int = 0
    ip: int = 0
    fragments: int = 0
    snapped: int = 0
    packets: int = 0
    bytes: int = 0
    unread: Unread = msgspec.field(default_factory=Unread)
