"""Segments by connection, beside a dictionary of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.decode.segments import IPV6_TAG, SegmentColumns
from pcapflow.reassembly import keys as module
from pcapflow.reassembly.keys import endpoints, grouped
from pcapflow.reassembly.runs import Sent

Segment = tuple[int, int, int, int]
_ENDS = st.tuples(st.sampled_from((1, 2, 1 << 31, 0xFFFF_FFFF)), st.sampled_from((1, 80, 0x8000, 0xFFFF)))


def columns(segments: Sequence[Segment], *, ipv6: bool) -> SegmentColumns:
    source, sport, target, dport = (list(column) for column in zip(*segments, strict=True))
    n = len(segments)
    none, zero = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.int64)
    tag = np.full(n, IPV6_TAG if ipv6 else 0, dtype=np.uint64)
    addresses = np.array(source, dtype=np.uint64), none, np.array(target, dtype=np.uint64)
    ports = np.array(sport, dtype=np.int64), np.array(dport, dtype=np.int64)
    return SegmentColumns(np.arange(n), np.arange(n), *[zero] * 7, none, *addresses, *ports, tag, none, zero)


@given(st.lists(st.tuples(_ENDS, _ENDS), min_size=1, max_size=60), st.booleans())
def test_rows_of_one_connection_stand_together_in_order(ends: list[tuple[tuple[int, int], tuple[int, int]]], ipv6: bool) -> None:
    segments = [(*source, *target) for source, target in ends]
    order, change, swap, found = grouped(columns(segments, ipv6=ipv6))
    expected: dict[tuple[tuple[int, int], tuple[int, int]], list[int]] = {}
    for row, (source, target) in enumerate(ends):
        expected.setdefault((min(source, target), max(source, target)), []).append(row)
        assert bool(swap[row]) == (source > target)
    starts = [0, *np.flatnonzero(change).tolist()]
    groups = [rows.tolist() for rows in np.split(order, starts[1:])]
    assert sorted(groups) == sorted(expected.values())
    raw = found.tobytes()
    for g, rows in enumerate(groups):
        (a, b), _ = endpoints(raw[g * found.itemsize : (g + 1) * found.itemsize])
        assert expected[(a.address, a.port), (b.address, b.port)] == rows
        assert a.is_ipv6 == b.is_ipv6 == ipv6


def test_many_connections_whose_addresses_differ_in_high_bits_are_told_apart() -> None:
    segments = [(a << 24 | 1, 1, b << 24 | 2, 0x8000) for a in range(64) for b in range(64)] * 2
    order, change, *_ = grouped(columns(segments, ipv6=False))
    assert np.count_nonzero(change) == 64 * 64 - 1
    assert (np.diff(order.reshape(-1, 2), axis=1) == 64 * 64).all()


def test_the_tops_of_hashes_only_sort() -> None:
    # with factors that give all connections one top they lie interleaved at first
    before = module._MIX[:2].copy()
    module._MIX[:2] = 1
    try:
        order, change, *_ = grouped(columns([(1, 1, 2, 2), (1, 1, 2, 3)] * 4, ipv6=False))
    finally:
        module._MIX[:2] = before
    assert np.count_nonzero(change) == 1
    assert sorted(order[:4].tolist()) in ([0, 2, 4, 6], [1, 3, 5, 7])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40), st.data())
def test_where_a_stream_was_before_a_row_is_what_its_last_segment_says(rows: list[tuple[int, bool]], data: st.DataObject) -> None:
    """rows: the stream of each, and whether it takes numbers; row i ends at i * 10."""
    n = len(rows)
    taken = sorted((stream, i) for i, (stream, takes) in enumerate(rows) if takes)
    sent = Sent(np.array([s * n + i for s, i in taken], dtype=np.int64), np.array([i * 10 for _, i in taken], dtype=np.int64), n)
    asked = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, n - 1)), max_size=20))
    found = sent.before(*(np.array([pair[k] for pair in asked], dtype=np.int64) for k in (0, 1)), np.full(len(asked), -1))
    assert found.tolist() == [max((i * 10 for s, i in taken if s == stream and i < row), default=-1) for stream, row in asked]
