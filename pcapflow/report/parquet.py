"""The records as Parquet tables, one a record type, for DuckDB, Polars or Spark.

Contract: `ParquetTables` takes encoded records, and the summary at the end, and writes to files that `create` opens by name. Columns are the
records' fields; what is nested stays nested, maps are maps. Invariant: rows wait as text until ROW_GROUP bytes of them, or as much as
the `output` account has room for, and are written as a row group of their table; a file takes ROW_GROUPS of them, since its footer
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
import pyarrow.json
import pyarrow.parquet as pq
from msgspec import inspect

from pcapflow.budget import Account, Ledger
from pcapflow.errors import OutputError
from pcapflow.records import Conflict, Connection, Drop, Gap, Http, Json
from pcapflow.report.sinks import Sink
from pcapflow.summary import Summary

ROW_GROUP = 2 << 20
"""Bytes of records' text in a row group, 1,500 to 10,000 rows."""
ROW_GROUPS = 128
COST = 1
"""Reserved for a byte of text that waits. The columns of one row group, about twice its text, are a fixed cost beside the accounts (docs/memory.md)."""
_TABLES: dict[str, type[msgspec.Struct]] = {"connection": Connection, "http": Http, "json": Json, "gap": Gap, "conflict": Conflict, "drop": Drop}
_SCALARS: dict[type, Any] = {
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.StrType: pa.string(),
    inspect.BoolType: pa.bool_(),
}


def _arrow(kind: inspect.Type) -> pa.DataType:
    """A field's type in Arrow."""
    if isinstance(kind, inspect.Metadata):
        return _arrow(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _arrow(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if isinstance(kind, inspect.ListType):
        return pa.list_(_arrow(kind.item_type))
    if isinstance(kind, inspect.DictType):
        return pa.map_(pa.string(), _arrow(kind.value_type))
    if isinstance(kind, inspect.StructType):
        return pa.struct([pa.field(field.name, _arrow(field.type)) for field in kind.fields])
    return _SCALARS[type(kind)]


def table_schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """The columns of a record type's table."""
    return pa.schema(list(_arrow(inspect.type_info(kind))))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A disk that is full is one line."""
    try:
        yield
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
        self._writer: pq.ParquetWriter | None = None
        self._files = 0
        self._groups = 0
        self.waiting: list[bytes] = []
        self.size = 0

    def write(self) -> None:
        """The rows that wait, as a row group."""
        if not self.waiting:
            return
        text = b"\n".join(self.waiting)
        self.waiting = []
        self.size = 0
        self.group(
            pa.json.read_json(
                io.BytesIO(text),
                pa.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                pa.json.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior="ignore"),
            )
        )

    def group(self, rows: pa.Table) -> None:
        """A row group."""
        if self._writer is None or self._groups == ROW_GROUPS:
            self.close()
            name = f"{self._name}.{self._files}.parquet" if self._files else f"{self._name}.parquet"
            self._writer = pq.ParquetWriter(_File(self._create(name)), self.schema, compression="zstd")
            self._files += 1
            self._groups = 0
        with _told(self._name):
            self._writer.write_table(rows.select(self.schema.names), row_group_size=max(1, rows.num_rows))
        self._groups += 1

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            with _told(self._name):
                self._writer.close()
            self._writer = None

    def end(self) -> None:
        """Nothing more comes. A table without rows is a file with columns."""
        self.write()
        if not self._files:
            self.group(self.schema.empty_table())
        self.close()


class ParquetTables(Sink):
    """All tables of one run."""

    def __init__(self, create: Callable[[str], IO[bytes]]) -> None:
        """create: opens a file of the folder by its name."""
        self._create = create
        self._tables = {name: _Table(name, kind, create) for name, kind in _TABLES.items()}
        self._account: Account | None = None
        self._reserved = 0

    def begin(self, ledger: Ledger) -> None:
        """Rows that wait are reserved in the `output` account."""
        self._account = ledger.output

    def records(self, lines: list[bytes]) -> None:
        """Encoded records, in order."""
        for line in lines:
            name = line[11 : line.index(b'"', 11)].decode()
            table = self._tables[name]
            self._reserve(len(line) * COST)
            table.waiting.append(line)
            table.size += len(line)
            if table.size >= ROW_GROUP:
                self._write(table)

    def _reserve(self, n: int) -> None:
        account = self._account
        if account is None:
            return
        while not account.has_room(n) and any(table.size for table in self._tables.values()):
            self._write(max(self._tables.values(), key=lambda table: table.size))
        if account.has_room(n) and account.reserve(n):
            self._reserved += n

    def _write(self, table: _Table) -> None:
        size = min(table.size * COST, self._reserved)
        table.write()
        if self._account is not None:
            self._account.release(size)
            self._reserved -= size

    def finish(self) -> None:
        """No record comes any more: give the memory back."""
        for table in self._tables.values():
            self._write(table)
        if self._account is not None:
            self._account.release(self._reserved)
            self._reserved = 0

    def summary(self, summary: Summary) -> None:
        """The last table, of one row, and every footer."""
        for table in self._tables.values():
            table.end()
        last = _Table("summary", Summary, self._create)
        last.group(pa.Table.from_pylist([_pairs(msgspec.to_builtins(summary), last.schema)], schema=last.schema))
        last.close()


def _pairs(row: dict[str, Any], kind: Any) -> dict[str, Any]:
    """A value with its maps as lists of pairs, as Arrow takes them."""
    found: dict[str, Any] = {}
    for field in kind:
        value = row[field.name]
        if pa.types.is_map(field.type):
            inner = field.type.item_type
            value = [(key, _pairs(one, inner) if pa.types.is_struct(inner) else one) for key, one in value.items()]
        elif pa.types.is_struct(field.type) and value is not None:
            value = _pairs(value, field.type)
        found[field.name] = value
    return found
