"""The report as SQL tables, one a record type: columns, views and indices, from the types of the records.

Contract: `TABLES` has a `Table` for each record type, `endpoint` and `problem` for what the summary lists, and `run`. A column is a field; what is nested becomes columns with longer names
(`request_body_bytes`), lists, maps and what was in a body become JSON. `Table.row` takes a record that was decoded and gives its values. Invariant: a value has the type of its column or is null; a text has no NUL, which
databases cut or refuse: U+FFFD stands for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from pcapflow.fields import INSTANT
from pcapflow.records import Conflict, Connection, Drop, Gap, Http, Json
from pcapflow.summary import Summary
from pcapflow.tables import HttpEndpoint, Problem

INTEGER, REAL, TEXT, JSON, BOOLEAN, TIME = "integer", "real", "text", "json", "boolean", "time"
"""Kinds of columns; a point in time is seconds since the epoch."""
_SCALARS: dict[type, str] = {inspect.IntType: INTEGER, inspect.FloatType: REAL, inspect.StrType: TEXT, inspect.BoolType: BOOLEAN}
_AS_JSON = frozenset(("json", "payload", "error"))
"""Structs that stay whole: what was in a body."""
_encode = msgspec.json.Encoder().encode
VERSION = 2
"""Of these tables."""


class Column(NamedTuple):
    """One of a table."""

    name: str
    path: tuple[str, ...]
    """The field, and those around it."""
    kind: str


def _columns(kind: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[Column]:
    instant = False
    if isinstance(kind, inspect.Metadata):
        instant = (kind.extra or {}).get("unit") == INSTANT
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if len(kinds) == 1:
            yield from _columns(kinds[0], path)
            return
    if isinstance(kind, inspect.StructType) and (not path or path[-1] not in _AS_JSON):
        for field in kind.fields:
            yield from _columns(field.type, (*path, field.encode_name))
        return
    yield Column("_".join(path), path, TIME if instant else _SCALARS.get(type(kind), JSON))


class Table:
    """One of a database."""

    def __init__(self, name: str, kind: type[msgspec.Struct]) -> None:
        self.name = name
        self.columns = list(_columns(inspect.type_info(kind)))
        self._plan = _plan(self.columns)
        self._is_json = [i for i, column in enumerate(self.columns) if column.kind == JSON]
        self._is_text = [i for i, column in enumerate(self.columns) if column.kind == TEXT]

    def row(self, record: dict[str, Any]) -> tuple[list[Any], int]:
        """The values of a record, and in how many texts NUL was replaced."""
        values: list[Any] = [None] * len(self.columns)
        _fill(values, record, self._plan)
        for i in self._is_json:
            value = values[i]
            if value is not None:
                values[i] = _encode(value).decode() if value else "[]" if value == [] else "{}"
        mapped = 0
        for i in self._is_text:
            value = values[i]
            if value is not None and "\0" in value:
                values[i] = value.replace("\0", "\ufffd")
                mapped += 1
        return values, mapped


_Plan = list[tuple[str, int, Any]]
"""Of each field: its name, its column or -1, and what is in it."""


def _plan(columns: list[Column]) -> _Plan:
    plan: _Plan = []
    inner: dict[str, _Plan] = {}
    for i, column in enumerate(columns):
        here = plan
        for depth, name in enumerate(column.path[:-1]):
            key = "\0".join(column.path[: depth + 1])
            if key not in inner:
                inner[key] = []
                here.append((name, -1, inner[key]))
            here = inner[key]
        here.append((column.path[-1], i, None))
    return plan


def _fill(values: list[Any], record: dict[str, Any], plan: _Plan) -> None:
    get = record.get
    for name, i, inner in plan:
        value = get(name)
        if inner is None:
            values[i] = value
        elif value is not None:
            _fill(values, value, inner)


class RunKey:
    """A hash of what a run wrote, and of the version: the same captures with the same options have the same."""

    def __init__(self) -> None:
        from pcapflow import __version__  # noqa: PLC0415 - the package is being imported

        self._hash = hashlib.sha256(__version__.encode())
        self.update = self._hash.update

    def finish(self, summary: Summary) -> str:
        """When all records came."""
        lists = [getattr(summary, name) for name in LISTS]
        self.update(_encode([summary.decode, summary.limits, lists, [one.bytes for one in summary.captures]]))
        return self._hash.hexdigest()


RECORDS = {
    "connection": Table("connection", Connection),
    "http": Table("http", Http),
    "json": Table("json", Json),
    "gap": Table("gap", Gap),
    "conflict": Table("conflict", Conflict),
    "drop": Table("drop", Drop),
}
"""By the type of a record."""
LISTS = {"endpoints": Table("endpoint", HttpEndpoint), "problems": Table("problem", Problem)}
"""By the list of the summary."""
TABLES = [*RECORDS.values(), *LISTS.values()]
INDICES = {
    "http_by_connection": ("http", ("connection",)),
    "http_by_status": ("http", ("response_status",)),
    "drop_by_reason": ("drop", ("reason",)),
}
"""By name: the table, and columns, behind the run."""
VIEWS = {
    "exchange": """
        select h.run, r.captures, h.connection, h.exchange, h.ts, h.request_method as method, h.request_host as host, h.request_target as target,
            h.response_status as status, 1000 * h.duration as ms, 1000 * h.wait as wait_ms, h.request_body_bytes as sent, h.response_body_bytes as received,
            h.response_body_content_type as type, h.client_ip, h.server_ip, h.request_packet as packet
        from http h join run r on r.id = h.run where r.complete""",
    "slowest_endpoint": """
        select e.run, r.captures, e.name as endpoint, e.exchanges, e.client_errors, e.server_errors, e.unanswered, 1000 * e.duration_p50 as p50_ms, 1000 * e.duration_p95 as p95_ms,
            1000 * e.duration_max as max_ms, e.slowest_url as slowest
        from endpoint e join run r on r.id = e.run where r.complete order by e.duration_p95 desc""",
    "worst_problem": """
        select p.run, r.captures, p.kind, p.endpoint, p.detail, p.count, p.place, p.first_url, p.first_connection, p.first_packet
        from problem p join run r on r.id = p.run where r.complete order by p.run, p.record""",
}
"""By name: of runs that are complete."""


def definitions(types: Mapping[str, str], ending: str = "") -> Iterator[str]:
    """The statements that make the tables, indices and views, but for `run`. types: of each kind of column; ending: what stands behind a table's columns."""
    for table in TABLES:
        columns = ", ".join(f'"{one.name}" {types[one.kind]}' for one in table.columns)
        number = types[INTEGER]
        yield (
            f'create table "{table.name}" (run {number} not null references run (id), record {number} not null, {columns}, primary key (run, record)){ending}'
        )
    for name, (of, by) in INDICES.items():
        yield f'create index "{name}" on "{of}" (run, {", ".join(by)})'
    for name, query in VIEWS.items():
        yield f'create view "{name}" as {query}'
