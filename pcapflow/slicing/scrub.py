"""Secrets of a capture masked in place: credentials, cookies, tokens, values at paths of JSON; lengths, times and checksums stay right.

Contract: `scrubbed` reads a capture several times - to learn what is secret, to find where it stands, and to write - and gives its packets. Invariant: what could not be looked at is overwritten or left out, and
counted: coded bodies that hold a secret or could not be decoded, streams behind losses where values of JSON are to be masked, packets whose segment lies in fragments.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from msgspec import structs

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.decode import columns
from pcapflow.decode.dpkt_path import decode_packet
from pcapflow.decode.fragments import Fragments
from pcapflow.decode.segments import SYN, DecodeCounts, SegmentColumns
from pcapflow.errors import UsageError
from pcapflow.findings.masked_bodies import body_listeners
from pcapflow.findings.masked_streams import StreamMasking
from pcapflow.findings.masking import Masking, Stream
from pcapflow.findings.scanning import filled
from pcapflow.known_values import Finder
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.payload.json_values import LITERAL, NUMBER, ValuePlaces
from pcapflow.ranges import BLIND, MaskRange
from pcapflow.secret_bytes import HOLDER, OPEN, secrets_in
from pcapflow.slicing.checksum import adjusted, fix_checksums
from pcapflow.slicing.packets import blocks_of, packets_of
from pcapflow.slicing.writing import Packet

_HEADER = 20
_CHECKSUM_AT = 16
_DIGITS = bytes(0x31 if 0x30 <= c <= 0x39 else c for c in range(256))
_MODULUS = 1 << 32
_end = itemgetter(1)


class Counts:
    """What became of it."""

    def __init__(self) -> None:
        self.secrets = 0
        """Values that are known."""
        self.bytes = 0
        """Bytes that are overwritten."""
        self.coded = 0
        """Coded bodies that are overwritten whole."""
        self.whole = 0
        """Streams that are."""
        self.unread = 0
        """Connections of which a part is of no protocol that is read."""
        self.left_out = 0
        """Packets that carry fragments."""


def check_paths(paths: Sequence[str]) -> None:
    """Raises `UsageError` for what is no path."""
    try:
        ValuePlaces(paths, 1)
    except ValueError as e:
        raise UsageError(f"--mask-json: {e}") from None


def scrubbed(
    path: str, limits: Limits, options: Options, paths: Sequence[str], counts: Counts, *, addresses: bool = False
) -> Iterator[Packet]:
    """The packets of a capture, masked; counts is filled in. paths: of JSON values; addresses: those of its connections are secret too, where they stand in what is said. Raises `UsageError` where there is no memory for what is secret."""
    ledger = Ledger(limits)
    learning = StreamMasking(paths, ledger, addresses=addresses)
    _learn_from_packets(path, limits, options, ledger, learning)
    learnt = _look(path, limits, options, learning)
    finder = Finder(sorted(learnt.values), learnt.cut)
    masks = _look(path, limits, options, StreamMasking(paths, ledger, finder, addresses=addresses))
    more = masks.values - learnt.values
    if more:  # what stood within what had been learnt
        finder = Finder(sorted(masks.values | learnt.values), masks.cut | learnt.cut)
        masks = _look(path, limits, options, StreamMasking(paths, ledger, finder, addresses=addresses))
    counts.secrets, counts.coded, counts.unread = masks.learnt, masks.coded, masks.unread
    counts.whole = sum(map(sum, (stream.whole for stream in masks.streams.values())))
    rewriter = _Rewriter(masks, counts)
    fragments = Fragments(limits, ledger)
    for block in blocks_of([path], limits, options, ledger, None):
        segments = columns.decode(block, DecodeCounts(), open_tunnels=options.tunnels, fragments=fragments)
        yield from rewriter.packets(block, segments)
    fragments.finish()


def _learn_from_packets(path: str, limits: Limits, options: Options, ledger: Ledger, learning: Masking) -> None:
    """What stands in packets by themselves: some are of no stream, such as copies with other bytes."""
    fragments = Fragments(limits, ledger)
    for block in blocks_of([path], limits, options, ledger, None):
        segments = columns.decode(block, DecodeCounts(), open_tunnels=options.tunnels, fragments=fragments)
        view = memoryview(block.buffer)
        for at, n in zip(segments.payload_at.tolist(), segments.payload_len.tolist(), strict=True):
            payload = bytes(view[at : at + n])
            for begin, end, kind in secrets_in(payload):
                if kind == HOLDER or (kind != OPEN and end < n):  # what a packet's end may cut its stream tells
                    learning.learn_of(payload[begin:end], kind)
    fragments.finish()


def _look(path: str, limits: Limits, options: Options, masking: Masking) -> Masking:
    options = structs.replace(options, verify_checksums=False)  # a segment with a wrong one is written too
    result = pipeline.run([path], limits, options, follow=masking, listeners=body_listeners(masking))
    if result.asked_to_stop:
        raise KeyboardInterrupt
    if masking.no_room or result.out_of_memory:
        raise UsageError(
            "--scrub: there is too much that is secret to keep it in mind; slice fewer connections, or give a larger --memory-limit"
        )
    return masking


class _Known(NamedTuple):
    """A stream whose bytes are masked."""

    number: int
    stream: Stream
    direction: int
    ranges: list[MaskRange]


class _Rewriter:
    """Masks packet by packet."""

    def __init__(self, masks: Masking, counts: Counts) -> None:
        self._masks = masks
        self._counts = counts
        self._by_end: dict[tuple[int, int, int, int], list[_Known]] = {}
        """By address and port of who sends, and of who gets: those of one pair in the order of their first packets."""
        self._reached: dict[tuple[int, int], int] = {}
        for number, stream in sorted(masks.streams.items()):
            if stream.ends is None:
                continue
            for direction in (0, 1):
                a, b = stream.ends[direction], stream.ends[1 - direction]
                known = _Known(number, stream, direction, _ranges(stream, direction))
                self._by_end.setdefault((a.address, a.port, b.address, b.port), []).append(known)

    def packets(self, block: PacketBlock, segments: SegmentColumns) -> Iterator[Packet]:
        """Those of a block."""
        rows = {int(row): i for i, row in enumerate(segments.row.tolist())}
        for row, packet in enumerate(packets_of(block)):
            i = rows.get(row)
            begin = int(segments.payload_at[i] - block.offsets[row]) if i is not None else -1
            if i is None or not 0 <= begin <= len(packet.data):
                self._counts.left_out += 1
                continue
            yield packet._replace(data=self._masked(packet.data, packet.link_type, begin, segments, i))

    def _masked(self, data: bytes, link_type: int, begin: int, segments: SegmentColumns, i: int) -> bytes:
        payload = data[begin:]
        if not payload:
            return data
        found = bytearray(payload)
        n = int(segments.payload_len[i])
        streams = self._of(segments, i)
        places = [filled(payload, low, high) for low, high, kind in self._masks.secrets(payload) if kind != OPEN]
        for known in streams:
            offset = self._mask(found, known, segments, i, n, alone=known is streams[-1])
            if offset is not None and known.stream.framing is not None:
                its = [(low + offset, high + offset, kind) for low, high, kind in places]
                places = [(low - offset, high - offset, kind) for low, high, kind in known.stream.framing[known.direction].apart(its)]
        for low, high, kind in places:
            found[low:high] = _fill(bytes(found[low:high]), kind)
        found[n:] = bytes(len(found) - n)  # what fills a frame may be anything
        if found == payload:
            return data
        self._counts.bytes += sum(map(bool, map(int.__xor__, found, payload)))
        whole = bytearray(data)
        whole[begin:] = found
        checksum_at = begin - int(segments.options[i]) - _HEADER + _CHECKSUM_AT
        if int(segments.tunnel[i]) and payload[n:] != found[n:]:
            fix_checksums(data, whole, decode_packet(data, len(data), link_type))
        else:
            adjusted(whole, checksum_at, payload[:n], bytes(found[:n]))
        return bytes(whole)

    def _of(self, segments: SegmentColumns, i: int) -> list[_Known]:
        """The streams that a segment may be of: between its ends, begun before it."""
        source = int(segments.src_hi[i]) << 64 | int(segments.src_lo[i])
        target = int(segments.dst_hi[i]) << 64 | int(segments.dst_lo[i])
        key = source, int(segments.sport[i]), target, int(segments.dport[i])
        return [known for known in self._by_end.get(key, ()) if known.number <= int(segments.packet[i])]

    def _mask(self, found: bytearray, known: _Known, segments: SegmentColumns, i: int, n: int, *, alone: bool) -> int | None:
        """Where in the stream the segment stands, if all of it does. alone: it is of no other stream; else only what lies in the stream's numbers is of it: ports are used again, and in other tunnels at the same time."""
        stream, direction = known.stream, known.direction
        base = stream.bases[direction]
        seq = int(segments.seq[i]) + bool(int(segments.flags[i]) & SYN)
        key = known.number, direction
        reached = self._reached.get(key, 0)
        near = (seq - base - reached) % _MODULUS
        offset = reached + (near - _MODULUS if near >= _MODULUS >> 1 else near)
        inside = base >= 0 and offset >= -1 and offset + n <= stream.lengths[direction]
        if inside:  # what lies beyond was of no stream, and says nothing of the others
            self._reached[key] = max(reached, offset + n)
        if stream.whole[direction] or base < 0:
            if inside or alone:
                found[:n] = b"x" * n
            return None
        if not inside and stream.outside[direction] and int(segments.packet[i]) <= stream.last_packet:
            for low, high in ((0, min(n, -offset)), (max(0, stream.lengths[direction] - offset), n)):
                if low < high:
                    found[low:high] = b"x" * (high - low)
        ranges = known.ranges
        at = bisect_left(ranges, offset + 1, key=_end)
        while at < len(ranges) and ranges[at][0] < offset + n:
            begin, end, kind = ranges[at]
            low, high = max(begin, offset) - offset, min(end, offset + n) - offset
            found[low:high] = _fill(bytes(found[low:high]), kind)
            at += 1
        return offset if inside else None


def _ranges(stream: Stream, direction: int) -> list[MaskRange]:
    """What is masked of a stream: what is secret, but for the framing of messages, and what came where bytes were given up."""
    found: list[MaskRange] = sorted(stream.ranges[direction])
    if stream.framing is not None:
        framing = stream.framing[direction]
        found = sorted([*framing.apart(found), *(framing.lost() if stream.outside[direction] else ())])
        return list(framing.before_messages(_apart(found)))
    return _apart(found)


def _fill(old: bytes, kind: int) -> bytes:
    """What takes the place of some bytes."""
    if kind == BLIND:
        return bytes(len(old))  # which begins no message
    if kind == NUMBER:
        return old.translate(_DIGITS)
    return (b"x" if kind < LITERAL else bytes([kind - LITERAL])) * len(old)


def _apart(ranges: list[MaskRange]) -> list[MaskRange]:
    """Sorted ranges without overlaps: of two the plain one, `x` for each byte, wins."""
    found: list[MaskRange] = []
    for one in ranges:
        if found and one[0] < found[-1][1]:
            begin, end, kind = found[-1]
            found[-1] = begin, max(end, one[1]), kind if kind == one[2] else 0
        else:
            found.append(one)
    return found
