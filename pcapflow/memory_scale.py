"""Limits under another memory limit (`Limits.with_memory`). Vocabulary: knows nobody.

Contract: `bounds_under` gives the limits that fit together under a memory limit. Invariant: whatever it is, from LEAST_MEMORY on, each account has room for the largest thing
that it has to hold whole, and blocks leave five eighths for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

_KIB, _MIB = 1 << 10, 1 << 20
LEAST_MEMORY = 1 * _MIB
"""The least memory limit that works: a quarter of it, the account of decompressors, has room for the largest one, zstd's."""
_BLOCKS_SCALE, _COPIES_SCALE = 24 * _MIB, 16 * _MIB
"""Memory limits below which blocks, and the memory for copies, are smaller: blocks take a quarter of the limit at the most, copies an eighth."""
LEAST_SHARE = 8 * _MIB
"""Of the memory limit, for each worker: a block, the memory for copies, and half of it for the rest."""
_SMALLEST_BLOCK, _FEWEST_PACKETS, _FEWEST_COPIES = 4 * _KIB, 16, 256


def bounds_under(memory_limit: int, usual: Mapping[str, int]) -> dict[str, int]:
    """What changes of some limits, by name, under another memory limit: the accounts' own limits change with it, in proportion. Under a small one blocks are
    smaller, and fewer segments are remembered to tell copies by.
    """
    bounds = {name: max(1, value * memory_limit // usual["memory_limit"]) for name, value in usual.items() if name.endswith("_total")}
    bounds["memory_limit"] = memory_limit
    if memory_limit < _BLOCKS_SCALE:
        for name, least in (("block_size", _SMALLEST_BLOCK), ("block_packets", _FEWEST_PACKETS)):
            bounds[name] = min(usual[name], max(least, usual[name] * memory_limit // _BLOCKS_SCALE))
    if memory_limit < _COPIES_SCALE:
        slots = usual["copies_window"] * memory_limit // _COPIES_SCALE
        bounds["copies_window"] = min(usual["copies_window"], max(_FEWEST_COPIES, 1 << max(0, slots.bit_length() - 1)))
    return bounds


def shares_of(limits: Mapping[str, int], room: int, workers: int) -> dict[str, int]:
    """What changes of the limits of a run, by name, for each of so many workers that divide so many bytes: blocks are smaller, and each has its part of the accounts and of the
    tables. What stays makes one report of any number of workers: the window of copies, and the account of what is put out.
    """
    share = room // workers
    bounds = bounds_under(share, limits)
    bounds["copies_window"] = limits["copies_window"]
    for name in ("output_total", "json_total"):
        bounds[name] = min(limits[name], share // 2)
    for name in ("max_connections", "max_half_open", "max_finals", "max_vlan_pairs"):
        bounds[name] = -(-limits[name] // workers)
    return bounds


def common_of(share: int) -> tuple[int, int]:
    """Of the bytes that one of several workers has: what it has for blocks and all that is done before connections are told apart, and for fragments."""
    return min(10 * _MIB, 7 * _MIB // 4 + share * 5 // 16), share // 16


def memory_for(n: int) -> int:
    """A memory limit, in whole MiB, under which n bytes can be kept beside a block and the memory for copies."""
    return max(LEAST_MEMORY, -(-min(n * 8 // 5, n + 8 * _MIB) // _MIB) * _MIB)
