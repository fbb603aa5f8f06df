"""`--sqlite`: every field of every record, once, whatever happens to the file or to the run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.errors import OutputError
from pcapflow.limits import Limits
from pcapflow.report.sinks.sql_schema import RECORDS, TABLES, VERSION, VIEWS
from pcapflow.report.sinks.sqlite import Database, SqliteTables
from tests.craft import Talk, request, response
from tests.launcher import launch, launch_text

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))


def rows(path: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def nested(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as the record that it was: the obviously correct way back."""
    record: dict[str, Any] = {}
    for column in RECORDS[table].columns:
        value = row[column.name]
        if value is not None and column.kind == "json":
            value = json.loads(value)
        if value is not None and column.kind == "boolean":
            value = bool(value)
        inner = record
        for name in column.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[column.path[-1]] = value
    return record


def without_nulls(value: Any) -> Any:
    """What is null, or has nothing but nulls in it, left out: a struct that is null has columns that are."""
    if isinstance(value, dict):
        found = {key: without_nulls(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not None} or None
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_tables_hold_every_record_field_by_field(sample: Path, tmp_path: Path) -> None:
    lines: list[bytes] = []
    database = Database(str(tmp_path / "a.db"))
    result = pipeline.run([str(sample)], write=lines.extend, kinds=frozenset(RECORDS), sinks=[SqliteTables(database)])
    database.close()
    records = [json.loads(line) for line in lines]
    assert result.summary.memory.components["output"].at_end_bytes == 0
    for name in RECORDS:
        written = rows(tmp_path / "a.db", f'select * from "{name}" order by record')
        expected = [{key: value for key, value in record.items() if key != "record"} for record in records if record["record"] == name]
        assert [without_nulls(nested(name, row)) for row in written] == [without_nulls(record) for record in expected], name
    (run,) = rows(tmp_path / "a.db", "select * from run")
    assert (run["complete"], run["packets"]) == (1, result.summary.decode.packets)
    assert json.loads(run["summary"])["http"]["requests"] == result.summary.http.requests
    listed = rows(tmp_path / "a.db", "select name, exchanges from endpoint order by record")
    assert [(row["name"], row["exchanges"]) for row in listed] == [(one.name, one.exchanges) for one in result.summary.endpoints]


def analyzed(database: Path, capture: Path, *options: str, status: int = 0) -> str:
    done = launch_text("analyze", "-q", "--no-records", "--json", "--sqlite", database, capture, *options)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_runs_stand_beside_one_another(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for sample in SAMPLES[:3]:
        analyzed(path, sample)
    assert [(row["id"], row["complete"]) for row in rows(path, "select id, complete from run")] == [(1, 1), (2, 1), (3, 1)]
    runs = rows(path, "select distinct run from connection order by 1")
    assert [row["run"] for row in runs] == [1, 2, 3]


def test_a_repeat_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    analyzed(path, SAMPLES[0])
    before = dump(path)
    analyzed(path, SAMPLES[0])
    analyzed(path, SAMPLES[0], "--workers", "2")
    assert dump(path) == before


def test_other_options_are_another_run(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    sample = next(one for one in SAMPLES if one.stem == "shop")
    analyzed(path, sample)
    analyzed(path, sample, "--headers", "names")
    assert rows(path, "select count(*) as n from run")[0]["n"] == 2


def test_datasette_and_sqlite_utils_open_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    analyzed(path, next(one for one in SAMPLES if one.stem == "shop"))
    import sqlite_utils
    from datasette.app import Datasette

    opened = sqlite_utils.Database(str(path))
    assert {table.name for table in TABLES} <= set(opened.table_names())
    assert set(opened.view_names()) == set(VIEWS)
    assert opened["http"].pks == ["run", "record"]
    opened.close()

    async def ask() -> Any:
        served = Datasette([str(path)], settings={"num_sql_threads": 0})
        found = await served.client.get("/a/slowest_endpoint.json?_shape=array")
        for database in served.databases.values():
            database.close() if hasattr(database, "close") else None
        return found.json()

    assert asyncio.run(ask())[0]["endpoint"] == "GET 10.77.0.1:8090/report/{id}"


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (a)")
        connection.commit()
    before = path.read_bytes()
    assert "is a database of another program" in analyzed(path, SAMPLES[0], status=73)
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("no database, but a text that is long enough to be looked at" * 20)
    assert "file is not a database" in analyzed(tmp_path / "text", SAMPLES[0], status=73)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.executescript("pragma application_id = 1885561200; pragma user_version = 99; create table run (a)")
    assert "another version" in analyzed(tmp_path / "a.db", SAMPLES[0], status=73)


def test_places_that_are_no_files_are_refused(tmp_path: Path) -> None:
    assert "is not a file for a database" in analyzed(tmp_path, SAMPLES[0], status=2)
    assert "is an input" in analyzed(SAMPLES[0], SAMPLES[0], status=2)
    assert "cannot be written" in analyzed(tmp_path / "none" / "a.db", SAMPLES[0], status=73)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    analyzed(path, SAMPLES[0])
    path.chmod(stat.S_IRUSR)
    assert "cannot be written" in analyzed(path, SAMPLES[1], status=73)


def entries(n: int) -> list[Entry]:
    line = b'{"record":"gap","connection":1,"stream":"client","cause":"end\\u0000x","limit":null}'
    return [Entry(i, 1, 0, -1, i, "gap", line) for i in range(n)]


def test_a_locked_database_is_waited_for_and_then_said(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    analyzed(path, SAMPLES[0])
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("begin immediate")
        sink = SqliteTables(Database(str(path), timeout=0.2))
        with pytest.raises(OutputError, match="is locked by another program for 0 s"):
            sink.begin(Ledger(Limits()))
        timer = threading.Timer(0.3, other.execute, ("rollback",))
        timer.start()
        patient = Database(str(path), timeout=30)
        SqliteTables(patient).begin(Ledger(Limits()))
        patient.close()
        timer.join()


def test_a_full_disk_is_one_line_and_the_run_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(str(path))
    sink, ledger = SqliteTables(database), Ledger(Limits())
    sink.begin(ledger)
    sink.entries(entries(10))
    assert database._connection is not None
    pages = database._connection.execute("pragma page_count").fetchone()[0]
    database._connection.execute(f"pragma max_page_count = {pages + 4}")
    with pytest.raises(OutputError, match="database or disk is full"):
        sink.entries(entries(60_000))
    database.close()
    assert rows(path, "select complete from run") == [{"complete": 0}]


def test_a_run_that_is_killed_leaves_its_rows_and_says_that_it_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    program = (
        "import os, signal, sys; from pcapflow.report.sinks.sqlite import *; from pcapflow.budget import Ledger; from pcapflow.limits import Limits\n"
        "from tests.report.test_sqlite import entries\n"
        f"sink = SqliteTables(Database({str(path)!r})); sink.begin(Ledger(Limits())); sink.entries(entries(60_000)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert rows(path, "select complete, key from run") == [{"complete": 0, "key": None}]
    assert 10_000 < rows(path, "select count(*) as n from gap")[0]["n"] < 60_000
    assert rows(path, "select count(*) as n from exchange") == [{"n": 0}]
    analyzed(path, SAMPLES[0])


def test_a_nul_in_a_text_is_replaced_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    t = Talk().open().send(0, request("/a")).send(1, response(b'{"a\\u0000b": tru}', fields="X: y\r\n")).acknowledge(0).close()
    t.save(tmp_path / "x.pcap")
    analyzed(path, tmp_path / "x.pcap")
    (row,) = rows(path, "select response_body_json ->> '$.error.path' as path, response_body_json as whole from http")
    assert json.loads(row["whole"])["error"]["path"].startswith('["a')
    database = Database(str(tmp_path / "b.db"))
    sink = SqliteTables(database)
    sink.begin(Ledger(Limits()))
    sink.entries(entries(3))
    sink.finish()
    sink.summary(pipeline.run([str(tmp_path / "x.pcap")]).summary)
    database.close()
    assert [row["cause"] for row in rows(tmp_path / "b.db", "select cause from gap")] == ["end\ufffdx"] * 3
    assert rows(tmp_path / "b.db", "select replaced_texts as n from run") == [{"n": 3}]


def test_memory_is_a_share_of_the_account_however_many_rows_come(tmp_path: Path) -> None:
    limits = Limits()
    ledger = Ledger(limits)
    database = Database(str(tmp_path / "a.db"))
    sink = SqliteTables(database)
    sink.begin(ledger)
    peak = 0

    def batches() -> Iterator[list[Entry]]:
        for _ in range(20):
            yield entries(5_000)

    for some in batches():
        sink.entries(some)
        peak = max(peak, ledger.output.used)
    sink.finish()
    database.close()
    assert peak <= 3 << 20
    assert ledger.output.used == 0


def test_a_reader_sees_whole_transactions_while_a_run_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(str(path))
    sink = SqliteTables(database)
    sink.begin(Ledger(Limits()))
    seen = []
    for _ in range(6):
        sink.entries(entries(20_000))
        seen.append(rows(path, "select count(*) as n from gap")[0]["n"])
    assert seen == sorted(seen)
    assert seen[-1] > 0
    database.close()


def test_a_capture_that_is_not_there_leaves_no_run(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for _ in range(2):
        assert launch("analyze", "-q", "--sqlite", path, tmp_path / "nothing.pcap").returncode == 3
    assert rows(path, "select count(*) as n from run") == [{"n": 0}]


def test_runs_that_make_one_database_at_the_same_time_are_all_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    some = SAMPLES[:4]
    running = [
        subprocess.Popen([sys.executable, "-m", "pcapflow", "analyze", "-q", "--sqlite", path, one], stdout=subprocess.DEVNULL)
        for one in some
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * len(some)
    assert rows(path, "select count(*) as n from run where complete") == [{"n": len(some)}]


@pytest.mark.parametrize("place", ["", ":memory:", "file:a.db?mode=memory", "-"])
def test_what_is_no_file_is_refused(place: str) -> None:
    assert launch("analyze", "-q", "--sqlite", place, SAMPLES[0]).returncode == 2


def test_other_columns_have_another_version() -> None:
    """A database of earlier columns is refused by its version, in words that help. Where this fails, raise VERSION and write the new digest here."""
    columns = repr([(table.name, [(column.name, column.kind) for column in table.columns]) for table in TABLES])
    assert (VERSION, hashlib.sha256(columns.encode()).hexdigest()[:16]) == (2, "2c13ad2d5af8935e")
