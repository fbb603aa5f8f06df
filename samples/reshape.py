"""Makes sample captures out of real ones, with the standard library.

python samples/reshape.py cut       IN.pcap OUT.pcap PACKETS    the first packets
python samples/reshape.py midstream IN.pcap OUT.pcap            without the first third of the packets
python samples/reshape.py vlan      IN.pcap OUT.pcap            with an 802.1Q tag (id 42) in each frame, every fourth with two (7, 42)
python samples/reshape.py reorder   IN.pcap OUT.pcap            frames moved by up to 12 places, every tenth sent twice; times stay in order
"""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path


def read(path: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    data = Path(path).read_bytes()
    records = []
    at = 24
    while at + 16 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        records.append((data[at : at + 16], data[at + 16 : at + 16 + size]))
        at += 16 + size
    return data[:24], records


def again(frame: bytes) -> bytes:
    """The frame as its sender would send it again: with another IP identification."""
    ident = struct.unpack_from(">H", frame, 18)[0] ^ 0x8000
    head = bytearray(frame[14:34])
    struct.pack_into(">H", head, 4, ident)
    struct.pack_into(">H", head, 10, 0)
    total = sum(struct.unpack(">10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into(">H", head, 10, ~total & 0xFFFF)
    return frame[:14] + bytes(head) + frame[34:]


def main(kind: str, source: str, target: str, *more: str) -> None:
    head, records = read(source)
    if kind == "cut":
        records = records[: int(more[0])]
    elif kind == "midstream":
        records = records[len(records) // 3 :]
    elif kind == "vlan":
        tagged = []
        for h, d in records:
            port = max(struct.unpack_from(">HH", d, 34))  # the client's: tags are the same for a connection
            tag = struct.pack(">HH", 0x8100, 42)
            if port % 4 == 0:
                tag = struct.pack(">HH", 0x88A8, 7) + tag
            sizes = struct.unpack("<II", h[8:])
            tagged.append((h[:8] + struct.pack("<II", *(n + len(tag) for n in sizes)), d[:12] + tag + d[12:]))
        records = tagged
    elif kind == "reorder":
        rng = random.Random(1)
        twice = [r for i, r in enumerate(records) for r in ([r, (r[0], again(r[1]))] if i % 10 == 9 else [r])]
        moved = sorted(enumerate(twice), key=lambda x: x[0] + rng.random() * 12)
        times = sorted(r[0][:8] for r in twice)
        times.sort(key=lambda t: struct.unpack("<II", t))
        records = [(t + r[0][8:], r[1]) for t, (_, r) in zip(times, moved, strict=True)]
    else:
        sys.exit(__doc__)
    Path(target).write_bytes(head + b"".join(h + d for h, d in records))


if __name__ == "__main__":
    main(*sys.argv[1:])
