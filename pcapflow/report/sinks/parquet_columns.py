"""The columns of the Parquet tables: what each field of a record is in Arrow.

Contract: `table_schema` gives a record type's columns, `read_rows` the rows that encoded records make, `rows_of` one row of values. What is nested stays nested, maps
are maps, points in time are UTC timestamps of microseconds, as exact as in the report. Invariant: rows have the columns of `table_schema`, whatever a record left out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from msgspec import inspect

from pcapflow.fields import INSTANT

TIMESTAMP = pa.timestamp("us", tz="UTC")
_MICROSECONDS = 1_000_000
_SCALARS: dict[type, Any] = {
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.StrType: pa.string(),
    inspect.BoolType: pa.bool_(),
}


def _arrow(kind: inspect.Type, instant: pa.DataType) -> pa.DataType:
    """A field's type in Arrow; instant: that of points in time."""
    if isinstance(kind, inspect.Metadata):
        return instant if (kind.extra or {}).get("unit") == INSTANT else _arrow(kind.type, instant)
    if isinstance(kind, inspect.UnionType):
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _arrow(kinds[0], instant) if len(kinds) == 1 else _either(kinds, instant)
    if isinstance(kind, inspect.ListType):
        return pa.list_(_arrow(kind.item_type, instant))
    if isinstance(kind, inspect.DictType):
        return pa.map_(pa.string(), _arrow(kind.value_type, instant))
    if isinstance(kind, inspect.StructType):
        return pa.struct([pa.field(field.name, _arrow(field.type, instant)) for field in kind.fields])
    return _SCALARS[type(kind)]


def _either(kinds: Sequence[inspect.Type], instant: pa.DataType) -> pa.DataType:
    """Of values of several types, told apart by a tag: the tag, and the fields of all; those that a value's type does not have are null."""
    first = kinds[0]
    assert isinstance(first, inspect.StructType)
    merged = pa.struct([pa.field(str(first.tag_field), pa.string())])
    for one in kinds:
        merged = _merged(merged, _arrow(one, instant))
    return merged


def _merged(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """A type that holds the values of both."""
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(_merged(a.value_type, b.value_type))
    if not (pa.types.is_struct(a) and pa.types.is_struct(b)):
        assert a.equals(b), f"{a} and {b} in one column"
        return a
    theirs = {field.name: field.type for field in b}
    fields = [pa.field(field.name, _merged(field.type, theirs.pop(field.name, field.type))) for field in a]
    return pa.struct([*fields, *(pa.field(name, kind) for name, kind in theirs.items())])


def table_schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """The columns of a record type's table."""
    return pa.schema(list(_arrow(inspect.type_info(kind), TIMESTAMP)))


def text_schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """The same as the records' JSON has them: points in time are numbers there."""
    return pa.schema(list(_arrow(inspect.type_info(kind), pa.float64())))


def read_rows(text: bytes, as_text: pa.Schema, schema: pa.Schema) -> pa.Table:
    """The rows of records, one a line. as_text: their `text_schema`."""
    rows = pa.json.read_json(
        io.BytesIO(text),
        pa.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        pa.json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior="ignore"),
    )
    columns = [_as_type(rows.column(field.name).combine_chunks(), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column with the points in time in it made timestamps."""
    if isinstance(column, pa.ChunkedArray):  # older versions of Arrow combine into one chunk, or none
        column = pa.concat_arrays(column.chunks) if column.chunks else pa.array([], column.type)
    if column.type.equals(kind):
        return column
    if kind.equals(TIMESTAMP):
        return pc.round(pc.multiply(column, _MICROSECONDS)).cast(pa.int64()).cast(kind)
    if pa.types.is_struct(kind):
        inner = [_as_type(part, kind.field(i).type) for i, part in enumerate(_parts(column, kind))]
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=column.is_null())
    if pa.types.is_list(kind):
        values = _as_type(column.values, kind.value_type)
        return pa.Array.from_buffers(kind, len(column), column.buffers()[:2], column.null_count, column.offset, [values])
    raise TypeError(f"a point in time within {kind}")


def _parts(column: pa.Array, kind: pa.DataType) -> list[pa.Array]:
    """A struct's fields, in the order of kind: those of rows that are null are null."""
    return [pc.struct_field(column, [column.type.get_field_index(kind.field(i).name)]) for i in range(kind.num_fields)]


def row_of(value: msgspec.Struct, schema: pa.Schema) -> pa.Table:
    """A table of one row."""
    return pa.Table.from_pylist([_as_arrow_takes(msgspec.to_builtins(value), schema)], schema=schema)


def _as_arrow_takes(row: dict[str, Any], kind: Any) -> dict[str, Any]:
    """A value with its maps as lists of pairs, and its points in time as microseconds."""
    return {field.name: _value(row.get(field.name), field.type) for field in kind}


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind.equals(TIMESTAMP):
        return round(value * _MICROSECONDS)
    if pa.types.is_map(kind):
        return [(key, _value(one, kind.item_type)) for key, one in value.items()]
    if pa.types.is_list(kind):
        return [_value(one, kind.value_type) for one in value]
    return _as_arrow_takes(value, kind) if pa.types.is_struct(kind) else value
