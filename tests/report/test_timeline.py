"""Exchanges in the timeline of the page: whatever comes together, and in whatever order, each bucket has the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.findings.histogram import Histogram
from pcapflow.limits import Limits
from pcapflow.records import seconds
from pcapflow.report.sinks.html import Page
from pcapflow.report.timeline import BUCKETS, CLASSES, LATENCY_BYTES, Timeline
from tests.report.conversation import run
from tests.report.test_sinks import page_data

SAMPLES = Path(__file__).parents[2] / "samples"
Exchange = tuple[int, int, int]

EXCHANGES = st.tuples(
    st.one_of(st.integers(0, 10**7), st.integers(10**18, 10**18 + 10**10)),
    st.one_of(st.just(-1), st.integers(0, 5000), st.integers(0, 10**12)),
    st.one_of(st.just(0), st.integers(100, 599), st.integers(1, 1 << 30)),
)


def timeline(batches: list[list[Exchange]], *, quantiles: bool = True) -> Timeline:
    found = Timeline(quantiles=quantiles)
    for batch in batches:
        found.exchanges(*np.array(batch, dtype=np.int64).reshape(-1, 3).T)
    return found


def rank(values: list[int], percent: int) -> int:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@given(st.lists(EXCHANGES, max_size=30), st.integers(1, 30), st.randoms())
def test_it_is_the_same_whatever_comes_together(exchanges: list[Exchange], size: int, random: Any) -> None:
    one = timeline([exchanges])
    mixed = exchanges[:]
    random.shuffle(mixed)
    other = timeline([mixed[i : i + size] for i in range(0, len(mixed), size)])
    assert one.value() == other.value()
    assert one.latency() == other.latency()
    assert sum(map(sum, one.value()["status"].values())) == len(exchanges)
    assert len(one.value()["longest"]) <= BUCKETS


@given(st.lists(st.integers(0, 1 << 33), min_size=1, max_size=60))
def test_quantiles_are_within_what_is_said_and_the_longest_is_exact(durations: list[int]) -> None:
    found = timeline([[(5, one, 200) for one in durations]])
    value, latency = found.value(), found.latency()
    assert value["longest"] == [max(durations) / 1e6]
    assert latency["max"] == max(durations) / 1e6
    assert latency["count"] == len(durations)
    for got, percent in ((value["p95"][0], 95), (latency["p95"], 95), (latency["p50"], 50)):
        want = rank(durations, percent) / 1e6
        assert got is not None
        assert abs(got - want) <= want / 32 + 1e-9


@pytest.mark.parametrize(
    ("status", "name"),
    [(0, "unanswered"), (101, "1xx"), (204, "2xx"), (304, "3xx"), (404, "4xx"), (599, "5xx"), (42, "other"), (1 << 30, "other")],
)
def test_each_status_has_its_class(status: int, name: str) -> None:
    assert name in CLASSES
    assert timeline([[(1, 1, status)]]).value()["status"] == {name: [1]}


def test_what_has_no_duration_is_counted_and_has_none() -> None:
    found = timeline([[(1, -1, 0), (9_000_000, 70, 200)]])
    assert found.value()["longest"] == [None, *[None] * 8, 70 / 1e6]
    assert found.value()["p95"] == found.value()["longest"]
    assert timeline([[(1, -1, 0)]]).latency() == {"count": 0, "p50": None, "p95": None, "max": None}


def test_its_histograms_take_what_is_reserved_for_them_and_no_more() -> None:
    found = timeline([[(n * 10**9, n, 200) for n in range(1000)]])
    assert found._durations is not None
    assert found._durations.nbytes == LATENCY_BYTES
    assert found._durations.sum() == 1000


def test_a_page_without_room_for_histograms_has_the_longest_times_alone() -> None:
    out: list[bytes] = []
    limits = Limits(output_total=300_000)
    records, result = run(SAMPLES / "json-api.pcap", Page(out.append, limits), limits=limits)
    data = page_data(b"".join(out))
    assert data["timeline"]["p95"] is None
    durations = [r["duration"] for r in records if r["record"] == "http" and r["duration"] is not None]
    assert data["latency"]["max"] == max(durations) == max(one for one in data["timeline"]["longest"] if one is not None)
    assert abs(data["latency"]["p95"] - rank([round(one * 1e6) for one in durations], 95) / 1e6) <= data["latency"]["p95"] / 30
    assert result.summary.memory.components["output"].peak_bytes <= 300_000


def test_the_page_s_rows_are_in_the_report_s_order_and_the_worst_are_named() -> None:
    out: list[bytes] = []
    limits = Limits(page_rows=4)
    run(SAMPLES / "lossy.pcap", Page(out.append, limits), limits=limits)
    losses = page_data(b"".join(out))["tables"]["losses"]
    assert len(losses["rows"]) == 4
    packets = [row["packet"] for row in losses["rows"]]
    assert packets == sorted(packets)
    worst = [losses["rows"][i]["bytes"] for i in losses["worst"]]
    assert worst == sorted(worst, reverse=True)


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=40))
def test_the_quantiles_of_all_exchanges_are_those_of_an_endpoint_that_has_them_all(microseconds: list[int]) -> None:
    histogram = Histogram()
    for one in microseconds:
        histogram.add(one * 1000)
    found = timeline([[(i, one, 200) for i, one in enumerate(microseconds)]]).latency()
    assert [found[name] for name in ("p50", "p95", "max")] == [seconds(histogram.quantile(part)) for part in (0.5, 0.95, 1)]
