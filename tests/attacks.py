"""Captures that once broke a promise on memory or time, by kind and size: what is kept at its worst, and what is looked at again and again.

    python -m tests.attacks KIND OUT [SIZE]

What a right reader finds is in tests/test_attacks.py. Standard library only, but for the codings that need one.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
import string
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.wire import ACK, MSS, PSH, RST, SYN, Wire, ok_head

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_PAIRS = [a + b for a, b in itertools.product(string.ascii_lowercase + string.digits, repeat=2)]
_OPEN = 10_000_000
"""What bodies claim that are never at their end."""


class Attack(NamedTuple):
    """make takes a path, which it writes to or makes a folder of, and a size; small, large: of the suite and of the benchmark; command: what is run."""

    make: Callable[[Path, int], None]
    small: int
    large: int
    command: tuple[str, ...] = ("analyze",)


def _wired(write: Callable[[Wire, int], None]) -> Callable[[Path, int], None]:
    def make(path: Path, size: int) -> None:
        with path.open("wb", buffering=1 << 20) as out:
            write(Wire(out, step=1000), size)

    make.__doc__ = write.__doc__
    return make


def _send(w: Wire, number: int, side: int, seq: int, ack: int, data: bytes, mss: int = 16_000) -> int:
    for at in range(0, len(data), mss):
        w.packet(number, side, seq + at, ack, ACK, data[at : at + mss])
    return seq + len(data)


def _ask(w: Wire, number: int, request: bytes = REQUEST) -> int:
    w.open(number)
    w.packet(number, 0, 1, 1, ACK | PSH, request)
    return 1 + len(request)


def _json(length: int, *fields: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % length, *fields, b"", b""))


def _codings(first: int, n: int) -> bytes:
    return ",".join(_PAIRS[(first + j) % len(_PAIRS)] for j in range(n)).encode()


# --- memory: what is kept, at its worst


def answers(w: Wire, size: int) -> None:
    """So many answers of one byte whose heads name 20,000 codings each."""
    w.open(1)
    there = here = 1
    for i in range(size):
        there = _send(w, 1, 0, there, here, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
        names = b"Content-Encoding: " + _codings(i, 10_000)
        here = _send(w, 1, 1, here, there, b"\r\n".join((b"HTTP/1.1 200 OK", names, names, b"Content-Length: 1", b"", b"x")), 30_000)


def waiting(w: Wire, size: int) -> None:
    """So many connections with 255 requests each that nobody answers, of 1,020 bytes, no two alike."""
    for c in range(size):
        w.open(c)
        said = b""
        for i in range(255):
            head = b"GET /%d HTTP/1.1\r\nHost: a\r\nContent-Encoding: " % (c * 1000 + i)
            said += head + _codings(i, (1016 - len(head)) // 3) + b"\r\n\r\n"
        _send(w, c, 0, 1, 1, said)


def wide_targets(w: Wire, size: int) -> None:
    """So many connections whose request has a target of 30,000 bytes of wide characters, and an answer that never ends."""
    for c in range(size):
        there = _ask(w, c, b"GET /%d-" % c + "\U0001f600".encode() * 7_400 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        _send(w, c, 1, 1, there, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nx" % _OPEN)


def open_strings(w: Wire, size: int) -> None:
    """So many JSON bodies that never end, each behind one string of 1 MB with an escape in it."""
    for c in range(size):
        there = _ask(w, c)
        body = b'["\\n' + b"k" * 1_030_000 + b'",'
        _send(w, c, 1, 1, there, _json(_OPEN) + body + b" " * (32_768 - len(body) % 16_384))


def wide_keys(w: Wire, size: int) -> None:
    """So many JSON bodies that never end, 500 objects deep, each key 64 wide characters."""
    for c in range(size):
        there = _ask(w, c)
        keys = [f"{c}-{i}-" for i in range(500)]
        body = "".join('{"%s":' % (key + "\U0001f600" * (64 - len(key))) for key in keys).encode()
        _send(w, c, 1, 1, there, _json(_OPEN) + body + b"[" + b" " * (32_768 - len(body) % 16_384))


def large_keys(w: Wire, size: int) -> None:
    """So many JSON bodies that never end, with two keys of 1 MB, one in the other."""
    for c in range(size):
        there = _ask(w, c)
        key = b"\xf0\x9f\x98\x80" + (b"%d" % c).rjust(1_000_000, b"k")
        body = b'{"' + key + b'":{"' + key + b'":['
        _send(w, c, 1, 1, there, _json(_OPEN) + body + b" " * (32_768 - len(body) % 16_384))


def repeated_keys(w: Wire, size: int) -> None:
    """So many JSON bodies that never end, of objects in objects, each with 40 keys of 30 wide characters."""
    for c in range(size):
        there = _ask(w, c)
        keys = "".join(f'"{i}{chr(0x1F600 + i) * 30}":0,' for i in range(40))
        body = (("{" + keys + '"":') * 40).encode()
        _send(w, c, 1, 1, there, _json(_OPEN) + body)


def touching(w: Wire, size: int) -> None:
    """So many JSON bodies of numbers that touch, 1 MB each."""
    w.open(1)
    there = here = 1
    for _ in range(size):
        there = _send(w, 1, 0, there, here, REQUEST)
        body = b"-1.5" * 257_000 + b" 1"
        here = _send(w, 1, 1, here, there, _json(len(body)) + body)


def server_names(w: Wire, size: int) -> None:
    """So many TLS connections that name a server by 30,000 bytes, and 16 protocols by 250 wide ones each."""
    for c in range(size):
        name = (b"%d" % c).rjust(30_000, b"n") if c % 2 else (b"%d" % c).rjust(255, b"n")
        protocols = b"".join(bytes([248]) + f"{c}{i}".rjust(8, "p").encode() + "\U0001f600".encode() * 60 for i in range(16))
        extensions = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
        extensions += struct.pack(">HHH", 16, len(protocols) + 2, len(protocols)) + protocols
        body = b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", 2) + b"\x13\x01\1\0" + struct.pack(">H", len(extensions)) + extensions
        message = b"\1" + len(body).to_bytes(3, "big") + body
        records = b"".join(
            b"\x16\3\1" + struct.pack(">H", len(part)) + part for part in (message[i : i + 16_000] for i in range(0, len(message), 16_000))
        )
        w.open(c)
        _send(w, c, 0, 1, 1, records)


def tunnels(w: Wire, size: int) -> None:
    """So many connections that speak HTTP within two CONNECTs, and stay open."""
    connect = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"
    for c in range(size):
        there = _ask(w, c, connect)
        here = _send(w, c, 1, 1, there, b"HTTP/1.1 200 OK\r\n\r\n")
        there = _send(w, c, 0, there, here, connect)
        here = _send(w, c, 1, here, there, b"HTTP/1.1 200 OK\r\n\r\n")
        there = _send(w, c, 0, there, here, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % c)
        _send(w, c, 1, here, there, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")


def plain_strings(w: Wire, size: int) -> None:
    """So many bodies that never end, each behind one string of 1 MB without an escape, which comes in pieces."""
    for c in range(size):
        there = _ask(w, c)
        text = b'["' + b"k" * 1_000_000 + b'",'
        _send(w, c, 1, 1, there, _json(_OPEN) + text + b" " * (32_768 - len(text) % 16_384))


def zstd_bodies(w: Wire, size: int) -> None:
    """So many bodies under zstd that never end."""
    import zstandard

    squeeze = zstandard.ZstdCompressor(19).compressobj()
    begun = squeeze.compress(b'["' + random.Random(1).randbytes(3000).hex().encode()) + squeeze.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    for c in range(size):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, _json(_OPEN, b"Content-Encoding: zstd") + begun)


def datagrams(w: Wire, size: int) -> None:
    """So many datagrams of 64 KB over TCP, whose last fragments, of eight bytes, come together at the end."""
    last = []
    for c in range(size):
        data = struct.pack(">HHIIBBHHH", 10_000 + c % 50_000, 80, 7001, 0, 0x50, ACK, 65535, 0, 0) + b"d" * 65_400
        pieces = [(at, data[at : at + 65_400]) for at in range(0, len(data), 65_400)]
        for at, piece in pieces:
            more = at + len(piece) < len(data)
            header = struct.pack(
                ">BBHHHBBHII", 0x45, 0, 20 + len(piece), c & 0xFFFF, (0x2000 if more else 0) | at // 8, 64, 6, 0, 0x0A100000 + c, 0x0A000001
            )
            frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + header + piece
            if more:
                w.frame(frame)
            else:
                last.append(frame)
        if len(last) == 40:
            for frame in last:
                w.frame(frame)
            last = []
    for frame in last:
        w.frame(frame)


def fragments(w: Wire, size: int) -> None:
    """So many datagrams of two fragments of 8 bytes, the last of which never comes."""
    for c in range(size):
        for at in (0, 16):
            header = struct.pack(">BBHHHBBHII", 0x45, 0, 28, c & 0xFFFF, 0x2000 | at // 8, 64, 6, 0, 0x0A100000 + c, 0x0A000001)
            w.frame(b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + header + b"f" * 8)


def open_bodies(w: Wire, size: int) -> None:
    """So many answers of 70 KB that never end."""
    for c in range(size):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % _OPEN + b"t" * 70_000)


def open_texts(w: Wire, size: int) -> None:
    """So many answers of JSON, just short of a MiB, that never end: some of each comes in turn."""
    there = [_ask(w, c) for c in range(size)]
    said = [_send(w, c, 1, 1, there[c], _json(1_000_000) + b"[") for c in range(size)]
    for _ in range(60):
        for c in range(size):
            said[c] = _send(w, c, 1, said[c], there[c], b'"key","' + b"v" * 15_980 + b'",1,')


def whole_texts(w: Wire, size: int) -> None:
    """So many answers of a MiB of JSON, each of what takes most to count."""
    texts = (
        b"[" + b"1," * 500_000 + b"1]",
        b"[" * 400 + b"[]," * 330_000 + b"[]" + b"]" * 400,
        b"[" + b'"[","\\"",' * 90_000 + b"[]]",
        b'["' + b"\\n" * 500_000 + b'"]',
    )
    for c in range(size):
        there = _ask(w, c)
        body = texts[c % len(texts)]
        _send(w, c, 1, 1, there, _json(len(body)) + body)


_RING_STREAMS = 9
_RING_PAGES = 1_000


def _full_rings(w: Wire, first: int, size: int) -> None:
    """Streams that hold a byte on each of many pages behind a hole: as many as `size` asks for, nine of a thousand pages at the most."""
    for c in range(first, first + _RING_STREAMS):
        there = _ask(w, c)
        here = _send(w, c, 1, 1, there, ok_head(b"Content-Type: text/plain", b"Content-Length: %d" % _OPEN))
        for page in range(min(_RING_PAGES, size)):
            w.packet(c, 1, here + 4096 * (page + 1), there, ACK, b"x")


def behind_rings(w: Wire, size: int) -> None:
    """Rings that are full, and then so many connections with two requests each, for which they are given up."""
    _full_rings(w, 40_000, size)
    for c in range(size):
        w.open(c)
        _send(w, c, 0, 1, 1, b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-%d: %d\r\n\r\n" % (c, c, i) for i in range(2)))


def before_rings(w: Wire, size: int) -> None:
    """So many connections with a request that nobody answers, of which one in 64 stays; then what rings and texts of JSON may take."""
    ends = []
    for c in range(size):
        w.open(c)
        ends.append(_send(w, c, 0, 1, 1, b"GET /%d HTTP/1.1\r\nHost: a\r\nX-%d: %b\r\n\r\n" % (c, c, b"x" * 200)))
    w.ns += 10**9
    for c in range(size):
        if c % 64:
            w.packet(c, 0, ends[c], 1, RST | ACK)
    for _ in range(20_000):  # blocks end, and what is over leaves
        w.ns += 2 * 10**6
        w.packet(0, 1, 1, ends[0], ACK)
    for c in range(size, size + 6):
        there = _ask(w, c)
        here = _send(w, c, 1, 1, there, ok_head(b"Content-Type: text/plain", b"Content-Length: %d" % _OPEN))
        for page in range(size // 10):
            w.packet(c, 1, here + 4096 * (page + 1), there, ACK, b"x")
    for c in range(size + 6, size + 14):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, _json(_OPEN) + b'["\\n' + b"k" * 1_030_000)


def open_both_sides(w: Wire, size: int) -> None:
    """So many exchanges whose bodies of JSON are both open within a string."""
    body = b'{"a":1,"b":"'
    for c in range(size):
        w.open(c)
        head = b"POST /p%d HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (c % 50, _OPEN)
        there = _send(w, c, 0, 1, 1, head + body)
        _send(w, c, 1, 1, there, _json(_OPEN) + body)


def deep_yaml(w: Wire, size: int) -> None:
    """So many bodies of YAML that stay open 500 levels deep, each under a key of 64 characters of which one takes four bytes."""
    keys = [f"{{\U0001f600{i:03}{'k' * 60}: " + "\n " * (i % 10 == 9) for i in range(500)]
    body = f"a: 1\nb:\n  {''.join(keys)}[\n{' 1,' * 20}\n".encode() + b" 1,\n" * 2_000
    for c in range(size):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, ok_head(b"Content-Type: application/yaml", b"Content-Length: %d" % _OPEN) + body)


def deep_shapes(w: Wire, size: int) -> None:
    """So many bodies of JSON that have more paths than a shape keeps, and then stay open 505 levels deep under wide keys of 100 characters."""
    names = [b"k%02d" % i for i in range(23)]
    row = b"{" + b",".join(b'"%s":1' % name for name in names) + b"}"
    wide = "{" + "".join(f'"\U0001f600{i:03}{"k" * 95}":{{' for i in range(503)) + '"a":['
    body = b"{" + b",".join(b'"%s":{%s}' % (name, b",".join(b'"%s":%s' % (inner, row) for inner in names)) for name in names)
    body += b',"b":' + wide.encode() + b"1," * 20_000
    for c in range(size):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, _json(_OPEN) + body)


def unanswered_values(w: Wire, size: int) -> None:
    """So many requests of 60 KB of JSON that nobody answers."""
    for c in range(size):
        w.open(c)
        body = b'{"item":"' + (b"%d" % c).rjust(60_000, b"v") + b'"}'
        _send(
            w, c, 0, 1, 1, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )


def _post(body: bytes, fields: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (fields, len(body)) + body


def _deep(key: bytes, levels: int, inside: bytes) -> bytes:
    return (b'{"' + key + b'":') * levels + inside + b"}" * levels


def unanswered_shapes(w: Wire, size: int) -> None:
    """So many requests that nobody answers, of JSON 200 objects deep with 256 leaves."""
    leaves = b"{" + b",".join(b'"%d":{%s}' % (i, b",".join(b'"%d%s":1' % (k, b"k" * 97) for k in range(16))) for i in range(16)) + b"}"
    for c in range(size):
        w.open(c)
        _send(w, c, 0, 1, 1, _post(_deep(b"k" * 99, 200, leaves)))


def deep_shape(w: Wire, size: int) -> None:
    """One request of JSON so many objects deep, each key a wide character and 100 others."""
    w.open(0)
    _send(w, 0, 0, 1, 1, _post(_deep("\U0001f600".encode() + b"k" * 100, size, b'{"a":1}')))


def open_keys(w: Wire, size: int) -> None:
    """JSON that never ends, 450 objects deep, each key so many characters, one of them wide."""
    there = _ask(w, 0)
    key = "\U0001f600".encode() + b"k" * size
    _send(w, 0, 1, 1, there, _json(_OPEN * 100) + b"".join(b'{"%d%b":' % (i, key) for i in range(450)))


def unanswered_trailers(w: Wire, size: int) -> None:
    """So many connections with 100 requests each that nobody answers, with trailers of 4,000 control characters."""
    one = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na:" + b"\x01" * 4000 + b"\r\n\r\n"
    for c in range(size):
        w.open(c)
        _send(w, c, 0, 1, 1, one * 100)


def unanswered_broken(w: Wire, size: int) -> None:
    """So many requests that nobody answers, whose JSON breaks under a key of 1,000 wide characters."""
    for c in range(size):
        w.open(c)
        _send(w, c, 0, 1, 1, _post(b'{"' + "\U0001f600".encode() * 1000 + b'":x}'))


def broken_fields(w: Wire, size: int) -> None:
    """So many bytes of forms whose fields are JSON that breaks behind a document."""
    _forms(w, b"=[1][2&", size)


def encoded_fields(w: Wire, size: int) -> None:
    """The same of fields whose values are queries that are encoded twice, with a secret each."""
    _forms(w, b"a=%3fpin=x%2525%2525&", size)


def _forms(w: Wire, field: bytes, size: int) -> None:
    body = field * 1_000
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
    w.open(1)
    there = here = 1
    for _ in range(max(1, size // len(body))):
        there = _send(w, 1, 0, there, here, head + body)
        here = _send(w, 1, 1, here, there, b"HTTP/1.1 204 No Content\r\n\r\n")


def quoted_pieces(w: Wire, size: int) -> None:
    """So many bytes of a text of short pieces between quotes and backslashes, each of which may be a text of its own, and has a value that is encoded twice."""
    names = itertools.product(string.ascii_lowercase.encode(), repeat=3)
    body = b"".join(b'\\"%b=%%2525\n' % bytes(name) for name in itertools.islice(itertools.cycle(names), size // 12))
    there = _ask(w, 1)
    _send(w, 1, 1, 1, there, ok_head(b"Content-Type: text/plain", b"Content-Length: %d" % len(body)) + body)


def long_runs(w: Wire, size: int) -> None:
    """So many bytes of lines on which a pattern could begin at each byte: blanks in a value, commands, lists, heads of parts."""
    body = b"".join(
        (
            b"password=a" + b" " * 7_900 + b"b\n",
            b"az login " * 900 + b"\n",
            b"authorization:hover" + b"," * 7_900 + b"\r\n x\r\n",
            b"Content-Disposition:;name=key\n\n" * 250,
        )
    ) * max(1, size // 32_000)
    there = _ask(w, 1)
    _send(w, 1, 1, 1, there, ok_head(b"Content-Type: text/plain", b"Content-Length: %d" % len(body)) + body)


def open_lines(w: Wire, size: int) -> None:
    """So many bytes of lines of JSON that break at once."""
    there = _ask(w, 1)
    body = b"[1\n" * (size // 3)
    _send(w, 1, 1, 1, there, ok_head(b"Content-Type: application/x-ndjson", b"Content-Length: %d" % len(body)) + body)


def recorded_fields(w: Wire, size: int) -> None:
    """So many requests that nobody answers, no two alike, with a field of 8,000 characters."""
    for c in range(size):
        w.open(c)
        _send(w, c, 0, 1, 1, b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (c, b"x" * 8000))


def open_events(w: Wire, size: int) -> None:
    """So many answers of server-sent events that never end, each with an event under way."""
    for c in range(size):
        there = _ask(w, c)
        _send(w, c, 1, 1, there, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\ndata: {\n" % _OPEN)


def long_records(w: Wire, size: int) -> None:
    """So many requests with targets of 8,000 bytes, whose records wait for the end of their block, and bodies that break under long keys."""
    for c in range(size):
        there = _ask(w, c, b"GET /%d-" % c + b"p" * 8_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        body = b"".join(b'{"' + b"k" * 64 + b"%d" % i + b'":' for i in range(40)) + b"!"
        _send(w, c, 1, 1, there, _json(len(body)) + body)


def vlans(w: Wire, size: int) -> None:
    """So many pairs of ends, each under two VLAN tags of its own."""
    for c in range(size):
        for tag in (c % 2_000, 2_000 + c % 2_000):
            header = struct.pack(">BBHHHBBHII", 0x45, 0, 40, c & 0xFFFF, 0x4000, 64, 6, 0, 0x0A100000 + c, 0x0A000001)
            segment = struct.pack(">HHIIBBHHH", 1000 + tag, 80, 7000, 0, 0x50, SYN, 65535, 0, 0)
            w.frame(b"\2\0\0\0\0\1\2\0\0\0\0\2\x81\0" + struct.pack(">HH", tag, 0x0800) + header + segment)


def early_line_end(w: Wire, size: int) -> None:
    """One JSON value of so many bytes, of empty strings, with one line feed at its beginning."""
    there = _ask(w, 1)
    body = b"[[\n" + b'"",' * (size // 3) + b'""]]'
    _send(w, 1, 1, 1, there, _json(len(body)) + body, 60_000)


def _long_targets(w: Wire, size: int, text: bytes, answer: bytes) -> None:
    w.open(1)
    there = here = 1
    for i in range(size):
        there = _send(w, 1, 0, there, here, b"GET /%d" % i + text + b" HTTP/1.1\r\nHost: a\r\n\r\n", 30_000)
        here = _send(w, 1, 1, here, there, answer)


def long_urls(w: Wire, size: int) -> None:
    """So many requests whose targets are 31,000 characters, one of them wide, no two alike."""
    _long_targets(w, size, "\U0001f600".encode() + b"a" * 31_000, b"HTTP/1.1 204 X\r\n\r\n")


def pipelined_bodies(w: Wire, size: int) -> None:
    """So many requests of one connection in large segments, each with broken JSON of one byte and a target of its own."""
    w.open(1)
    _send(w, 1, 0, 1, 1, b"".join(b"P %d HTTP/1.0\nContent-Type:a/json\nContent-Length:1\n\n[" % i for i in range(size)), 60_000)


def markup(w: Wire, size: int) -> None:
    """So many exchanges whose targets are 9,300 characters each of which a page must write as six."""
    _long_targets(w, size, b"<" * 9_300, b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")


def held_bodies(w: Wire, size: int) -> None:
    """So many requests of one connection with JSON of two bytes, behind a hole that is filled last: all of them are delivered by one packet."""
    one = b"POST / HTTP/1.1\r\nHost:a\r\nContent-Type:text/json\r\nContent-Length:2\r\n\r\n[]"
    there = _ask(w, 1, one)
    said = one * size
    _send(w, 1, 0, there + 40, 1, said[40:], 60_000)
    w.packet(1, 0, there, 1, ACK, said[:40])


def _one_piece(w: Wire, said: bytes) -> None:
    """Bytes behind a hole that is filled last, the first 4,096 in segments of their own, so that the rest is one piece."""
    w.open(1)
    w.packet(1, 0, 1, 1, ACK, said[:60])
    for i in range(70, 70 + 4096):
        w.packet(1, 0, 1 + i, 1, ACK, said[i : i + 1])
    _send(w, 1, 0, 1 + 70 + 4096, 1, said[70 + 4096 :], 60_000)
    w.packet(1, 0, 61, 1, ACK, said[60:70])


def framed_piece(w: Wire, size: int) -> None:
    """A framed JSON message of so many bytes, brackets and commas, in one piece."""
    body = b"[" + b"[]," * (size // 3) + b"[]]"
    _one_piece(w, b"Content-Length: %d\r\n\r\n" % len(body) + body)


def shown_piece(w: Wire, size: int) -> None:
    """So many control characters, and a wide one, in one piece."""
    _one_piece(w, b"h" * 5_000 + "\U0001f600".encode() + b"\x01" * size)


def swapped_lines(w: Wire, size: int) -> None:
    """Heads of 30,000 short lines that do not end, then so many bytes in segments of one byte, each two swapped."""
    for c in range(max(1, size // 4_000)):
        head = REQUEST[:-2] + b"a\n" * 30_000
        there = _ask(w, c, head)
        for i in range(0, min(size, 4_000), 2):
            w.packet(c, 0, there + i + 1, 1, ACK, b"a")
            w.packet(c, 0, there + i, 1, ACK, b"a\n"[i // 2 % 2 :][:1])


# --- time: what may be looked at again and again


def swapped(w: Wire, size: int) -> None:
    """So many bytes of first lines that do not end, in segments of one byte, each two swapped."""
    for c in range(max(1, size // 60_000)):
        line = b"GET /" + b"a" * (min(size, 60_000) - 5)
        w.open(c)
        w.packet(c, 0, 1, 1, ACK, line[:1])
        for i in range(1, len(line) - 1, 2):
            w.packet(c, 0, 2 + i, 1, ACK, line[i + 1 : i + 2])
            w.packet(c, 0, 1 + i, 1, ACK, line[i : i + 1])


def byte_chunks(w: Wire, size: int) -> None:
    """A JSON body of so many chunks of one byte."""
    there = _ask(w, 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"
    _send(w, 1, 1, 1, there, head + b"1\r\n \r\n" * size + b"1\r\n]\r\n0\r\n\r\n", MSS)


def _body(kind: bytes, unit: bytes) -> Callable[[Wire, int], None]:
    def write(w: Wire, size: int) -> None:
        there = _ask(w, 1)
        body = unit * (size // len(unit))
        _send(w, 1, 1, 1, there, b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body)) + body, MSS)

    return write


deep_lines = _body(b"application/x-ndjson", b"[" * 505 + b" " * 10 + b"!\n")
one_lines = _body(b"application/x-ndjson", b"1\n")


event_lines = _body(b"text/event-stream", b"\r")


def crowded_overlaps(w: Wire, size: int) -> None:
    """300 segments of one byte behind a hole, sixty over all of them in two ranges by turns, then so many of one range, each with other bytes."""
    w.open(1)
    for i in range(300):
        w.packet(1, 0, 3 + i, 1, ACK, b"a")
    for i in range(60):
        w.packet(1, 0, 3 + i % 2, 1, ACK, b"a" * (300 - i % 2))
    for i in range(size):
        w.packet(1, 0, 3, 1, ACK, bytes([97 + i % 26]) * 300)


def wide_urls(w: Wire, size: int) -> None:
    """So many values of one byte in the answer to a request whose target is 1,100 control characters, which JSON writes as six bytes each."""
    there = _ask(w, 1, b"GET /" + b"\x01" * 1100 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    body = b"[" + b",".join([b"1"] * size) + b"]"
    _send(w, 1, 1, 1, there, _json(len(body)) + body)


def _squeezed(coding: bytes, unit: bytes, between: Callable[[random.Random], bytes]) -> Callable[[Wire, int], None]:
    """So many bytes of 4,000 times a unit and a little that does not repeat, under gzip: just below the ratio at which a body is given up."""

    def write(w: Wire, size: int) -> None:
        noise = random.Random(1)
        some = unit * (4000 // len(unit))
        body = gzip.compress(b"".join(some + between(noise) for _ in range(size // 4000)), 9, mtime=0)
        there = _ask(w, 1)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        _send(w, 1, 1, 1, there, head % (coding, len(body)) + body, MSS)

    return write


broken_lines = _body(b"application/x-ndjson", b"{\n")
squeezed_lines = _squeezed(b"gzip", b"1\n", lambda noise: b"%d\n" % noise.getrandbits(100))
squeezed_broken = _squeezed(b"gzip", b"{\n", lambda noise: b"%d\n" % noise.getrandbits(100))
empty_frames = _squeezed(b"zstd, gzip", b"\x28\xb5\x2f\xfd\0\x68\1\0\0", lambda noise: b"\x50\x2a\x4d\x18\x0a\0\0\0" + noise.randbytes(10))


def answers_first(w: Wire, size: int) -> None:
    """So many connections with 250 answers in a packet before that of their requests."""
    asked, answered = b"GET / HTTP/1.0\n\n" * 250, b"HTTP/1.0 204\n\n" * 250
    for c in range(size):
        w.open(c)
        w.packet(c, 1, 1, 1 + len(asked), ACK, answered)
        w.packet(c, 0, 1, 1, ACK, asked)


def _said(side: int, unit: Callable[[int], bytes]) -> Callable[[Wire, int], None]:
    """So many messages of one side of a connection, and nothing of the other."""

    def write(w: Wire, size: int) -> None:
        w.open(1)
        _send(w, 1, side, 1, 1, b"".join(map(unit, range(size))), MSS)

    return write


pipelined = _said(0, lambda i: b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
orphans = _said(1, lambda i: b"HTTP/1.1 200 %d\r\nContent-Length: 0\r\n\r\n" % i)
many_lines = _said(1, lambda i: b"HTTP/1.1 204 %d\r\n" % i + b"a:b\r\n" * 250 + b"\r\n")
folded_lines = _said(1, lambda i: b"HTTP/1.1 204 %d\r\na:b\r\n " % i + b"c\r\n " * 10_000 + b"\r\n")
repeated_fields = _said(1, lambda i: b"HTTP/1.1 204 %d\r\n" % i + (b"a:" + b"z" * 250 + b"\r\n") * 250 + b"\r\n")
transfer_codings = _said(1, lambda i: b"HTTP/1.1 200 %d\r\nTransfer-Encoding: " % i + b"chunked," * 3_900 + b"chunked\r\n\r\n0\r\n\r\n")
lengths = _said(1, lambda i: b"HTTP/1.1 204 %d\r\nContent-Length: " % i + b"0," * 16_000 + b"0\r\n\r\n")


def swapped_head(w: Wire, size: int) -> None:
    """A head that does not end behind one that is known, so many bytes of it in segments of one byte, each two swapped."""
    w.open(1)
    known = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    w.packet(1, 0, 1, 1, ACK, known)
    begun = b"GET / HTTP/1.1\r\nX: " + b"a" * min(size, 60_000)
    at = 1 + len(known)
    for i in range(0, len(begun) - 1, 2):
        w.packet(1, 0, at + i + 1, 1, ACK, begun[i + 1 : i + 2])
        w.packet(1, 0, at + i, 1, ACK, begun[i : i + 1])


def hellos(w: Wire, size: int) -> None:
    """So many TLS hellos of 4,000 extensions, in records of one byte each."""
    for c in range(size):
        extensions = b"".join(struct.pack(">HH", 100 + j, 0) for j in range(1_000))
        body = b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", 2) + b"\x13\x01\1\0" + struct.pack(">H", len(extensions)) + extensions
        message = b"\1" + len(body).to_bytes(3, "big") + body
        w.open(c)
        _send(w, c, 0, 1, 1, b"".join(b"\x16\3\1\0\1%c" % byte for byte in message), MSS)


def deep_errors(w: Wire, size: int) -> None:
    """So many small answers, each 500 arrays deep and broken."""
    w.open(1)
    there = here = 1
    body = b"[" * 505 + b"!"
    for _ in range(size):
        there = _send(w, 1, 0, there, here, REQUEST)
        here = _send(w, 1, 1, here, there, _json(len(body)) + body)


def clock(w: Wire, size: int) -> None:
    """Times that go from 1970 to 2106 and back so many times, five packets each."""
    for c in range(size):
        for base in (1, 4_294_967_290):
            w.ns = base * 10**9
            for i in range(5):
                w.packet(c * 10 + i, 0, 0, 0, SYN)


def unclosed_text(w: Wire, size: int) -> None:
    """So many bodies that end behind a number in an array that is open."""
    w.open(1)
    there = here = 1
    for _ in range(size):
        there = _send(w, 1, 0, there, here, REQUEST)
        here = _send(w, 1, 1, here, there, _json(2) + b"[1")


def sections(path: Path, size: int) -> None:
    """pcapng: so many sections, each with an interface and a packet, in turns of either byte order."""

    def block(order: str, kind: int, body: bytes) -> bytes:
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    with path.open("wb", buffering=1 << 20) as out:
        for i in range(size):
            o = "<>"[i & 1]
            out.write(block(o, 0x0A0D0D0A, struct.pack(o + "IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(o, 1, struct.pack(o + "HHI", 1, 0, 0)))
            out.write(block(o, 6, struct.pack(o + "IIIII", 0, 395_812, i, 1, 60) + b"x\0\0\0"))


def _described(order: int, offset: int) -> bytes:
    """pcapng: an interface with a link type, snap length and time offset of its own."""
    return struct.pack("<IIHHIHHqI", 1, 32, 1 if order < 2 else 1000 + order, 0, 100_000 + order, 14, 8, offset, 32)


def side_by_side(path: Path, size: int) -> None:
    """A folder of so many pcapng captures of the same time, each with 4,096 interfaces, no two alike, and 200 packets of two of them in turns."""
    path.mkdir(parents=True)
    for c in range(size):
        with (path / f"{c:05}.pcapng").open("wb", buffering=1 << 16) as out:
            out.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
            out.write(b"".join(_described(i, 0 if i < 2 else (1 << 40) + i) for i in range(4096)))
            for j in range(200):
                us = 1_700_000_000_000_000 + j * 1000 + c
                out.write(struct.pack("<IIIIIII", 6, 36, j & 1, us >> 32, us & 0xFFFFFFFF, 1, 60) + b"x\0\0\0" + struct.pack("<I", 36))


def crowded_sections(path: Path, size: int) -> None:
    """pcapng: so many sections with 4,096 interfaces each, no two alike, and a packet of the last one."""
    with path.open("wb", buffering=1 << 20) as out:
        for s in range(size):
            out.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
            out.write(b"".join(_described(i, s * 4096 + i) for i in range(4096)))
            out.write(struct.pack("<IIIIIII", 6, 36, 4095, 395_812, s, 1, 60) + b"x\0\0\0" + struct.pack("<I", 36))


def interfaces(path: Path, size: int) -> None:
    """pcapng: so many interfaces in one section, and statistics of each."""
    with path.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        for i in range(size):
            out.write(struct.pack("<IIHHII", 1, 20, 1, 0, 65_535 + i, 20))
        for i in range(size):
            out.write(struct.pack("<IIIIIHHQI", 5, 36, i % 4096, 0, 0, 5, 8, 1 << 62, 36))


def damage(path: Path, size: int) -> None:
    """pcap: four records of one byte, then 16 bytes that are no record, so many times."""
    with path.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for i in range(size):
            for j in range(4):
                out.write(struct.pack("<IIII", 1_700_000_000, i * 4 + j, 1, 60) + b"x")
            out.write(b"\xff" * 16)


def plausible(path: Path, size: int) -> None:
    """pcap: so many bytes behind damage at each of which a record may begin, and none does."""
    record = struct.pack("<IIII", 1_700_000_000, 5, 60, 60) + b"y" * 60
    with path.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1) + record + b"\xff" * 16)
        out.write(struct.pack("<IIII", 1_700_000_000, 5, 100, 100) * (size // 16) + b"\xff" * 200 + record * 8)


def snoop_noise(path: Path, size: int) -> None:
    """snoop: so many bytes behind damage."""
    record = struct.pack(">6I", 60, 60, 84, 0, 1_700_000_000, 0) + b"y" * 60
    with path.open("wb", buffering=1 << 20) as out:
        out.write(b"snoop\0\0\0" + struct.pack(">II", 2, 4) + record + b"\xff" * size + record * 8)


def _one_packet(number: int, ns: int) -> Iterator[bytes]:
    held = io.BytesIO()
    wire = Wire(held)
    wire.ns += ns
    wire.packet(number, 0, 0, 0, SYN)
    yield held.getvalue()


def many_files(path: Path, size: int) -> None:
    """A folder of so many captures of one packet."""
    path.mkdir(parents=True)
    for i in range(size):
        (path / f"{i:06}.pcap").write_bytes(b"".join(_one_packet(i, i * 10**6)))


def overlapping(path: Path, size: int) -> None:
    """A folder of so many captures of the same time, 1,024 packets each."""
    path.mkdir(parents=True)
    for k in range(size):
        with (path / f"{k:05}.pcap").open("wb", buffering=1 << 16) as out:
            wire = Wire(out, step=1_000_000)
            wire.ns += k
            for i in range(1024):
                wire.packet(k * 20 + i % 20, 0, 1 + i // 20 * 180, 1, ACK, b"z" * 180)


EXTRACT = ("extract", "item")


def _behind_hole(unit: bytes) -> Callable[[Path, int], None]:
    """So many requests of one client that come at once, when the hole before them is filled."""

    @_wired
    def write(w: Wire, size: int) -> None:
        w.open(1)
        said = b"".join(unit % i for i in range(size))
        first, data = said[:1], said[1:]
        _send(w, 1, 0, 2, 1, data, 60_000)
        w.packet(1, 0, 1, 1, ACK | PSH, first)

    return write


upgrades_behind_hole = _behind_hole(b"GET /%06d HTTP/1.1\nUpgrade:x\nConnection:upgrade\n\n")
expectations_behind_hole = _behind_hole(b"P /%06d HTTP/1.1\nExpect:100-continue\nContent-Length:1\n\nx")
bodies_behind_hole = _behind_hole(b"P /%06d HTTP/1.0\nContent-Length:1\n\n{")


SCRUB = ("slice", "--connection", "1", "-o", "/dev/null", "--scrub")
ATTACKS: dict[str, Attack] = {
    "answers": Attack(_wired(answers), 60, 512),
    "waiting": Attack(_wired(waiting), 8, 90),
    "wide_targets": Attack(_wired(wide_targets), 200, 4_000),
    "open_strings": Attack(_wired(open_strings), 24, 300),
    "wide_keys": Attack(_wired(wide_keys), 160, 700),
    "large_keys": Attack(_wired(large_keys), 8, 40, ("extract", "a.b")),
    "kept_keys": Attack(_wired(large_keys), 24, 128, ("analyze", "--duplicate-keys")),
    "plain_strings": Attack(_wired(plain_strings), 40, 320),
    "repeated_keys": Attack(_wired(repeated_keys), 32, 400, ("analyze", "--duplicate-keys")),
    "touching": Attack(_wired(touching), 2, 20),
    "server_names": Attack(_wired(server_names), 400, 10_000),
    "tunnels": Attack(_wired(tunnels), 800, 9_000),
    "zstd_bodies": Attack(_wired(zstd_bodies), 120, 1_000),
    "datagrams": Attack(_wired(datagrams), 80, 800),
    "fragments": Attack(_wired(fragments), 8_000, 400_000),
    "open_bodies": Attack(_wired(open_bodies), 120, 2_000, ("analyze", "--har", "/dev/null")),
    "open_texts": Attack(_wired(open_texts), 24, 300),
    "whole_texts": Attack(_wired(whole_texts), 8, 400),
    "unanswered_values": Attack(_wired(unanswered_values), 120, 2_000, ("extract", "item", "--where", "status=200")),
    "behind_rings": Attack(_wired(behind_rings), 1_500, 10_000),
    "before_rings": Attack(_wired(before_rings), 1_200, 9_000),
    "open_both_sides": Attack(_wired(open_both_sides), 1_500, 10_000, ("extract", "..a")),
    "deep_yaml": Attack(_wired(deep_yaml), 48, 400),
    "deep_yaml_extracted": Attack(_wired(deep_yaml), 48, 400, ("extract", "..a")),
    "deep_shapes": Attack(_wired(deep_shapes), 16, 200, ("analyze", "--shapes")),
    "long_records": Attack(_wired(long_records), 300, 10_000, ("analyze", "--ndjson")),
    "vlans": Attack(_wired(vlans), 8_000, 200_000),
    "swapped": Attack(_wired(swapped), 24_000, 600_000),
    "byte_chunks": Attack(_wired(byte_chunks), 20_000, 1_000_000),
    "byte_chunks_extracted": Attack(_wired(byte_chunks), 20_000, 1_000_000, EXTRACT),
    "byte_chunks_har": Attack(_wired(byte_chunks), 20_000, 1_000_000, ("analyze", "--har", "/dev/null")),
    "deep_lines": Attack(_wired(deep_lines), 80_000, 10_000_000),
    "deep_errors": Attack(_wired(deep_errors), 200, 20_000),
    "event_lines": Attack(_wired(event_lines), 100_000, 5_000_000),
    "pipelined": Attack(_wired(pipelined), 4_000, 400_000),
    "orphans": Attack(_wired(orphans), 4_000, 400_000),
    "many_lines": Attack(_wired(many_lines), 200, 20_000),
    "folded_lines": Attack(_wired(folded_lines), 20, 1_000),
    "repeated_fields": Attack(_wired(repeated_fields), 20, 1_000),
    "transfer_codings": Attack(_wired(transfer_codings), 20, 2_000),
    "lengths": Attack(_wired(lengths), 20, 2_000),
    "swapped_head": Attack(_wired(swapped_head), 16_000, 60_000),
    "hellos": Attack(_wired(hellos), 8, 600),
    "broken_lines": Attack(_wired(broken_lines), 50_000, 5_000_000),
    "squeezed_lines": Attack(_wired(squeezed_lines), 80_000, 3_000_000),
    "squeezed_broken": Attack(_wired(squeezed_broken), 80_000, 3_000_000),
    "empty_frames": Attack(_wired(empty_frames), 80_000, 1_000_000),
    "crowded_overlaps": Attack(_wired(crowded_overlaps), 200, 10_000),
    "crowded_owners": Attack(_wired(crowded_overlaps), 200, 10_000, ("analyze", "--overlap", "linux")),
    "wide_urls": Attack(_wired(wide_urls), 4_000, 200_000, ("extract", "item", "--with-source")),
    "answers_first": Attack(_wired(answers_first), 40, 4_000),
    "one_lines": Attack(_wired(one_lines), 100_000, 10_000_000),
    "clock": Attack(_wired(clock), 200, 20_000),
    "unclosed_text": Attack(_wired(unclosed_text), 200, 50_000, EXTRACT),
    "sections": Attack(sections, 4_000, 400_000),
    "interfaces": Attack(interfaces, 16_000, 1_000_000),
    "damage": Attack(damage, 2_000, 100_000),
    "plausible": Attack(plausible, 400_000, 50_000_000),
    "snoop_noise": Attack(snoop_noise, 400_000, 50_000_000),
    "many_files": Attack(many_files, 400, 20_000),
    "overlapping": Attack(overlapping, 24, 150),
    "side_by_side": Attack(side_by_side, 10, 150),
    "crowded_sections": Attack(crowded_sections, 8, 200),
    "early_line_end": Attack(_wired(early_line_end), 1_500_000, 8_300_000, EXTRACT),
    "long_urls": Attack(_wired(long_urls), 120, 600, ("analyze", "--har", "/dev/null")),
    "pipelined_bodies": Attack(_wired(pipelined_bodies), 10_000, 300_000, ("analyze", "--ndjson")),
    "markup": Attack(_wired(markup), 160, 2_000, ("analyze", "--html", "/dev/null")),
    "held_bodies": Attack(_wired(held_bodies), 6_000, 57_000, ("analyze", "--ndjson")),
    "upgrades_behind_hole": Attack(upgrades_behind_hole, 20_000, 75_000),
    "expectations_behind_hole": Attack(expectations_behind_hole, 20_000, 70_000),
    "bodies_behind_hole": Attack(bodies_behind_hole, 20_000, 90_000, ("extract", "")),
    "held_values": Attack(_wired(held_bodies), 5_000, 50_000, ("extract", "x")),
    "framed_piece": Attack(_wired(framed_piece), 1_000_000, 4_180_000),
    "framed_values": Attack(_wired(framed_piece), 500_000, 4_180_000, ("extract", "x")),
    "shown_piece": Attack(_wired(shown_piece), 1_500_000, 4_100_000, ("follow", "--connection", "1")),
    "shown_in_hex": Attack(_wired(shown_piece), 1_500_000, 4_100_000, ("follow", "--hex", "--connection", "1")),
    "swapped_lines": Attack(_wired(swapped_lines), 8_000, 80_000),
    "unanswered_shapes": Attack(_wired(unanswered_shapes), 16, 500, ("analyze", "--ndjson", "--shapes")),
    "deep_shape": Attack(_wired(deep_shape), 480, 480, ("analyze", "--ndjson", "--shapes")),
    "open_keys": Attack(_wired(open_keys), 8_000, 100_000, ("analyze", "--shapes")),
    "unanswered_trailers": Attack(_wired(unanswered_trailers), 8, 200, ("analyze", "--ndjson", "--headers", "all")),
    "unanswered_broken": Attack(_wired(unanswered_broken), 1_500, 30_000),
    "broken_fields": Attack(_wired(broken_fields), 40_000, 1_000_000),
    "masked_fields": Attack(_wired(encoded_fields), 84_000, 500_000, SCRUB),
    "masked_pieces": Attack(_wired(quoted_pieces), 34_000, 200_000, SCRUB),
    "masked_runs": Attack(_wired(long_runs), 64_000, 1_000_000, SCRUB),
    "masked_lines": Attack(_wired(open_lines), 40_000, 500_000, (*SCRUB, "--mask-json", "a")),
    "recorded_fields": Attack(_wired(recorded_fields), 600, 20_000, ("analyze", "--ndjson", "--headers", "all")),
    "open_events": Attack(_wired(open_events), 600, 20_000, ("analyze", "--ndjson", "--hash-bodies", "--shapes", "--duplicate-keys")),
}
"""Kind to how it is made, its sizes, and what is run."""


_MEASURED = """
import sys, time
from pcapflow import pipeline
from pcapflow.process_memory import resident_bytes
from pcapflow.cli import main
made = []
run = pipeline.run
def kept(*args, **more):
    began = time.perf_counter()
    result = run(*args, **more)
    made.append((time.perf_counter() - began, result.summary))
    return result
pipeline.run = kept
try:
    main()
except SystemExit as e:
    status = e.code
seconds, summary = sum(took for took, _ in made), made[0][1]
drops = {reason: count.count for reason, count in summary.drops.by_reason.items()}
import json
print(json.dumps([status, summary.memory.peak_bytes, resident_bytes()[0], summary.memory.process.start_rss_bytes, seconds, summary.decode.packets,
    summary.tcp.payload_bytes.balanced, drops, summary.tcp.gaps_by_cause]), file=sys.stderr)
"""


class Measured(NamedTuple):
    """What a run of an attack's command came to. reserved: the ledger's peak; resident: the process's, start: before it read anything."""

    status: int
    reserved: int
    resident: int
    start: int
    seconds: float
    packets: int
    balanced: bool
    drops: dict[str, int]
    gaps: dict[str, int]


def measure(kind: str, path: Path, *options: str) -> Measured:
    """Run an attack's command on a capture, as a process of its own."""
    command, *more = ATTACKS[kind].command
    program = [sys.executable, "-c", _MEASURED, command, "-q", *options, *more, str(path)]
    done = subprocess.run(
        program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True, timeout=600, cwd=Path(__file__).parents[1]
    )
    assert "internal error" not in done.stderr, done.stderr
    return Measured(*json.loads(done.stderr.splitlines()[-1]))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ATTACKS:
        sys.exit(f"{__doc__}\nKINDs: {' '.join(ATTACKS)}")
    ATTACKS[sys.argv[1]].make(Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else ATTACKS[sys.argv[1]].large)
