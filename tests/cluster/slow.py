"""A task that takes a moment before it begins, for tests that do something meanwhile."""

from __future__ import annotations

import time

import pcapflow
from pcapflow.cluster.tasks import ShardResult, Task


def analyze_shard(task: Task) -> ShardResult:
    time.sleep(1.5)
    return pcapflow.analyze_shard(task)


def fill_memory(task: Task) -> ShardResult:
    """What the nanny of a worker kills."""
    kept = []
    for _ in range(400):
        kept.append(bytearray(b"x") * (4 << 20))
        time.sleep(0.01)
    return pcapflow.analyze_shard(task)
