"""What tells connections apart: both ends in canonical order, and the tags of VLANs, address family and tunnel.

Invariant: the key of a segment and that of one in the other direction are the same bytes; two connections never have the
same key at one time.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from pcapflow.decode.segments import IPV6_TAG, tunnel_name, vlan_ids

KEY = np.dtype([("a_hi", ">u8"), ("a_lo", ">u8"), ("b_hi", ">u8"), ("b_lo", ">u8"), ("a_port", ">u2"), ("b_port", ">u2"), ("tag", ">u8"), ("tunnel", ">u8")])
"""Both addresses as 128-bit numbers in two words each, the lower end first; both ports; `SegmentColumns.tag` and `tunnel`."""
_FIELDS = struct.Struct(">QQQQHHQQ")


class Endpoint(NamedTuple):
    """An address, as a 128-bit number, and a port."""

    address: int
    port: int
    is_ipv6: bool


class Encapsulation(NamedTuple):
    """What a connection lies in: VLAN ids, outermost first, and its innermost tunnel."""

    vlan: list[int]
    tunnel: str | None


def endpoints(key: bytes) -> tuple[tuple[Endpoint, Endpoint], Encapsulation]:
    """Both ends that a key stands for, and what they lie in."""
    a_hi, a_lo, b_hi, b_lo, a_port, b_port, tag, tunnel = _FIELDS.unpack(key)
    is_ipv6 = bool(tag & IPV6_TAG)
    inside = Encapsulation(vlan_ids(tag), tunnel_name(tunnel)) if tag > IPV6_TAG or tunnel else _BARE
    return (Endpoint(a_hi << 64 | a_lo, a_port, is_ipv6), Endpoint(b_hi << 64 | b_lo, b_port, is_ipv6)), inside


_BARE = Encapsulation([], None)
