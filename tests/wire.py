"""What captures that are made to break a packet tool are written with: frames of TCP, heads, and long bodies a piece at a time. Standard library only."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = 1448
SERVER = 0x0A000001
MIB = 1 << 20


class Wire:
    """Ethernet frames with TCP over IPv4, `step` nanoseconds apart; checksums are zero, as offloading leaves them."""

    def __init__(self, out: BinaryIO, *, step: int = 5_000) -> None:
        self.out = out
        self.step = step
        self.ns = 1_700_000_000_000_000_000
        self.ident = 0
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))

    def packet(self, number: int, side: int, seq: int, ack: int, flags: int, data: bytes = b"") -> None:
        """A packet of connection `number`: of its client (side 0) or its server. seq, ack: offsets, 0 for the SYN."""
        client = (0x0A100000 + number // 50_000, 10_000 + number % 50_000)
        (src, sport), (dst, dport) = (client, (SERVER, 80)) if side == 0 else ((SERVER, 80), client)
        self.tcp(src, sport, dst, dport, 7_000 + seq, 7_000 + ack if flags & ACK else 0, flags, data)

    def tcp(self, src: int, sport: int, dst: int, dport: int, seq: int, ack: int, flags: int, data: bytes = b"") -> None:
        """A packet between any ends; seq, ack: as they stand on the wire but for wrapping."""
        self.ident = self.ident % 0xFFFF + 1  # a sender numbers its packets: what comes again was sent again
        self.frame(
            b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
            + struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(data), self.ident, 0x4000, 64, 6, 0, src, dst)
            + struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65535, 0, 0)
            + data
        )

    def frame(self, data: bytes) -> None:
        """A whole frame."""
        self.ns += self.step
        self.out.write(struct.pack("<IIII", self.ns // 10**9, self.ns % 10**9, len(data), len(data)) + data)

    def open(self, number: int) -> None:
        """SYN, SYN-ACK, ACK."""
        self.packet(number, 0, 0, 0, SYN)
        self.packet(number, 1, 0, 1, SYN | ACK)
        self.packet(number, 0, 1, 1, ACK)

    def answer(self, number: int, pieces: Iterator[bytes]) -> None:
        """A request, and what the server says to it, to the end of both streams."""
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        self.open(number)
        self.packet(number, 0, 1, 1, ACK | PSH, request)
        there = 1 + len(request)
        here = self._stream(number, 1, 1, there, pieces)
        self._close(number, here, there)

    def ask(self, number: int, pieces: Iterator[bytes]) -> None:
        """What a client says, and the empty answer to it, to the end of both streams."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.open(number)
        there = self._stream(number, 0, 1, 1, pieces)
        self.packet(number, 1, 1, there, ACK | PSH, answer)
        self._close(number, 1 + len(answer), there)

    def _stream(self, number: int, side: int, seq: int, other: int, pieces: Iterator[bytes]) -> int:
        """One side's bytes from seq on, acknowledged now and then; where they end."""
        count = 0
        for piece in pieces:
            for at in range(0, len(piece), MSS):
                segment = piece[at : at + MSS]
                self.packet(number, side, seq, other, ACK, segment)
                seq += len(segment)
                count += 1
                if count % 8 == 0:
                    self.packet(number, 1 - side, other, seq, ACK)
        return seq

    def _close(self, number: int, here: int, there: int) -> None:
        """here, there: where the server's and the client's stream end."""
        self.packet(number, 1, here, there, ACK | FIN)
        self.packet(number, 0, there, here + 1, ACK | FIN)
        self.packet(number, 1, here + 1, there + 1, ACK)


def ok_head(*fields: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *fields, b"", b""))


def json_head(length: int, *fields: bytes) -> bytes:
    return ok_head(b"Content-Type: application/json", b"Content-Length: %d" % length, *fields)


def repeated(piece: bytes, n: int) -> Iterator[bytes]:
    """n bytes of a repeated piece, in parts of 64 KiB or so."""
    part = piece * max(1, (64 << 10) // len(piece))
    while n > 0:
        yield part[:n]
        n -= len(part)


Kind = tuple[Callable[[Wire, int], None], int, int]
"""A writer, the size that the suite uses and the size of the benchmark."""
