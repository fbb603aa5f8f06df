"""The shape of JSON: against a model made of parsed values, merged in any order, under every cut, within its bounds."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader
from pcapflow.payload.json_parser import JsonParser
from pcapflow.payload.shape import KEYS, NODE_BYTES, NODES, Shapes
from tests.conftest import Run
from tests.craft import Talk, request, response

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, -1.25]) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d", ""]), inner, max_size=3),
    max_leaves=12,
)


def shapes_of(*bodies: bytes, size: int = 1 << 20, limits: Limits | None = None) -> list[Shapes]:
    limits = limits or Limits()
    found = []
    for body in bodies:
        tap = Shapes(Ledger(limits).json)
        parser = JsonParser(limits, Ledger(limits).json, tap)
        for at in range(0, len(body), size):
            parser.feed(body[at : at + size])
        parser.finish(whole=True, gapped=False)
        found.append(tap)
    return found


def modelled(documents: list[Any]) -> list[str]:
    """From all values at each path, by their definition."""
    lines: list[str] = []

    def walk(path: str, here: list[Any], optional: bool) -> None:
        kinds = {name for value in here for name in [kind(value)]}
        order = [name for name in ("object", "array", "string", "number", "integer", "boolean", "null") if name in kinds]
        objects = [value for value in here if isinstance(value, dict)]
        elements = [inner for value in here if isinstance(value, list) for inner in value]
        names = {name for value in objects for name in value}
        if optional or len(order) > 1 or not (names or elements):
            lines.append(f"{path.removeprefix('.') or '.'}{'?' * optional}: {'|'.join(order)}")
        for name in names:
            step = f".{name}" if name.isalpha() else f'["{name}"]'
            walk(path + step, [value[name] for value in objects if name in value], any(name not in value for value in objects))
        if elements:
            walk(path + "[]", elements, False)

    def kind(value: Any) -> str:
        names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array", type(None): "null"}
        return names[type(value)]

    walk("", documents, False)
    return sorted(lines)


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 30))
def test_a_shape_says_each_path_and_the_types_of_all_values_there(documents: list[Any], size: int) -> None:
    (shape,) = shapes_of("\n".join(map(json.dumps, documents)).encode(), size=size)
    assert shape.lines() == modelled(documents)


@given(st.lists(values, min_size=2, max_size=5), st.permutations(range(5)))
def test_shapes_merge_to_the_same_in_any_order_and_grouping(documents: list[Any], order: list[int]) -> None:
    bodies = [json.dumps(document).encode() for document in documents]
    whole = modelled(documents)
    forward = [one.shape for one in shapes_of(*bodies)]
    for one in forward[1:]:
        forward[0].merge(one)
    assert forward[0].lines() == whole
    mixed = [one.shape for one in shapes_of(*(bodies[i] for i in order if i < len(bodies)))]
    while len(mixed) > 1:
        mixed[-2].merge(mixed[-1])
        mixed.pop()
    assert mixed[0].lines() == whole


def test_an_object_with_many_keys_is_a_map_whichever_part_has_them() -> None:
    def body(begin: int, end: int) -> bytes:
        return json.dumps({"prices": {f"id{i}": i if i % 2 else {"net": 1} for i in range(begin, end)}}).encode()

    whole = ["prices.*.net: integer", "prices.*: object|integer"]
    (one,) = shapes_of(body(0, KEYS + 1))
    assert one.lines() == whole
    first, second = (tap.shape for tap in shapes_of(body(0, KEYS), body(KEYS - 1, KEYS + 2)))
    assert not any("*" in line for line in first.lines())
    first.merge(second)
    assert first.lines() == whole


@pytest.mark.parametrize("wide", [8, 30, 60])
def test_a_shape_with_too_many_paths_leaves_out_the_deepest(wide: int) -> None:
    value: Any = 1
    for _ in range(4):
        value = {f"k{i}": value for i in range(wide)}
    (one,) = shapes_of(json.dumps(value).encode()) if wide == 8 else shapes_of(json.dumps(value["k0"]).encode())
    lines = one.lines()
    assert lines is not None
    assert wide <= len(lines) <= NODES
    assert all(line.endswith(": object|...") for line in lines)


def test_a_shape_costs_no_more_than_is_reserved_and_gives_it_back() -> None:
    ledger = Ledger(Limits())
    tracemalloc.start()
    try:
        taps = []
        for n in range(40):
            tap = Shapes(ledger.json)
            parser = JsonParser(Limits(), Ledger(Limits()).json, tap)
            parser.feed(json.dumps({f"{n} {i} name": {"inside of it": i} for i in range(60)}).encode())
            parser.finish(whole=True, gapped=False)
            taps.append(tap)
            del parser
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.3 * ledger.json.used < traced < ledger.json.used
    assert ledger.json.used > 40 * 100 * NODE_BYTES
    for tap in taps:
        tap.close()
    assert ledger.json.used == 0


def test_without_room_there_is_no_shape_and_the_body_is_read_all_the_same() -> None:
    limits = Limits(json_total=40_000)
    reader = BodyReader((), "json", limits, Ledger(limits), Looking(shapes=True))
    reader.feed(json.dumps({f"k{i}": {f"l{j}": 1 for j in range(9)} for i in range(30)}).encode())
    reader.finish(whole=True)
    assert reader.found is not None
    assert (reader.found.status, reader.found.shape) == ("complete", None)


def test_only_what_came_whole_has_a_shape(run: Run) -> None:
    t = Talk().open()
    for body in (b'[{"a": 1}, {"a": 2.5, "b": null}]', b'{"a": nope}', b"[]"):
        t.send(0, request()).send(1, response(body))
    t.send(0, request()).send(1, response(b'{"a": [1, 2]}')[:-4])
    found = [record["response"]["body"]["json"] for record in run(t.bytes(), looking=Looking(shapes=True, duplicate_keys=True)).of("http")]
    assert [one["shape"] for one in found] == [["[].a: number|integer", "[].b?: null"], None, [".: array"], None]
    assert [one["duplicate_keys"] for one in found] == [0, 0, 0, 0]
    assert all(record["response"]["body"]["json"]["shape"] is None for record in run(t.bytes()).of("http"))
