"""What a run costs in tasks, and what a task costs.

    python -m tests.benchmarks.tasks [--shards 1,2,4,8] CAPTURE...

Prints, for each capture and number of shards, done one after the other in this process: the seconds of the longest shard, those of all together, how many times those of one, the seconds of the merge
with NDJSON, and the bytes of the results. Then, with a scheduler and two workers of Dask's on this machine, the milliseconds of a task that does nothing, and of a shard of a capture of 200 packets.
"""

from __future__ import annotations

import argparse
import io
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pcapflow
from pcapflow.cluster.executing import dask_executor, done

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "samples" / "json-api.pcap"
PORT = 18786


def shards_of(path: Path, n: int) -> tuple[list[float], float, int]:
    """Seconds of each shard, of the merge, and bytes of the results."""
    seconds, results = [], []
    for task in pcapflow.shards(path, n):
        began = time.perf_counter()
        results.append(pcapflow.analyze_shard(task))
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    pcapflow.merge(results, ndjson=io.BytesIO())
    return seconds, time.perf_counter() - began, sum(len(pickle.dumps(one)) for one in results)


def nothing(number: int) -> int:
    """A task."""
    return number


def dask() -> None:
    """What a task costs there."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"tcp://127.0.0.1:{PORT}"
        start = [sys.executable, "-m", "dask"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        started = [subprocess.Popen([*start, "scheduler", "--host", "127.0.0.1", "--port", str(PORT), "--no-dashboard"], **quiet)]  # type: ignore[call-overload]
        time.sleep(3)
        started += [
            subprocess.Popen([*start, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"], **quiet) for _ in range(2)
        ]  # type: ignore[call-overload]
        try:
            time.sleep(5)
            with dask_executor(address) as cluster:
                tasks = pcapflow.shards(SMALL, 2)
                for name, do, some in (
                    ("a task that does nothing", nothing, range(400)),
                    ("a shard of 200 packets", pcapflow.analyze_shard, tasks * 100),
                ):
                    list(done(cluster.executor, do, list(some)[:4], str))  # type: ignore[arg-type,type-var]
                    rounds = []
                    for _ in range(3):
                        began = time.perf_counter()
                        list(done(cluster.executor, do, list(some), str))  # type: ignore[arg-type,type-var]
                        rounds.append((time.perf_counter() - began) / len(some))
                    print(f"{name}: {statistics.median(rounds) * 1000:.1f} ms")
        finally:
            for process in started:
                process.kill()
                process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", default="1,2,4,8")
    parser.add_argument("captures", nargs="*", type=Path)
    args = parser.parse_args()
    print("| capture | shards | the longest | all | times one | merge | results |\n|---|---|---|---|---|---|---|")
    for path in args.captures:
        one = 0.0
        for n in map(int, args.shards.split(",")):
            seconds, merge, size = shards_of(path, n)
            one = one or sum(seconds)
            cells = (
                path.stem,
                n,
                f"{max(seconds):.2f} s",
                f"{sum(seconds):.2f} s",
                f"{sum(seconds) / one:.2f}",
                f"{merge:.2f} s",
                f"{size / 1e6:.1f} MB",
            )
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    dask()


if __name__ == "__main__":
    main()
