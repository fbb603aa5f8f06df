"""The records as Parquet tables, one a record type, for DuckDB, Polars or Spark.

Contract: `ParquetTables` takes encoded records, and the summary at the end, and writes to files that `create` opens by name. Columns are the
records' fields (`parquet_columns`). Invariant: rows wait as text, in a share of the `output` account, until
it is full, and are written as a row group of their table; a file takes ROW_GROUPS of them, since its footer
names each, and the rows go on in the next file: `http.parquet`, `http.1.parquet`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pcapflow.budget import Ledger, Share
from pcapflow.entries import OWNED_JSON, Entry
from pcapflow.errors import OutputError
from pcapflow.records import Conflict, Connection, Drop, Gap, Http, Json
from pcapflow.report.sinks.base import Sink
from pcapflow.report.sinks.parquet_columns import read_rows, row_of, table_schema, text_schema
from pcapflow.summary import Summary

ROW_GROUP = 2 << 20
"""Bytes of all tables' text that wait; the largest table's are a row group then, of 1,500 to 10,000 rows. Its columns, about twice its text, are a fixed cost
beside the accounts (docs/memory.md)."""
ROW_GROUPS = 128
_TABLES: dict[str, type[msgspec.Struct]] = {
    "connection": Connection,
    "http": Http,
    "json": Json,
    "gap": Gap,
    "conflict": Conflict,
    "drop": Drop,
}


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A disk that is full, or an Arrow that cannot go on, is one line."""
    try:
        yield
    except MemoryError:
        raise
    except pa.ArrowException as e:
        raise OutputError(f"{name}.parquet: cannot be written: {str(e).partition(chr(10))[0]}") from None
    except OSError as e:
        raise OutputError(f"{name}.parquet: cannot be written: {os.strerror(e.errno) if e.errno else e}") from None


class _File(io.RawIOBase):
    """What a ParquetWriter writes to. Once a write failed, or the file was closed since the run did, it takes bytes and does nothing: a writer that is
    thrown away writes its footer all the same, and would say that it cannot.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0
        self._failed = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        n = len(data)
        if not self._failed and not self._stream.closed:
            try:
                self._stream.write(data)
            except OSError:
                self._failed = True
                raise
        self._at += n
        return n

    def done(self) -> None:
        """The footer is written: the file needs no descriptor any more."""
        self._stream.close()

    def flush(self) -> None:
        if not self._failed and not self._stream.closed:
            self._stream.flush()

    def tell(self) -> int:
        return self._at


class _Table:
    """One record type's files."""

    def __init__(self, name: str, kind: type[msgspec.Struct], create: Callable[[str], IO[bytes]]) -> None:
        self._name = name
        self._create = create
        self.schema = table_schema(kind)
        self._as_text = text_schema(kind)
        self._writer: pq.ParquetWriter | None = None
        self._files = 0
        self._groups = 0
        self._file = _File(io.BytesIO())
        self.waiting: list[bytes] = []
        self.size = 0

    def write(self) -> None:
        """The rows that wait, as a row group."""
        if not self.waiting:
            return
        text = b"\n".join(self.waiting)
        self.waiting = []
        self.size = 0
        with _told(self._name):
            rows = read_rows(text, self._as_text, self.schema)
        self.group(rows)

    def group(self, rows: pa.Table) -> None:
        """A row group."""
        if self._writer is None or self._groups == ROW_GROUPS:
            self.close()
            name = f"{self._name}.{self._files}.parquet" if self._files else f"{self._name}.parquet"
            self._file = _File(self._create(name))
            with _told(self._name):
                self._writer = pq.ParquetWriter(self._file, self.schema, compression="zstd")
            self._files += 1
            self._groups = 0
        with _told(self._name):
            self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))
        self._groups += 1

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            with _told(self._name):
                self._writer.close()
                self._file.done()
            self._writer = None

    def end(self) -> None:
        """Nothing more comes. A table without rows is a file with columns."""
        self.write()
        if not self._files:
            self.group(self.schema.empty_table())
        self.close()


class ParquetTables(Sink):
    """All tables of one run. What plug-ins find has no columns that are known before: it is in no table."""

    kinds = frozenset(_TABLES)

    def __init__(self, create: Callable[[str], IO[bytes]]) -> None:
        """create: opens a file of the folder by its name."""
        self._create = create
        self._tables = {name: _Table(name, kind, create) for name, kind in _TABLES.items()}
        self._share: Share | None = None

    def begin(self, ledger: Ledger) -> None:
        """See `Sink`. Arrow starts its threads and its pools here, before a limit on the process holds."""
        self._share = Share(ledger, ROW_GROUP)
        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)
        warm = _Table("drop", Drop, lambda _: io.BytesIO())
        warm.group(warm.schema.empty_table())
        warm.close()

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`. The share full, the table with most rows is written."""
        share = self._share
        assert share is not None
        for entry in some:
            table, line = self._tables["json" if entry.kind == OWNED_JSON else entry.kind], entry.line
            while not share.take(len(line)) and share.used:
                self._write(max(self._tables.values(), key=lambda one: one.size))
            table.waiting.append(line)
            table.size += len(line)
            if table.size > share.limit:
                # one line that is longer than the share
                self._write(table)

    def _write(self, table: _Table) -> None:
        assert self._share is not None
        self._share.give(min(table.size, self._share.used))
        table.write()

    def finish(self) -> None:
        """See `Sink`."""
        for table in self._tables.values():
            self._write(table)
        if self._share is not None:
            self._share.close()

    def summary(self, summary: Summary) -> None:
        """The last table, of one row, and every footer."""
        for table in self._tables.values():
            table.end()
        last = _Table("summary", Summary, self._create)
        last.group(row_of(summary, last.schema))
        last.close()
