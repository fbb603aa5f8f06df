"""What once broke a promise on memory or time keeps it: work in proportion to size, memory as reserved, each loss named.

Every run is a process of its own. Work is counted in calls (`tests.work`), never timed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pcapflow.process_memory import OVERHEAD_BYTES
from pcapflow.stream_limits import MIB
from tests.attacks import ATTACKS, measure
from tests.launcher import launch_text

ROOT = Path(__file__).parents[1]
LIMIT = 8 * MIB
"""So little that each account is full with a small capture; a run may take as much, and the fixed overhead."""
NAMED: dict[str, tuple[int, set[str]]] = {
    # exit status, and why things were given up
    "answers": (0, set()),
    "waiting": (0, {"http_memory"}),
    "wide_targets": (0, {"http_memory"}),
    "wide_keys": (0, {"json_memory"}),
    "kept_keys": (0, {"json_memory"}),
    "large_keys": (0, set()),
    "repeated_keys": (0, {"json_memory"}),
    "server_names": (0, set()),
    "tunnels": (0, {"http_memory"}),
    "zstd_bodies": (0, {"content_memory"}),
    "behind_rings": (0, {"http_memory"}),
    "before_rings": (0, {"json_memory"}),
    "open_both_sides": (0, {"http_memory", "json_memory"}),
    "deep_yaml": (0, {"json_memory"}),
    "deep_yaml_extracted": (0, {"json_memory"}),
    "deep_shapes": (0, {"json_memory"}),
    "unanswered_values": (0, {"json_memory"}),
    "long_urls": (0, {"http_memory"}),
    "unanswered_trailers": (0, {"http_memory"}),
    "unanswered_broken": (0, {"http_memory", "json_memory"}),
    "recorded_fields": (0, {"http_memory"}),
    "folded_lines": (0, {"http_head_too_large"}),
    "damage": (4, set()),
    "plausible": (4, set()),
    "snoop_noise": (4, set()),
}


def _run(program: str, kind: str, path: Path) -> subprocess.CompletedProcess[str]:
    command, *more = ATTACKS[kind].command
    return launch_text(command, "-q", *more, path, program=program, timeout=300, cwd=ROOT)


def _calls(folder: Path, kind: str, size: int) -> int:
    path = folder / f"{size}"
    ATTACKS[kind].make(path, size)
    return int(_run("tests.work", kind, path).stderr.splitlines()[-1])


@pytest.mark.parametrize("kind", ATTACKS)
def test_memory_is_what_is_reserved_and_each_loss_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "whole"
    ATTACKS[kind].make(path, ATTACKS[kind].small)
    found = measure(kind, path, "--memory-limit", str(LIMIT))
    assert found.reserved <= LIMIT
    assert found.resident - found.start <= LIMIT + OVERHEAD_BYTES
    assert found.balanced
    assert (found.status, set(found.drops)) == NAMED.get(kind, (0, set()))


@pytest.mark.parametrize("kind", ATTACKS)
def test_work_is_in_proportion_to_the_capture(tmp_path: Path, kind: str) -> None:
    size = ATTACKS[kind].small
    assert _calls(tmp_path, kind, size) < 2.5 * _calls(tmp_path, kind, size // 2)


def test_a_report_of_extract_says_values_before_a_text_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x"
    ATTACKS["unclosed_text"].make(path, 3)
    done = _run("pcapflow", "unclosed_text", path)
    assert done.stdout == "1\n" * 3
    assert done.returncode == 0
    assert all("invalid JSON at byte " in line and "ends inside" in line for line in done.stderr.splitlines())
