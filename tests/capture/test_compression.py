"""A compressed input gives the same bytes and ends at the same place however it is read and however it arrives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow.capture.compression import Corrupt, Decompressor
from pcapflow.limits import Limits
from tests.conftest import CASES

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "lz4": lambda data: lz4.frame.compress(data, block_size=lz4.frame.BLOCKSIZE_MAX64KB, content_checksum=True),
    "zstd": lambda data: zstandard.ZstdCompressor(1, write_checksum=True).compress(data),
}
_words = random.Random(7)
PLAIN = b"".join(b"%08x packet " % _words.getrandbits(16) for _ in range(30_000))


def through(name: str, data: bytes, wanted: Callable[[], int], arrives: Callable[[], int]) -> tuple[bytes, str, bool]:
    """What is read of it, and how it ends."""
    at = 0

    def read(n: int) -> bytes:
        nonlocal at
        part = data[at : at + min(n, arrives())]
        at += len(part)
        return part

    decompressor = Decompressor(name, read, Limits(), "x")
    found = bytearray()
    try:
        while piece := decompressor.read(wanted()):
            found += piece
    except Corrupt as e:
        return bytes(found), str(e), e.early
    return bytes(found), "", False


def plainly(name: str, data: bytes) -> tuple[bytes, str, bool]:
    return through(name, data, lambda: 1 << 20, lambda: 1 << 20)


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=40 * CASES)
@given(st.integers(0, 1 << 32), st.sampled_from(["damaged", "cut", "whole", "members"]))
def test_neither_who_reads_nor_how_it_arrives_changes_what_comes_out(name: str, seed: int, kind: str) -> None:
    rng = random.Random(seed)
    data = bytearray(CODECS[name](PLAIN))
    if kind == "damaged":
        data[rng.randrange(16, len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[rng.randrange(1, len(data)) :]
    elif kind == "members":
        data += bytes(rng.choice([0, 1, 3, 70_000])) + CODECS[name](b"another")
    expected = plainly(name, bytes(data))
    assert through(name, bytes(data), lambda: rng.choice([1, 100, 5000, 1 << 20]), lambda: rng.choice([1, 7, 4096, 65536])) == expected
    if kind == "whole":
        assert expected == (PLAIN, "", False)
    elif kind == "members":
        assert expected == (PLAIN + b"another", "", False)
    elif kind == "cut":
        assert (expected[1], expected[2]) == ("the compressed data is cut short", True)
        assert PLAIN.startswith(expected[0])


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4"])
def test_of_what_lies_in_front_of_damage_little_is_lost(name: str) -> None:
    data = bytearray(CODECS[name](PLAIN))
    data[-3] ^= 1  # of a checksum
    found, why, early = plainly(name, bytes(data))
    assert why
    assert not early
    assert len(PLAIN) - (16 << 10) <= len(found) <= len(PLAIN)


def test_what_a_ratio_counts_is_what_was_decompressed_not_what_was_read() -> None:
    data = bz2.compress(bytes(200 << 20)) + bz2.compress(random.Random(1).randbytes(300_000))
    assert plainly("bzip2", data)[1].endswith("more than 10000 times as many: decompress_max_ratio")
    assert through("bzip2", data, lambda: 1 << 20, lambda: 10) == plainly("bzip2", data)
