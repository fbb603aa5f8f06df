"""What a tracked connection costs is what is reserved for it."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from pcapflow import pipeline, shard
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.assembler import Assembler
from pcapflow.reassembly.connection import CONNECTION_BYTES
from pcapflow.reassembly.half_open import SYN_BYTES
from pcapflow.reassembly.out_of_order import Behind
from pcapflow.reassembly.pages import PAGE, Pages
from pcapflow.reassembly.path import PATH_BYTES
from pcapflow.reassembly.path import Path as NetworkPath
from pcapflow.reassembly.ring import Mark
from pcapflow.reassembly.sack import RANGES, Told
from pcapflow.reassembly.sizing import Needs, Shadow
from tests.craft import Talk, merge, request, response

N = 1500


def talks(kind: str) -> bytes:
    made = []
    for i in range(N):
        t = Talk(client=f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}")
        t.us = i * 100
        if kind == "syn":
            t.packet(0, 2)
        else:
            t.open().send(0, request()).send(1, response(b'{"ok":true}'))
            if kind.startswith("begun"):
                t.send(0, request()[:-9]).send(1, response(b"{}")[:20])
            if kind == "begun, and a stray SYN":
                t.seq[0] += 1 << 29
                t.packet(0, 2)
            if kind == "closed":
                t.close()
        made.append(t)
    return merge(*made)


@pytest.mark.parametrize("kind", ["syn", "open", "begun", "begun, and a stray SYN", "closed"])
def test_a_connection_costs_about_what_is_reserved(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(talks(kind))
    pipeline.run([str(path)])
    tables = []
    original = shard.FlowTable.finish
    tracemalloc.start()

    def measure(self: shard.FlowTable, packet: int, ts: int) -> None:
        gc.collect()  # what waits for it is no part of a connection
        keep = [tracemalloc.Filter(True, f"*/pcapflow/{stage}*") for stage in ("reassembly", "protocols", "findings/ends.py")]
        statistics = tracemalloc.take_snapshot().filter_traces(keep).statistics("filename")
        tables.append((sum(s.size for s in statistics), len(self), self.ctx.ledger.http.used))
        original(self, packet, ts)

    try:
        shard.FlowTable.finish = measure  # type: ignore[method-assign]
        pipeline.run([str(path)], write=lambda _: None)
    finally:
        shard.FlowTable.finish = original  # type: ignore[method-assign]
        tracemalloc.stop()
    ((traced, tracked, http),) = tables
    assert tracked == N
    reserved = (SYN_BYTES if kind == "syn" else CONNECTION_BYTES) + http // N
    print(kind, traced / N, reserved, http // N)
    assert 0.3 * reserved < traced / N < reserved


@pytest.mark.parametrize("segments", [1, 200])
@pytest.mark.parametrize("selective", [False, True])
def test_what_waits_behind_a_hole_costs_no_more_than_is_reserved(segments: int, selective: bool) -> None:
    limits = Limits(rings_total=1 << 30, memory_limit=1 << 30)
    ledger = Ledger(limits)
    made: list[Behind] = []
    pages = Pages()

    def make() -> None:
        behind = Behind(limits, ledger.rings, pages, Policy.FIRST)
        for i in range(segments):
            at = (1 << 40) + i * 1000
            behind.arrive(at, at + 10, 1 << 39)
            assert behind.hold(Mark(at, 1 << 40, 1 << 60, 1 << 31), memoryview(b"0123456789"), (1 << 60) + i, i & 0xFFFF)
        for i in range(RANGES * 2 * selective):
            at = (1 << 40) + i * 100
            behind.told(Told(at, at + 50, (1 << 33) + i, (1 << 60) + i), 1 << 39, 1 << 32, 1 << 59)
        made.append(behind)

    tracemalloc.start()
    try:
        for _ in range(300):
            make()
        traced = tracemalloc.get_traced_memory()[0] + pages.taken * PAGE  # mappings are not traced
    finally:
        tracemalloc.stop()
    assert ledger.rings.used == sum(behind.cost for behind in made)
    assert 0.5 * ledger.rings.used < traced < ledger.rings.used
    for behind in made:
        behind.close()
    assert ledger.rings.used == 0


def test_what_the_network_did_to_a_stream_costs_no_more_than_is_reserved() -> None:
    held = Assembler(8)
    held.add(100, 200, 1 << 60, 1)
    tracemalloc.start()
    try:
        paths = [NetworkPath() for _ in range(300)]
        for path in paths:
            path.retransmitted = path.lost = path.reordered = path.zero_windows = path.closed = path.resets = path.duplicate_acks = 1 << 40
            path.fills(held, 0, (1 << 60) + (1 << 40), 0, 0)
            path.released(1 << 60, (1 << 60) + (1 << 40), 1 << 60)
            path.stalled += 1 << 41
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.3 * PATH_BYTES < traced / len(paths) < PATH_BYTES


def test_a_shadow_costs_no_more_than_is_reserved() -> None:
    limits = Limits()
    ledger, needs = Ledger(limits), Needs()
    shadows: list[Shadow] = []
    tracemalloc.start()
    try:
        for _ in range(300):
            shadow = Shadow(needs, ledger.history)
            for i in range(20):
                shadow.lose((1 << 40) + i * 100, (1 << 40) + i * 100 + 50, None, (1 << 60) + i, 0)
                shadow.hold((1 << 41) + i, (1 << 41) + i + 1000, 1000, 0)
            shadow.acknowledged(1 << 41, 1 << 33, 1 << 60, limits)
            shadows.append(shadow)
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.3 * ledger.history.used < traced < ledger.history.used
    for shadow in shadows:
        shadow.close()
    assert ledger.history.used == needs.now == 0
