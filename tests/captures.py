"""Whole captures by seed: conversations over HTTP, JSON, TLS and nothing known, over loss, in any container, and spoiled. Standard library and tests alone."""

from __future__ import annotations

import gzip
import json
import random
import struct

from tests.capture.containers import FORMATS, block, option, section
from tests.craft import ACK, FIN, PSH, RST, SYN, Talk, chunked, pcap, request, response

CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
_JSON = "Content-Type: application/json\r\n"


def _document(rng: random.Random) -> bytes:
    value = rng.choice([{"a": rng.randint(0, 9)}, [1, 2], {"a": [{"a": "x" * rng.randint(0, 30)}]}, {}, [{"a": {"a": None}}, "\u00e9\n"]])
    text = json.dumps(value).encode()
    return rng.choice([text, text, text, text[:-1], text + b"1", b"-1-1", b"[1", b""])


def _hello(rng: random.Random) -> bytes:
    """A ClientHello with a server name, in records of some bytes."""
    name = b"a.example" * rng.choice([1, 3])
    extension = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    body = b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", 2) + b"\x13\x01\1\0" + struct.pack(">H", len(extension)) + extension
    message = b"\1" + len(body).to_bytes(3, "big") + body
    size = rng.choice([len(message), 40])
    return b"".join(
        b"\x16\3\1" + struct.pack(">H", len(part)) + part for part in (message[i : i + size] for i in range(0, len(message), size))
    )


def asked(rng: random.Random) -> bytes:
    """What a client may say at a time."""
    body = _document(rng)
    lead = rng.choice([b"", b"", b"", b"\r\n", b"\n\r\n"])
    fields = rng.choice(
        ["", _JSON, "Transfer-Encoding: x\r\n", "NoColon\r\n", f"Expect: 100-continue\r\n{_JSON}", "Content-Encoding: gzip\r\n"]
    )
    method = rng.choice(["GET", "POST", "HEAD", "PUT", "M" + str(rng.randint(0, 90))])
    return lead + rng.choice(
        [
            request(f"/{rng.randint(0, 3)}"),
            request("/p", method=method, body=body, fields=fields),
            CONNECT,
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
            request("/u", fields="Connection: Upgrade\r\nUpgrade: h2c\r\n"),
            b"\0bad\r\n\r\n",
            body + b"\n",
            b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            + _JSON.encode()
            + b"\r\n"
            + b"".join(b"1\r\n%c\r\n" % c for c in body)
            + b"0\r\n\r\n",
            b"\x16\3\1\0\5\1\0\0\1\0",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _hello(rng),
        ]
    )


def answered(rng: random.Random) -> bytes:
    """What a server may say at a time."""
    body = _document(rng)
    return rng.choice(
        [
            response(body),
            response(body),
            response(b"", status="304 N"),
            response(body, status=f"{rng.randint(200, 599)} S"),
            chunked(body, [1, 3]),
            b"HTTP/1.1 100 Continue\r\n\r\n",
            body + b"\n",
            b"HTTP/1.1 200 OK\r\nNoColon\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n",
            response(gzip.compress(body, mtime=0)[: rng.choice([None, 15])], fields="Content-Encoding: gzip\r\n"),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + body + b"\n\n",
            b"HTTP/1.1 200 OK\r\n" + _JSON.encode() + b"\r\n" + body,
        ]
    )


def raw(rng: random.Random) -> bytes:
    """What somebody who speaks JSON alone may say."""
    body = _document(rng)
    return rng.choice([body + b"\n", b"Content-Length: %d\r\n\r\n%s" % (len(body), body), body, b"Content-Length: 3\r\n", b"noise"])


def _talk(rng: random.Random, number: int) -> Talk:
    t = Talk(sport=40000 + number, dport=rng.choice([80, 7000]), isn=(rng.choice([1000, 0xFFFFFFF0]), 5000))
    t.us = rng.randint(0, 300)
    t.step = rng.choice([1, 10, 5000])
    if rng.random() < 0.6:
        for _ in range(rng.choice([0, 0, 1, 2])):
            t.packet(0, SYN, seq=t.seq[0])  # sent again and again
        t.open()
    says = (raw, raw) if rng.random() < 0.25 else (asked, answered)
    lost = rng.choice([0, 0, 0.1, 0.25])
    held: list[tuple[int, int, bytes]] = []
    for _ in range(rng.randint(1, 8)):
        side = rng.randint(0, 1)
        data = b"".join(says[side](rng) for _ in range(rng.choice([1, 1, 3])))
        size = rng.choice([1448, 1448, rng.randint(1, 60)])
        for at in range(0, len(data), size):
            part = data[at : at + size]
            fate = rng.random()
            if fate < lost / 2:
                t.packet(side, ACK | PSH, part, keep=False)
            elif fate < lost:
                held.append((side, t.seq[side], part))
                t.seq[side] = (t.seq[side] + len(part)) & 0xFFFFFFFF
            else:
                t.packet(side, ACK | PSH, part)
            if held and rng.random() < 0.4:
                late, seq, part = held.pop(rng.randrange(len(held)))
                t.packet(late, ACK | PSH, part, seq=seq)
        if rng.random() < 0.2:
            t.acknowledge(1 - side)
        if rng.random() < 0.05:
            t.packet(side, ACK, seq=(t.seq[side] + rng.choice([1 << 25, 1 << 31, -(1 << 24)])) & 0xFFFFFFFF)  # where no segment can stand
        if rng.random() < 0.05:
            t.idle(rng.choice([10**6, 40 * 10**6, 10**10]))
    ending = rng.random()
    if ending < 0.5:
        t.close()
    elif ending < 0.7:
        t.packet(rng.randint(0, 1), (RST if ending < 0.6 else FIN) | ACK)
    if rng.random() < 0.2:
        _tag(rng, t)
    return t


def _tag(rng: random.Random, t: Talk) -> None:
    """VLAN tags: of each direction its own, or another one from some packet on."""
    tags = [rng.choice([None, 5, 6]), rng.choice([None, 5, 6])]
    changes = rng.choice([len(t.frames), rng.randrange(len(t.frames) + 1)])
    client = t.frames[0][1][26:30] if t.frames else b""
    for i, (us, frame) in enumerate(t.frames):
        tag = tags[frame[26:30] == client] if i < changes else 7
        if tag is not None:
            t.frames[i] = us, frame[:12] + struct.pack(">HH", 0x8100, tag) + frame[12:]


def frames_of(seed: int) -> list[tuple[int, bytes]]:
    """Time (us) and bytes of the packets of a capture: some connections side by side."""
    rng = random.Random(seed)
    talks = [_talk(rng, n) for n in range(rng.randint(1, 5))]
    return sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])


def capture_of(seed: int) -> bytes:
    """A whole capture: in any container, and some of them spoiled."""
    rng = random.Random(seed)
    frames = frames_of(seed)
    form = rng.choice(["pcap", "pcap", *FORMATS])
    whole = bytearray(pcap(frames) if form == "pcap" else FORMATS[form](frames))
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(24, max(25, len(whole)))
            if rng.random() < 0.5:
                whole[at : at + 1] = bytes([rng.randrange(256)])
            else:
                whole[at : at + rng.randint(1, 400)] = rng.randbytes(rng.randint(0, 400))
    return bytes(whole)


def stamped(seed: int) -> bytes:
    """A pcapng capture whose times are any that 64 bits, resolutions and offsets of interfaces can say, and contradict one another."""
    rng = random.Random(seed)
    made = [section("<")]
    n = rng.randint(1, 4)
    for _ in range(n):
        resolution = rng.choice([0, 3, 6, 9, 12, 18, 19, 20, 63, 0x80, 0x80 | 10, 0x80 | 30, 0x80 | 63, 0x80 | 127])
        offset = rng.choice([0, 0, 1 << 31, -(1 << 31), 1 << 62, -(1 << 62), (1 << 63) - 1, 4_600_000_000, -1_700_000_000])
        made.append(
            block("<", 1, struct.pack("<HHI", 1, 0, 0) + option("<", 9, bytes([resolution])) + option("<", 14, struct.pack("<q", offset)))
        )
    base = rng.choice([0, 1_700_000_000_000_000, 1 << 63, (1 << 64) - 1, 1 << 62, (1 << 62) - 1, 4_600_000_000_000_000])
    for us, frame in frames_of(seed):
        units = (base + rng.choice([us, us, us * 1000, us * 10**6, -us, rng.getrandbits(64)])) & ((1 << 64) - 1)
        made.append(block("<", 6, struct.pack("<IIIII", rng.randrange(n), units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)) + frame))
    return b"".join(made)
