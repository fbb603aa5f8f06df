"""The captures of tests/adversarial.py and tests/attacks.py at full size: time beside that of a tenth, peak resident memory, what was lost.

    python -m tests.benchmarks.adversarial [KIND ...]

Each is made, run with default options, removed. Linear is 10 for the ratio, and less where starting up shows.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.adversarial import KINDS, make
from tests.attacks import ATTACKS, measure


def run(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "pcapflow", "analyze", "-q", "--json", "--no-records", str(path)], capture_output=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["tcp"]["payload_bytes"]["balanced"]
    return report


def main(kinds: list[str]) -> None:
    print("| capture | size | packets | seconds | times a tenth | peak MB | lost |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="pcapflow-adversarial-") as scratch:
        path = Path(scratch) / "x.pcap"
        for kind in kinds:
            if kind in ATTACKS:
                _attack(kind, Path(scratch))
                continue
            size = KINDS[kind][2]
            seconds = []
            for n in (size // 10, size):
                make(kind, path, n)
                report = run(path)
                seconds.append(report["run"]["seconds"])
            drops = {reason: count["count"] for reason, count in report["drops"]["by_reason"].items()}
            peak = report["memory"]["process"]["peak_rss_bytes"]
            _row(kind, size, report["decode"]["packets"], seconds, peak, {**report["tcp"]["gaps_by_cause"], **drops})


def _attack(kind: str, folder: Path) -> None:
    seconds = []
    size = ATTACKS[kind].large
    for n in (size // 10, size):
        path = folder / f"{kind}-{n}"
        ATTACKS[kind].make(path, n)
        found = measure(kind, path)
        seconds.append(found.seconds)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _row(kind, size, found.packets, seconds, found.resident, {**found.gaps, **found.drops})


def _row(kind: str, size: int, packets: int, seconds: list[float], peak: int, lost: dict[str, int]) -> None:
    said = ", ".join(f"{name} {n:,}" for name, n in lost.items()) or "nothing"
    print(f"| {kind} | {size:,} | {packets:,} | {seconds[1]:.2f} | {seconds[1] / seconds[0]:.1f} | {peak / 1e6:.0f} | {said} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [*KINDS, *ATTACKS])
