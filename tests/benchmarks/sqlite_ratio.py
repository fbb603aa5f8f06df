"""What `--sqlite` costs beside a plain `executemany` of the same rows: both in one run, median of several.

    python -m tests.benchmarks.sqlite_ratio CAPTURE [--rounds 3]

It takes at most RATIO times as long.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.limits import Limits
from pcapflow.report.sinks.base import Sink
from pcapflow.report.sinks.sql_schema import TABLES
from pcapflow.report.sinks.sqlite import Database, SqliteTables

RATIO = 3.5


class _Kept(Sink):
    """Keeps a run's records."""

    kinds = SqliteTables.kinds

    def __init__(self) -> None:
        self.found: list[list[Entry]] = []

    def entries(self, some: list[Entry]) -> None:
        self.found.append(some)


def main() -> None:
    """Measure, and say what was found; status 1 where it falls short."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("capture")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    kept = _Kept()
    result = pipeline.run([options.capture], sinks=[kept])
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.rounds):
            path = Path(folder) / f"{i}.db"
            begun = time.process_time()
            database = Database(str(path))
            sink = SqliteTables(database)
            sink.begin(Ledger(Limits()))
            for some in kept.found:
                sink.entries(some)
            sink.finish()
            sink.summary(result.summary)
            database.close()
            ours = time.process_time() - begun
            written = sqlite3.connect(path)
            rows = {table.name: written.execute(f'select * from "{table.name}"').fetchall() for table in TABLES}
            written.close()
            plain = sqlite3.connect(Path(folder) / f"{i}.plain.db", isolation_level=None)
            plain.execute("pragma journal_mode = wal")
            plain.execute("pragma synchronous = normal")
            for table in TABLES:
                plain.execute(
                    f'create table "{table.name}" (run, record, {", ".join(chr(34) + one.name + chr(34) for one in table.columns)})'
                )
            begun = time.process_time()
            for name, some in rows.items():
                if some:
                    for at in range(0, len(some), 2000):
                        plain.execute("begin")
                        plain.executemany(f'insert into "{name}" values ({", ".join("?" * len(some[0]))})', some[at : at + 2000])
                        plain.execute("commit")
            theirs = time.process_time() - begun
            plain.close()
            ratios.append(ours / theirs)
            path.unlink()
    n = sum(map(len, rows.values()))
    ratio = statistics.median(ratios)
    print(f"{n:,} rows: {n / ours:,.0f} a second, {ratio:.2f} times a plain executemany")
    sys.exit(int(ratio > RATIO))


if __name__ == "__main__":
    main()
