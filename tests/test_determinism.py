"""The same capture and options give the same bytes: whatever the blocks, the timing of a pipe, and who listens beside the report."""

from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.errors import CaptureError
from pcapflow.limits import KIB, MIB, Limits
from pcapflow.looking import Looking
from pcapflow.report.extract import Extractor, Where
from pcapflow.report.har import Har, HarCollector
from pcapflow.report.html import Page
from tests.captures import capture_of
from tests.conftest import CASES

MAY_DIFFER = ("run", "memory", "limits", "advice")
"""docs/report.md; `advice` names limits."""


class Told:
    """What a run said."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.summary: Any = None
        self.har = b""
        self.refused = ""

    def comparable(self) -> tuple[Any, ...]:
        return self.lines, self.summary, self.refused


def told(path: str, limits: Limits, *, har: bool = False, page: bool = False) -> Told:
    found = Told()
    parts: list[bytes] = []
    sinks: list[Any] = []
    options: dict[str, Any] = {}
    if har:
        sinks.append(Har(parts.append))
        options["collect"] = lambda *args: HarCollector(sinks[0].entries, *args)
    if page:
        sinks.append(Page([].append, limits))  # type: ignore[arg-type]
    try:
        result = pipeline.run([path], limits, pipeline.Options(), write=found.lines.extend, sinks=sinks, **options)
    except CaptureError as e:
        found.refused = e.problem
        return found
    assert result.unbalanced == []
    assert all(component.at_end_bytes == 0 for component in result.summary.memory.components.values())
    found.summary = msgspec.to_builtins(result.summary)
    for name in MAY_DIFFER:
        del found.summary[name]
    for capture in found.summary["captures"]:
        del capture["path"]
    found.har = b"".join(parts)
    return found


def values(path: str, limits: Limits) -> tuple[list[bytes], list[bytes]]:
    """What `extract a --with-source` says."""
    given_out: list[bytes] = []
    others: list[bytes] = []
    try:
        pipeline.run(
            [path], limits, pipeline.Options(), collect=lambda bounds, ledger, _, looking: Extractor("a", Where(), bounds, ledger, given_out.extend, others.extend, Looking(sniff=True), with_source=True)
        )
    except CaptureError:
        return [], []
    return given_out, others


def blocks_of(rng: random.Random) -> Limits:
    """Blocks of any size."""
    return replace(Limits(), block_size=rng.choice([4 * KIB, 5 * KIB, 64 * KIB, 2 * MIB, 4 * MIB]), block_packets=rng.choice([1, 2, 3, 7, 50, 8192]))


def through_a_pipe(folder: Path, data: bytes, rng: random.Random, limits: Limits) -> Told:
    """The same by a named pipe whose writer gives some bytes at a time."""
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)

    def write() -> None:
        try:
            with pipe.open("wb", buffering=0) as out:
                at = 0
                while at < len(data):
                    n = rng.choice([1, 7, 500, 5000, 1 << 16])
                    out.write(data[at : at + n])
                    at += n
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return told(str(pipe), limits)
    finally:
        writer.join()


@settings(max_examples=120 * CASES)
@given(st.integers(0, 1 << 40))
def test_the_report_depends_on_no_block_no_pipe_and_no_sink(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = capture_of(seed)
    path = tmp_path / "x"
    path.write_bytes(data)
    plain = told(str(path), Limits())
    limits = blocks_of(rng)
    assert told(str(path), limits).comparable() == plain.comparable()
    with_har = told(str(path), Limits(), har=True, page=rng.random() < 0.3)
    assert with_har.comparable() == plain.comparable()
    assert told(str(path), limits, har=True).har == with_har.har
    if with_har.har:
        json.loads(with_har.har)
    assert values(str(path), limits) == values(str(path), Limits())
    if seed % 4 == 0:
        assert through_a_pipe(tmp_path, data, rng, limits).comparable() == plain.comparable()
