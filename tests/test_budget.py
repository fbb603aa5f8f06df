"""The ledger: a refused reservation changes nothing, and peaks carry their packet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits


@given(st.lists(st.tuples(st.sampled_from(Ledger.NAMES), st.integers(0, 3000), st.booleans()), max_size=40))
def test_the_whole_is_the_sum_and_nothing_passes_its_limit(steps: list[tuple[str, int, bool]]) -> None:
    ledger = Ledger(replace(Limits(), memory_limit=10_000, rings_total=4000, json_total=5000))
    held: dict[str, int] = dict.fromkeys(Ledger.NAMES, 0)
    peaks = dict(held)
    peak = 0
    for name, n, take in steps:
        account = getattr(ledger, name)
        if take:
            lent = sum(peaks[small] - held[small] for small in ("connections", "history", "http", "output")) * 7 // 8
            room = 10_000 - lent * (name in ("rings", "content", "json"))
            fits = held[name] + n <= account.limit and sum(held.values()) + n <= room
            assert account.has_room(n) == fits
            assert account.reserve(n) == fits
            held[name] += n * fits
        else:
            n = min(n, held[name])
            account.release(n)
            held[name] -= n
        peak = max(peak, sum(held.values()))
        peaks[name] = max(peaks[name], held[name])
        assert {a.name: a.used for a in ledger.accounts()} == held
        assert ledger.used == sum(held.values())
        assert ledger.peak == peak


def test_a_peak_knows_the_packet_at_which_it_was_reached() -> None:
    ledger = Ledger(Limits())
    ledger.at(7, 70)
    assert ledger.rings.reserve(10)
    ledger.at(8, 80)
    ledger.rings.release(5)
    assert ledger.json.reserve(3)
    assert (ledger.rings.peak, ledger.rings.peak_packet, ledger.rings.peak_ts) == (10, 7, 70)
    assert (ledger.peak, ledger.peak_packet) == (10, 7)


def test_giving_back_more_than_was_taken_is_a_defect() -> None:
    ledger = Ledger(Limits())
    with pytest.raises(AssertionError, match="rings"):
        ledger.rings.release(1)


def test_room_that_small_objects_gave_back_is_theirs_and_not_that_of_buffers() -> None:
    ledger = Ledger(replace(Limits(), memory_limit=10_000, connections_total=8000, rings_total=8000, json_total=8000))
    assert ledger.connections.reserve(8000)
    ledger.connections.release(8000)
    assert not ledger.rings.reserve(3001)
    assert ledger.rings.refusal() == ("memory_limit", 10_000)
    assert not ledger.json.is_half_free(2000)
    assert ledger.rings.reserve(3000)
    assert ledger.connections.reserve(7000)
