"""The assembler and the ring against a bitmap and a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.reassembly.assembler import Assembler
from pcapflow.reassembly.pages import PAGE, Pages
from pcapflow.reassembly.ring import MARK, PAGE_BYTES, Mark, Ring


def ranges(bits: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for b in sorted(bits):
        if found and found[-1][1] == b:
            found[-1] = (found[-1][0], b + 1)
        else:
            found.append((b, b + 1))
    return found


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 12)), max_size=30), st.integers(1, 6))
def test_the_assembler_is_a_bitmap(pieces: list[tuple[int, int]], capacity: int) -> None:
    bits: set[int] = set()
    assembler = Assembler(capacity)
    for clock, (start, n) in enumerate(pieces):
        new, known = assembler.split(start, start + n)
        wanted = set(range(start, start + n))
        assert {o for low, high in new for o in range(low, high)} == wanted - bits
        assert {o for low, high in known for o in range(low, high)} == wanted & bits
        for low, high in new:
            before = (list(assembler.starts), list(assembler.ends), list(assembler.since))
            if assembler.add(low, high, clock):
                bits |= set(range(low, high))
            else:
                assert (assembler.starts, assembler.ends, assembler.since) == before
                assert len(ranges(bits | set(range(low, high)))) > capacity
        assert list(zip(assembler.starts, assembler.ends, strict=True)) == ranges(bits)
    while len(assembler):
        low, high = assembler.pop_front()
        assert (low, high) == ranges(bits)[0]
        bits -= set(range(low, high))


@given(st.lists(st.tuples(st.integers(0, 40_000), st.binary(min_size=1, max_size=9000)), max_size=12))
def test_the_ring_is_a_dictionary_and_pays_for_its_pages(pieces: list[tuple[int, bytes]]) -> None:
    ledger = Ledger(Limits())
    ring = Ring(ledger.rings, Pages())
    assembler = Assembler(100)
    model: dict[int, int] = {}
    marks: list[Mark] = []
    for number, (offset, data) in enumerate(pieces):
        new, known = assembler.split(offset, offset + len(data))
        for low, high in known:
            assert ring.read(low, high) == bytes(model[o] for o in range(low, high))
        for low, high in new:
            marks.append(Mark(low, number, -number, number * 7))
            assert ring.write(marks[-1], memoryview(data)[low - offset : high - offset])
            assembler.add(low, high, 0)
            model.update(zip(range(low, high), data[low - offset : high - offset], strict=True))
        assert ring.held == len(model)
        assert ledger.rings.used == len({o // PAGE for o in model}) * PAGE_BYTES + len(marks) * MARK
    while len(assembler):
        low, high = assembler.pop_front()
        taken, left = ring.take(low, high, assembler.starts[0] if assembler.starts else None)
        assert taken == bytes(model.pop(o) for o in range(low, high))
        assert left == sorted(m for m in marks if low <= m.offset < high)
    assert ledger.rings.used == 0


def test_a_refused_write_changes_nothing() -> None:
    ledger = Ledger(Limits(rings_total=PAGE_BYTES + MARK + 100))
    ring = Ring(ledger.rings, Pages())
    assert ring.write(Mark(0, 1, 1, 1), memoryview(b"x" * 10))
    before = ledger.rings.used
    assert not ring.write(Mark(20, 1, 1, 1), memoryview(b"y" * PAGE))
    assert (ring.held, ledger.rings.used) == (10, before)
    assert ring.read(0, 10) == b"x" * 10
    assert ledger.pressure
