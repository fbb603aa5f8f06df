"""Selective acknowledgements (RFC 2018): what the receiver has beyond what it acknowledged in sequence.

Contract: `sack_blocks` takes the bytes of a TCP header's options and returns the blocks as raw sequence numbers; it raises for
nothing that the wire said. `Sacked` keeps ranges of stream offsets and when each was first told, at most RANGES of them: a
further one takes the place of one that it contains, else of the oldest.
"""

from __future__ import annotations

from typing import NamedTuple

RANGES = 8
"""Ranges remembered of one stream; an acknowledgement names four at the most, and a receiver repeats the latest."""
_END, _NOP, _SACK = 0, 1, 5
_TIMESTAMPS = b"\1\1\x08\x0a"
_TIMES = 8
"""Two no-operations, the kind and size of timestamps, and bytes of these."""


def sack_blocks(options: bytes) -> list[tuple[int, int]]:
    """Left and right edges, as they stand in the option; none where there is no SACK option or it is malformed."""
    # as most stacks lay options out: timestamps, which say nothing here
    at = len(_TIMESTAMPS) + _TIMES if len(options) >= len(_TIMESTAMPS) + _TIMES and options.startswith(_TIMESTAMPS) else 0
    while at < len(options):
        kind = options[at]
        if kind == _END:
            break
        if kind == _NOP:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            break
        if kind == _SACK:
            edges = [int.from_bytes(options[i : i + 4], "big") for i in range(at + 2, at + size - 3, 4)]
            return list(zip(edges[::2], edges[1::2], strict=False))
        at += size
    return []


class Told(NamedTuple):
    """[start, end) of a stream is at the receiver; the packet and clock (ns) at which a hole in it may be given up."""

    start: int
    end: int
    packet: int
    clock: int


class Sacked:
    """What the receiver of one stream has, as far as it was told."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[Told] = []

    def add(self, told: Told, known_to: int, packet: int, clock: int) -> None:
        """Remember a range; those that end at or before known_to no longer matter. packet, clock: now."""
        ranges = [r for r in self._ranges if r.end > known_to]
        if not any(r.start <= told.start and told.end <= r.end for r in ranges):
            if len(ranges) >= RANGES:
                ranges = _joined(ranges, packet, clock)
            if len(ranges) >= RANGES:
                # a block grows: the first word of each byte counts, so what gives way is the latest of several that this one has in it
                within = [i for i, r in enumerate(ranges) if told.start <= r.start and r.end <= told.end]
                beside = [i for i in range(len(ranges)) if i not in within]
                del ranges[within[-1] if len(within) > 1 or not beside else beside[0]]
            ranges.append(told)
        self._ranges = ranges

    def covering(self, start: int, end: int) -> Told | None:
        """From start to how far, beyond end, ranges reach that were told by the earliest time at which they had all of [start, end); and that time."""
        for told in self._ranges:
            if told.start <= start < told.end or start >= end:
                break
        else:
            return None  # as it nearly always is: what is missing first nobody has
        until, packet, clock = start, 0, 0
        here: list[Told] = []
        for told in self._ranges:
            if told.end <= start:
                continue
            here.append(told)
            packet, clock = max(packet, told.packet), max(clock, told.clock)
            grown = True
            while grown:
                grown = False
                for r in here:
                    if r.start <= until < r.end:
                        until, grown = r.end, True
            if until >= end:
                return Told(start, until, packet, clock)
        return None


def _joined(ranges: list[Told], packet: int, clock: int) -> list[Told]:
    """The same, with those that touch made one whose time has come: when it came no longer matters."""
    old = [r for r in ranges if r.packet <= packet and r.clock <= clock]
    joined: list[Told] = []
    for r in sorted(old):
        last = joined[-1] if joined else None
        if last is not None and r.start <= last.end:
            joined[-1] = Told(last.start, max(last.end, r.end), max(last.packet, r.packet), max(last.clock, r.clock))
        else:
            joined.append(r)
    joined.sort(key=_packet)
    return joined + [r for r in ranges if r.packet > packet or r.clock > clock]


def _packet(told: Told) -> int:
    return told.packet
