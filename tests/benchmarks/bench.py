"""pcapflow beside the peers that are installed, in turn on the same files: seconds, processor seconds, ratio of these, peak resident memory.

    python -m tests.benchmarks.bench [--dir DIR] [--captures DIR] [--rounds N] [--go PROGRAM] [KIND ...]

Makes its inputs in DIR (default: a folder in the system's temporary one; some 4 GB, kept for the next time). With --captures,
KIND.pcap is taken from there where it exists (recorded captures instead of made ones). Prints medians of N rounds (default 3) as
Markdown; the tools take turns within a round, so that noise meets all of them. Peaks are VmHWM, polled. --go: a program that reads a capture with gopacket,
net/http and encoding/json, pinned to one core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import inputs

HERE = Path(__file__).parent
KINDS = ["opaque", "json", "small", "churn", "ten", "flood"]


def tools(capture: Path, scratch: Path, go: Path | None = None) -> dict[str, list[str]]:
    """Command lines by name, of those that are installed."""
    python = sys.executable
    found = {
        "pcapflow --json --no-records": [python, "-m", "pcapflow", "analyze", "--workers", "1", "--json", "--no-records", str(capture)],
        "pcapflow --ndjson": [python, "-m", "pcapflow", "analyze", "--workers", "1", "--ndjson", str(capture)],
        "cat": ["cat", str(capture)],
        "tcpflow (writes the streams)": ["tcpflow", "-q", "-r", str(capture), "-o", str(scratch)],
        "tcptrace": ["tcptrace", "-n", str(capture)],
        "tshark -q -z conv,tcp": ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(capture)],
        "dpkt loop, json.loads": [python, str(HERE / "peer_dpkt.py"), str(capture)],
    }
    if go is not None:
        found["Go: gopacket, net/http, encoding/json"] = ["taskset", "-c", "0", str(go), str(capture)]
    return {name: command for name, command in found.items() if shutil.which(command[0])}


def measure(command: list[str], scratch: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak resident MB of a command; its output is thrown away."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    peak = done = 0
    while not done:
        try:
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass
        time.sleep(0.002)
        done, process.returncode, used = os.wait4(process.pid, os.WNOHANG)
    seconds = time.perf_counter() - began
    shutil.rmtree(scratch, ignore_errors=True)
    return seconds, used.ru_utime + used.ru_stime, peak / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "pcapflow-benchmark")
    parser.add_argument("--captures", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow", type=float, default=60.0, help="a tool that takes longer than this runs once")
    parser.add_argument("--go", type=Path)
    parser.add_argument("kinds", nargs="*", default=KINDS)
    a = parser.parse_args()
    a.dir.mkdir(parents=True, exist_ok=True)
    scratch = a.dir / "scratch"
    for kind in a.kinds:
        capture = a.captures / f"{kind}.pcap" if a.captures and (a.captures / f"{kind}.pcap").exists() else a.dir / f"{kind}.pcap"
        if not capture.exists():
            inputs.make(kind, capture, inputs.DEFAULTS[kind])
        subprocess.run(["cat", str(capture)], stdout=subprocess.DEVNULL, check=True)
        taken: dict[str, list[tuple[float, float, float]]] = {}
        for i in range(a.rounds):
            for name, command in tools(capture, scratch, a.go).items():
                if i == 0 or taken[name][0][0] < a.slow:
                    taken.setdefault(name, []).append(measure(command, scratch))
        ours = statistics.median(s for _, s, _ in taken["pcapflow --json --no-records"])
        print(f"\n{capture.name}: {capture.stat().st_size / 1e6:,.0f} MB\n")
        print("| tool | seconds | processor seconds | times pcapflow | peak MB |\n|---|---|---|---|---|")
        for name, runs in taken.items():
            seconds, processor = (statistics.median(run[k] for run in runs) for k in (0, 1))
            print(f"| {name} | {seconds:.2f} | {processor:.2f} | {processor / ours:.2f} | {max(run[2] for run in runs):.0f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
