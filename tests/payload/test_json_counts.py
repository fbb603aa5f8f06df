"""Texts that are read at once, against ijson's events."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody
from pcapflow.limits import Limits
from pcapflow.payload import json_counts
from pcapflow.payload.at_once import parse_at_once
from pcapflow.payload.json_counts import counts
from pcapflow.payload.json_kept import KeptText
from tests.conftest import CASES
from tests.payload.test_json_parser import parse

LIMITS = Limits()
TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b'\\"', b"\\\\", b'"a"', b"1", b"-1", b"1.5", b"1e5", b"true", b"null", b"false"),
    *(b" ", b"\n", b"\t", b"\r", b"[]", b"{}", b'"k":', b'""', b"[1]", b'"[]"', b'"{,:"', b"0", b"e", b"-", b".", b"\\u00e9", b"\\ud83d"),
    *(b"\\ud83d\\ude00", b"\xc3\xa9", b"\xff", b'"\\"",', b"\\n", b"\f", b"\0", b"9" * 19, b"1e" + b"9" * 19, b"1e-" + b"9" * 18),
    *(b"9" * 700, b"\xef\xbb\xbf", b"/", b"\\/", b"[ ]", b"{ }", b"[\n]", b'"a\\\\":'),
]
SCALARS = [
    *(b"1", b"-0.5", b"1e5", b"true", b"false", b"null", b'"x"', b'""', b'"a,b"', b'"http://x/y:z"', b'"[]"', b'"\\"[]\\\\"', b'"\\\\"'),
    *(b'"\xc3\xa9"', b'"\\u00e9"', b"12345678901234567890", b"1.5E+10", b'"e' + b"1" * 20 + b'"'),
]
KEYS = [b'"k"', b'"a:b"', b'""', b'"\\"{"']


def a_value(rng: Random, depth: int = 0) -> bytes:
    """A valid text, mostly."""
    kind = rng.random()
    if depth > 4 or kind < 0.5:
        return rng.choice(SCALARS)

    def blank() -> bytes:
        return rng.choice([b"", b"", b"", b" ", b"\n", b"  ", b"\t\r"])

    n = rng.choice([0, 0, 1, 1, 2, 3, 6])
    if kind < 0.75:
        return b"[" + blank() + b",".join(blank() + a_value(rng, depth + 1) + blank() for _ in range(n)) + b"]"
    return (
        b"{" + blank() + b",".join(rng.choice(KEYS) + blank() + b":" + blank() + a_value(rng, depth + 1) for _ in range(n)) + blank() + b"}"
    )


def mutated(rng: Random, data: bytes) -> bytes:
    """The same with a token less, more, or another; or cut."""
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(4)
        data = data[:at] + (b"" if kind in (0, 3) else rng.choice(TOKENS)) + (b"" if kind == 3 else data[at + (kind != 1) :])
    return data


def a_text(seed: int) -> bytes:
    rng = Random(seed)
    kind = rng.random()
    if kind < 0.3:
        data = b"".join(rng.choices(TOKENS, k=rng.randrange(1, 12)))
    elif kind < 0.8:
        data = mutated(rng, a_value(rng))
    else:
        data = mutated(rng, rng.choice([b"\n", b" ", b"", b"\r\n"]).join(a_value(rng, 3) for _ in range(rng.randrange(1, 6))))
    if rng.random() < 0.1:
        data = b"[" + b",".join(a_value(rng) for _ in range(rng.randrange(1, 300))) + data + b"]"
    return data


def same_as_events(data: bytes) -> None:
    """Whatever is read at once is what ijson makes of it, whether Python's or numpy's way is taken."""
    expected = parse_at_once(data)
    for few in (1, 1 << 11, 1 << 30):
        json_counts._FEW, before = few, json_counts._FEW
        try:
            assert counts(data, LIMITS) in (expected, None)
            assert counts(bytearray(data), LIMITS) == counts(data, LIMITS)
            lines = counts(data, LIMITS, lines=True)
        finally:
            json_counts._FEW = before
        if lines is None:
            continue
        alone = [parse_at_once(line) for line in data.split(b"\n") if line.strip(b" \t\r")]
        assert None not in alone, "a line is no text by itself"
        found = [body for body in alone if body is not None]
        assert lines.documents == sum(body.documents for body in found)
        assert lines.events == sum(body.events for body in found)
        assert lines.keys == sum(body.keys for body in found)
        assert lines.max_depth == max((body.max_depth for body in found), default=0)
        assert lines.top_level == (expected.top_level if expected is not None and found else None)


@given(st.integers(0, 1 << 60))
def test_what_is_read_at_once_is_what_ijson_makes_of_it(seed: int) -> None:
    for i in range(20 * CASES):
        same_as_events(a_text(seed + i))


@pytest.mark.parametrize(
    "data",
    [
        *(b"[" * n + b"]" * n for n in (1, 7, 8, 9, 511, 512, 998, 999, 1000, 1001)),
        *(b"[" + digits * n + b"]" for digits in (b"1", b"9") for n in (18, 19, 20, 607, 608, 640, 4299, 4300, 4301)),
        *(b"[1e" + sign + b"1" * n + b"]" for sign in (b"", b"+", b"-") for n in (16, 17, 18, 19, 20)),
        *(b"[" + digits + b"e" + sign + b"9" * n + b"]" for digits in (b"1", b"11", b"0.01") for sign in (b"", b"-") for n in (17, 18)),
        *(b"[" + b" " * (131072 + k) + b"1e" + b"1" * 19 + b"]" for k in range(-30, 30)),
        *(b'["' + b"\\" * n + b'"]' for n in range(1, 8)),
        *(b'["' + b"\\\\" * n + b'\\"", "]' for n in range(4)),
        b"\xef\xbb\xbf[1]",
        b"[1] [2]",
        b"[1]x",
        b"[1]\0",
        b'["\xed\xa0\x80"]',
        b'["\\ud800"]',
        b'["\\ud83d\\ude00"]',
        b'["\xc0\x80"]',
        b"",
        b" ",
        b"1",
        b'"a""b"',
        b'[[],[1],[ ],["[]"],["[", "]"],{},{"a":{}}]',
        b'["x","\\"","a,b",""]' * 700,
        (b'["a""b"],' * 400)[:-1],
    ],
)
def test_the_edges_are_read_as_ijson_reads_them(data: bytes) -> None:
    same_as_events(data)
    limits = replace(LIMITS, json_max_depth=2000)
    parse(data, limits=limits)


def test_every_cut_of_a_text_is_read_as_ijson_reads_it() -> None:
    data = json.dumps({"a": ["\\", '"', "é", "[]", {}], "b,": [1.5e10, None, [True]], "\\u00e9": ""}, ensure_ascii=False).encode()
    for at in range(len(data) + 1):
        same_as_events(data[:at])


def test_plain_texts_are_read_at_once_and_not_by_ijson() -> None:
    items = [{"id": i, "url": f"http://host/{i}?a,b", "tags": [], "x": [i], "at": 12345678901234567} for i in range(500)]
    for value in ({"ok": True}, items, items[0], "x", 7, None, [[]]):
        for data in (json.dumps(value).encode(), json.dumps(value, indent=2).encode()):
            found = counts(data, LIMITS)
            assert found is not None
            assert found == parse_at_once(data)


@pytest.mark.parametrize("limit", ["json_whole_max_bytes", "json_scalar_max_bytes", "json_max_depth", "json_document_max_events"])
def test_a_text_that_passes_a_limit_is_left_to_ijson(limit: str) -> None:
    data = b"[[[1,2,3,4,5,6,7,8,9]]]"
    assert counts(data, LIMITS) is not None
    assert counts(data, replace(LIMITS, **{limit: 2})) is None


def test_without_memory_a_text_is_left_to_ijson(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(json_counts, "_pieces", none_left)
    assert counts(b"[1]", LIMITS) is None
    assert kept(LIMITS, Ledger(LIMITS), [b"[1]"])[0] == parse(b"[1]")[0]


def test_no_more_lines_are_read_at_once_than_some_thousand() -> None:
    assert counts(b"1\n" * 30_000, LIMITS, lines=True) is not None
    assert counts(b"1\n" * 40_000, LIMITS, lines=True) is None


def kept(limits: Limits, ledger: Ledger, pieces: list[bytes]) -> tuple[JsonBody, int]:
    """What is found in a text that comes in pieces, and how much of it was kept at the most."""
    text = KeptText(limits, ledger.json)
    most = 0
    for piece in pieces:
        text.feed(piece)
        most = max(most, len(text._data))
    body = text.finish(whole=True, gapped=False)
    assert ledger.json.used == 0
    return body, most


def test_a_text_is_kept_up_to_its_limit_and_then_read_by_ijson_from_its_first_byte_on() -> None:
    data = json.dumps([list(range(9))] * 100).encode()
    pieces = [data[i : i + 100] for i in range(0, len(data), 100)]
    whole, most = kept(Limits(), Ledger(Limits()), pieces)
    assert most == len(data)
    limits = replace(Limits(), json_whole_max_bytes=1000)
    assert kept(limits, Ledger(limits), pieces) == (whole, 1000)


def test_no_more_than_half_of_the_account_is_kept_and_others_find_their_room() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    piece = b"[" + b"1," * 50_000 + b"1]"
    texts = [KeptText(limits, ledger.json) for _ in range(110)]
    for text in texts:
        text.feed(piece)
        assert sum(one._held for one in texts) <= limits.json_total // 2
    assert not ledger.pressure
    kept_ones = sum(text._parser is None for text in texts)
    assert 60 < kept_ones < 90
    expected = parse(piece)[0]
    for text in texts:
        assert text.finish(whole=True, gapped=False) == expected
    assert ledger.json.used == 0


def test_where_the_whole_is_half_used_nothing_more_is_kept() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    assert ledger.rings.reserve(limits.memory_limit // 2 - 100)
    assert kept(limits, ledger, [b"[1]"])[1] == 0


def test_what_is_kept_takes_no_more_memory_than_it_reserves() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    text = KeptText(limits, ledger.json)
    for size in (1, 1, 5, 1000, 70_000, 1, 300_000, 3):
        text.feed(b" " * size)
        held = text._data
        assert held.__sizeof__() <= ledger.json.used
    text.finish(whole=False, gapped=False)
