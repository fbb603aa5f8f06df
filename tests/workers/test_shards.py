"""Any number of shards gives one report: run one after the other in this process, and merged, against one that sees everything."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.capture.clock import timed
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.packet_places import Places
from pcapflow.capture.trace import Trace
from pcapflow.entries import Entry
from pcapflow.errors import CaptureError
from pcapflow.findings.collector import Collector
from pcapflow.findings.listening import Who
from pcapflow.limits import Limits
from pcapflow.policy import VlanKey
from pcapflow.shard import Part, Partial, Shard, merged
from pcapflow.workers.frames import place_of
from tests.adversarial import KINDS, make
from tests.captures import capture_of, stamped
from tests.conftest import CASES

MAY_DIFFER = ("run", "memory", "limits", "advice", "captures")
ROOT = Path(__file__).parents[2]


def by_one(path: str, limits: Limits, options: pipeline.Options) -> tuple[list[bytes], Any, bool]:
    """Records, summary, and whether a limit that connections share was reached."""
    lines: list[bytes] = []
    result = pipeline.run([path], limits, options, write=lines.extend)
    return lines, counted(result.summary), result.summary.memory.pressure


def counted(summary: Any) -> Any:
    found = msgspec.to_builtins(summary)
    for name in MAY_DIFFER:
        found.pop(name, None)
    return found


def by_shards(path: str, n: int, limits: Limits, options: pipeline.Options) -> tuple[list[bytes], Any, bool]:
    """The same by n shards."""
    entries: list[tuple[int, int, bytes]] = []
    partials: list[Partial] = []
    pressure = False
    for number in range(n):
        ledger = Ledger(limits)
        found: list[Entry] = []
        collector = Collector(limits, ledger, found.extend, options.looking, Who((None,)), options.headers)
        shard = Shard(limits, options, ledger, collector, Part(number, n))
        before = 0
        with Trace([path], limits, ledger, Interrupt()) as trace:
            collector.places = Places([path])
            for block in timed(trace.blocks(options.packets), ledger):
                shard.take(block)
                collector.flush()
                before = len(found)
        shard.finish(no_memory=False)
        assert ledger.used == 0
        entries += [(place_of(e.packet, at_the_end=i >= before), e.connection, e.line) for i, e in enumerate(found)]
        partials.append(pickle.loads(pickle.dumps(shard.partial(0, trace.reading, no_memory=False))))
        pressure = pressure or ledger.pressure
    whole = merged(partials)
    assert whole.totals.unbalanced == []
    entries.sort(key=lambda entry: entry[:2])
    totals, decode = whole.totals, whole.decode
    summary = {
        "decode": decode, "tcp": totals.tcp, "http": totals.http, "json": totals.json, "drops": totals.drops, "worst_streams": totals.worst.streams(),
        "network": totals.network.summary(), "endpoints": totals.answers.endpoints(), "problems": totals.answers.problems(),
        "plugins": dict(sorted(totals.plugins.items())), "payloads": dict(sorted(totals.payloads.items())), "not_written": {},
    }  # fmt: skip
    return [line for *_, line in entries], msgspec.to_builtins(summary), pressure


def agree(path: Path, numbers: Sequence[int], limits: Limits | None = None, options: pipeline.Options | None = None) -> int:
    """How many records were the same."""
    limits, options = limits or Limits(), options or pipeline.Options()
    try:
        lines, summary, pressed = by_one(str(path), limits, options)
    except CaptureError:
        return 0
    for n in numbers:
        theirs, of_all, pressure = by_shards(str(path), n, limits, options)
        if pressed or pressure:
            continue
        assert theirs == lines
        assert of_all == {name: summary[name] for name in of_all}
        assert set(summary) - set(of_all) == {"record", "schema", "pcapflow", "interrupted"}
    return len(lines)


@pytest.mark.parametrize("path", sorted((ROOT / "samples").glob("*.pcap")), ids=lambda path: path.stem)
def test_every_sample_has_one_report_whatever_the_shards(path: Path) -> None:
    assert agree(path, (2, 3, 8)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_adversarial_capture_has_one_report_whatever_the_shards(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pcap"
    make(kind, path, max(1000, KINDS[kind][1] // 20))
    agree(path, (3,))


@settings(max_examples=40 * CASES)
@given(st.integers(0, 1 << 40), st.integers(2, 8), st.booleans())
def test_any_capture_has_one_report_whatever_the_shards(tmp_path: Path, seed: int, n: int, times: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes((stamped if times else capture_of)(seed))
    options = pipeline.Options(
        looking=Looking(sniff=seed % 2 == 0, hashes=seed % 3 == 0, shapes=seed % 5 == 0),
        vlan_key=list(VlanKey)[seed % 3],
        verify_checksums=seed % 7 == 0,
        walk_all=seed % 11 == 0,
    )
    agree(path, (n,), replace(Limits(), block_packets=1 + seed % 50), options)
