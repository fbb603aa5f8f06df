"""Large captures for the benchmark, written from nothing: the same bytes for the same arguments, standard library only.

    python -m tests.benchmarks.inputs opaque|json|wide|small|churn|ten|flood|vxlan OUT.pcap [SIZE]

opaque: SIZE MB of random bytes over HTTP on 8 connections; json: SIZE MB of JSON answers of 0.6 to 284 kB on 32 connections; wide: on 400;
small: SIZE keep-alive exchanges of 11 bytes on 64 connections; churn: SIZE connections of one exchange, every second answer 600 bytes of JSON;
ten: SIZE connections of ten packets and one such exchange each,
16 at a time; flood: SIZE unanswered SYNs; vxlan: `opaque` as a mirror in a cloud sends it.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.wire import MSS, Wire

DEFAULTS = {"opaque": 500, "json": 900, "wide": 900, "small": 540_000, "churn": 40_000, "ten": 500_000, "flood": 1_000_000, "vxlan": 500}


class Tunnelled(Wire):
    """Each frame within VXLAN."""

    def frame(self, data: bytes) -> None:
        n = 16 + len(data)
        udp = struct.pack(">HHHH", 50_000, 4789, n, 0) + b"\x08\0\0\0\0\0\x2a\0"
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + n, 0, 0, 64, 17, 0, 0x0A090001, 0x0A090002)
        super().frame(data[:12] + b"\x08\0" + ip + udp + data)


class Connection:
    """One conversation; `ask` and `answer` are generators that yield after each packet, so that many can go on side by side."""

    def __init__(self, w: Wire, rng: random.Random, number: int) -> None:
        self.w = w
        self.client, self.server = (0x0A010002 + number // 40_000, 20_000 + number % 40_000), (0x0A000001, 8080)
        self.seq = [rng.getrandbits(32), rng.getrandbits(32)]

    def packet(self, side: int, flags: int, data: bytes = b"") -> None:
        (src, sport), (dst, dport) = (self.client, self.server) if side == 0 else (self.server, self.client)
        self.w.tcp(src, sport, dst, dport, self.seq[side], self.seq[1 - side] if flags & 16 else 0, flags, data)
        self.seq[side] = (self.seq[side] + len(data) + bool(flags & 3)) & 0xFFFFFFFF

    def open(self) -> None:
        self.packet(0, 2)
        self.packet(1, 18)
        self.packet(0, 16)

    def close(self) -> None:
        self.packet(0, 17)
        self.packet(1, 17)
        self.packet(0, 16)

    def exchange(self, request: bytes, response: bytes) -> Iterator[None]:
        self.packet(0, 24, request)
        yield
        for i, at in enumerate(range(0, len(response), MSS)):
            self.packet(1, 16, response[at : at + MSS])
            if i % 8 == 7:
                self.packet(0, 16)
            yield
        if len(response) > MSS:
            self.packet(0, 16)


def answer(body: bytes, kind: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind.encode(), len(body), body)


def side_by_side(connections: list[Connection], exchanges: Iterator[tuple[bytes, bytes]], burst: int) -> None:
    """Each connection takes the next exchange when it has none; packets in bursts, connection after connection."""
    for c in connections:
        c.open()
    running: dict[Connection, Iterator[None]] = {}
    more = True
    while more or running:
        for c in connections:
            if c not in running:
                following = next(exchanges, None)
                if following is None:
                    more = False
                    continue
                running[c] = c.exchange(*following)
            for _ in range(burst):
                if next(running[c], True):
                    del running[c]
                    break
    for c in connections:
        c.close()


def documents(rng: random.Random) -> list[bytes]:
    def record(i: int) -> dict[str, object]:
        return {"id": i, "name": f"user-{i}", "email": f"user{i}@example.com", "active": i % 3 == 0, "score": rng.random() * 100,
                "tags": [rng.choice(["a", "bb", "ccc", "dddd"]) for _ in range(4)],
                "address": {"street": f"{i} Main St", "geo": {"lat": rng.uniform(-90, 90), "lon": rng.uniform(-180, 180)}}, "notes": None}  # fmt: skip

    return [json.dumps({"page": 1, "items": [record(i) for i in range(n)]}).encode() for n in (2, 2, 50, 50, 1000)]


def make(kind: str, path: Path, size: int) -> None:
    """Write one capture."""
    rng = random.Random(1)
    with path.open("wb", buffering=1 << 20) as out:
        w = Tunnelled(out) if kind == "vxlan" else Wire(out)
        get = b"GET /%s HTTP/1.1\r\nHost: bench.example:8080\r\nAccept: */*\r\n\r\n" % kind.encode()
        if kind in ("opaque", "vxlan"):
            body = answer(rng.randbytes(1 << 20), "application/octet-stream")
            side_by_side([Connection(w, rng, i) for i in range(8)], iter([(get, body)] * size), 40)
        elif kind in ("json", "wide"):
            bodies = [answer(d, "application/json") for d in documents(rng)]
            count = size * 1_000_000 // sum(map(len, bodies))
            side_by_side(
                [Connection(w, rng, i) for i in range(400 if kind == "wide" else 32)],
                iter([(get, b) for _ in range(count) for b in bodies]),
                20,
            )
        elif kind == "small":
            exchange = (get, answer(b'{"ok":true}', "application/json"))
            side_by_side([Connection(w, rng, i) for i in range(64)], iter([exchange] * size), 2)
        elif kind == "ten":
            ok = answer(b'{"ok":true}', "application/json")
            for at in range(0, size, 16):
                some = [Connection(w, rng, i) for i in range(at, min(at + 16, size))]
                for step in (Connection.open, lambda c: c.packet(0, 24, get), lambda c: c.packet(1, 16), lambda c: c.packet(1, 24, ok),
                             lambda c: c.packet(0, 16), Connection.close):  # fmt: skip
                    for c in some:
                        step(c)
        elif kind == "churn":
            answers = [answer(body, "application/json") for body in (documents(rng)[0], b'{"ok":true}')]
            for at in range(size):
                c = Connection(w, rng, at)
                c.open()
                for _ in c.exchange(get, answers[at % 2]):
                    pass
                c.close()
        elif kind == "flood":
            for _ in range(size):
                w.tcp(rng.getrandbits(32), rng.randrange(1024, 65536), 0x0A000001, 8080, rng.getrandbits(32), 0, 2)
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else DEFAULTS[sys.argv[1]])
