"""The capture clock: what it says does not depend on where blocks end, and a pause ages nothing that comes behind it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcapflow import api
from pcapflow.budget import Ledger
from pcapflow.capture.block import PAD, PacketBlock
from pcapflow.capture.clock import CONFIRM, STEP, CaptureClock, timed
from pcapflow.limits import Limits
from pcapflow.records import Connection
from pcapflow.stream_limits import SECOND
from pcapflow.summary import Summary
from tests.craft import ACK, Talk, merge, pcap, request, response

DAY = 86_400


def clock_of(ts: list[int], cuts: list[int] | None = None) -> list[int]:
    """The clock at each packet, where the blocks end at those cuts."""
    bounds = sorted({0, len(ts), *(c for c in cuts or [] if 0 < c < len(ts))})
    blocks = [
        PacketBlock(
            bytearray(b"\1" * (b - a) + bytes(PAD)),
            np.arange(b - a),
            np.ones(b - a, np.int64),
            np.ones(b - a, np.int64),
            np.array(ts[a:b], np.int64),
            a + 1,
            1,
        )
        for a, b in pairwise(bounds)
    ]
    ledger = Ledger(Limits())
    found: list[int] = []
    for block in timed(blocks, ledger):
        assert block.first_packet == len(found) + 1
        assert block.clock is not None
        assert [block.buffer[at] for at in block.offsets] == [1] * len(block)
        found += block.clock.tolist()
    assert ledger.used == 0
    return found


moments = st.lists(st.sampled_from([0, 1, 5, 599, 600, 601, 700, 7200, DAY, 365 * DAY]), max_size=14)


@given(moments, st.lists(st.integers(1, 13), max_size=5))
@example([0, 7200, 7200, 7200, 7200], [2, 4])
@example([0, 7200, 0, 7200, 7200, 7200, 7200], [1, 2, 3, 4, 5, 6])
def test_the_clock_does_not_depend_on_where_blocks_end(times: list[int], cuts: list[int]) -> None:
    ts = [1_700_000_000 * SECOND + t * SECOND for t in times]
    whole = clock_of(ts)
    assert clock_of(ts, cuts) == whole
    assert whole == sorted(whole)


def test_each_packet_that_agreed_on_a_pause_has_its_own_time() -> None:
    later = [7200 * SECOND + i for i in range(6)]
    assert clock_of([1, 2, 3, *later]) == [1, 2, 3, *later]


def test_a_packet_an_hour_each_has_its_own_time_but_the_last_ones_that_nothing_confirms() -> None:
    hours = [i * 3600 * SECOND for i in range(10)]
    clock = clock_of(hours)
    assert clock[: 10 - CONFIRM] == hours[: 10 - CONFIRM]
    assert set(clock[10 - CONFIRM :]) <= {clock[9 - CONFIRM]}


def test_one_packet_a_year_ahead_does_not_carry_the_clock_away_also_among_those_of_a_pause() -> None:
    pause = [1200 * SECOND + i for i in range(8)]
    for at in range(len(pause)):
        times = [0, 1, *pause]
        times[2 + at] = 365 * DAY * SECOND
        assert max(clock_of(times)) < 2 * STEP + SECOND


def test_behind_a_step_back_the_clock_goes_on_by_differences() -> None:
    clock = CaptureClock()
    times, still_open = clock.advance(np.array([DAY * SECOND, 0, 1, 2, 3, 4], np.int64), last=True)
    assert still_open == 0
    assert [t - DAY * SECOND for t in times.tolist()] == [0, 0, 1, 2, 3, 4]


def test_a_step_back_that_is_undone_leaves_no_trace() -> None:
    away, after = [(2 * DAY + i) * SECOND for i in range(5)], [(3 * DAY + 10 + i) * SECOND for i in range(5)]
    clock = clock_of([3 * DAY * SECOND, *away, *after])
    assert clock[-5:] == after


def test_the_reservation_of_what_waits_is_given_back_where_nobody_reads_on() -> None:
    ts = np.array([0, 1, DAY * SECOND], np.int64)
    block = PacketBlock(bytearray(b"\1" * 3 + bytes(PAD)), np.arange(3), np.ones(3, np.int64), np.ones(3, np.int64), ts, 1, 1)
    ledger = Ledger(Limits())
    blocks = timed([block, block], ledger)
    next(blocks)
    assert ledger.used > 0
    blocks.close()
    assert ledger.used == 0


@pytest.mark.parametrize("pause", [601, 7200, DAY])
@pytest.mark.parametrize("packets", [1, 2, 5, 8192])
def test_a_pause_ends_no_connection_that_begins_behind_it_and_burns_no_hole(tmp_path: Path, pause: int, packets: int) -> None:
    first = Talk().open().send(0, request()).send(1, response(b"{}")).close()
    second = Talk(sport=40001)
    second.us = first.us + pause * 1_000_000
    second.open()
    start = second.seq[0]
    data = request("/x", body=b"A" * 90)
    parts = [(0, data[:40]), (40, data[40:60]), (60, data[60:])]
    for at, part in (parts[1], parts[2], parts[0]):
        second.packet(0, ACK, part, seq=start + at)
    second.seq[0] = start + len(data)
    second.send(1, response(b"{}")).close()
    path = tmp_path / "x.pcap"
    path.write_bytes(merge(first, second))
    *found, report = api.iter_records(str(path), limits=Limits(block_packets=packets))
    assert isinstance(report, Summary)
    assert (report.tcp.connections, report.tcp.gaps, report.http.requests, report.http.responses) == (2, 0, 2, 2)
    assert [r.end for r in found if isinstance(r, Connection)] == ["fin", "fin"]


def test_a_step_is_judged_alone_where_memory_is_too_short_to_wait_for_more() -> None:
    ledger = Ledger(Limits())
    taken = ledger.blocks.limit
    assert ledger.blocks.reserve(taken)
    block = PacketBlock(
        bytearray(3 + PAD), np.arange(3), np.ones(3, np.int64), np.ones(3, np.int64), np.array([0, 7200 * SECOND, 7200 * SECOND]), 1, 1
    )
    found = list(timed([block], ledger))
    assert [len(b) for b in found] == [3]
    assert found[0].clock is not None
    assert found[0].clock.tolist() == [0, 0, 0]
    ledger.blocks.release(taken)


def test_an_empty_capture_has_no_clock(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([]))
    assert api.analyze(str(path)).decode.packets == 0
