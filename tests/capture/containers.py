"""Writers of every format and compression that is read, for tests: the same packets in other containers."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Iterable

import lz4.frame
import zstandard

Frames = list[tuple[int, bytes]]
"""Microseconds since 1,700,000,000 and the frame."""
_EPOCH = 1_700_000_000


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + _padded(value)


def block(order: str, kind: int, body: bytes) -> bytes:
    size = 12 + len(_padded(body))
    return struct.pack(order + "II", kind, size) + _padded(body) + struct.pack(order + "I", size)


def section(order: str) -> bytes:
    comment = option(order, 1, b"made by a test") + option(order, 0, b"")
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + comment)


def interface(order: str, link: int = 1, resolution: int = 6, offset: int = 0, snaplen: int = 0) -> bytes:
    options = option(order, 9, bytes([resolution]))
    if offset:
        options += option(order, 14, struct.pack(order + "q", offset))
    return block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + options + option(order, 0, b""))


def packet(order: str, us: int, frame: bytes, *, number: int = 0, resolution: int = 6, offset: int = 0, wire: int | None = None) -> bytes:
    us += (_EPOCH - offset) * 10**6
    units = (us << (resolution & 0x7F)) // 10**6 if resolution & 0x80 else us * 10**resolution // 10**6
    wire = len(frame) if wire is None else wire
    return block(
        order,
        6,
        struct.pack(order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(frame), wire) + _padded(frame) + option(order, 1, b"hm"),
    )


def old_packet(order: str, us: int, frame: bytes) -> bytes:
    units = us + _EPOCH * 10**6
    return block(order, 2, struct.pack(order + "HHIIII", 0, 7, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)) + frame)


def pcapng(frames: Frames, order: str = "<", resolution: int = 6, offset: int = 0) -> bytes:
    made = [section(order), interface(order, 1, resolution, offset), block(order, 0xBAD, b"who knows?")]
    made += [packet(order, us, frame, resolution=resolution, offset=offset) for us, frame in frames]
    return b"".join(made)


def old_pcapng(frames: Frames, order: str = "<") -> bytes:
    return b"".join([section(order), interface(order), *(old_packet(order, us, frame) for us, frame in frames)])


def two_sections(frames: Frames) -> bytes:
    """The second half in a section of the other byte order, whose interface 1 is the one that counts."""
    half = len(frames) // 2
    second = [section(">"), interface(">", 113), interface(">", 1, 9)]
    second += [packet(">", us, frame, number=1, resolution=9) for us, frame in frames[half:]]
    return pcapng(frames[:half]) + b"".join(second)


def snoop(frames: Frames) -> bytes:
    made = [b"snoop\0\0\0" + struct.pack(">II", 2, 4)]
    for i, (us, frame) in enumerate(frames):
        data = _padded(frame)
        made.append(struct.pack(">6I", len(frame), len(frame), 24 + len(data), i // 2, _EPOCH + us // 10**6, us % 10**6) + data)
    return b"".join(made)


def kuznetzov(frames: Frames, order: str = "<") -> bytes:
    made = [struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)]
    for us, frame in frames:
        made.append(struct.pack(order + "IIIIIHBB", _EPOCH + us // 10**6, us % 10**6, len(frame), len(frame), 2, 8, 0, 0) + frame)
    return b"".join(made)


FORMATS: dict[str, Callable[[Frames], bytes]] = {
    "pcapng": pcapng,
    "pcapng, big endian": lambda frames: pcapng(frames, ">"),
    "pcapng in nanoseconds": lambda frames: pcapng(frames, resolution=9),
    "pcapng in picoseconds": lambda frames: pcapng(frames, resolution=12, offset=1_699_999_000),
    "pcapng in binary fractions": lambda frames: pcapng(frames, resolution=0x80 | 30),
    "pcapng with an offset": lambda frames: pcapng(frames, offset=1_600_000_000),
    "pcapng with old packet blocks": old_pcapng,
    "pcapng with old packet blocks, big endian": lambda frames: old_pcapng(frames, ">"),
    "pcapng with two sections": two_sections,
    "snoop": snoop,
    "Kuznetzov's": kuznetzov,
    "Kuznetzov's, big endian": lambda frames: kuznetzov(frames, ">"),
}

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "xz": lzma.compress,
    "bzip2": lambda data: bz2.compress(data, 1),
    "lz4": lz4.frame.compress,
}


def cuts(data: bytes, places: Iterable[int]) -> list[bytes]:
    return [data[:at] for at in places]
