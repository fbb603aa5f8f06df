"""Texts that were made to be looked at again and again: what is found in them, and that it is found once. None is measured by the clock: the patterns as they were took minutes for one stretch."""

from __future__ import annotations

import json
import random
import re

import pytest

from pcapflow import secret_kinds, secret_members
from pcapflow.secret_bytes import secrets_in
from pcapflow.secret_kinds import OPEN, PART, Place

STRETCH = 24 << 10
PLAIN = {
    "_MEMBER": re.compile(rb'"((?:[^"\\]|\\.){1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.)++)', re.DOTALL),
    "_INNER_BRACKETED": re.compile(rb'[\[{]|[\]}]|(\\++)"((?:[^"\\]|(?!\1")\\++"?)*+)(?:\1"|\Z)([ \t]{0,8}:)?'),
    "_BRACKETED": re.compile(rb'[\[{]|[\]}]|"((?:[^"\\]|\\.)*+)(?:"(?![ \t\r\n]{0,8}:)|\Z)|"(?:[^"\\]|\\.)*+"', re.DOTALL),
    "_BRACKET_MEMBER": re.compile(rb'"((?:[^"\\]|\\.){1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}([\[{])', re.DOTALL),
    "_INNER_BRACKET": re.compile(rb'(?<!\\)(\\++)"([^"\\]{1,128})\1"[ \t]{0,8}:[ \t]{0,8}([\[{])'),
}
"""The same without what bounds them."""


def places(text: bytes) -> list[Place]:
    return sorted(place for place in secrets_in(text) if place[2] != OPEN)


def masked(text: bytes) -> set[int]:
    return {at for begin, end, _ in places(text) for at in range(begin, end)}


def values(r: random.Random, depth: int) -> object:
    kind = r.randrange(8 if depth else 4)
    if kind < 4:
        return [r.choice(['say "no"', "a\\b", "", "xyz", "1,2]", "}{", "é\n"]), r.randrange(100), True, None][kind]
    if kind == 4:
        return json.dumps(values(r, depth - 1))
    if kind == 5:
        return [values(r, depth - 1) for _ in range(r.randrange(4))]
    return {r.choice(["token", "sid", "key", "a", 'b"c', "password", "k" * 30]): values(r, depth - 1) for _ in range(r.randrange(4))}


def test_bounded_patterns_find_in_json_whatever_is_cut_of_it_what_plain_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for seed in range(3000):
        r = random.Random(seed)
        text = json.dumps([values(r, 5) for _ in range(4)]).encode()
        texts += [text, text[: r.randrange(len(text) + 1)], text[r.randrange(len(text) + 1) :]]
    found = [(places(text), masked(text)) for text in texts]
    assert sum(map(bool, (each for each, _ in found))) > 1000
    for name, pattern in PLAIN.items():
        monkeypatch.setattr(secret_members, name, pattern)
    cut = 0
    for text, (bounded, covered) in zip(texts, found, strict=True):
        if bounded != places(text):  # a string that ends within an escape, or with the string that it is in
            assert masked(text) <= covered
            cut += 1
    assert cut < 50


def test_a_string_in_a_string_ends_with_that() -> None:
    half = STRETCH // 2
    text = b'\\"token\\":[' + b"\\" * half + b'"' + b"a" * half + b'"'
    begin = text.index(b'"a') + 1
    assert places(text) == [(begin, begin + half, secret_kinds.WORD)]
    text = b'\\"token\\":[' + b"".join(b"\\" * n + b'"' for n in range(200, 2, -1)) + b"a" * 4096 + b'"b'
    assert places(text) == [(text.index(b'"', 10) + 1, len(text) - 2, secret_kinds.WORD)]


def test_a_string_that_ends_within_an_escape_is_one() -> None:
    text = b'"token":["' + b'\\"' * (STRETCH * 8) + b"\\"
    assert places(text) == [(10, len(text), secret_kinds.STRING)]


def test_values_that_overlap_are_looked_at_a_few_times() -> None:
    text = b"".join(b"\\" * k + b'"sid' + b"\\" * k + b'":' + b"\\" * k + b'"' for k in range(1, 120))
    text = (text * (1 + STRETCH // len(text)))[:STRETCH]
    found = places(text)
    assert sum(end - begin for begin, end, _ in found) <= 6 * len(text)
    last = text.rindex(b'":\\')
    assert masked(text) >= set(range(text.index(b'":\\') + 4, last))
    deep: object = "secret"
    for _ in range(4):
        deep = json.dumps({"token": deep})
    assert {text[begin:end] for text in [str(deep).encode()] for begin, end, _ in places(text)} >= {b"secret"}


@pytest.mark.parametrize("name", ["_MEMBER", "_BRACKET_MEMBER"])
def test_a_key_that_an_escaped_quote_begins_is_short(name: str) -> None:
    """Each quote of a long string would be tried as the first of a key: of so many units at the most."""
    pattern = getattr(secret_members, name)
    end = b'":"x' if name == "_MEMBER" else b'":['
    for first, most in ((b'"', 128), (b'\\"', 24)):
        assert pattern.search(first + b"k" * most + end)
        assert not pattern.search(first + b"k" * (most + 1) + end)
    assert places(b'\\"' * (STRETCH * 4)) == []


def test_what_looks_like_a_part_within_the_value_of_another_is_masked_with_that() -> None:
    text = b"Content-Disposition: name=pin\n\nHTTP/1.1 2" * 500
    assert sum(kind == PART for _, _, kind in secrets_in(text)) == 1
