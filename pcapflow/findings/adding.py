"""What the summaries of two shards of one run come to: walks over the report's types, field by field.

Contract: each function adds what the second has to the first. Everything is a sum of integers, or keyed by names of ours, so the order of shards changes nothing. Invariant: no field of these types is
left out (tests/findings/test_totals.py holds it); what only the whole run knows (`decode`, `tcp.segments` and its flags) is the first shard's.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from pcapflow.summary import Bodies, DropCount, Drops, HttpSummary, PayloadBytes, Spoken, Tcp, UnreadBytes

_K = TypeVar("_K", bound=Hashable)
EXAMPLES_MAX = 3
"""Connections that are named as an example of something."""


def add_counts(total: dict[_K, int], other: dict[_K, int]) -> None:
    """Counts by key."""
    for key, n in other.items():
        total[key] = total.get(key, 0) + n


def add_tcp(total: Tcp, other: Tcp) -> None:
    """What the reassembly saw."""
    total.connections += other.connections
    total.missing_bytes += other.missing_bytes
    total.gaps += other.gaps
    total.holes_filled += other.holes_filled
    total.out_of_order_segments += other.out_of_order_segments
    total.conflicts += other.conflicts
    total.ambiguous_streams += other.ambiguous_streams
    total.acknowledged_missing_bytes += other.acknowledged_missing_bytes
    total.snapped_missing_bytes += other.snapped_missing_bytes
    total.half_open_connections += other.half_open_connections
    total.one_directional_connections += other.one_directional_connections
    total.evicted_connections += other.evicted_connections
    total.early_acknowledgements += other.early_acknowledgements
    total.multipath_connections += other.multipath_connections
    total.streams_out_of_window += other.streams_out_of_window
    total.read_bytes += other.read_bytes
    total.resets_ignored += other.resets_ignored
    total.repeated_after_close += other.repeated_after_close
    add_counts(total.gaps_by_cause, other.gaps_by_cause)
    _add_payload(total.payload_bytes, other.payload_bytes)
    for name, spoken in other.spoken.items():
        own = total.spoken.setdefault(name, Spoken())
        own.connections += spoken.connections
        own.delivered_bytes += spoken.delivered_bytes
    for reason, unread in other.unread.items():
        mine = total.unread.setdefault(reason, UnreadBytes())
        mine.streams += unread.streams
        mine.bytes += unread.bytes
        add_counts(mine.by_name, unread.by_name)
    for name, numbers in other.examples.items():
        total.examples[name] = sorted({*total.examples.get(name, ()), *numbers})[:EXAMPLES_MAX]


def _add_payload(total: PayloadBytes, other: PayloadBytes) -> None:
    total.captured += other.captured
    total.delivered += other.delivered
    total.retransmitted += other.retransmitted
    total.conflicting += other.conflicting
    total.late += other.late
    total.out_of_window += other.out_of_window
    total.dropped += other.dropped
    total.balanced &= other.balanced


def add_http(total: HttpSummary, other: HttpSummary) -> None:
    """What was said over HTTP; its maps of names that the traffic chooses are `NamedCounts` until the end of the run."""
    total.requests += other.requests
    total.responses += other.responses
    _add_bodies(total.bodies, other.bodies)
    add_counts(total.anomalies, other.anomalies)


def _add_bodies(total: Bodies, other: Bodies) -> None:
    total.complete += other.complete
    total.gapped += other.gapped
    total.truncated += other.truncated
    total.dropped += other.dropped


def add_drops(total: Drops, other: Drops) -> None:
    """What was given up."""
    total.streams += other.streams
    total.bytes += other.bytes
    for reason, count in other.by_reason.items():
        own = total.by_reason.setdefault(reason, DropCount())
        own.count += count.count
        own.bytes += count.bytes
