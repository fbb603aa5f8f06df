"""Captures that are made to break a packet tool, by kind, size and seed. Standard library only.

    python -m tests.adversarial KIND OUT.pcap [SIZE]

Each writer takes a `Wire` and a size, which its docstring says the unit of; what a right reader finds is in tests/test_adversarial.py.
"""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.adversarial_payloads import PAYLOADS
from tests.wire import ACK, FIN, MIB, MSS, PSH, RST, SYN, Kind, Wire, json_head, ok_head, repeated


def syn_flood(w: Wire, size: int) -> None:
    """SYNs that nobody answers, each from another address."""
    rng = random.Random(1)
    for _ in range(size):
        w.packet(rng.randrange(50_000 * 0xFFFF), 0, 0, 0, SYN)


def holes(w: Wire, size: int) -> None:
    """500 uploads of so many bytes side by side, one direction only, the second segment of each missing."""
    _holes(w, 500, size)


def many_holes(w: Wire, size: int) -> None:
    """So many uploads of 20 kB side by side, each with an early hole."""
    _holes(w, size, 20_000)


def _holes(w: Wire, connections: int, each: int) -> None:
    rng = random.Random(2)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % each
    upload = head + rng.randbytes(each)
    for at in range(0, len(upload), MSS):
        if at != MSS:
            for number in range(connections):
                w.packet(number, 0, 1 + at, 1, ACK, upload[at : at + MSS])


def reorder(w: Wire, size: int) -> None:
    """So many bytes of one stream in a window of 64 segments: shuffled, doubled, partly overlapping. `reorder_truth` has the bytes."""
    text = reorder_truth(size)
    rng = random.Random(3)
    w.open(1)
    segments = []
    at = 0
    while at < size:
        n = rng.randint(1, MSS)
        back = rng.randint(0, min(at, 200)) if rng.random() < 0.2 else 0
        segments.append((at - back, text[at - back : at + n]))
        at += n
    for i in range(0, len(segments), 64):
        window = segments[i : i + 64]
        window += rng.choices(window, k=len(window) // 8)
        rng.shuffle(window)
        for offset, data in window:
            w.packet(1, 0, 1 + offset, 1, ACK, data)
        end = segments[i : i + 64][-1]
        w.packet(1, 1, 1, 1 + end[0] + len(end[1]), ACK)
    w.packet(1, 0, 1 + size, 1, ACK | FIN)
    w.packet(1, 1, 1, 2 + size, ACK | FIN)


def reorder_truth(size: int) -> bytes:
    """What was sent in `reorder`."""
    return random.Random(4).randbytes(size)


def reverse(w: Wire, size: int) -> None:
    """So many segments of one byte, the last byte first."""
    w.open(1)
    for offset in range(size - 1, -1, -1):
        w.packet(1, 0, 1 + offset, 1, ACK, b"%c" % (97 + offset % 26))


def splits(w: Wire, size: int) -> None:
    """So many segments of two bytes, every other one first, then those between, shifted by one: each joins or overlaps two ranges."""
    w.open(1)
    for begin in range(0, size, 1000):
        for shift in (4, 6, 5, 7):
            for i in range(begin, min(begin + 1000, size), 4):
                w.packet(1, 0, 1 + i * 4 + shift, 1, ACK, b"ab")


def conflicts(w: Wire, size: int) -> None:
    """So many segments behind one hole that overlap with other bytes."""
    rng = random.Random(5)
    w.open(1)
    for _ in range(size):
        at = rng.randrange(2, 2000)
        w.packet(1, 0, 1 + at, 1, ACK, rng.randbytes(rng.randint(1, 400)))


def copies(w: Wire, size: int) -> None:
    """So many copies of the same few bytes behind one hole, no two that follow one another alike."""
    w.open(1)
    for i in range(size):
        w.packet(1, 0, 3, 1, ACK, b"%07d" % (i % 1_000_000))


def again(w: Wire, size: int) -> None:
    """So many segments behind one hole: a long one, a quarter that changes one byte of it each, and the long one again and again."""
    w.open(1)
    text = bytes(97 + i % 26 for i in range(MSS))
    w.packet(1, 0, 3, 1, ACK, text)
    for i in range(size // 4):
        w.packet(1, 0, 3 + i % MSS, 1, ACK, b"#")
    for i in range(size - size // 4):
        w.packet(1, 0, 3, 1, ACK, text[: MSS - i % 50])


def edges(w: Wire, size: int) -> None:
    """Connections of 8,000 one-byte segments in order up to a byte that waits: so many segments in all."""
    for number in range(size // 8000):
        w.packet(number, 0, 0, 0, SYN)
        w.packet(number, 0, 8000, 1, ACK, b"x")
        for offset in range(7999):
            w.packet(number, 0, 1 + offset, 1, ACK, b"y")


def refused(w: Wire, size: int) -> None:
    """340 connections hold most of the memory; then 8,000 segments in a row behind a hole of another, and the next: so many segments in all."""
    for number in range(340):
        w.packet(number, 0, 0, 0, SYN)
        w.packet(number, 0, 2000, 1, ACK, b"h" * 59_000)
    for number in range(340, 340 + size // 8000):
        w.packet(number, 0, 0, 0, SYN)
        for i in range(8000):
            w.packet(number, 0, 2 + 100 * i, 1, ACK, b"r" * 100)
        w.packet(number, 0, 1, 1, RST)


def crumbs(w: Wire, size: int) -> None:
    """So many connections, each with four single bytes behind holes on one page, in lockstep."""
    for round_ in range(4):
        for number in range(size):
            if not round_:
                w.packet(number, 0, 0, 0, SYN)
            w.packet(number, 0, 20 + 20 * round_, 1, ACK, b"x")


def repeats(w: Wire, size: int) -> None:
    """500 connections, each with one byte behind a hole that comes again and again, alone and with a neighbour: so many segments in all."""
    for i in range(size):
        number, turn = i % 500, i // 500
        if not turn:
            w.packet(number, 0, 0, 0, SYN)
        w.packet(number, 0, 20, 1, ACK, b"x" * (1 + turn % 2))


def big_string(w: Wire, size: int) -> None:
    """One JSON string of so many bytes."""

    def body() -> Iterator[bytes]:
        yield json_head(size + 2) + b'"'
        yield from repeated(b"abcdefg ", size)
        yield b'"'

    w.answer(1, body())


def big_number(w: Wire, size: int) -> None:
    """One JSON number of so many digits."""

    def body() -> Iterator[bytes]:
        yield json_head(size)
        yield from repeated(b"1234567", size)

    w.answer(1, body())


def escapes(w: Wire, size: int) -> None:
    """One JSON string of so many bytes, all of them escaped quotes."""

    def body() -> Iterator[bytes]:
        yield json_head(size // 2 * 2 + 2) + b'"'
        yield from repeated(b'\\"', size // 2 * 2)
        yield b'"'

    w.answer(1, body())


def deep(w: Wire, size: int) -> None:
    """JSON arrays so many deep."""

    def body() -> Iterator[bytes]:
        yield json_head(2 * size)
        yield from repeated(b"[", size)
        yield from repeated(b"]", size)

    w.answer(1, body())


def bomb(w: Wire, size: int) -> None:
    """A gzip body that inflates to so many bytes of white space."""
    packed = _squeezed(size)
    w.answer(1, iter([json_head(len(packed), b"Content-Encoding: gzip") + packed]))


def bomb_in_bomb(w: Wire, size: int) -> None:
    """The same, squeezed once more and said to be so."""
    packed = gzip.compress(_squeezed(size), mtime=0)
    w.answer(1, iter([json_head(len(packed), b"Content-Encoding: gzip, gzip") + packed]))


def _squeezed(size: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*map(squeeze.compress, repeated(b" " * 65536, size)), squeeze.flush()])


def endless_head(w: Wire, size: int) -> None:
    """A response head with one header field of so many bytes."""

    def head() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX: "
        yield from repeated(b"y", size)

    w.answer(1, head())


def header_lines(w: Wire, size: int) -> None:
    """A response head of so many lines."""

    def head() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        yield from repeated(b"A: b\r\n", size * 6)
        yield b"\r\n"

    w.answer(1, head())


def chunk_line(w: Wire, size: int) -> None:
    """A chunk-size line with an extension of so many bytes."""

    def body() -> Iterator[bytes]:
        yield ok_head(b"Content-Type: application/json", b"Transfer-Encoding: chunked") + b"5;"
        yield from repeated(b"z", size)

    w.answer(1, body())


def tiny_chunks(w: Wire, size: int) -> None:
    """So many chunks of one byte."""

    def body() -> Iterator[bytes]:
        yield ok_head(b"Content-Type: text/plain", b"Transfer-Encoding: chunked")
        yield from repeated(b"1\r\nx\r\n", size * 6)
        yield b"0\r\n\r\n"

    w.answer(1, body())


def unclosed(w: Wire, size: int) -> None:
    """So many connections that are opened, asked one thing and never closed, at 100,000 a minute."""
    w.step = 60 * 10**9 // 100_000 // 4
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for number in range(size):
        w.open(number)
        w.packet(number, 0, 1, 1, ACK | PSH, request)


KINDS: dict[str, Kind] = {
    "syn_flood": (syn_flood, 50_000, 1_000_000),
    "holes": (holes, 30_000, 2_000_000),
    "many_holes": (many_holes, 1_500, 10_000),
    "reorder": (reorder, 4_000_000, 200_000_000),
    "reverse": (reverse, 20_000, 1_000_000),
    "splits": (splits, 20_000, 1_000_000),
    "conflicts": (conflicts, 4_000, 100_000),
    "copies": (copies, 4_000, 100_000),
    "again": (again, 8_000, 200_000),
    "edges": (edges, 64_000, 800_000),
    "refused": (refused, 32_000, 800_000),
    "crumbs": (crumbs, 8_000, 9_500),
    "repeats": (repeats, 50_000, 2_000_000),
    "big_string": (big_string, 8 * MIB, 200_000_000),
    "big_number": (big_number, 8 * MIB, 200_000_000),
    "escapes": (escapes, 8 * MIB, 200_000_000),
    "deep": (deep, 1_000_000, 50_000_000),
    "bomb": (bomb, 64 * MIB, 1 << 30),
    "bomb_in_bomb": (bomb_in_bomb, 64 * MIB, 1 << 30),
    "endless_head": (endless_head, 8 * MIB, 200_000_000),
    "header_lines": (header_lines, 200_000, 1_000_000),
    "chunk_line": (chunk_line, 8 * MIB, 200_000_000),
    "tiny_chunks": (tiny_chunks, 200_000, 5_000_000),
    "unclosed": (unclosed, 10_000, 200_000),
    **PAYLOADS,
}
"""Kind to its writer, the size that the suite uses and the size of the benchmark."""


def make(kind: str, path: Path, size: int) -> None:
    """Write one capture."""
    with path.open("wb", buffering=1 << 20) as out:
        KINDS[kind][0](Wire(out), size)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in KINDS:
        sys.exit(f"{__doc__}\nKINDs: {' '.join(KINDS)}")
    make(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else KINDS[sys.argv[1]][2])
