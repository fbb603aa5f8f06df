"""What a run costs before and behind the point where the work is divided, and how evenly it is.

    python -m tests.benchmarks.stages [--rounds N] [--workers N] CAPTURE...

Prints, for each capture, without records and with NDJSON: processor seconds of what every worker does (reading, decoding, telling whose a packet is), of the stages behind that in one worker, and in each of
several; and the ratio of one to the slowest of several, which is what those stages gain. Medians, each run in a process of its own, one after the other: what another processor does at the time counts little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pcapflow
from pcapflow import pipeline
from pcapflow.capture.trace import Trace
from pcapflow.cluster.tasks import costs_in
from pcapflow.shard import Shard, _Own


class Nobody:
    """A link whose other end wants the entries, and does nothing with them."""

    source = None

    def ask(self, taken: int) -> None:
        """Nobody stops it."""

    def take(self, some: object) -> None: ...

    def reached(self, packet: int) -> None: ...

    def end(self) -> None: ...


class Watch:
    """Processor seconds within some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on(self, owner: Any, name: str) -> None:
        """Replaces one."""
        work: Callable[..., Any] = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return work(*given, **named)
            finally:
                self.seconds += time.process_time() - began

        setattr(owner, name, watched)

    def on_each(self, owner: Any, name: str) -> None:
        """Replaces a generator."""
        work: Callable[..., Iterator[Any]] = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Iterator[Any]:
            items = iter(work(*given, **named))
            while True:
                began = time.process_time()
                item = next(items, None)
                self.seconds += time.process_time() - began
                if item is None:
                    return
                yield item

        setattr(owner, name, watched)


def here(path: str, n: int, number: int, *, records: bool) -> tuple[float, float]:
    """Seconds of both, of one shard in this process."""
    task = pcapflow.shards(Path(path), n, records=records)[number]
    job = task.job
    if task.costs:
        job = job._replace(part=job.part._replace(sampled=costs_in(task)))
    watch = Watch()
    watch.on(Shard, "_segments")
    watch.on(_Own, "of")
    watch.on_each(Trace, "blocks")
    began = time.process_time()
    pipeline.work(job, Nobody())
    return watch.seconds, time.process_time() - began - watch.seconds


def apart(path: str, n: int, number: int, *, records: bool) -> tuple[float, float]:
    """The same in a process of its own."""
    program = f"import json; from tests.benchmarks.stages import here; print(json.dumps(here({path!r}, {n}, {number}, records={records})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    before, behind = json.loads(done.stdout)
    return before, behind


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print("| capture | records | every worker | behind it, one worker | behind it, each of several | ratio |\n|---|---|---|---|---|---|")
    for path in given.captures:
        for name, records in (("no records", False), ("NDJSON", True)):
            ones, several = [], []
            for _ in range(given.rounds):
                ones.append(apart(path, 1, 0, records=records))
                several.append([apart(path, given.workers, i, records=records)[1] for i in range(given.workers)])
            shares = [statistics.median(column) for column in zip(*several, strict=True)]
            ratio = statistics.median(one[1] / max(some) for one, some in zip(ones, several, strict=True))
            before, behind = (statistics.median(column) for column in zip(*ones, strict=True))
            print(
                f"| {Path(path).stem} | {name} | {before:.2f} s | {behind:.2f} s | {', '.join(f'{s:.2f} s' for s in shares)} | {ratio:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
