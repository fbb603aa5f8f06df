"""Tasks in processes of ours: each that is killed is done again once, whoever is killed beside it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from pcapflow.workers.pool import Kind, results


class Marked(NamedTuple):
    """A task that kills its process so many times, by the marks that it leaves."""

    folder: str
    name: str
    kills: int


def do(task: Marked) -> str:
    for n in range(task.kills):
        mark = Path(task.folder) / f"{task.name}{n}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return f"ok {task.name}"


def lost(task: Marked) -> str:
    return f"lost {task.name}"


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_task_is_lost_when_its_process_is_killed_twice(tmp_path: Path, workers: int) -> None:
    work = [Marked(str(tmp_path), name, kills) for name, kills in (("a", 1), ("b", 1), ("c", 2), ("d", 0), ("e", 1))]
    cleaned: list[str] = []
    kind = Kind(do, lost, lambda task: cleaned.append(task.name))
    assert list(results(kind, work, workers)) == ["ok a", "ok b", "lost c", "ok d", "ok e"]
    assert sorted(cleaned) == ["a", "b", "c", "c", "e"]
