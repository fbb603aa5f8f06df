"""Bytes of a run, of which the pieces are columns or lists, beside the joined bytes."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.streams.events import StreamData

_BLOCK = bytes(range(256)) * 4


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 100)), min_size=1, max_size=12), st.booleans(), st.data())
def test_bytes_at_a_position_are_those_of_its_pieces(pieces: list[tuple[int, int]], as_columns: bool, data: st.DataObject) -> None:
    whole = b"".join(_BLOCK[at : at + n] for at, n in pieces)
    at = np.array([at for at, _ in pieces])
    ends = np.array(list(accumulate(n for _, n in pieces)))
    stops = np.array([at + n for at, n in pieces])
    columns = (at, ends, ends, ends, ends, stops)
    run = StreamData(memoryview(_BLOCK), 7, len(whole), *(columns if as_columns else (c.tolist() for c in columns)))
    position = data.draw(st.integers(0, len(whole) - 1))
    n = data.draw(st.integers(0, len(whole) - position))
    assert run.take(position, n) == whole[position : position + n]
    assert run.piece(position) == bisect_right(ends.tolist(), position)
    assert run.piece_end(run.piece(position)) == ends[run.piece(position)]
    if data.draw(st.booleans()):
        run.columns()
    stop = data.draw(st.integers(position + 1, len(whole)))
    first, *part = run.part(position, stop)
    assert first <= run.piece(position)
    assert first + len(part[0]) > run.piece(stop - 1)
    assert part == [ends[first : first + len(part[0])].tolist()] * 5
    assert run.piece_ends() == ends.tolist()
    assert run.take(position, n) == whole[position : position + n]
