"""Time per byte of captures side by side, for instance of one with losses and one of the same traffic without.

    python -m tests.benchmarks.per_byte ROUNDS CAPTURE CAPTURE ...

Each round runs every capture in turn, each in a process of its own, so that a busy machine is as busy for all. Prints for each the median of
its rounds and of its ratios to the first one, its peak resident memory and what was lost.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(path: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "pcapflow", "analyze", "-q", "--workers", "1", "--json", "--no-records", path],
        capture_output=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main(rounds: int, paths: list[str]) -> None:
    spent: dict[str, list[float]] = {path: [] for path in paths}
    reports: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for path in paths:
            reports[path] = run(path)
            spent[path].append(reports[path]["run"]["seconds"] / Path(path).stat().st_size * 1e9)
    print("| capture | MB | ns a byte | times the first | peak MB | gaps by cause | bytes missing |\n|---|---|---|---|---|---|---|")
    for path in paths:
        tcp = reports[path]["tcp"]
        ratios = [a / b for a, b in zip(spent[path], spent[paths[0]], strict=True)]
        causes = ", ".join(f"{cause} {n:,}" for cause, n in tcp["gaps_by_cause"].items()) or "none"
        missing = tcp["missing_bytes"] / max(1, tcp["missing_bytes"] + tcp["payload_bytes"]["delivered"])
        print(
            f"| {Path(path).name} | {Path(path).stat().st_size / 1e6:,.0f} | {statistics.median(spent[path]):.1f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {reports[path]['memory']['process']['peak_rss_bytes'] / 1e6:.0f} | {causes} | {100 * missing:.0f}% |"
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(int(sys.argv[1]), sys.argv[2:])
