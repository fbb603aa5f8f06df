"""Records come out sorted, whatever fits in memory, and no more than that is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.entries import Entry
from pcapflow.findings import ordering
from pcapflow.findings.ordering import RecordSorter
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB

Added = tuple[int, int, int, int, int]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps that a test can fill."""
    for name, value in (("FLOOR", 2 * KIB), ("STEP", KIB), ("_MOST_RUNS", 3), ("_LONG_LINE", 900)):
        monkeypatch.setattr(ordering, name, value)
    yield


added = st.tuples(
    st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 8]), st.integers(0, 5), st.sampled_from([1, 10, 899, 901, 3000])
)


@given(st.lists(st.lists(added, max_size=25), min_size=1, max_size=3), st.sampled_from([3 * KIB, 20 * KIB]))
def test_lines_come_by_packet_connection_rank_and_order(blocks: list[list[Added]], memory: int) -> None:
    ledger = Ledger(replace(Limits(), output_total=memory))
    written: list[Entry] = []
    sorter = RecordSorter(ledger.output, written.extend)
    expected: list[tuple[object, ...]] = []
    before = 0
    for block in blocks:
        model = []
        for number, (packet, connection, rank, order, size) in enumerate(block):
            told = order if rank == 8 else before + number
            line = (b"%d %d %d %d %d " % (packet, connection, rank, told, number)).ljust(size, b"x")
            model.append((packet, connection, rank, told, before + number, f"kind{size}", line))
            sorter.add(packet, connection, f"kind{size}", line, rank, order if rank == 8 else -1)
        before += len(block)
        expected += sorted(model)
        sorter.flush()
    sorter.close()
    assert written == expected
    assert all(type(entry) is Entry for entry in written)
    assert ledger.output.used == 0
