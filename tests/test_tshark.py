"""Counts against tshark's on the samples, where tshark is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Run

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("*.pcap"))

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

WHOLE = {"json-api", "gzip-chunked", "pipelined", "statuses", "opaque", "ipv6", "vlan", "keepalive"}
"""Samples without loss: there tshark sees every exchange."""


def tshark(path: Path, *args: str) -> list[str]:
    command = ["tshark", "-n", "-r", str(path), "-d", "tcp.port==8080,http", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_packets_and_connections_are_tsharks(run: Run, path: Path) -> None:
    ran = run(path)
    streams = tshark(path, "-T", "fields", "-e", "tcp.stream", "-e", "tcp.len")
    segments = [line.split("\t") for line in streams if line.strip()]
    assert ran.summary.decode.tcp == len(segments)
    assert ran.summary.tcp.connections == len({s for s, _ in segments})
    assert ran.summary.tcp.payload_bytes.captured + ran.summary.decode.duplicated_bytes == sum(int(n) for _, n in segments)


@pytest.mark.parametrize("path", [p for p in SAMPLES if p.stem in WHOLE], ids=lambda p: p.name)
def test_requests_and_responses_are_tsharks(run: Run, path: Path) -> None:
    lines = tshark(path, "-Y", "http", "-T", "fields", "-e", "http.request.method", "-e", "http.response.code")
    methods: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for line in lines:
        asked, answered = line.split("\t")
        methods.update(m for m in asked.split(",") if m)
        statuses.update(s for s in answered.split(",") if s)
    http = run(path).summary.http
    assert http.by_method == dict(methods)
    assert http.by_status == dict(statuses)
