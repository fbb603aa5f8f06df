"""Known values that were made to be compared, or spelled, again and again: the work is counted."""

from __future__ import annotations

import random
import re
from urllib.parse import quote, quote_plus

import pytest

from pcapflow import known_values
from pcapflow.budget import Ledger
from pcapflow.findings import masking
from pcapflow.findings.masking import Masking
from pcapflow.known_values import Finder, variants
from pcapflow.limits import Limits


def counted(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[object]:
    """What a function is called with from now on."""
    calls: list[object] = []
    original = getattr(module, name)

    def one(*args: object, **kwargs: object) -> object:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, one)
    return calls


def test_long_values_that_begin_alike_are_not_compared_at_each_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder([b"a" * 4000 + b"%02d" % k for k in range(16)])
    calls = counted(monkeypatch, known_values, "_common")
    data = b"b" + b"a" * 24_000 + b"b" * 24_000
    found = list(finder.places(data))
    assert len(calls) < 2 * (64 + len(data) // 64)
    assert set(range(1, 24_001)) <= {at for begin, end, _ in found for at in range(begin, end)} <= set(range(24_001 + 4002))


def test_long_values_are_compared_with_those_beside_the_data_alone() -> None:
    r = random.Random(5)
    for _ in range(400):
        values = sorted({bytes(r.choices(b"ab", k=r.randint(1, 12))) for _ in range(8)})
        text = bytes(r.choices(b"ab", k=r.randint(1, 14)))
        each = [len(one) if one.startswith(text[: len(one)]) else known_values._common(one, text) for one in values]
        assert known_values._alike(values, text) == max(each)


def test_spellings_in_urls_are_those_of_the_library() -> None:
    r = random.Random(7)
    for _ in range(300):
        plain = bytes(r.choices(bytes(range(256)) + b"~ +/%'!" * 20, k=r.randint(10, 30)))
        written = [quote(plain, safe=safe).encode() for safe in ("/", "", "!'()*")] + [quote_plus(plain).encode()]
        written += [one.replace(b"~", b"%7E") for one in written]
        written += [re.sub(rb"%[0-9A-F]{2}", lambda code: code[0].lower(), one) for one in written]
        assert {*written, quote(quote(plain, safe="")).encode()} <= set(known_values._spellings(plain))


@pytest.mark.parametrize("value", [b"!a", b"a=", b"ab!", b"x" * 7, b"  ab  "])
def test_a_value_of_which_no_spelling_is_long_enough_is_not_spelled(value: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_values, "LEAST", 1)
    assert max(map(len, variants(value))) < 8
    monkeypatch.undo()
    spelled = counted(monkeypatch, known_values, "_spellings")
    assert variants(value) == set()
    assert spelled == []
    assert b"p%40ss%27w" in variants(b"p@ss'w")


def test_what_was_learnt_is_not_spelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(Limits())
    learning = Masking((), ledger)
    calls = counted(monkeypatch, masking, "variants")
    for _ in range(100):
        learning.learn(b"<secret>" * 500)
        learning.learn(b"<another one", cut=True)
    assert len(calls) == 2
    assert learning.learnt == 2
    learning.learn(b"<another one")
    assert learning.learnt == 2
    assert b"<another one" in learning.cut
    kept = {id(one): len(one) + 33 for one in (*learning.values, *learning._learnt, *learning._cut_learnt)}
    assert ledger.output.used > sum(kept.values())
