"""Whose a segment is: the same for both directions, in every worker, however the rows are cut; and about as much for each."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.decode.segments import SYN, SegmentColumns
from pcapflow.decode.shares import BUCKETS, WINDOW, Shares, buckets_of, costs_of


def rows(n: int, connections: int, seed: int, step: int = 1) -> SegmentColumns:
    """Segments of so many connections in both directions; every packet or every few are such."""
    rng = random.Random(seed)
    made = np.zeros((18, n), dtype=np.int64)
    columns = SegmentColumns(*made)
    columns.packet = np.arange(1, n * step + 1, step)
    for i in range(n):
        connection = rng.randrange(connections)
        ends = [(connection >> 3, 40_000 + connection), (99, 80)]
        (src, sport), (dst, dport) = ends if rng.random() < 0.5 else ends[::-1]
        columns.src_lo[i], columns.sport[i], columns.dst_lo[i], columns.dport[i] = src, sport, dst, dport
        columns.payload_len[i] = rng.choice([0, 100, 1448])
        columns.flags[i] = rng.choice([SYN, 16])
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "tag", "tunnel"):
        setattr(columns, name, getattr(columns, name).astype(np.uint64))
    return columns


def turned(columns: SegmentColumns) -> SegmentColumns:
    other = columns.take(slice(None))
    other.src_hi, other.dst_hi, other.src_lo, other.dst_lo = columns.dst_hi, columns.src_hi, columns.dst_lo, columns.src_lo
    other.sport, other.dport = columns.dport, columns.sport
    return other


@given(st.integers(0, 1 << 30))
def test_both_directions_any_tag_and_any_tunnel_are_of_one_bucket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rows(20, 20, seed)
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"):
        setattr(columns, name, rng.integers(0, 1 << 63, 20).astype(np.uint64))
    other = turned(columns)
    other.tag, other.tunnel = other.tag + np.uint64(77), other.tunnel + np.uint64(5)
    buckets = buckets_of(columns)
    assert (buckets == buckets_of(other)).all()
    assert ((buckets >= 0) & (buckets < BUCKETS)).all()


@given(st.integers(0, 1 << 30), st.integers(2, 8), st.booleans(), st.booleans())
def test_whose_a_row_is_does_not_depend_on_how_rows_are_cut(seed: int, workers: int, sampled: bool, merges: bool) -> None:
    rng = random.Random(seed)
    columns = rows(300, 40, seed, step=rng.choice([1, 50, WINDOW]))
    sample = np.random.default_rng(seed).integers(0, 3, BUCKETS) if sampled else None
    whole = Shares(workers, sample, merges=merges).of(columns)
    cut = Shares(workers, sample, merges=merges)
    borders = sorted({0, 300, *(rng.randrange(300) for _ in range(5))})
    parts = [cut.of(columns.take(slice(a, b))) for a, b in pairwise(borders)]
    assert (np.concatenate(parts) == whole).all()
    assert (Shares(workers, sample, merges=merges).of(turned(columns)) == whole).all()
    owners = {(int(b), int(w)) for b, w in zip(buckets_of(columns), whole, strict=True)}
    assert len(owners) == len({b for b, _ in owners})  # a bucket is one worker's


def test_workers_have_about_as_much_of_many_connections_whatever_came_first() -> None:
    columns = rows(40_000, 3000, 1)
    for workers in (2, 3, 8):
        owners = Shares(workers).of(columns)
        costs = np.bincount(owners, weights=costs_of(columns), minlength=workers)
        assert costs.max() < 1.25 * costs.min()


def test_heavy_connections_of_a_sample_are_dealt_out_evenly() -> None:
    columns = rows(2000, 12, 3)
    sample = np.bincount(buckets_of(columns), weights=costs_of(columns), minlength=BUCKETS).astype(np.int64) * 10_000
    costs = np.bincount(Shares(2, sample).of(columns), weights=costs_of(columns), minlength=2)
    assert costs.max() < 0.6 * costs.sum()
