"""What a tracked connection costs is what is reserved for it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.reassembly.connection import CONNECTION_BYTES
from pcapflow.reassembly.unanswered import SYN_BYTES
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
            if kind == "closed":
                t.close()
        made.append(t)
    return merge(*made)


@pytest.mark.parametrize("kind", ["syn", "open", "closed"])
def test_a_connection_costs_about_what_is_reserved(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(talks(kind))
    pipeline.run([str(path)])
    tables = []
    original = pipeline.FlowTable.finish
    tracemalloc.start()

    def measure(self: pipeline.FlowTable, packet: int, ts: int) -> None:
        keep = [tracemalloc.Filter(True, f"*/pcapflow/{stage}/*") for stage in ("reassembly", "protocols", "report")]
        statistics = tracemalloc.take_snapshot().filter_traces(keep).statistics("filename")
        tables.append((sum(s.size for s in statistics), len(self)))
        original(self, packet, ts)

    try:
        pipeline.FlowTable.finish = measure  # type: ignore[method-assign]
        pipeline.run([str(path)])
    finally:
        pipeline.FlowTable.finish = original  # type: ignore[method-assign]
        tracemalloc.stop()
    ((traced, tracked),) = tables
    assert tracked == N
    reserved = SYN_BYTES if kind == "syn" else CONNECTION_BYTES
    assert 0.3 * reserved < traced / N < reserved
