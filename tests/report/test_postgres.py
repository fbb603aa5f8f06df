"""`--postgres` against a real server: one that is stopped, killed, locked, full, and never one that is lied to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.errors import DatabaseError
from pcapflow.limits import Limits
from pcapflow.report.sinks.postgres import QUEUE, PostgresTables
from pcapflow.report.sinks.postgres_server import Server
from pcapflow.report.sinks.sql_schema import RECORDS
from tests import craft
from tests.launcher import launch_text
from tests.report.test_sqlite import nested, without_nulls

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
FOUND = shutil.which("initdb") or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)), None)
pytestmark = pytest.mark.skipif(FOUND is None, reason="no PostgreSQL server is installed")


class Postgres:
    """A server of our own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.socket = Path("/tmp") if len(str(folder)) > 80 else folder
        self.port = 20_000 + os.getpid() % 20_000
        self.bin = Path(FOUND or "").parent
        self.run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), "-D", str(self.data), *arguments]
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **user)  # type: ignore[call-overload]

    def start(self) -> None:
        options = f"-k {self.socket} -p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c max_wal_size=64MB"
        self.run("pg_ctl", "-w", "-l", str(self.data / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")

    def dsn(self, schema: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres options='-c search_path={schema}'"

    def send(self, number: int) -> None:
        """A signal to the server and each of its processes."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        children = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == first:
                    children.append(int(stat.parent.name))
        for pid in (first, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("pg")
    for path in (folder, *folder.parents):
        if os.geteuid() == 0 and path.owner() == "root" and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    made = Postgres(folder)
    yield made
    made.stop()


@pytest.fixture
def dsn(server: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    schema = f"s{abs(hash(request.node.name)) % 10**9}"
    with psycopg.connect(server.dsn("public"), autocommit=True) as connection:
        connection.execute(f"drop schema if exists {schema} cascade")  # type: ignore[call-overload]
        connection.execute(f"create schema {schema}")  # type: ignore[call-overload]
    yield server.dsn(schema)


def rows(dsn: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return list(connection.execute(query))  # type: ignore[call-overload]


def as_values(row: dict[str, Any]) -> dict[str, Any]:
    """With points in time as seconds, and JSON as SQLite has it."""
    found = {}
    for name, value in row.items():
        if hasattr(value, "timestamp"):
            found[name] = value.timestamp()
        else:
            found[name] = json.dumps(value) if isinstance(value, dict | list) else value
    return found


@pytest.mark.parametrize(
    "sample", [path for path in SAMPLES if path.stem in ("formats", "lossy", "shop", "redis")], ids=lambda path: path.stem
)
def test_the_tables_hold_every_record_field_by_field(sample: Path, dsn: str) -> None:
    lines: list[bytes] = []
    database = Server(dsn, 60, "fail")
    result = pipeline.run([str(sample)], write=lines.extend, kinds=frozenset(RECORDS), sinks=[PostgresTables(database)])
    database.close()
    records = [json.loads(line) for line in lines]
    for name in RECORDS:
        written = rows(dsn, f'select * from "{name}" order by record')
        expected = [{key: value for key, value in record.items() if key != "record"} for record in records if record["record"] == name]
        assert [without_nulls(nested(name, as_values(row))) for row in written] == [without_nulls(record) for record in expected], name
    (run,) = rows(dsn, "select * from run")
    assert (run["complete"], run["packets"], run["not_written"]) == (True, result.summary.decode.packets, {})


def analyzed(dsn: str, capture: Path, *options: str, status: int = 0) -> str:
    done = launch_text("analyze", "-q", "--no-records", "--json", "--postgres", dsn, capture, *options)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_repeated_run_changes_nothing_and_views_have_complete_runs(dsn: str) -> None:
    for sample in (SAMPLES[0], SAMPLES[1], SAMPLES[0]):
        analyzed(dsn, sample)
    assert rows(dsn, "select count(*) as n, count(distinct key) as keys from run where complete") == [{"n": 2, "keys": 2}]
    assert rows(dsn, "select count(distinct run) as n from connection") == [{"n": 2}]
    assert rows(dsn, "select count(*) as n from exchange")[0]["n"] > 0


LINE = b'{"record":"gap","connection":1,"stream":"client","cause":"end","bytes":%d,"limit":null,"file":"' + b"x" * 300 + b'"}'


def entries(n: int, begin: int = 0) -> list[Entry]:
    return [Entry(i, 1, 0, -1, i, "gap", LINE % i) for i in range(begin, begin + n)]


class Feeding:
    """A run that hands over so many records."""

    def __init__(self, dsn: str, timeout: float, overload: str = "fail") -> None:
        self.ledger = Ledger(Limits())
        self.server = Server(dsn, timeout, overload)
        self.sink = PostgresTables(self.server)
        self.peak = self.sent = 0
        self.sink.begin(self.ledger)

    def feed(self, n: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        for at in range(0, n, 1000):
            self.sink.entries(entries(1000, self.sent))
            self.sent += 1000
            self.peak = max(self.peak, self.ledger.output.used)
            if at == n // 2:
                meanwhile()

    def finish(self) -> None:
        self.sink.finish()
        summary = pipeline.run([str(SAMPLES[0])]).summary
        self.sink.summary(summary)
        self.server.close()
        assert self.ledger.output.used == 0


def is_whole(dsn: str, n: int) -> None:
    assert rows(dsn, "select count(*) as n, count(distinct bytes) as d, max(record) as last from gap") == [{"n": n, "d": n, "last": n - 1}]
    assert rows(dsn, "select complete from run") == [{"complete": True}]


def test_a_server_that_is_stopped_for_a_while_loses_nothing_and_nothing_grows(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 60)

    def stop() -> None:
        server.send(signal.SIGSTOP)
        threading.Timer(2.0, server.send, (signal.SIGCONT,)).start()

    begun = time.monotonic()
    run.feed(40_000, stop)
    run.finish()
    assert time.monotonic() - begun > 1.5
    assert run.peak <= QUEUE
    is_whole(dsn, 40_000)


def test_a_server_that_stays_stopped_ends_the_run_and_leaves_it_incomplete(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 1)
    run.feed(10_000)
    with server.stopped():
        begun = time.monotonic()
        with pytest.raises(DatabaseError, match="nothing was written for 1 s"):
            run.feed(40_000)
        run.server.close()
        assert time.monotonic() - begun < 20
    assert rows(dsn, "select complete, key from run") == [{"complete": False, "key": None}]
    assert rows(dsn, "select count(*) as n from exchange") == [{"n": 0}]


def test_what_is_left_out_is_counted_and_it_goes_on_when_the_server_answers_again(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 0.5, "drop")
    run.feed(10_000)
    with server.stopped():
        run.feed(40_000)
    for _ in range(200):
        if run.server.is_idle():
            break
        time.sleep(0.1)
    run.feed(10_000)
    run.finish()
    left = run.sink.not_written()["gap"]
    assert 0 < left < 40_000
    assert rows(dsn, "select count(*) as n from gap")[0]["n"] + left == 60_000
    assert rows(dsn, "select complete, not_written from run") == [{"complete": False, "not_written": {"gap": left}}]


def test_what_is_left_out_to_the_end_is_counted_too(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 0.5, "drop")
    run.feed(5_000)
    with server.stopped():
        run.feed(40_000)
        run.finish()
    left = run.sink.not_written()["gap"]
    for _ in range(100):  # the server takes what was sent to it before
        if rows(dsn, "select complete from run"):
            break
        time.sleep(0.05)
    written = rows(dsn, "select count(*) as n from gap")[0]["n"]
    assert written + left >= 45_000
    # where the server was stopped before it had anything, it has nothing of the run
    told = rows(dsn, "select complete from run")
    assert told == [{"complete": False}] or (written, told) == (0, [])


def test_a_server_that_is_killed_and_comes_back_has_every_row_once(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 60)

    def restart() -> None:
        server.stop()
        threading.Timer(1.0, server.start).start()

    run.feed(30_000, restart)
    run.finish()
    is_whole(dsn, 30_000)


def test_a_locked_table_is_waited_for_and_then_given_up(dsn: str) -> None:
    run = Feeding(dsn, 3)
    with psycopg.connect(dsn) as other:
        other.execute("lock table gap")
        threading.Timer(1.0, other.rollback).start()
        run.feed(20_000)
        run.server.wait(run.server.is_idle)
        other.execute("lock table gap")
        with pytest.raises(DatabaseError, match="nothing was written for 3 s"):
            run.feed(60_000)
        run.server.close()


def test_a_slow_server_slows_the_reader_and_nothing_is_lost(server: Postgres, dsn: str) -> None:
    run = Feeding(dsn, 60)
    over = threading.Event()

    def slow() -> None:
        while not over.is_set():
            with server.stopped():
                time.sleep(0.05)
            time.sleep(0.01)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        run.feed(20_000)
    finally:
        over.set()
        thread.join()
    run.finish()
    assert run.peak <= QUEUE
    is_whole(dsn, 20_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_is_said_and_the_run_is_not_complete(server: Postgres, dsn: str, tmp_path: Path) -> None:
    small = server.data.parent / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=777", "tmpfs", str(small)], check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        shutil.chown(small, "postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"create tablespace small location '{small}'")  # type: ignore[call-overload]
        full = dsn.replace("options='", "options='-c default_tablespace=small ")
        run = Feeding(full, 1)
        with pytest.raises(DatabaseError, match="No space left on device"):
            run.feed(100_000)
        run.server.close()
        assert rows(dsn, "select complete from run") == [{"complete": False}]
        with psycopg.connect(dsn, autocommit=True) as connection:
            schema = connection.execute("select current_schema()").fetchone()
            connection.execute(f"drop schema {schema[0]} cascade")  # type: ignore[call-overload, index]
            connection.execute("drop tablespace small")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_no_message_has_what_a_dsn_has(dsn: str) -> None:
    for bad, status in (
        ("postgresql://bob:hunter2@127.0.0.1:1/db", 74),
        ("host=127.0.0.1 port=1 user=bob password=hunter2", 74),
        ("postgresql://bob:x@hunter2/db", 74),
        ("nonsense=hunter2", 2),
        ("hunter2", 2),
        ("postgresql://bob:hunter2@[::1/", 2),
        ("postgresql://bob:hunter2%zz@127.0.0.1:1/db", 2),
        ("postgresql://bob:hun hunter2@127.0.0.1:1/db", 2),
        ("postgresql://127.0.0.1:1/db?password=hunter2%zz", 2),
        ("host=127.0.0.1 password=my hunter2", 2),
        ("postgres//bob:hunter2@h/db", 2),
    ):
        said = analyzed(bad, SAMPLES[0], "--sink-timeout", "1s", status=status)
        assert said.startswith("pcapflow: --postgres: ")
        assert "hunter2" not in said
    done = launch_text("analyze", "-q", "--json", "--postgres", dsn, SAMPLES[0])
    assert "search_path" not in done.stdout


def test_the_password_may_come_from_the_environment(dsn: str) -> None:
    done = launch_text("analyze", "-q", "--postgres", dsn, SAMPLES[0], env={**os.environ, "PGPASSWORD": "any"})
    assert done.returncode == 0


def test_a_nul_and_wide_characters_are_taken(dsn: str) -> None:
    run = Feeding(dsn, 60)
    line = '{"record":"json","connection":1,"shape":["a\\u0000b: string","\\\\u0000: string","é😀"],"prefix":"x\\u0000y"}'.encode()
    run.sink.entries([Entry(0, 1, 0, -1, 0, "json", line)])
    run.finish()
    (row,) = rows(dsn, 'select shape, "prefix" from json')
    assert row == {"shape": ["a\ufffdb: string", "\\u0000: string", "é😀"], "prefix": "x\ufffdy"}
    assert rows(dsn, "select replaced_texts as n from run") == [{"n": 2}]


@pytest.mark.parametrize("wrong", ["dbname=nowhere", "user=nobody_there"])
def test_what_waiting_does_not_mend_is_said_at_once(dsn: str, wrong: str) -> None:
    said = analyzed(f"{dsn} {wrong}", SAMPLES[0], "--sink-timeout", "1h", status=74)
    assert said.startswith("pcapflow: --postgres: no connection: ")
    assert "does not exist" in said


def test_texts_that_were_replaced_are_counted_as_in_sqlite(dsn: str, tmp_path: Path) -> None:
    talk = craft.Talk().open().send(0, craft.request("/a\\u0000?x=%00")).send(1, craft.response(b'{"a\\u0000":', status="500 x")).close()
    talk.save(tmp_path / "x.pcap")
    analyzed(dsn, tmp_path / "x.pcap")
    launch_text("analyze", "-q", "--sqlite", tmp_path / "a.db", tmp_path / "x.pcap")
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        (here,) = database.execute("select replaced_texts from run").fetchone()
    assert rows(dsn, "select replaced_texts as n from run where complete") == [{"n": here}]
