"""Secrets over the edges of chunks: places and pieces are walked once."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pcapflow.findings.scanning import over_pieces


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
