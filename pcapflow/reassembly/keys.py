"""What tells connections apart: both ends in canonical order, and the tag of VLANs and address family.

Invariant: the key of a segment and that of one in the other direction are the same bytes; two connections never have the
same key at one time.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from pcapflow.decode.segments import IPV6_TAG, vlan_ids

KEY = np.dtype([("a_hi", ">u8"), ("a_lo", ">u8"), ("b_hi", ">u8"), ("b_lo", ">u8"), ("a_port", ">u2"), ("b_port", ">u2"), ("tag", ">u8")])
"""Both addresses as 128-bit numbers in two words each, the lower end first; both ports; `SegmentColumns.tag`."""
_FIELDS = struct.Struct(">QQQQHHQ")


class Endpoint(NamedTuple):
    """An address, as a 128-bit number, and a port."""

    address: int
    port: int
    is_ipv6: bool


def endpoints(key: bytes) -> tuple[tuple[Endpoint, Endpoint], list[int]]:
    """Both ends and the VLAN ids, outermost first, that a key stands for."""
    a_hi, a_lo, b_hi, b_lo, a_port, b_port, tag = _FIELDS.unpack(key)
    is_ipv6 = bool(tag & IPV6_TAG)
    return (Endpoint(a_hi << 64 | a_lo, a_port, is_ipv6), Endpoint(b_hi << 64 | b_lo, b_port, is_ipv6)), vlan_ids(tag)
