"""Content codings under every cut, and what is no such coding."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.drops import Drop, DropReason
from pcapflow.limits import Limits
from pcapflow.payload import content
from pcapflow.payload.body import BodyReader
from pcapflow.payload.content import PIECE, SLICE, Decoder

PLAIN = bytes(range(256)) * 40 + b'{"a": [1, 2, 3]}' * 300


def deflate(data: bytes, wbits: int) -> bytes:
    z = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return z.compress(data) + z.flush()


def decode(coding: str, data: bytes, cuts: list[int], limits: Limits | None = None) -> tuple[bytes, Drop | None]:
    out: list[bytes] = []
    account = Ledger(limits or Limits()).content
    decoder = Decoder(tuple(coding.split("+")), limits or Limits(), account, out.append)
    assert decoder.open() is None
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        if at < cut <= len(data):
            drop = decoder.feed(data[at:cut])
            if drop is not None:
                decoder.close()
                assert account.used == 0
                return b"".join(out), drop
            at = cut
    drop = decoder.cut() or decoder.unended()
    decoder.close()
    assert account.used == 0
    assert all(len(piece) <= PIECE for piece in out)
    return b"".join(out), drop


CODED = [
    ("br", brotli.compress(PLAIN)),
    ("zstd", zstandard.compress(PLAIN)),
    ("zstd", zstandard.compress(PLAIN[:5000]) + zstandard.compress(PLAIN[5000:])),
    ("gzip+br", gzip.compress(brotli.compress(PLAIN), mtime=0)),
    ("gzip", gzip.compress(PLAIN, mtime=0)),
    ("x-gzip", gzip.compress(PLAIN)),
    ("deflate", deflate(PLAIN, 15)),
    ("deflate", deflate(PLAIN, -15)),
    ("zstd+gzip+deflate", zstandard.compress(gzip.compress(deflate(PLAIN, -15), mtime=0))),
]


@pytest.mark.parametrize(("coding", "data"), CODED)
def test_every_coding_under_every_cut(coding: str, data: bytes) -> None:
    for cuts in ([], [1], [2], [3], [SLICE], [SLICE - 1, SLICE + 1], list(range(len(data)))):
        assert decode(coding, data, cuts) == (PLAIN, None)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.lists(st.integers(0, 1500), max_size=5))
def test_several_gzip_members_are_one_body(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(gzip.compress(p, mtime=0) for p in parts)
    assert decode("gzip", data, cuts) == (b"".join(parts), None)


@pytest.mark.parametrize("before", range(SLICE - 3, SLICE + 3))
def test_a_member_may_begin_at_any_offset(before: int) -> None:
    store = zlib.compressobj(0, zlib.DEFLATED, 31)
    n = before - 18 - 5
    first = store.compress(b"s" * n) + store.flush()
    assert len(first) == before
    assert decode("gzip", first + gzip.compress(b"tail"), []) == (b"s" * n + b"tail", None)


def test_bytes_behind_the_end_are_ignored() -> None:
    assert decode("gzip", gzip.compress(b"x") + b"junk" * 1000, []) == (b"x", None)


@given(st.binary(min_size=1, max_size=200))
def test_what_is_no_gzip_is_said(data: bytes) -> None:
    _, drop = decode("gzip", b"\0" + data, [])
    assert drop is not None
    assert drop.reason is DropReason.CONTENT_MALFORMED


def test_a_stream_that_stops_early_is_malformed_where_the_body_is_whole() -> None:
    data = CODED[0][1]
    _, drop = decode("gzip", data[:-20], [])
    assert drop is not None
    assert drop.reason is DropReason.CONTENT_MALFORMED


def bomb(n: int) -> bytes:
    return gzip.compress(b"0," * (n // 2), 9, mtime=0)


@pytest.mark.parametrize("size", [100, 1448, 1 << 30])
def test_a_bomb_ends_at_its_ratio_wherever_it_is_cut(size: int) -> None:
    data = bomb(20 << 20)
    decoder = Decoder(("gzip",), Limits(), Ledger(Limits()).content, lambda piece: None)
    drops = [d for at in range(0, len(data), size) if (d := decoder.feed(data[at : at + size])) is not None][:1]
    assert drops[0].reason is DropReason.CONTENT_RATIO
    assert decoder.decoded <= 5 << 20


def test_a_body_that_decodes_beyond_the_limit_is_dropped() -> None:
    _, drop = decode("gzip", bomb(1 << 20), [], replace(Limits(), content_max_bytes=100_000, content_max_ratio=10_000))
    assert drop is not None
    assert drop.reason is DropReason.CONTENT_TOO_LARGE


def read(data: bytes, coding: str | None, limits: Limits | None = None, *, whole: bool = True) -> BodyReader:
    limits = limits or Limits()
    ledger = Ledger(limits)
    reader = BodyReader((coding,), "json", limits, ledger)
    reader.feed(data)
    reader.finish(whole=whole)
    assert ledger.used == 0
    return reader


def test_a_body_is_inflated_and_parsed() -> None:
    reader = read(gzip.compress(b'{"a": 1}'), "gzip")
    assert reader.found is not None
    assert (reader.found.status, reader.found.events, reader.decoded_bytes) == ("complete", 4, 8)


def test_a_coding_that_is_not_known_is_a_drop_without_json() -> None:
    reader = read(b"whatever", "compress")
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.CONTENT_UNSUPPORTED
    assert reader.found is None


def test_a_decompressor_that_finds_no_memory_is_a_drop() -> None:
    reader = read(gzip.compress(b"[]"), "gzip", replace(Limits(), content_total=1000))
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.CONTENT_MEMORY


def test_a_malformed_tail_leaves_what_was_decoded_before_as_dropped_json() -> None:
    good = gzip.compress(b"[" + b"1," * 90_000 + b"1]")
    reader = read(good[: len(good) // 2] + b"\xff" * 4000, "gzip")
    assert reader.drop is not None
    assert reader.found is not None
    assert reader.found.status in ("dropped", "invalid")


def test_a_gap_ends_the_reading() -> None:
    ledger = Ledger(Limits())
    reader = BodyReader((), "json", Limits(), ledger)
    reader.feed(b"[1, 2,")
    reader.gap(1)
    reader.feed(b"3]")
    reader.finish(whole=False)
    assert reader.found is not None
    assert (reader.found.status, reader.found.bytes) == ("gapped", 6)


BOMBS = [
    ("br", brotli.compress(b" " * (64 << 20))),
    ("zstd", zstandard.compress(b" " * (64 << 20))),
    ("gzip+gzip", gzip.compress(gzip.compress(b" " * (64 << 20), mtime=0), mtime=0)),
    ("br+zstd", brotli.compress(zstandard.compress(b" " * (64 << 20)))),
]


@pytest.mark.parametrize(("coding", "data"), BOMBS, ids=[c for c, _ in BOMBS])
def test_a_bomb_of_any_coding_ends_before_it_has_filled_memory(coding: str, data: bytes) -> None:
    for size in (1, 1448, 1 << 30) if len(data) < 10_000 else (1448, 1 << 30):
        biggest = [0]

        def out(piece: bytes, biggest: list[int] = biggest) -> None:
            biggest[0] = max(biggest[0], len(piece))

        account = Ledger(Limits()).content
        decoder = Decoder(tuple(coding.split("+")), Limits(), account, out)
        assert decoder.open() is None
        drop = (
            next((drop for at in range(0, len(data), size) if (drop := decoder.feed(data[at : at + size])) is not None), None)
            or decoder.cut()
            or decoder.unended()
        )
        assert drop is not None
        assert drop.reason is DropReason.CONTENT_RATIO
        assert decoder.decoded <= 2 << 20
        assert biggest[0] <= PIECE
        decoder.close()
        assert account.used == 0


@pytest.mark.parametrize(("coding", "data"), CODED)
def test_a_coded_body_that_is_cut_or_spoilt_is_malformed_and_raises_nothing(coding: str, data: bytes) -> None:
    for at in range(0, len(data) - 5, max(1, len(data) // 50)):
        _, drop = decode(coding, data[:at], [at // 2])
        assert drop is None or drop.reason is DropReason.CONTENT_MALFORMED
        _, drop = decode(coding, data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :], [])
        assert drop is None or drop.reason in (DropReason.CONTENT_MALFORMED, DropReason.CONTENT_RATIO)
    assert decode(coding, data[: len(data) // 2], [])[1] is not None


def test_a_window_that_fills_is_reserved() -> None:
    data = zstandard.compress(bytes(range(256)) * 8000)
    limits = replace(Limits(), content_total=400_000, content_max_ratio=10_000)
    out, drop = decode("zstd", data, [], limits)
    assert drop is not None
    assert drop.reason is DropReason.CONTENT_MEMORY
    assert len(out) < 500_000


def test_more_codings_than_any_body_has_are_not_undone() -> None:
    ledger = Ledger(Limits())
    reader = BodyReader(("gzip",) * 5, "json", Limits(), ledger)
    assert reader.drop is not None
    assert reader.drop.reason is DropReason.CONTENT_UNSUPPORTED
    reader.finish(whole=True)
    assert ledger.used == 0


def test_a_coding_whose_library_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_module", lambda name: None)
    reader = read(b"x", "br")
    assert reader.drop == Drop(DropReason.CONTENT_UNSUPPORTED, "", 0, "content coding br: install pcapflow[br]", "br")


@pytest.mark.parametrize(("coding", "squeeze", "least"), [("br", brotli.compress, 1536 << 10), ("zstd", zstandard.compress, 192 << 10)])
def test_a_decoder_s_worst_case_is_reserved_before_it_gets_the_bytes(coding: str, squeeze: Callable[[bytes], bytes], least: int) -> None:
    ledger = Ledger(Limits())
    decoder = Decoder((coding,), Limits(), ledger.content, lambda _: None)
    assert decoder.open() is None
    assert decoder.feed(squeeze(random.Random(1).randbytes(30_000))[:8192]) is None
    assert ledger.content.used >= least
    decoder.close()
    assert ledger.content.used == 0


@pytest.mark.parametrize(("coding", "squeeze"), [("br", brotli.compress), ("zstd", zstandard.compress), ("gzip", gzip.compress)])
@pytest.mark.parametrize("size", [98_272, 98_273, 200_000, 1 << 20])
def test_what_a_few_bytes_stand_for_is_given_to_its_end(coding: str, squeeze: Callable[[bytes], bytes], size: int) -> None:
    data = squeeze(bytes(size))
    limits = replace(Limits(), content_max_ratio=1 << 20)
    for cuts in ([], [1], list(range(1, len(data)))):
        out, drop = decode(coding, data, cuts, limits)
        assert (len(out), drop) == (size, None)
