"""What a request asks for by GraphQL and JSON-RPC, with graphql-core as the oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import parse
from graphql.error import GraphQLSyntaxError
from graphql.language import OperationDefinitionNode
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.limits import Limits
from pcapflow.payload.operations import LISTED, NAME_CHARS, graphql_of, operations_of
from tests.payload.bodies import in_pieces, read

DOCUMENTS = [
    "query Orders($a: Int = 3) { orders(first: $a) { id } }",
    "{ viewer { id } }",
    "  # a comment { mutation X }\n\ufeff,, mutation Pay @retry(n: 2) { pay { ok } }",
    "subscription OnOrder { order { id } }",
    "query { a }",
    "fragment F on User { name } query Users { users { ...F } }",
    'query Text { a(s: "} mutation X {") b(s: """ "" } query Y { \\""" """) }',
    "query A { a } mutation B { b } query C { c }",
    "{ ...F } fragment F on Q { a }",
    "fragment query on mutation { subscription } query query { fragment }",
    "fragment F on User @dir { id } query Q { ...F }",
    "fragment F on User @dir(a: 1) @other { id } query Q @x { ...F }",
    "# who\n{ a }",
    "query A($in: [In!]! = [{a: {b: 1}}]) { a }",
]
OTHERS = ["", " ", "query planner", "mutation rates of cancer {x", "select * from query {", '{"match": {}}', "type Query { a: Int }", "fragment F on Q { a }", "quer Orders { a }", "query 1 { a }", "#"]  # fmt: skip


def oracle(text: str, chosen: str | None = None) -> str | None:
    try:
        document = parse(text)
    except GraphQLSyntaxError:
        return None
    found = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    for one in found:
        name = one.name.value if one.name is not None else ""
        if chosen in (None, name):
            return f"{one.operation.value} {name}".rstrip()
    return oracle(text) if found else None


@pytest.mark.parametrize("text", DOCUMENTS)
@pytest.mark.parametrize("chosen", [None, "C", "Orders", "nobody"])
def test_the_operation_is_the_one_that_graphql_core_finds(text: str, chosen: str | None) -> None:
    assert graphql_of(text, chosen) == oracle(text, chosen)
    assert oracle(text) is not None


@pytest.mark.parametrize("text", OTHERS)
def test_a_text_that_is_no_document_names_nothing(text: str) -> None:
    assert graphql_of(text) is None


@given(st.text("{}()[]\"'#@ abquery:.$!\\\n", max_size=60))
def test_no_text_raises(text: str) -> None:
    graphql_of(text)
    graphql_of("query A " + text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": DOCUMENTS[0], "variables": {"a": 1}}, ["query Orders"]),
        ({"query": DOCUMENTS[7], "operationName": "B"}, ["mutation B"]),
        ([{"query": DOCUMENTS[1]}, {"query": DOCUMENTS[3]}], ["query", "subscription OnOrder"]),
        ({"operationName": "Feed", "extensions": {"persistedQuery": {"sha256Hash": "ab"}}}, ["persisted Feed"]),
        ({"jsonrpc": "2.0", "method": "eth_call", "params": [], "id": 1}, ["eth_call"]),
        ({"method": "getinfo", "params": [], "id": 7}, ["getinfo"]),
        ([{"jsonrpc": "2.0", "method": "a", "id": 1}, {"jsonrpc": "2.0", "method": "b"}], ["a", "b"]),
        ({"query": {"match": {"title": "x"}}}, None),
        ({"query": "select {"}, None),
        ({"method": "PUT", "url": "/x"}, None),
        ([{"jsonrpc": "2.0", "method": "a"}, {"x": 1}], None),
        ({"jsonrpc": "2.0", "result": 3, "id": 1}, None),
        (["query", "method"], None),
        ({"operationName": "Feed"}, None),
    ],
)
def test_a_body_of_json_names_what_it_asks_for_whatever_the_cuts(body: Any, expected: list[str] | None) -> None:
    data = json.dumps(body).encode()
    assert operations_of(data) == expected
    for size in (1, 5, len(data)):
        assert read(in_pieces(data, size), "application/json", asks=True).operations == expected
    assert read([data], "application/json").operations is None


def test_a_document_alone_names_its_operation() -> None:
    assert read([b"mutation Pay ", b"{ a }"], "application/graphql", asks=True).operations == ["mutation Pay"]
    assert read([b"nothing"], "application/graphql", asks=True).operations is None


def test_names_and_batches_are_bounded() -> None:
    batch = json.dumps([{"jsonrpc": "2.0", "method": "m" * 500 + str(i)} for i in range(99)]).encode()
    found = operations_of(batch)
    assert found is not None
    assert (len(found), {len(name) for name in found}) == (LISTED, {NAME_CHARS})


def test_a_body_that_is_too_large_names_nothing_and_is_read_all_the_same() -> None:
    data = b'{"jsonrpc": "2.0", "method": "a", "params": ["' + b"x" * 3000 + b'"]}'
    assert read(in_pieces(data, 500), "application/json", asks=True).operations == ["a"]
    small = read(in_pieces(data, 500), "application/json", Limits(operation_max_bytes=2000), asks=True)
    assert (small.operations, small.drop) == (None, None)
    assert small.found is not None


@pytest.mark.parametrize("piece", ['\\"', '\\"""\n', '"""', '"', "#", "{", "a "])
def test_time_is_linear_in_a_document(piece: str) -> None:
    """Counted by what the tokens cover: each character once."""
    from pcapflow.payload.operations import _TOKEN

    text = '{a "' + piece * 2000
    ends = [token.end() for token in _TOKEN.finditer(text)]
    assert ends == sorted(ends)
    assert ends[-1] >= len(text.rstrip()) - 1
    graphql_of("{a " + '\\"' * 200_000)
    graphql_of('{a """' + '\\"""' * 200_000)


def test_bytes_that_are_no_text_name_nothing() -> None:
    assert operations_of(b'{"query": "{\xe8 a }", "jsonrpc": "2.0"}') is None
    assert operations_of(b'{"jsonrpc": "2.0", "method": "\xff"}') is None


def test_broken_and_cut_bodies_name_nothing() -> None:
    data = b'{"jsonrpc": "2.0", "method": "a"'
    assert read([data], "application/json", asks=True).operations is None
    assert read([data + b"}", None], "application/json", asks=True, whole=False).operations is None


def test_a_byte_order_mark_hides_no_operation() -> None:
    assert operations_of(b'\xef\xbb\xbf{"query": "query A { a }"}') == ["query A"]
