"""`extract` against ijson's own `items`: the whole run against ijson alone on the same bodies.

    python -m tests.benchmarks.extract_ratio CAPTURE PREFIX [ROUNDS]

In one process and in turn, as `json_ratio` does it. ijson makes Python objects of the values, pcapflow gives their text; both count
them, and the counts must agree.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time

import ijson

from pcapflow import pipeline
from pcapflow.conditions import Conditions
from pcapflow.findings.extract import VALUE, Extraction
from pcapflow.limits import Limits
from pcapflow.report.sinks.values import ValueLines
from tests.benchmarks.json_ratio import collect, ijson_alone


def extract(path: str, prefix: str) -> tuple[float, int]:
    """Seconds of the whole run, and the values it gave."""
    given = 0

    def count(lines: list[bytes]) -> None:
        nonlocal given
        given += len(lines)

    began = time.perf_counter()
    pipeline.run(
        [path],
        sinks=[ValueLines(VALUE, count, lambda lines: None)],
        listeners=[Extraction(prefix, Conditions())],
    )
    return time.perf_counter() - began, given


def main(path: str, prefix: str, rounds: int) -> None:
    with tempfile.TemporaryFile() as file:
        lengths = collect(path, file)
        speeds = []
        for _ in range(rounds):
            ours, given = extract(path, prefix)
            alone, values = ijson_alone(
                file, lengths, Limits().json_slice, lambda sink, **options: ijson.items_coro(sink, prefix, **options)
            )
            assert given == values, (given, values)
            speeds.append(alone / ours)
    print(f"{len(lengths)} bodies, {sum(lengths) / 1e6:.0f} MB of JSON, {values} values at {prefix!r}")
    print(f"{statistics.median(speeds):.2f} of the speed of ijson's items ({min(speeds):.2f} to {max(speeds):.2f}, {rounds} rounds)")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3)
