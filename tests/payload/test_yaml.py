"""YAML: the same as libyaml finds in the whole text, in fixed memory, whatever the cuts and the holes."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody, YamlBody
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.payload import opening
from pcapflow.payload.extract import Values
from pcapflow.payload.wanted import wanted
from pcapflow.payload.yaml_parser import DIRECTIVES, PARSER_BYTES, SLICE, YamlParser
from pcapflow.payload.yaml_tokens import scalar_of
from tests.payload.bodies import in_pieces, read, under_every_cut
from tests.work import ends

YAML = "application/yaml"
EVENTS = (yaml.StreamStartEvent, yaml.StreamEndEvent)


def found(data: bytes | str, limits: Limits | None = None, **more: Any) -> YamlBody:
    body = read([data.encode() if isinstance(data, str) else data], YAML, limits, **more).found
    assert isinstance(body, YamlBody)
    return body


def model(data: bytes) -> YamlBody:
    """The obviously correct one: all events of the whole text, then each count by itself."""
    events = [event for event in yaml.parse(data, Loader=yaml.CLoader) if not isinstance(event, EVENTS)]
    depth = deepest = keys = 0
    tops: set[str] = set()
    opened: list[list[Any]] = []
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            if not opened:
                tops.add(
                    {"MappingStart": "mapping", "SequenceStart": "sequence", "Scalar": "scalar", "Alias": "alias"}[
                        type(event).__name__[:-5]
                    ]
                )
            elif opened[-1][0] == "mapping":
                keys += opened[-1][1] % 2 == 0
            if opened:
                opened[-1][1] += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
            opened.append(["mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence", 0])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            opened.pop()
    documents = sum(isinstance(event, yaml.DocumentEndEvent) for event in events)
    aliases = sum(isinstance(event, yaml.AliasEvent) for event in events)
    top = tops.pop() if len(tops) == 1 else "mixed" if tops else None
    return YamlBody(documents, len(events), keys, aliases, deepest, top, len(data), "complete")


TEXTS = [
    b"a: 1\nb: [x, {y: 2.5, z: null}]\nc: &x text\nd: *x\n",
    b"%YAML 1.1\n%TAG ! tag:example.com,2000:\n---\n!a {b: !!str 1}\n--- |\n  block\n  ---text\n...\n---\n- >-\n  folded\n\n  twice\n",
    b"? [1, 2]\n: complex\n? {a: b}\n: - nested\n  - - deeper\n",
    b"\xef\xbb\xbfname: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n",
    "a: \u00e9\u20ac\U0001f600\n".encode("utf-16-le"),
    b"\xff\xfe" + "- a\n- b\n".encode("utf-16-le"),
    b"\xfe\xff" + "- a\n".encode("utf-16-be"),
    b"'it''s': \"\\u00e9\\n\"\r\nnext:\r\n  - 1\r\n  - 2\r\n",
    b"# only a comment\n",
    b"",
    b"plain\n--- 2\n---\n---\n*alias_of_nothing\n",
    b"{a: [1, 2, {b: c}], d: }\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_found_is_what_libyaml_finds_in_the_whole_text_whatever_the_cuts(text: bytes) -> None:
    reader = under_every_cut(text, YAML) if text else read([b""], YAML)
    body = reader.found
    if not text:
        return
    assert isinstance(body, YamlBody)
    expected = model(text if body.encoding == "utf-8" or text[:1] in b"\xfe\xff" else text.decode(body.encoding).encode())
    expected.bytes = len(text)
    expected.encoding = body.encoding
    body.shape = body.duplicate_keys = None
    assert body == expected


BROKEN = [
    (b"a: 1\nb: [1, 2\nc: d\n", "while parsing a flow sequence: did not find expected ',' or ']'", (3, 2), ("b[]", "b[1]"), 0),
    (b"items:\n- id: 1\n- id: 2\n  name: x\n name: y\n", "did not find expected", (5, 2), ("items", "items"), 0),
    (b"a: 1\n---\nb:\n  c: \x01\n", "control characters are not allowed", (4, 6), ("b", "b"), 1),
    (b"a: \xff\n", "invalid leading UTF-8 octet", (1, 4), ("", ""), 0),
    (b"a: b: c\n", "mapping values are not allowed in this context", (1, 5), ("a", "a"), 0),
    (b"\tx: 1\n", "found character that cannot start any token", (1, 1), ("", ""), 0),
    (b"a: 'open\n", "found unexpected end of stream", (2, 1), ("a", "a"), 0),
    (b"? [k, @\n", "found character that cannot start any token", (1, 7), ("[]", "[1]"), 0),
]


@pytest.mark.parametrize(("text", "words", "place", "paths", "document"), BROKEN)
def test_an_error_says_line_column_and_path_whatever_the_cuts(
    text: bytes, words: str, place: tuple[int, int], paths: tuple[str, str], document: int
) -> None:
    body = under_every_cut(text, YAML).found
    assert isinstance(body, YamlBody)
    error = body.error
    assert error is not None
    assert body.status == "invalid"
    assert words in error.message
    assert (error.line, error.column) == place
    assert error.document == document == body.documents
    if "[k" not in text.decode("latin-1"):
        assert (error.path, error.location) == paths


def test_an_error_far_from_the_beginning_has_its_line() -> None:
    error = found(b"- item\n" * 3000 + b"- \x02\n").error
    assert error is not None
    assert (error.line, error.column) == (3001, 3)


def test_a_body_that_begins_as_json_and_is_json_is_json() -> None:
    body = under_every_cut(b'{"a": "\\ud83d\\ude00", "b": [1]}', YAML).found
    assert isinstance(body, JsonBody)
    assert (body.status, body.keys) == ("complete", 2)


def test_a_body_that_begins_as_json_and_is_not_is_yaml() -> None:
    assert under_every_cut(b'{"a": 1, b: 2}', YAML).found == YamlBody(
        1, 8, 2, 0, 1, "mapping", 14, "complete", shape=["a: integer", "b: integer"], duplicate_keys=0
    )


def test_a_large_body_that_begins_as_json_is_read_as_json_from_its_first_byte_on() -> None:
    text = b'{"a": [' + b"1, " * 500 + b"1]}"
    assert isinstance(read([text], YAML, Limits(json_whole_max_bytes=1000)).found, JsonBody)
    assert isinstance(read([text, None], YAML, whole=False).found, JsonBody)


def test_behind_a_gap_reading_goes_on_at_the_next_document() -> None:
    body = read([b"a: 1\n---\nb: [1,\n", None, b" 2]\nc\n---x\n --- \n---\nd: 4\n---\ne: 5\n"], YAML, whole=False).found
    assert isinstance(body, YamlBody)
    assert (body.status, body.documents, body.broken, body.keys) == ("gapped", 2, 1, 4)
    for cut in range(1, 6):
        pieces: list[bytes | None] = [b"a: 1\n", None, *in_pieces(b"x\n---\nd: 4\n", cut)]
        body = read(pieces, YAML, whole=False).found
        assert isinstance(body, YamlBody)
        assert (body.documents, body.broken, body.keys) == (0, 1, 2)


def test_a_body_that_is_cut_is_truncated_and_its_whole_documents_count() -> None:
    body = found(b"a: 1\n---\nb: [1,", whole=False)
    assert (body.status, body.documents, body.error) == ("truncated", 1, None)


def test_other_encodings_go_on_behind_no_gap() -> None:
    body = read(["- a\n- b\n".encode("utf-16-le"), None, b"\n---\na: 1\n"], YAML, whole=False).found
    assert isinstance(body, YamlBody)
    assert (body.status, body.encoding) == ("gapped", "utf-16le")


# --- limits


def dropped(data: bytes, limits: Limits, reason: DropReason) -> YamlBody:
    reader = under_every_cut(data, YAML, limits) if len(data) < 600 else read(in_pieces(data, 1000), YAML, limits)
    assert reader.drop is not None
    assert reader.drop.reason is reason
    assert isinstance(reader.found, YamlBody)
    assert (reader.found.status, reader.found.drop_reason) == ("dropped", reason.value)
    return reader.found


def test_what_is_too_deep_is_dropped_before_libyaml_has_read_on() -> None:
    limits = Limits(yaml_max_depth=3)
    assert found(b"[[[1, a]]]", limits).max_depth == 3
    assert found(b"- - - 1", limits).max_depth == 3
    for data in (b"[[[[1, a]]]]", b"- - - - 1", b"a:\n b:\n  c:\n   d: 1", b"[[[[\n" * 20_000):
        assert dropped(data, limits, DropReason.YAML_TOO_DEEP).max_depth == 4


@pytest.mark.parametrize("levels", [600, 1_000, 5_000])
@pytest.mark.parametrize("before", [b"a: ", b"- ", b"a:\n  "])
def test_it_is_too_deep_too_where_libyaml_gives_up_before_an_event_shows_it(levels: int, before: bytes) -> None:
    """Its scanner reads a kilobyte ahead, to see whether what begins there is a key."""
    data = before + b"[" * levels
    reader = read(in_pieces(data, 1000), YAML, Limits())
    assert reader.drop is not None
    assert (reader.drop.reason, reader.drop.limit_name) == (DropReason.YAML_TOO_DEEP, "yaml_max_depth")
    assert isinstance(reader.found, YamlBody)
    assert reader.found.error is None


def test_a_scalar_that_is_too_long_is_dropped_and_libyaml_gets_no_more_of_it() -> None:
    limits = Limits(yaml_scalar_max_bytes=20_000)
    assert found(b"a: " + b"x" * 15_000, limits).status == "complete"
    for data in (b'a: "' + b"x" * 60_000, b"a: |\n" + b"  x\n" * 20_000, b"#" * 60_000, b"a:" + b" " * 60_000):
        dropped(data, limits, DropReason.YAML_SCALAR_TOO_LARGE)


def test_too_many_directives_are_dropped() -> None:
    line = b"%%TAG !a%d! tag:b\n"
    assert found(b"".join(line % i for i in range(DIRECTIVES)) + b"--- a").status == "complete"
    dropped(b"".join(line % i for i in range(DIRECTIVES + 1)) + b"--- a", Limits(), DropReason.YAML_TOO_MANY_DIRECTIVES)
    many = b"--- |\n" + b" %TAG\n" * 500
    assert found(many).status == "complete", "within a document they are text"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", "\u0085".encode(), "\u2028".encode(), "\u2029".encode()])
def test_directives_are_counted_whatever_ends_their_lines_and_by_document(end: bytes) -> None:
    dropped(
        b"".join(b"%%TAG !a%d! tag:b" % i + end for i in range(DIRECTIVES + 1)) + b"--- a", Limits(), DropReason.YAML_TOO_MANY_DIRECTIVES
    )
    assert found(b"%YAML 1.1\n--- x\n...\n" * 200).documents == 200
    assert found(b'--- "\n' + b"%a\n" * 200 + b'"\n').documents == 1


def test_keys_that_are_over_are_not_kept() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    parser = YamlParser(YamlBody(0, 0, 0, 0, 0, None, 0, ""), limits, ledger.json)
    for piece in in_pieces(b'? "' + b"k" * 500_000 + b'"\n: "' + b"v" * 500_000 + b'"\n? "' + b"z" * 9000, 4096):
        parser.feed(piece)
    kept = [parser._last, parser._before]
    assert all(len(event.value) <= 64 for event in kept)
    parser.close()
    assert ledger.json.used == 0


def test_an_alias_bomb_is_its_own_few_events() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20))
    body = found(bomb)
    assert (body.aliases, body.keys) == (9 * 19, 20)
    assert body.events < 300


def test_no_memory_for_a_parser_is_a_drop() -> None:
    reader = read([b"a: 1\n"], YAML, Limits(json_total=PARSER_BYTES // 2))
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.JSON_MEMORY


def test_a_parser_takes_no_more_than_is_reserved_for_it() -> None:
    limits = Limits()
    ledger = Ledger(limits)

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    if sys.platform != "linux":
        pytest.skip("how much memory a process has is told otherwise here")
    parsers = [YamlParser(YamlBody(0, 0, 0, 0, 0, None, 0, ""), limits, ledger.json) for _ in range(20)]
    for parser in parsers:
        parser.feed(b"a: [1, 2]\n" * (SLICE // 10 + 1))
    gc.collect()
    before = resident()
    more = [YamlParser(YamlBody(0, 0, 0, 0, 0, None, 0, ""), limits, ledger.json) for _ in range(200)]
    for parser in more:
        parser.feed(b"a: [1, 2]\n" * (SLICE // 10 + 1))
    assert resident() - before < 200 * (PARSER_BYTES + 7 * SLICE)
    for parser in [*parsers, *more]:
        parser.close()
    assert ledger.json.used == 0


def test_time_grows_with_the_bytes_and_memory_does_not() -> None:
    """Counted by what libyaml was asked for: one slice after another, each once."""
    limits, reads = Limits(), 0

    class Counted(YamlParser):
        __slots__ = ()

        def read(self, size: int) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size)

    ledger = Ledger(limits)
    body = YamlBody(0, 0, 0, 0, 0, None, 0, "")
    parser = Counted(body, limits, ledger.json)
    item = b"- id: 17\n  name: some name\n  tags: [a, b]\n"
    for _ in range(100):
        parser.feed(item * 100)
        assert ledger.json.used <= PARSER_BYTES + 14 * SLICE
    parser.finish(whole=True)
    assert (body.documents, body.keys) == (1, 30_000)
    assert reads <= len(item) * 10_000 // SLICE + 3


# --- without the libraries


def test_without_the_extra_a_body_is_not_read_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcapflow.payload.yaml_library.tools", lambda: None)
    assert opening.tools_missing()
    reader = read([b"a: 1\n", b"b: ["], YAML)
    assert reader.drop is None
    assert isinstance(reader.found, YamlBody)
    assert (reader.found.status, reader.found.bytes) == ("not_read", 9)


# --- as JSON


def as_json(node: Any) -> Any:
    """What a composed document is in JSON, by the core schema; the obviously correct one."""
    if isinstance(node, yaml.MappingNode):
        return {key.value if isinstance(key, yaml.ScalarNode) else "?": as_json(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [as_json(one) for one in node.value]
    if node.style or node.tag.startswith("!") or node.tag.endswith(":str"):
        plain = not node.style and not node.tag.startswith("!")
        return core(node.value) if plain else node.value
    return core(node.value)


def core(text: str) -> Any:
    """YAML 1.2.2 section 10.3.2."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.capitalize()):
        return text.lower() == "true"
    if text.lstrip("+-").isdigit() and len(text) - len(text.lstrip("+-")) < 2 and text.isascii():
        return int(text)
    if text.startswith(("0o", "0x")):
        try:
            return int(text, 0)
        except ValueError:
            return text
    try:
        return text if set(text) - set("0123456789+-.eE") or "_" in text else float(text)
    except ValueError:
        return text


def values_at(path: str, data: bytes, size: int) -> list[Any]:
    limits = Limits()
    ledger = Ledger(limits)
    values: list[bytes] = []
    tap = Values(wanted(path), limits, ledger.json, values.append, lambda drop: None)
    read(in_pieces(data, size), YAML, limits, tap=tap)
    return [json.loads(one) for one in values]


SCALARS = st.sampled_from(
    ["1", "-0", "007", "+3", "0x1F", "0o17", "1e3", ".5", "5.", "1.5E+3", "-.inf", ".nan", "yes", "on", "true", "FALSE", "~", "null", '"1"', "'x'", "text", "a b", "1_000", "2026-11-27", "é", '"\\u0041"', "1.2.3", "e5", "0x", "!x y"]
)  # fmt: skip
NODES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(
            st.tuples(st.sampled_from(["a", "b", '"c d"', "1", "[x]", "{y: z}"]), inner), max_size=4, unique_by=lambda pair: pair[0]
        ).map(lambda pairs: "{" + ", ".join(f"? {key} : {value}" for key, value in pairs) + "}")
    ),
    max_leaves=12,
)


@given(st.lists(NODES, min_size=1, max_size=3), st.integers(1, 50))
def test_values_are_those_of_the_core_schema_as_json(nodes: list[str], size: int) -> None:
    data = "".join(f"---\n{node}\n" for node in nodes).encode()
    expected = [as_json(node) for node in yaml.compose_all(data, Loader=yaml.CSafeLoader)]
    assert values_at(".", data, size) == expected


def test_aliases_and_merge_keys_are_not_followed() -> None:
    assert values_at(".", b"base: &b {x: 1}\nuse:\n  <<: *b\n  y: *b\n", 7) == [{"base": {"x": 1}, "use": {"<<": "*b", "y": "*b"}}]


def test_values_at_a_path_come_as_they_arrive() -> None:
    data = b"items:\n" + b"".join(b"- {id: %d, name: n%d}\n" % (i, i) for i in range(3000))
    assert values_at("items[].id", data, 1000) == list(range(3000))


@pytest.mark.parametrize(("text", "tag", "value"), [("9" * 4301, None, "string"), ("9" * 4300, None, "number"), ("0x" + "f" * 3000, None, "string"), ("1", "tag:yaml.org,2002:int", "number"), ("x", "tag:yaml.org,2002:int", "string"), ("1", "tag:yaml.org,2002:str", "string")])  # fmt: skip
def test_a_scalar_is_what_its_tag_or_its_text_says(text: str, tag: str | None, value: str) -> None:
    assert scalar_of(text, tag, plain=tag is None)[0][0] == value


def noise() -> Iterator[bytes]:
    """Texts of every kind of token."""
    for head in (b"", b"%YAML 1.1\n---\n", b"- ", b"a: ", b"[", b"{", b"? ", b"|\n ", b"&a ", b"!t "):
        for tail in (
            b"",
            b"]",
            b"}",
            b"\n",
            b": x",
            b", y",
            b" #c",
            b"\n---\n",
            b"\n...\n",
            b"*a",
            b"\xff",
            b"\0",
            b"'",
            b'"',
            b"@",
            b"`",
            b"\t- x",
        ):
            yield head + b"v" + tail
            yield head + tail


def test_no_text_raises_and_each_is_the_same_under_cuts() -> None:
    for text in noise():
        if text:
            under_every_cut(text, YAML)


# --- what an attack found


@pytest.mark.parametrize("tag", [b"!%ed%a0%80", b"!%c0%80", b"!a%ff"])
@pytest.mark.parametrize("text", [b"a: TAG x\n", b"- b\n- {c: TAG x}\n", b"%TAG !e! tag:%ed%a0%80\n---\na\n"])
def test_a_tag_whose_escapes_are_no_text_is_an_error_of_the_body(tag: bytes, text: bytes) -> None:
    reader = under_every_cut(text.replace(b"TAG ", tag + b" "), YAML)
    assert isinstance(reader.found, YamlBody)
    assert reader.found.status == "invalid"
    assert reader.found.error is not None


def test_behind_a_gap_a_directive_that_nobody_saw_is_not_the_sender_s_fault() -> None:
    data: list[bytes | None] = [b"a: 1\nb:", None, b"zz\n...\n%TAG !e! tag:e,2000:\n---\n!e!x a\n"]
    body = read(data, YAML).found
    assert isinstance(body, YamlBody)
    assert (body.status, body.error) == ("gapped", None)
    assert found(b"!e!x a\n").status == "invalid"


def test_numbers_of_many_zeros_are_read_in_linear_time() -> None:
    ends("from pcapflow.payload.yaml_tokens import scalar_of\nfor _ in range(20_000): scalar_of('0' * 4299 + 'x', None, plain=True)")
    assert scalar_of("000", None, plain=True) == (("number", 0), b"0")
    assert scalar_of("-007.50", None, plain=True) == (("number", 0.0), b"-7.50")
    assert scalar_of(".5", None, plain=True) == (("number", 0.0), b"0.5")
