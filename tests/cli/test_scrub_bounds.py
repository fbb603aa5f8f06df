"""`slice --scrub` of captures that were made to take long or much: the work is counted, and nothing that is secret is left."""

from __future__ import annotations

import tracemalloc
from array import array
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pcapflow.budget import Ledger
from pcapflow.findings.framing import Placed
from pcapflow.findings.kept_masks import Side, key_of, packed
from pcapflow.findings.masking import Masking
from pcapflow.known_values import Finder
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.slicing import scrub
from pcapflow.slicing.scrub import Counts, scrubbed
from tests.wire import ACK, RST, SYN, Wire

MIB = 1 << 20


def written(path: Path, limits: Limits | None = None) -> tuple[list[bytes], Counts]:
    counts = Counts()
    return [one.data for one in scrubbed(str(path), limits or Limits(), Options(), (), counts)], counts


def test_a_packet_is_looked_at_in_the_last_streams_of_its_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 400
    said = b"cookie: a=bcdefghi\r\n"
    with (tmp_path / "x.pcap").open("wb") as f:
        wire = Wire(f, step=1000)
        for i in range(n):
            begin = i * 100_000
            wire.packet(1, 0, begin, 0, SYN)
            wire.packet(1, 0, begin + 1, 0, ACK, said)
            wire.packet(1, 0, begin + 1 + len(said), 0, RST)
    calls = []
    original = scrub._Rewriter._mask

    def mask(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(scrub._Rewriter, "_mask", mask)
    data, _ = written(tmp_path / "x.pcap")
    assert len(data) == 3 * n
    assert b"bcdefghi" not in b"".join(data)
    assert n <= len(calls) <= 8 * n


def rewriter(spans: list[tuple[int, int]]) -> Any:
    """One of streams with the same ends, of which each begins and ends at those packets."""
    side = Side(0, 9, False, False, False, array("q"), Placed())
    masks: Any = SimpleNamespace(kept=[packed(KEY, first, last, (side, side)) for first, last in spans])
    return scrub._Rewriter(masks, Counts())


KEY = key_of((1, 1), (2, 2))


def test_streams_are_told_apart_by_their_packets() -> None:
    one = rewriter([(n, n + 2) for n in range(10, 1000, 10)] + [(5, 400)])
    assert one._of(KEY, 0, 4) == []
    assert [known.number for known in one._of(KEY, 0, 5)] == [5]
    assert [known.number for known in one._of(KEY, 1, 39)] == [5, 10, 20, 30]
    assert [known.number for known in one._of(KEY, 1, 40)] == [5, 10, 20, 30, 40]
    assert one._of(KEY, 0, 400) is None, "the oldest goes on still"
    assert [known.number for known in one._of(KEY, 0, 401)] == list(range(330, 401, 10))
    assert [known.number for known in one._of(KEY, 0, 5000)] == list(range(920, 991, 10))
    assert one._of(key_of((1, 1), (2, 3)), 0, 5000) == []


@pytest.mark.parametrize("limit", [2 * MIB, 64 * MIB])
def test_connections_for_which_there_is_no_room_are_overwritten(limit: int, tmp_path: Path) -> None:
    n = 3000
    with (tmp_path / "x.pcap").open("wb") as f:
        wire = Wire(f, step=1000)
        for c in range(n):
            wire.packet(c, 0, 0, 0, SYN)
            wire.packet(c, 0, 1, 0, ACK, b"cookie: a=k%07d\r\n" % (c % 100))
            wire.packet(c, 0, 1 << 20, 0, ACK, b"outside")
            wire.packet(c, 0, 21, 0, RST)
    data, counts = written(tmp_path / "x.pcap", replace(Limits().with_memory(limit), linger=1))
    assert len(data) == 4 * n
    said = [one[54:].rstrip(b"\0") for one in data if one[54:].rstrip(b"\0")]
    assert len(said) == 2 * n
    assert {one for one in said if one.startswith(b"cookie")} <= {b"cookie: a=xxxxxxxx\r\n"}
    assert {one for one in said if not one.startswith(b"cookie")} == {b"x" * len(b"outside"), *([b"x" * 20] if counts.whole else ())}
    assert bool(counts.whole) == (limit < 4 * MIB)


def test_nothing_is_kept_of_streams_where_values_alone_are_learnt() -> None:
    learning = Masking((), Ledger(Limits()), keeps=False)
    used = learning._account.used
    for at in range(100):
        learning.add(1, 0, at, at + 1)
        learning.framing(1, 0).message(at * 10, 5)
    learning.overwrite(1, 1)
    assert learning._account.used - used < 2000


@pytest.mark.parametrize("form", [b"%020x", b"%0300x", b"<a&'=%016x", b"/:=%012x"])
def test_what_is_reserved_for_known_values_covers_what_finds_them(form: bytes) -> None:
    tokens = [form % (i * 0x9E3779B97F4A7C15 % (1 << 48)) for i in range(1500)]
    ledger = Ledger(Limits())
    learning = Masking((), ledger, keeps=False)
    used = ledger.output.used
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for token in tokens:
            learning.learn(bytes(bytearray(token)))
        learning.forget()
        finder = Finder(sorted(learning.values), learning.cut)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert finder
    assert taken <= ledger.output.used - used + learning.crowd.size


def test_the_runs_and_what_is_secret_share_one_limit() -> None:
    for limit in (1 * MIB, 2 * MIB, 64 * MIB, 1 << 34):
        whole = Limits().with_memory(limit)
        ledger, rest = scrub._divided(whole)
        assert ledger.output.limit + rest.memory_limit <= max(limit, ledger.output.limit + 1 * MIB)
        assert rest.memory_limit >= limit * 3 // 4
