"""Writes captures for tests: frames by hand, standard library only, times in microseconds from a fixed beginning."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
T0 = 1_700_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def ip4(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def tcp_header(sport: int, dport: int, seq: int, ack: int, flags: int, options: bytes = b"") -> bytes:
    options += b"\1" * (-len(options) % 4)
    return (
        struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (20 + len(options)) << 2, flags, 65535, 0, 0) + options
    )


def ipv4_packet(
    src: str, dst: str, payload: bytes, *, proto: int = 6, options: bytes = b"", total: int | None = None, frag: int = 0, ident: int = 0
) -> bytes:
    size = 20 + len(options)
    length = size + len(payload) if total is None else total
    return struct.pack(">BBHHHBBH4s4s", 0x40 | size // 4, 0, length, ident, frag, 64, proto, 0, ip4(src), ip4(dst)) + options + payload


def ipv6_packet(src: bytes, dst: bytes, payload: bytes, *, proto: int = 6, length: int | None = None) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload) if length is None else length, proto, 64) + src + dst + payload


def ethernet(payload: bytes, kind: int = 0x0800, vlans: Iterable[int] = ()) -> bytes:
    tags = b"".join(struct.pack(">HH", 0x8100, vid) for vid in vlans)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + tags + struct.pack(">H", kind) + payload


def tcp_frame(src: str, sport: int, dst: str, dport: int, seq: int, ack: int, flags: int, data: bytes = b"", *, ident: int = 0) -> bytes:
    return ethernet(ipv4_packet(src, dst, tcp_header(sport, dport, seq, ack, flags) + data, ident=ident))


def pcap(
    frames: Iterable[tuple[int, bytes] | tuple[int, bytes, int]],
    *,
    link: int = 1,
    order: str = "<",
    nano: bool = False,
    snaplen: int = 262144,
) -> bytes:
    """A capture. frames: (time in microseconds, bytes captured[, bytes on the wire])."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for us, frame, *wire in frames:
        fraction = us % 1_000_000 * (1000 if nano else 1)
        out.append(struct.pack(order + "IIII", T0 + us // 1_000_000, fraction, len(frame), wire[0] if wire else len(frame)))
        out.append(frame)
    return b"".join(out)


class Talk:
    """A TCP conversation that is written down packet by packet; both sides keep their sequence numbers, and number their packets (IP identification):
    a frame that stands in a capture twice is a copy, what is sent again is not.
    """

    def __init__(
        self, *, sport: int = 40000, dport: int = 80, isn: tuple[int, int] = (1000, 5000), client: str = CLIENT, server: str = SERVER
    ) -> None:
        self.sport, self.dport, self.client, self.server = sport, dport, client, server
        self.seq = list(isn)
        self.frames: list[tuple[int, bytes]] = []
        self.us = 0
        self.step = 10
        self.ident = 0

    def packet(
        self, side: int, flags: int, data: bytes = b"", *, seq: int | None = None, ack: int | None = None, keep: bool = True
    ) -> None:
        """side: 0 client, 1 server. seq, ack: absolute, the side's next where None. keep: whether the capture has it."""
        src, sport, dst, dport = (
            (self.client, self.sport, self.server, self.dport) if side == 0 else (self.server, self.dport, self.client, self.sport)
        )
        number = self.seq[side] if seq is None else seq
        acked = self.seq[1 - side] if ack is None else ack
        self.us += self.step
        self.ident = self.ident % 0xFFFF + 1
        if keep:
            self.frames.append(
                (self.us, tcp_frame(src, sport, dst, dport, number, acked if flags & ACK else 0, flags, data, ident=self.ident))
            )
        if seq is None:
            self.seq[side] = (number + len(data) + bool(flags & SYN) + bool(flags & FIN)) & 0xFFFFFFFF

    def open(self) -> Talk:
        self.packet(0, SYN)
        self.packet(1, SYN | ACK)
        self.packet(0, ACK)
        return self

    def send(self, side: int, data: bytes, *, size: int = 1448, keep: bool = True) -> Talk:
        for at in range(0, len(data), size):
            self.packet(side, ACK | PSH, data[at : at + size], keep=keep)
        return self

    def acknowledge(self, side: int) -> Talk:
        """That side acknowledges everything."""
        self.packet(side, ACK)
        return self

    def close(self) -> Talk:
        self.packet(0, FIN | ACK)
        self.packet(1, FIN | ACK)
        self.packet(0, ACK)
        return self

    def idle(self, us: int) -> Talk:
        self.us += us
        return self

    def bytes(self) -> bytes:
        return pcap(self.frames)

    def save(self, path: Path) -> str:
        path.write_bytes(self.bytes())
        return str(path)


def merge(*talks: Talk) -> bytes:
    """Several conversations in one capture, by time."""
    return pcap(sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0]))


def filler(n: int, begin: int = 0) -> list[tuple[int, bytes]]:
    """n packets of a connection of their own, one a millisecond, so that packet numbers and the clock go on."""
    return [(begin + i * 1000, tcp_frame("10.9.9.9", 9, "10.9.9.8", 9, 1, 1, ACK)) for i in range(n)]


def request(target: str = "/", *, method: str = "GET", body: bytes = b"", fields: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: example\r\n{length}{fields}\r\n".encode() + body


def response(body: bytes = b"", *, status: str = "200 OK", kind: str = "application/json", fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


def chunked(body: bytes, sizes: Iterable[int], *, kind: str = "application/json") -> bytes:
    out = [f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()]
    at = 0
    for size in sizes:
        piece = body[at : at + size]
        if not piece:
            break
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += size
    if at < len(body):
        out.append(b"%x\r\n%s\r\n" % (len(body) - at, body[at:]))
    return b"".join(out) + b"0\r\n\r\n"
