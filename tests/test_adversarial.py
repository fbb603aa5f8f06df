"""Captures that are made to break a packet tool: each ends in time linear in its size, in bounded memory, with each loss named.

Every run is a process of its own under a hard limit (`--process-limit`), so that a defect fails a test and not the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pcapflow.process_memory import OVERHEAD_BYTES
from pcapflow.stream_limits import MIB
from tests.adversarial import KINDS, make, reorder_truth
from tests.conftest import Run, check
from tests.launcher import launch_text
from tests.reassembly.recorder import reassemble

RESIDENT_MAX = 128 * 10**6
HARD = "122MiB"
"""Of address space that may be written, 127.9 MB; RESIDENT_MAX holds what is resident."""


def analyse(path: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pcapflow", "analyze", "-q", "--json", "--no-records", "--process-limit", HARD, *options, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["tcp"]["payload_bytes"]["balanced"]
    for name, component in report["memory"]["components"].items():
        assert component["at_end_bytes"] == 0, name
    return report


def _work(folder: Path, kind: str, size: int, *options: str) -> int:
    """Functions called for a capture of that size."""
    path = folder / f"{size}.pcap"
    make(kind, path, size)
    done = launch_text("analyze", "-q", "--json", "--no-records", *options, path, program="tests.work", timeout=600)
    assert done.returncode == 0
    return int(done.stderr.splitlines()[-1])


def _is_linear(folder: Path, kind: str, size: int, *options: str) -> bool:
    """Twice as much takes twice the work, not four times."""
    size *= LARGER.get(kind, 1)
    return _work(folder, kind, size // 4, *options) < 2.7 * _work(folder, kind, size // 8, *options)


NAMED: dict[str, dict[str, Any]] = {
    # what a right reader finds: gaps by cause, drops by reason
    "syn_flood": {},
    "holes": {"gaps": {"end": 500}},
    "many_holes": {"gaps": {"memory", "end"}},
    "reorder": {},
    "reverse": {},
    "splits": {"gaps": {"ring_full", "end"}},
    "conflicts": {"gaps": {"end": 1}},
    "copies": {"gaps": {"end": 1}},
    "again": {"gaps": {"end": 1}},
    "edges": {},
    "refused": {"gaps": {"memory", "end"}},
    "crumbs": {"gaps": {"memory", "end"}, "drops": {"http_memory"}},
    "repeats": {"gaps": {"end": 500}},
    "big_string": {"drops": {"json_scalar_too_large": 1}},
    "big_number": {"drops": {"json_scalar_too_large": 1}},
    "escapes": {"drops": {"json_scalar_too_large": 1}},
    "deep": {"drops": {"json_too_deep": 1}},
    "bomb": {"drops": {"content_ratio": 1}},
    "bomb_in_bomb": {"drops": {"content_ratio": 1}},
    "endless_head": {"drops": {"http_head_too_large": 1}},
    "header_lines": {"drops": {"http_head_too_large": 1}},
    "chunk_line": {"drops": {"http_chunk_line_too_long": 1}},
    "tiny_chunks": {},
    "unclosed": {},
    "yaml_aliases": {},
    "yaml_deep": {"drops": {"yaml_too_deep": 1}},
    "yaml_scalar": {"drops": {"yaml_scalar_too_large": 1}},
    "yaml_comment": {"drops": {"yaml_scalar_too_large": 1}},
    "yaml_directives": {"drops": {"yaml_too_many_directives": 1}},
    "yaml_documents": {},
    "yaml_keys": {},
    "many_parts": {},
    "endless_boundary": {},
    "part_head": {"drops": {"multipart_head_too_large": 1}},
    "nested_parts": {},
    "many_fields": {},
    "big_field": {},
    "many_calls": {},
    "big_query": {"drops": {"json_scalar_too_large": 1}},
}


LARGER = {"refused": 2}
"""How many times as large a part of it has to be, so that memory is short in half of it too."""
SHORT = {"crumbs": ("--memory-limit", "10MiB")}
"""Options under which a part of it is short of memory as the whole is."""


@pytest.mark.parametrize("kind", KINDS)
def test_time_is_linear_memory_is_bounded_and_each_loss_is_named(tmp_path: Path, kind: str) -> None:
    size = KINDS[kind][1]
    whole = tmp_path / "whole.pcap"
    make(kind, whole, size)
    report = analyse(whole)
    memory = report["memory"]
    assert memory["process"]["peak_rss_bytes"] < RESIDENT_MAX
    assert memory["process"]["peak_rss_bytes"] - memory["process"]["start_rss_bytes"] <= memory["limit_bytes"] + OVERHEAD_BYTES
    assert _is_linear(tmp_path, kind, size, *SHORT.get(kind, ()))
    named = NAMED[kind]
    gaps, drops = report["tcp"]["gaps_by_cause"], {reason: count["count"] for reason, count in report["drops"]["by_reason"].items()}
    expected = named.get("gaps", {})
    assert (set(gaps) == expected) if isinstance(expected, set) else (gaps == expected)
    expected = named.get("drops", {})
    assert (set(drops) <= expected) if isinstance(expected, set) else (drops == expected)


@pytest.mark.parametrize("kind", ["conflicts", "copies", "again"])
@pytest.mark.parametrize("policy", ["last", "linux", "solaris"])
def test_time_is_linear_whichever_copy_is_kept(tmp_path: Path, kind: str, policy: str) -> None:
    size = KINDS[kind][1]
    whole = tmp_path / "whole.pcap"
    make(kind, whole, size)
    report = analyse(whole, "--overlap", policy)
    assert report["tcp"]["ambiguous_streams"] == 1
    assert _is_linear(tmp_path, kind, size, "--overlap", policy)


@pytest.mark.parametrize("kind", ["holes", "many_holes", "unclosed", "syn_flood", "conflicts", "crumbs", "repeats", "big_string"])
def test_what_the_process_takes_is_what_the_accounts_say_and_a_fixed_overhead(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pcap"
    make(kind, path, KINDS[kind][1])
    memory = analyse(path, "--memory-limit", "12MiB")["memory"]
    assert memory["peak_bytes"] <= 12 * MIB
    assert memory["process"]["peak_rss_bytes"] - memory["process"]["start_rss_bytes"] <= 12 * MIB + OVERHEAD_BYTES


def test_reordering_with_duplicates_and_partial_overlaps_gives_the_bytes_that_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    make("reorder", path, 300_000)
    (told,) = reassemble(path)[0].told
    assert told.heard[0].text == reorder_truth(300_000)
    assert told.heard[0].gaps == []
    assert told.counts[0]["conflicting"] == 0


def test_the_last_byte_first_gives_the_bytes_that_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    make("reverse", path, 5_000)
    (told,) = reassemble(path)[0].told
    assert told.heard[0].text == bytes(97 + i % 26 for i in range(5_000))


def test_five_hundred_streams_in_lockstep_lose_nothing_but_their_holes(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    make("holes", path, 200_000)
    report = analyse(path)
    upload = 200_000 + len(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
    assert report["tcp"]["gaps"] == 500
    assert report["tcp"]["missing_bytes"] == 500 * 1448
    assert report["tcp"]["payload_bytes"]["delivered"] == 500 * (upload - 1448)
    assert report["drops"]["by_reason"] == {}
    assert report["memory"]["peak_bytes"] <= 64 * MIB


def test_a_flood_of_syns_pushes_out_no_connection_that_lives(run: Run, tmp_path: Path) -> None:
    from tests.craft import Talk, pcap, request, response, tcp_frame

    talk = Talk().open().send(0, request())
    flood = [(talk.us + 1 + i // 50, tcp_frame(f"10.7.{i >> 8}.{i & 255}", 99, "10.0.0.2", 80, i, 0, 2)) for i in range(20_000)]
    talk.us += 1000
    late = len(talk.frames)
    talk.send(1, response(b"{}")).close()
    ran = check(run(pcap([*talk.frames[:late], *flood, *talk.frames[late:]])))
    (exchange,) = ran.of("http")
    assert exchange["response"]["body"]["status"] == "complete"
    assert ran.summary.tcp.connections == 20_001
    evicted = [c for c in ran.of("connection") if c["end"] == "evicted"]
    assert evicted
    assert all(c["packets"] == 1 and c["protocol"] == "empty" for c in evicted)


def test_the_process_limit_ends_a_run_with_status_71_and_the_report_of_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    make("holes", path, 80_000)
    command = [
        sys.executable,
        "-m",
        "pcapflow",
        "analyze",
        "-q",
        "--json",
        "--memory-limit",
        "64MiB",
        "--process-limit",
        "64MiB",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, text=True)
    assert done.returncode == 71
    assert "out of memory: the report covers what was read before" in done.stderr
    assert "--process-limit of 64 MiB may be too little" in done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert 0 < report["decode"]["packets"] < 27_500
    assert report["tcp"]["connections"] > 0
