"""The walks name every field by hand; here it is held, by reflection, that none is forgotten and none is called by another's name."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any

import msgspec
import pytest

from pcapflow import fields, messages, records, summary
from pcapflow.check import walk_connection, walk_records, walk_summary
from pcapflow.check.changes import Changes
from pcapflow.contents import JsonError
from pcapflow.records import Plugin, Record


def bare(kind: Any) -> Any:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def made(kind: Any, *, other: bool) -> Any:
    """A value of a type, of which there are two that differ in every leaf."""
    kind = bare(kind)
    origin, args = typing.get_origin(kind), [bare(arg) for arg in typing.get_args(kind)]
    if origin in (types.UnionType, typing.Union):
        return made(next(arg for arg in args if arg is not type(None)), other=other)
    if origin is list:
        return [made(args[0], other=other)]
    if origin is dict:
        return {"key": made(args[1], other=other)}
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        return kind(**{name: made(hints[name], other=other) for name in kind.__struct_fields__})
    if kind is Any:
        return "b" if other else "a"
    return {str: "b" if other else "a", int: int(other), float: float(other), bool: other}[kind]


def leaves(value: Any, at: str = "") -> set[str]:
    """Every path in a value, as jq has it; lists of plain values are one leaf, but for the advice, which is told line by line. The words of an error of JSON are none: its kind says the same."""
    if isinstance(value, msgspec.Struct):
        names = set(value.__struct_fields__) - ({"message"} if isinstance(value, JsonError) else set())
        return {path for name in names for path in leaves(getattr(value, name), f"{at}.{name}")}
    if isinstance(value, dict):
        return {path for key, inner in value.items() for path in leaves(inner, f"{at}.{key}")}
    if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        return {path for index, inner in enumerate(value) for path in leaves(inner, f"{at}[{index}]")}
    return {at + "[]"} if at.endswith(".advice") else {at}


RECORDS = (*typing.get_args(Record), Plugin)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_walk_reaches_every_field_and_calls_it_by_its_name(kind: type[msgspec.Struct]) -> None:
    old, new = made(kind, other=False), made(kind, other=True)
    changes = Changes(10_000)
    walk = walk_summary.summary if kind is summary.Summary else lambda at, a, b, out: walk_records.walk(a, b, out)
    walk("", old, new, changes)
    assert {change.path for change in changes.found} == leaves(old)
    same = Changes(10_000)
    walk("", old, made(kind, other=False), same)
    assert same.count == 0


def test_every_type_of_the_report_has_its_walk() -> None:
    walked = {
        parameter.annotation
        for module in (walk_connection, walk_records, walk_summary)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        for parameter in inspect.signature(function).parameters.values()
    }
    for module in (fields, messages, records, summary):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__:
                assert name in walked, name


def test_of_two_records_with_one_key_every_kind_is_walked() -> None:
    for kind in RECORDS:
        if kind is not summary.Summary:
            record = made(kind, other=False)
            assert walk_records.key_of(record)[0] == (kind.__struct_config__.tag or record.record)
            assert walk_records.name_of(record)
            assert walk_records.packet_of(record) == 0


def test_what_a_settled_summary_leaves_out_is_what_may_differ_between_runs() -> None:
    old, new = made(summary.Summary, other=False), made(summary.Summary, other=False)
    new.pcapflow, new.run.seconds, new.memory.process.peak_rss_bytes, new.json.backend = "2", 9.0, 9, "python"
    new.captures[0].path = "elsewhere/a"
    changes = Changes(10)
    walk_summary.summary("", walk_summary.settled(old), walk_summary.settled(new), changes)
    assert changes.found == []
    new.captures[0].path = "elsewhere/b"
    walk_summary.summary("", walk_summary.settled(old), walk_summary.settled(new), changes)
    assert [change.path for change in changes.found] == [".captures[0].path"]


def test_a_value_that_appears_is_told_as_json() -> None:
    old, new = made(records.Http, other=False), made(records.Http, other=False)
    old.response = None
    changes = Changes(10)
    walk_records.walk(old, new, changes)
    assert [change.path for change in changes.found] == [".response"]
    assert changes.found[0].old is None
    assert changes.found[0].new["status"] == 0


def test_maps_count_a_missing_key_and_quote_what_is_no_identifier() -> None:
    old, new = summary.HttpSummary(by_status={"200": 1}), summary.HttpSummary(by_status={"404": 2})
    changes = Changes(10)
    walk_summary.http_summary("", old, new, changes)
    assert [(change.path, change.old, change.new) for change in changes.found] == [
        ('.by_status."200"', 1, None),
        ('.by_status."404"', None, 2),
    ]


def test_only_so_many_changes_are_kept_and_all_are_counted() -> None:
    changes = Changes(3)
    walk_summary.decode("", made(summary.Decode, other=False), made(summary.Decode, other=True), changes)
    assert len(changes.found) == 3
    assert changes.count == len(leaves(made(summary.Decode, other=False)))
