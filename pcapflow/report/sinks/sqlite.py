"""The records as tables of an SQLite database, for SQL, datasette and sqlite-utils.

Contract: `Database` is a file; `SqliteTables` writes a run's records to it, with those of earlier runs (`sql_schema`). A run is a row of `run`; its key is a hash of what it wrote and of the version, so that the same captures with the same options
change nothing when they are read again. `complete` is set in the last transaction: of a run that failed the rows that were written are there, and `complete` is 0. Raises `OutputError` where the file cannot be written, is locked, or
is something else. Invariant: rows wait as text, in a share of the `output` account, and are written when it is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from pcapflow.budget import Ledger, Share
from pcapflow.entries import OWNED_JSON, Entry
from pcapflow.errors import OutputError
from pcapflow.report.sinks.base import Sink
from pcapflow.report.sinks.sql_schema import LISTS, RECORDS, TABLES, VERSION, RunKey, Table, definitions
from pcapflow.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BATCH = 2 << 20
"""Bytes of records, as text, that wait for a transaction: some 2,000."""
TIMEOUT = 60.0
"""Seconds that a transaction waits for another program's."""
_CACHE_KIB = 1024
_ROW_BYTES = 120
"""Of a row that waits, beside its line."""
"""Of pages, that SQLite keeps."""
_APPLICATION = 0x70636170
"""`pcap`, which the file says it belongs to."""
_TYPES = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "json": "TEXT", "boolean": "INTEGER", "time": "REAL"}
_RUN = """create table run (id integer primary key, key text unique, version text not null, captures text not null, complete integer not null default 0, packets integer, records integer,
    replaced_texts integer not null default 0, summary text)"""
_decode = msgspec.json.Decoder().decode


class Database:
    """A file, opened when the run begins."""

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        """timeout: seconds that it waits for other programs."""
        self._path = path
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises `OutputError` for what is no database of pcapflow."""
        with self.told():
            connection = self._connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, cached_statements=32)
            connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
            connection.execute("pragma synchronous = normal")
            tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
            application, version = (connection.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))
            if tables and application != _APPLICATION:
                raise OutputError(f"{self._path}: is a database of another program: name a new file")
            if tables and version != VERSION:
                raise OutputError(f"{self._path}: was made by another version of pcapflow, whose tables differ: name a new file")
            connection.execute("pragma journal_mode = wal")
            if not tables:
                self._create()

    def _create(self) -> None:
        with self.transaction() as connection:
            if connection.execute("select count(*) from sqlite_schema").fetchone()[0]:
                return  # another run made them meanwhile
            connection.execute(f"pragma application_id = {_APPLICATION}")
            connection.execute(f"pragma user_version = {VERSION}")
            connection.execute(_RUN)
            for statement in definitions(_TYPES, " without rowid"):
                connection.execute(statement)

    @contextmanager
    def told(self) -> Iterator[None]:
        """What SQLite raises is one line."""
        try:
            yield
        except sqlite3.Error as e:
            words = f"is locked by another program for {self._timeout:.0f} s" if "locked" in str(e) else str(e)
            raise OutputError(f"{self._path}: cannot be written: {words}") from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing."""
        connection = self._connection
        assert connection is not None
        with self.told():
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise

    def close(self) -> None:
        """Write the log back into the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with self.told():
                connection.close()


class SqliteTables(Sink):
    """One run's rows. What plug-ins find has no columns that are known before: it is in no table."""

    kinds = frozenset(RECORDS)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._share: Share | None = None
        self._waiting: dict[str, list[tuple[int, bytes]]] = {name: [] for name in RECORDS}
        self._records = 0
        self._replaced = 0
        self._run = 0
        self._key = RunKey()

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._share = Share(ledger, BATCH)
        self._database.open()
        with self._database.transaction():
            pass  # it can be written

    def block(self, ts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """See `Sink`. A run of which nothing could be read has no row."""
        self._begin_run()

    def _begin_run(self) -> None:
        """Insert its row."""
        if self._run:
            return
        from pcapflow import __version__  # noqa: PLC0415 - the package is being imported

        with self._database.transaction() as connection:
            found = connection.execute("insert into run (version, captures) values (?, '[]') returning id", (__version__,)).fetchone()
            self._run = int(found[0])

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        share = self._share
        assert share is not None
        for entry in some:
            self._key.update(entry.line)
            n = len(entry.line) + _ROW_BYTES
            if not share.take(n):
                self._write()
                share.take(n)  # one line that is longer than the share is written next
            self._waiting["json" if entry.kind == OWNED_JSON else entry.kind].append((self._records, entry.line))
            self._records += 1

    def _write(self) -> None:
        """The rows that wait."""
        assert self._share is not None
        self._begin_run()
        with self._database.transaction() as connection:
            for name, lines in self._waiting.items():
                self._insert(connection, RECORDS[name], ((number, _decode(line)) for number, line in lines))
        for lines in self._waiting.values():
            lines.clear()
        self._share.give(self._share.used)

    def _insert(self, connection: sqlite3.Connection, table: Table, records: Iterator[tuple[int, dict[str, Any]]]) -> None:
        def rows() -> Iterator[Sequence[Any]]:
            for number, record in records:
                values, replaced = table.row(record)
                self._replaced += replaced
                yield (self._run, number, *values)

        marks = ", ".join("?" * (len(table.columns) + 2))
        connection.executemany(f'insert into "{table.name}" values ({marks})', rows())  # noqa: S608 - names of our own

    def finish(self) -> None:
        """See `Sink`."""
        self._write()
        if self._share is not None:
            self._share.close()

    def summary(self, summary: Summary) -> None:
        """The last transaction: what the summary lists, and that the run is complete; nothing of it where an earlier run has the same key."""
        lists = {name: msgspec.to_builtins(getattr(summary, name)) for name in LISTS}
        key = self._key.finish(summary)
        names = msgspec.json.encode([one.path for one in summary.captures]).decode()
        with self._database.transaction() as connection:
            if connection.execute("select 1 from run where key = ?", (key,)).fetchone() is not None:
                for table in TABLES:
                    connection.execute(f'delete from "{table.name}" where run = ?', (self._run,))  # noqa: S608 - names of our own
                connection.execute("delete from run where id = ?", (self._run,))
                return
            for name, table in LISTS.items():
                self._insert(connection, table, iter(enumerate(lists[name])))
            connection.execute(
                "update run set key = ?, captures = ?, complete = ?, packets = ?, records = ?, replaced_texts = ?, summary = ? where id = ?",
                (
                    key,
                    names,
                    not summary.interrupted,
                    summary.decode.packets,
                    self._records,
                    self._replaced,
                    msgspec.json.encode(summary).decode(),
                    self._run,
                ),
            )
