"""What tells connections apart: both ends in canonical order, and the tags of VLANs, address family and tunnel.

Invariant: the key of a segment and that of one in the other direction are the same bytes; two connections never have the
same key at one time.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import IPV6_TAG, SegmentColumns, tunnel_name, vlan_ids

KEY = np.dtype(
    [
        ("a_hi", ">u8"),
        ("a_lo", ">u8"),
        ("b_hi", ">u8"),
        ("b_lo", ">u8"),
        ("a_port", ">u2"),
        ("b_port", ">u2"),
        ("tag", ">u8"),
        ("tunnel", ">u8"),
    ]
)
"""Both addresses as 128-bit numbers in two words each, the lower end first; both ports; `SegmentColumns.tag` and `tunnel`."""
_BYTES = np.dtype(f"V{KEY.itemsize}")
"""A key as bytes, which are compared as they are."""
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


def vlans_of(inside: Encapsulation, others: Mapping[int, list[int]], client: int) -> tuple[list[int], list[int] | None]:
    """VLAN ids of the client's direction, and those of the server's where they are others. others: by direction, where they are not those of the key."""
    ids = [others.get(direction, inside.vlan) for direction in (client, 1 - client)]
    return ids[0], ids[1] if ids[1] != ids[0] else None


_TAG = slice(36, 44)
"""Where a key has its tag."""
_MIX = np.frombuffer(os.urandom(8 * (KEY.itemsize // 4)), dtype=np.uint64) | np.uint64(1)
"""Odd factors that nobody knows before: keys of which many have one hash would make a group of each row. What a run finds depends on none of them, since
groups are worked on in the order of their packets.
"""


def tag_of(key: bytes) -> int:
    """The tag in a key."""
    return int.from_bytes(key[_TAG], "big")


def tagged(key: bytes, tag: int) -> bytes:
    """The key with that tag in place of its own."""
    return key[: _TAG.start] + tag.to_bytes(8, "big") + key[_TAG.stop :]


def untagged(key: bytes) -> bytes:
    """The key without VLAN ids."""
    return tagged(key, tag_of(key) & IPV6_TAG)


def connection_keys(c: SegmentColumns) -> tuple[npt.NDArray[np.void], npt.NDArray[np.bool_]]:
    """KEY of shape (n,), and bool (n,): whether the segment was sent by the higher end, so that it is of direction 1."""
    swap = (c.src_lo > c.dst_lo) | ((c.src_lo == c.dst_lo) & (c.sport > c.dport))
    if c.src_hi.any() or c.dst_hi.any():
        swap = (c.src_hi > c.dst_hi) | ((c.src_hi == c.dst_hi) & swap)
    keys = np.empty(len(c), dtype=KEY)
    for name, low, high in (("hi", c.src_hi, c.dst_hi), ("lo", c.src_lo, c.dst_lo), ("port", c.sport, c.dport)):
        keys[f"a_{name}"] = np.where(swap, high, low)
        keys[f"b_{name}"] = np.where(swap, low, high)
    keys["tag"] = c.tag
    keys["tunnel"] = c.tunnel
    return keys, swap


class Grouped(NamedTuple):
    """Segments by connection. order: int64 (n,), rows by key, those of one key in order; change: bool (n,), where in that order another group begins, the first but
    for itself; swap: bool (n,), which segments, as they came, are of direction 1; keys: KEY (groups,), that of each group.
    """

    order: npt.NDArray[np.int64]
    change: npt.NDArray[np.bool_]
    swap: npt.NDArray[np.bool_]
    keys: npt.NDArray[np.void]


def grouped(c: SegmentColumns) -> Grouped:
    """The segments of a block by connection."""
    if c.src_hi.any() or c.dst_hi.any() or c.tag.any() or c.tunnel.any():
        keys, swap = connection_keys(c)
        order, starts = groups_of(keys)
        change = np.zeros(len(c), dtype=bool)
        change[starts[1:]] = True
        return Grouped(order, change, swap, keys[order[starts]])
    # IPv4 and nothing around it: an end is a number of 48 bits, and keys are made for the groups alone
    source, target = c.src_lo << _PORT | c.sport.astype(np.uint64), c.dst_lo << _PORT | c.dport.astype(np.uint64)
    low, high = np.minimum(source, target), np.maximum(source, target)
    hashes = (low ^ low >> _FOLD) * _MIX[0] + (high ^ high >> _FOLD) * _MIX[1]
    tops = (hashes >> np.uint64(48)).astype(np.uint16)  # numpy sorts 16 bits much faster
    order = tops.argsort(kind="stable")
    change = _changes(low[order], high[order])
    tops = tops[order]
    if np.count_nonzero(change) != np.count_nonzero(tops[1:] != tops[:-1]):
        # connections of one top lie interleaved
        order = hashes.argsort(kind="stable")
        change = _changes(low[order], high[order])
    firsts = order[np.concatenate((_FIRST, change.nonzero()[0]))]
    keys = np.zeros(len(firsts), dtype=KEY)
    for name, ends in (("a", low[firsts]), ("b", high[firsts])):
        keys[f"{name}_lo"] = ends >> _PORT
        keys[f"{name}_port"] = ends & np.uint64(0xFFFF)
    return Grouped(order, change, source > target, keys)


_PORT = np.uint64(16)
_FOLD = np.uint64(24)
"""An odd factor carries a difference in a high bit no lower: high bits are mixed into the low ones first."""
_FIRST = np.zeros(1, dtype=np.int64)


def _changes(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """bool (n,): which pairs differ from the one before."""
    change = np.zeros(len(low), dtype=bool)
    np.not_equal(low[1:], low[:-1], out=change[1:])
    change[1:] |= high[1:] != high[:-1]
    return change


def groups_of(keys: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """int64 (n,): rows by key, those of one key in order; int64 (groups,): the first of each group in that."""
    words = keys.view(np.uint32).reshape(len(keys), -1)
    # sorts, never identifies: groups break on the whole key
    order = np.argsort(words.astype(np.uint64) @ _MIX, kind="stable")
    ordered = keys.view(_BYTES).take(order)
    change = np.empty(len(keys), dtype=bool)
    change[0] = True
    change[1:] = ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(change)
