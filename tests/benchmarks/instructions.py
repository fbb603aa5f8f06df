"""Instructions of runs on small captures, which are the same on a busy machine: what a change costs, before somebody waits for it.

    python -m tests.benchmarks.instructions [--update]

Counts (with valgrind's callgrind) the instructions of pcapflow and of a dpkt loop (`peer_dpkt`) on three captures, each less those on an empty one, and gives the first as a share of the
second: both are Python on the same machine, so the share says little of either. Start-up is the run on the empty capture as a share of importing what it needs. Fails where a share is more than
a tenth above what `instructions.json` has; `--update` writes that.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pcapflow
from tests.benchmarks import inputs

HERE = Path(__file__).parent
KNOWN = HERE / "instructions.json"
SIZES = {"json": 3, "small": 3000, "ten": 400}
MORE = 1.10
_COLLECTED = re.compile(r"Collected : (\d+)")
_EMPTY = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")


def instructions(*command: str) -> int:
    """Of a Python command."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, *command]
    ran = subprocess.run(counted, env=environment, capture_output=True, text=True, check=True)
    found = _COLLECTED.search(ran.stderr)
    assert found is not None, ran.stderr
    return int(found[1])


def pcapflow_on(capture: Path) -> int:
    """Of a run."""
    return instructions("-m", "pcapflow", "analyze", "--workers", "1", "--json", "--no-records", str(capture))


def dpkt_on(capture: Path) -> int:
    """Of the loop."""
    return instructions(str(HERE / "peer_dpkt.py"), str(capture))


def shares(folder: Path) -> dict[str, float]:
    """By capture, and of start-up."""
    empty = folder / "empty.pcap"
    empty.write_bytes(_EMPTY)
    ours, theirs = pcapflow_on(empty), dpkt_on(empty)
    found = {"start": ours / instructions("-c", "import numpy, msgspec, ijson, click")}
    for kind, size in SIZES.items():
        capture = folder / f"{kind}.pcap"
        inputs.make(kind, capture, size)
        found[kind] = (pcapflow_on(capture) - ours) / (dpkt_on(capture) - theirs)
    return {kind: round(share, 4) for kind, share in found.items()}


def main(arguments: list[str]) -> int:
    """The exit status."""
    compileall.compile_dir(str(Path(pcapflow.__file__).parent), quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        found = shares(Path(folder))
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    print("| capture | share | known | change |\n|---|---|---|---|")
    for kind, share in found.items():
        before = known.get(kind)
        print(f"| {kind} | {share:.4f} | " + (f"{before:.4f} | {share / before - 1:+.1%} |" if before else "- | - |"))
    if "--update" in arguments:
        KNOWN.write_text(json.dumps(found) + "\n")
        return 0
    worse = [kind for kind, share in found.items() if share > MORE * known.get(kind, 0)]
    if worse:
        print(f"more than {MORE - 1:.0%} above what is known: {', '.join(worse)}; --update, if that is what you want", file=sys.stderr)
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
