"""The bytes of a capture that one process reads for all: all of them, in order, in bounded memory, and none too early."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.capture.source import Source
from pcapflow.limits import Limits
from pcapflow.report.documents import NdjsonWriter
from pcapflow.workers.feed import Fed, Feed
from tests.conftest import CASES
from tests.launcher import launch_text
from tests.workers.test_processes import MAY_DIFFER, busy, report


class Worker:
    """Reads what it is fed, some bytes at a time, in a thread of its own."""

    def __init__(self, feed: Feed, number: int, size: int, rng: random.Random, changed: threading.Condition) -> None:
        def read(until: int) -> None:
            with changed:
                feed.read[number] = until
                changed.notify_all()

        self.source = Fed("x", feed.fd, size, read)
        self.found = bytearray()
        self._sizes = [rng.randint(1, 40) for _ in range(50)]
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        turn = 0
        while True:
            room = bytearray(self._sizes[turn % len(self._sizes)])
            turn += 1
            got = self.source.fill(memoryview(room))
            if not got:
                return
            self.found += room[:got]


@settings(max_examples=25 * CASES)
@given(st.integers(0, 1 << 40), st.integers(1, 3), st.integers(8, 64))
def test_every_worker_gets_all_bytes_in_order_through_little_memory(seed: int, n: int, size: int) -> None:
    rng = random.Random(seed)
    data = rng.randbytes(rng.randint(0, 2000))
    changed = threading.Condition()
    workers: list[Worker] = []

    def tell(until: int) -> None:
        for worker in workers:
            worker.source.may_read(until)

    def end() -> None:
        for worker in workers:
            worker.source.no_more()

    def wait() -> None:
        with changed:
            changed.wait(0.001)

    feed = Feed(size, n, tell, end, wait)
    workers += [Worker(feed, i, size, rng, changed) for i in range(n)]
    feed.close()
    for worker in workers:
        worker.thread.start()
    at = 0
    while at < len(data):
        some = rng.randint(1, 200)
        feed.write(memoryview(data)[at : at + some])
        at += some
        if rng.random() < 0.3:
            feed.tell()
    feed.end()
    for worker in workers:
        worker.thread.join(10)
        assert bytes(worker.found) == data


def test_what_the_first_process_has_not_taken_is_not_seen() -> None:
    told: list[int] = []
    feed = Feed(100, 1, told.append, lambda: None, lambda: pytest.fail("there is room"))
    fed = Fed("x", feed.fd, 100, lambda _: None)
    feed.write(memoryview(b"abc"))
    assert told == []
    assert not fed._ready()
    feed.tell()
    fed.may_read(told[-1])
    room = bytearray(10)
    assert fed.fill(memoryview(room)) == 3
    assert isinstance(fed, Source)
    feed.close()


@pytest.mark.parametrize("workers", [2, 3])
def test_a_compressed_capture_gives_the_same_bytes_whoever_undoes_it(tmp_path: Path, workers: int) -> None:
    plain = busy(tmp_path / "x.pcap", connections=60, exchanges=40)
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(plain.read_bytes(), 1))
    lines, summary, _ = report(path, 1)
    theirs, of_all, shared = report(path, workers)
    assert theirs == lines
    assert of_all == summary
    assert shared.summary.run.workers == workers
    assert all(component.at_end_bytes == 0 for component in shared.summary.memory.components.values())
    fewer, *_ = report(path, workers, options={"packets": 500})
    assert fewer == report(path, 1, options={"packets": 500})[0]


def test_a_damaged_compressed_capture_gives_the_same_bytes_too(tmp_path: Path) -> None:
    data = bytearray(busy(tmp_path / "x.pcap", connections=60, exchanges=40).read_bytes())
    data[400_000:700_000] = random.Random(1).randbytes(300_000)
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(bytes(data), 1)[:-20_000])
    lines, summary, _ = report(path, 1)
    theirs, of_all, _ = report(path, 2)
    assert theirs == lines
    assert of_all == summary


@pytest.mark.parametrize("workers", [None, 1, 2, 3])
def test_a_file_that_is_standard_input_is_read_by_one_process(workers: int | None, tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=200)
    command = [sys.executable, "-m", "pcapflow", "analyze", "-q", "--ndjson", "--records", "http"]
    expected = subprocess.run([*command, path], capture_output=True, check=True, timeout=60).stdout.splitlines()[:-1]
    more = ["--workers", str(workers)] if workers is not None else []
    with path.open("rb") as file:
        found = subprocess.run([*command, *more, "-"], stdin=file, capture_output=True, check=True, timeout=60).stdout.splitlines()[:-1]
    assert found == expected


def test_standard_input_is_shared_where_that_is_asked_for(tmp_path: Path) -> None:
    data = busy(tmp_path / "x.pcap", connections=60, exchanges=40).read_bytes()
    said = []
    for workers in (1, 3):
        done = launch_text("analyze", "-q", "--ndjson", "--workers", workers, "-", stdin=data)
        assert (done.returncode, done.stderr) == (0, "")
        *records, summary = done.stdout.splitlines()
        fields = json.loads(summary)
        assert fields["run"]["workers"] == workers
        said.append((records, {name: value for name, value in fields.items() if name not in MAY_DIFFER}))
    assert said[0] == said[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_of_a_pipe_that_brings_nothing_end_when_they_are_asked_to(tmp_path: Path, number: int) -> None:
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=40)
    part = path.read_bytes()[:600_000]
    command = [sys.executable, "-m", "pcapflow", "analyze", "-q", "--ndjson", "--workers", "2", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(part)
        process.stdin.flush()
        time.sleep(2)  # it waits for more
        os.kill(process.pid, number)
        said, errors = process.stdout.read() if process.stdout else b"", process.stderr.read() if process.stderr else b""
    assert process.returncode == 128 + number
    assert errors == b""
    *records, summary = said.splitlines()
    fields = json.loads(summary)
    assert fields["interrupted"]
    assert fields["run"]["workers"] == 2
    lines: list[bytes] = []
    options = pipeline.Options(packets=fields["decode"]["packets"])
    writer = NdjsonWriter(lines.append)
    expected = pipeline.run([str(path)], replace(Limits()), options, write=writer.records).summary
    assert records == b"".join(lines).splitlines()
    assert fields["tcp"] == msgspec.to_builtins(expected.tcp)
