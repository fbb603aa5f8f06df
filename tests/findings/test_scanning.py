"""Secrets over the edges of chunks, whose places and pieces are walked once; and those over the edges of the stretches in which a run of bytes is looked at."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.masking import Masking
from pcapflow.findings.scanning import Scanner, over_pieces
from pcapflow.limits import Limits


def piece_by_piece(places: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    at = 0
    for begin, end in pieces:
        for low, high in places:
            if max(low, at) < min(high, at + end - begin):
                yield begin + max(low, at) - at, begin + min(high - at, end - begin)
        at += end - begin


def made(r: random.Random) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    edges = sorted(r.sample(range(200), 2 * r.randrange(1, 12)))
    pieces = list(zip(edges[::2], edges[1::2], strict=True))
    size = sum(end - begin for begin, end in pieces)
    places = sorted((low, min(size, low + r.choice([0, 1, 5, 50, 200]))) for low in (r.randrange(size) for _ in range(r.randrange(10))))
    return places, pieces


def test_the_same_bytes_are_found_as_piece_by_piece() -> None:
    for seed in range(2000):
        places, pieces = made(random.Random(seed))
        found, each = list(over_pieces(places, pieces)), list(piece_by_piece(places, pieces))
        assert set(found) <= set(each)
        longest = {begin: max(end for first, end in each if first == begin) for begin, _ in each}
        assert {at for b, e in found for at in range(b, e)} == {at for b, e in each for at in range(b, e)}
        assert set(longest.items()) <= set(found)


class Counted(list[tuple[int, int]]):
    """Counts how often one of its items is asked for."""

    asked = 0

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        self.asked += 1
        return super().__getitem__(i)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.asked += len(self)
        return super().__iter__()


def test_places_are_not_asked_for_at_each_piece() -> None:
    n = 3000
    pieces = [(5 * i, 5 * i + 1) for i in range(n)]
    places = Counted([(i, n) for i in range(n)])
    assert len(list(over_pieces(places, pieces))) < 2 * n
    assert places.asked <= 3 * n


def masked(text: bytes, *, step: int = 4096) -> bytes:
    scanner = Scanner(Masking((), Ledger(Limits())))
    found = [place for at in range(0, len(text), step) for place in scanner.feed(text[at : at + step])] + scanner.flush()
    out = bytearray(text)
    for begin, end, _ in found:
        out[begin:end] = b"x" * (end - begin)
    return bytes(out)


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("unit", [b'a\\"', b"\\\\", b'\\"', b'ab\\\\\\"'])
def test_a_long_string_ends_with_its_quote_wherever_an_escape_is_cut(before: int, unit: bytes) -> None:
    secret = unit * (70_000 // len(unit))
    text = b" " * before + b'{"token":"' + secret + b'","name":"value"}'
    after = masked(text)
    assert after == text.replace(secret, b"x" * len(secret))


def test_what_is_looked_at_behind_other_bytes_begins_with_no_line() -> None:
    fill = b"/* " + b"rule " * 4000
    for before in range(40):
        style = (fill + b"." * before)[: 16384 - 10 + before] + b" .a-token: blue; .monkey=green;" + b" end" * 4000
        assert masked(style) == style
    assert masked(b"x-token: abc\r\n" + fill)[:12] == b"x-token: xxx"
