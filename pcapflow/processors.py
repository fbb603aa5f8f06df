"""The processors that this process may use.

Contract: `processors` counts them, one at the least; `cpu_quota` says what control groups leave of their time. Neither raises.
"""

from __future__ import annotations

import os
from pathlib import Path

from pcapflow.process_memory import control_groups


def processors() -> int:
    """Those that this process may use: the fewest of the system's, those that it is bound to, and its control group's share of their time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return bound if quota is None else max(1, min(bound, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors that the control groups of this process leave it; None for no bound. Both versions of control groups: `cpu.max` (cgroup-v2.rst of the kernel), and
    `cpu.cfs_quota_us` (sched-bwc.rst).
    """
    found: list[float] = []
    for folder, name in control_groups(root, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        try:
            if name == "cpu.max":
                quota, period = (folder / name).read_text(encoding="ascii").split()[:2]
            else:
                quota, period = ((folder / one).read_text(encoding="ascii") for one in (name, "cpu.cfs_period_us"))
            if quota.strip() not in ("max", "-1"):
                found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return min(found, default=None)
