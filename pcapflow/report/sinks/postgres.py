"""The records as tables of a PostgreSQL database, which may stop answering.

Contract: `PostgresTables` writes a run's records with COPY, in the tables of `sql_schema`; see `sqlite` for runs and their keys. One thread writes; what waits for it is bounded. While the server does not answer, the
reader of the capture waits. When nothing was written for `timeout` seconds, `overload` decides: `fail` raises `DatabaseError`, and the run stays incomplete; `drop` leaves records out, counts them by table, and
goes on when the server answers again. A connection that breaks is made anew, and the transaction that it broke is repeated. Invariant: every record is written, or counted in `not_written`, or the run is not complete.
What waits is reserved in a share of the `output` account, by the reader's thread alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from psycopg import sql

from pcapflow.budget import Ledger, Share
from pcapflow.entries import OWNED_JSON, Entry
from pcapflow.report.sinks.base import Sink
from pcapflow.report.sinks.postgres_server import Connection, Job, Server
from pcapflow.report.sinks.sql_schema import LISTS, RECORDS, TABLES, VERSION, RunKey, Table, definitions
from pcapflow.summary import Summary

QUEUE = 4 << 20
"""Bytes of records, as text, that wait for the writer."""
_BATCH = 512 << 10
"""The same of one transaction."""
_LOCK = 0x70636170
"""Of the transaction that makes the tables: two runs may begin at one time."""
_TYPES = {"integer": "bigint", "real": "double precision", "text": "text", "json": "jsonb", "boolean": "boolean", "time": "timestamptz"}
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""An escaped NUL in JSON, which jsonb refuses."""
_RUN = """create table run (id bigint generated always as identity primary key, key text unique, version text not null, captures jsonb not null, complete boolean not null default false, packets bigint,
    records bigint, replaced_texts bigint not null default 0, not_written jsonb, summary jsonb)"""
_decode = msgspec.json.Decoder().decode


class PostgresTables(Sink):
    """One run's rows. What plug-ins find is in no table."""

    kinds = frozenset(RECORDS)

    def __init__(self, server: Server) -> None:
        self._server = server
        self._share: Share | None = None
        self._waiting: dict[str, list[tuple[int, bytes]]] = {name: [] for name in RECORDS}
        self._size = 0
        """Bytes of those."""
        self._records = 0
        self._replaced: dict[int, int] = {}
        """Texts in which NUL was replaced, by the first record of the transaction, which may be repeated."""
        self._run = 0
        self._key = RunKey()
        self._not_written: dict[str, int] = {}
        self._furthest = -1
        """The last record that was sent."""
        self._begun = False
        """The row of the run is there, or being made."""
        self._given_up = False
        """The server did not answer to the end."""

    # --- `Sink`

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`."""
        self._share = Share(ledger, QUEUE)
        self._server.start()
        self._done(Job(self._prepare))

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        share = self._share
        assert share is not None
        for entry in some:
            kind, n = "json" if entry.kind == OWNED_JSON else entry.kind, len(entry.line)
            self._key.update(entry.line)
            number, self._records = self._records, self._records + 1
            if not self._room(n):
                self._not_written[kind] = self._not_written.get(kind, 0) + 1
                continue
            self._waiting[kind].append((number, entry.line))
            self._size += n
            if self._size >= _BATCH:
                self._push()

    def finish(self) -> None:
        """See `Sink`."""
        self._push()
        if not self._server.wait(self._server.is_idle):
            if not self._server.drops:
                raise self._server.failed()
            self._given_up = True
            for name, n in self._server.left().items():
                self._not_written[name] = self._not_written.get(name, 0) + n
        if self._share is not None:
            self._share.close()

    def not_written(self) -> dict[str, int]:
        """See `Sink`."""
        return self._not_written

    def summary(self, summary: Summary) -> None:
        """The last transaction."""
        key = self._key.finish(summary)

        def last(connection: Connection, _again: bool) -> None:  # noqa: FBT001 - a job
            if connection.execute("select 1 from run where key = %s and id <> %s", (key, self._run)).fetchone() is not None:
                for table in TABLES:
                    connection.execute(sql.SQL("delete from {} where run = %s").format(sql.Identifier(table.name)), (self._run,))
                connection.execute("delete from run where id = %s", (self._run,))
                return
            replaced = sum(self._replaced.values())
            for name, table in LISTS.items():
                connection.execute(sql.SQL("delete from {} where run = %s").format(sql.Identifier(table.name)), (self._run,))
                replaced += self._copy(connection, table, iter(enumerate(msgspec.to_builtins(getattr(summary, name)))))
            whole = not summary.interrupted and not self._not_written
            names, said = msgspec.json.encode([one.path for one in summary.captures]).decode(), msgspec.json.encode(summary).decode()
            connection.execute(
                "update run set key = %s, captures = %s, complete = %s, packets = %s, records = %s, replaced_texts = %s, not_written = %s, summary = %s where id = %s",
                (key if whole else None, _jsonb(names)[0], whole, summary.decode.packets, self._records, replaced, msgspec.json.encode(self._not_written).decode(), _jsonb(said)[0], self._run),
            )  # fmt: skip

        if self._given_up:
            return
        self._done(Job(last))

    # --- jobs

    def _done(self, job: Job) -> None:
        """Do something now, and wait for it. Where records may be left out, what cannot be done is."""
        self._server.put(job)
        if not self._server.wait(self._server.is_idle) and not (self._server.drops and self._not_written):
            raise self._server.failed()

    def _room(self, n: int) -> bool:
        """Room for some bytes, waited for; False where they are to be left out."""
        share, server = self._share, self._server
        assert share is not None

        def has_room() -> bool:
            share.give(min(share.used, server.freed()))
            return share.take(n) or (not share.used and not self._size)

        if has_room():
            return True
        self._push()
        if server.wait(has_room):
            return True
        if not server.drops:
            raise server.failed()
        return False

    def _push(self) -> None:
        """What waits becomes a job."""
        lines, size = {name: some for name, some in self._waiting.items() if some}, self._size
        if lines or not self._begun:
            if not self._begun:
                self._begun = True
                self._server.put(Job(self._begin_run))
            self._waiting, self._size = {name: [] for name in RECORDS}, 0
            self._server.put(
                Job(
                    lambda connection, again: self._rows(connection, lines, again=again),
                    size,
                    {name: len(some) for name, some in lines.items()},
                )
            )

    def _rows(self, connection: Connection, lines: dict[str, list[tuple[int, bytes]]], *, again: bool) -> None:
        replaced = 0
        for name, some in lines.items():
            if again:  # it may have been committed, and the answer lost
                connection.execute(
                    sql.SQL("delete from {} where run = %s and record between %s and %s").format(sql.Identifier(name)),
                    (self._run, some[0][0], some[-1][0]),
                )
            replaced += self._copy(connection, RECORDS[name], ((number, _decode(line)) for number, line in some))
        self._replaced[min(some[0][0] for some in lines.values())] = replaced

    def _copy(self, connection: Connection, table: Table, records: Iterator[tuple[int, dict[str, Any]]]) -> int:
        """Some rows; in how many texts NUL was replaced."""
        total = 0
        columns = sql.SQL(", ").join([sql.Identifier(name) for name in ("run", "record", *(one.name for one in table.columns))])
        kinds = [one.kind for one in table.columns]
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table.name), columns)) as copy,
        ):
            for number, record in records:
                values, replaced = table.row(record)
                for i, kind in enumerate(kinds):
                    value = values[i]
                    if value is None:
                        continue
                    if kind == "json":
                        values[i], n = _jsonb(value)
                        replaced += n
                    elif kind == "time":
                        values[i] = _instant(value)
                total += replaced
                copy.write_row((self._run, number, *values))
                if number > self._furthest:  # what is sent again is no progress
                    self._furthest = number
                    self._server.alive()
        return total

    def _prepare(self, connection: Connection, _again: bool) -> None:  # noqa: FBT001 - a job
        """The tables, where they are not there."""
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute("select to_regclass('run')").fetchone() == (None,):
            connection.execute(_RUN)
            connection.execute(f"comment on table run is 'pcapflow {VERSION}'")
            for statement in definitions(_TYPES):
                connection.execute(statement)
        elif connection.execute("select obj_description('run'::regclass)").fetchone() != (f"pcapflow {VERSION}",):
            raise ValueError("a table `run` is there that is not this version's: name another database or schema")

    def _begin_run(self, connection: Connection, _again: bool) -> None:  # noqa: FBT001 - a job
        """The row of this run; not before something was read."""
        from pcapflow import __version__  # noqa: PLC0415 - the package is being imported

        found = connection.execute("insert into run (version, captures) values (%s, '[]') returning id", (__version__,)).fetchone()
        assert found is not None
        self._run = found[0]


def _jsonb(text: str) -> tuple[str, int]:
    """JSON that jsonb takes, and whether a NUL was replaced."""
    if "\\u0000" not in text:
        return text, 0
    text, n = _NUL.subn("\\1\ufffd", text)
    return text, int(n > 0)


def _instant(seconds: float) -> str:
    """A point in time as PostgreSQL reads it."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - of the standard library

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()
