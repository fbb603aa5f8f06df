"""Wall time of one worker beside several, in turn, and what all of them take of memory.

    python -m tests.benchmarks.workers [--rounds N] [--workers N] CAPTURE...

Prints, for each capture, without records and with NDJSON: medians of the seconds, their ratio, processor seconds, and the highest proportional set size of all processes together (Linux).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

WAYS = {"no records": ["--json", "--no-records"], "NDJSON": ["--ndjson"]}


def pss(pid: int) -> int:
    """Bytes of a process and its children, pages that several share parted between them."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(pss(int(child)) for child in (task / "children").read_text().split())
    except (OSError, ValueError):
        pass
    return total


def run(capture: str, way: list[str], workers: int, *, weigh: bool) -> tuple[float, float, int]:
    """Wall and processor seconds, and bytes where they are weighed, which takes time. workers: 0 for as many as pcapflow chooses."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "pcapflow",
        "analyze",
        "-q",
        *way,
        *(["--workers", str(workers)] if workers else []),
        "-o",
        os.devnull,
        capture,
    ]
    most = 0
    with subprocess.Popen(command) as process:
        while weigh and process.poll() is None:
            most = max(most, pss(process.pid))
            time.sleep(0.02)
    took = time.perf_counter() - began
    if process.returncode not in (0, 4):
        sys.exit(f"{' '.join(command)}: status {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="0: as many as pcapflow chooses")
    given = parser.parse_args()
    print(
        f"{'capture':<12} {'records':<11} {'1 worker':>9} {f'{given.workers} workers' if given.workers else 'default':>9} {'ratio':>6} {'processor':>13} {'memory':>12}"
    )
    for capture in given.captures:
        for name, way in WAYS.items():
            walls: dict[int, list[float]] = {1: [], given.workers: []}
            spent: dict[int, list[float]] = {1: [], given.workers: []}
            for _ in range(given.rounds):
                for workers, of_these in walls.items():
                    wall, processor, _ = run(capture, way, workers, weigh=False)
                    of_these.append(wall)
                    spent[workers].append(processor)
            one, several = (statistics.median(walls[n]) for n in walls)
            processor = " to ".join(f"{statistics.median(spent[n]):.2f}" for n in spent)
            memory = " to ".join(f"{run(capture, way, n, weigh=True)[2] / 1e6:.0f}" for n in walls)
            print(
                f"{Path(capture).stem:<12} {name:<11} {one:>7.2f} s {several:>7.2f} s {one / several:>6.2f} {processor:>11} s {memory:>9} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
