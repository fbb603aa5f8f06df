"""Secrets of a capture masked in place: credentials, cookies, tokens, values at paths of JSON; lengths, times and checksums stay right.

Contract: `scrubbed` reads a capture several times - to learn what is secret, to find where it stands, and to write - and gives its packets. Invariant: what could not be looked at is overwritten or left out, and
counted: coded bodies that hold a secret or could not be decoded, streams behind losses where values of JSON are to be masked, packets whose segment lies in fragments.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from msgspec import structs

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.decode import columns
from pcapflow.decode.dpkt_path import decode_packet
from pcapflow.decode.fragments import Fragments
from pcapflow.decode.segments import RST, SYN, DecodeCounts, SegmentColumns
from pcapflow.errors import UsageError
from pcapflow.findings.kept_masks import FAR, KEY_BYTES, Known, key_of, last_packet_of, number_of
from pcapflow.findings.masked_bodies import body_listeners
from pcapflow.findings.masked_streams import StreamMasking
from pcapflow.findings.masking import Masking, NoRoom
from pcapflow.findings.scanning import filled
from pcapflow.known_values import Finder
from pcapflow.limits import Limits
from pcapflow.memory_scale import LEAST_MEMORY
from pcapflow.options import Options
from pcapflow.payload.joint_states import joint_states
from pcapflow.payload.json_values import LITERAL, NUMBER
from pcapflow.ranges import BLIND, MaskRange
from pcapflow.secret_bytes import secrets_in
from pcapflow.secret_kinds import HOLDER, KNOWN, LONG, OPEN, reaches_end
from pcapflow.slicing.checksum import adjusted, fix_checksums
from pcapflow.slicing.packets import blocks_of, packets_of
from pcapflow.slicing.writing import Packet

_HEADER = 20
_CHECKSUM_AT = 16
_DIGITS = bytes(0x31 if 0x30 <= c <= 0x39 else c for c in range(256))
_LINE_END = re.compile(rb"[\r\n]")
_MODULUS = 1 << 32
_SAME_ENDS_MOST = 8
"""Connections with the same ends whose packet one may be: one that is late is of the last few. Where more go on at the same time, it is overwritten."""
_OPEN_MOST = 256
"""Ends of which the streams are kept at hand."""
_NEVER = 1 << 63


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
        joint_states(paths)
    except ValueError as e:
        raise UsageError(f"--mask-json: {e}") from None


def scrubbed(
    path: str, limits: Limits, options: Options, paths: Sequence[str], counts: Counts, *, addresses: bool = False
) -> Iterator[Packet]:
    """The packets of a capture, masked; counts is filled in. paths: of JSON values; addresses: those of its connections are secret too, where they stand in what is said. Raises `UsageError` where there is no memory for what is secret."""
    ledger, limits = _divided(limits)
    try:
        masks = _masks(path, limits, options, ledger, paths, addresses=addresses)
    except NoRoom:
        raise UsageError(
            "--scrub: there is too much that is secret to keep it in mind; slice fewer connections, or give a larger --memory-limit"
        ) from None
    counts.secrets, counts.coded, counts.unread = masks.learnt, masks.coded, masks.unread
    counts.whole = masks.whole
    rewriter = _Rewriter(masks, counts)
    fragments = Fragments(limits, ledger)
    for block in blocks_of([path], limits, options, ledger, None):
        segments = columns.decode(block, DecodeCounts(), open_tunnels=options.tunnels, fragments=fragments)
        yield from rewriter.packets(block, segments)
    fragments.finish()


def _masks(path: str, limits: Limits, options: Options, ledger: Ledger, paths: Sequence[str], *, addresses: bool) -> Masking:
    """What is masked: found in runs over the capture, of which the first learns what is secret. Raises `NoRoom`."""
    learning = StreamMasking(paths, ledger, addresses=addresses, keeps=False)
    _learn_from_packets(path, limits, options, ledger, learning)
    learnt = _look(path, limits, options, learning)
    learnt.forget()
    finder = Finder(sorted(learnt.values), learnt.cut)
    masks = _look(path, limits, options, StreamMasking(paths, ledger, finder, addresses=addresses))
    more = masks.values - learnt.values
    if more:  # what stood within what had been learnt
        masks.forget()
        finder = Finder(sorted(masks.values | learnt.values), masks.cut | learnt.cut)
        masks = _look(path, limits, options, StreamMasking(paths, ledger, finder, addresses=addresses))
    return masks


def _divided(limits: Limits) -> tuple[Ledger, Limits]:
    """Where what is secret is reserved, and the limits of the runs that look for it: together they are those of one run."""
    ledger = Ledger(limits)
    room = ledger.output.limit = min(ledger.output.limit, limits.memory_limit // 4)
    return ledger, limits.with_memory(max(LEAST_MEMORY, limits.memory_limit - room))


def _learn_from_packets(path: str, limits: Limits, options: Options, ledger: Ledger, learning: Masking) -> None:
    """What stands in packets by themselves: some are of no stream, such as copies with other bytes."""
    fragments = Fragments(limits, ledger)
    for block in blocks_of([path], limits, options, ledger, None):
        segments = columns.decode(block, DecodeCounts(), open_tunnels=options.tunnels, fragments=fragments)
        view = memoryview(block.buffer)
        for at, n in zip(segments.payload_at.tolist(), segments.payload_len.tolist(), strict=True):
            payload = bytes(view[at : at + n])
            for begin, end, kind in secrets_in(payload, begins=False):
                if kind == HOLDER or (kind != OPEN and end < n):  # what a packet's end may cut its stream tells
                    learning.learn_of(payload[begin:end], kind)
    fragments.finish()


def _look(path: str, limits: Limits, options: Options, masking: Masking) -> Masking:
    options = structs.replace(options, verify_checksums=False)  # a segment with a wrong one is written too
    result = pipeline.run([path], limits, options, follow=masking, listeners=body_listeners(masking))
    if result.asked_to_stop:
        raise KeyboardInterrupt
    if result.out_of_memory:
        raise NoRoom
    return masking


class _Rewriter:
    """Masks packet by packet."""

    def __init__(self, masks: Masking, counts: Counts) -> None:
        self._masks = masks
        self._counts = counts
        self._kept = masks.kept
        self._kept.sort()
        self._latest = array("q")
        """The last packet of each connection that is kept, and of those before it with the same ends."""
        before = b""
        for kept in self._kept:
            latest = last_packet_of(kept)
            if kept.startswith(before) and self._latest:
                latest = max(latest, self._latest[-1])
            before = kept[:KEY_BYTES]
            self._latest.append(latest)
        self._streams: dict[tuple[bytes, int], tuple[list[Known], int]] = {}
        """Those that packets are of, by their ends and direction; and the packet from which on they are others."""
        self._reached: dict[tuple[int, int], int] = {}

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
        source = int(segments.src_hi[i]) << 64 | int(segments.src_lo[i]), int(segments.sport[i])
        target = int(segments.dst_hi[i]) << 64 | int(segments.dst_lo[i]), int(segments.dport[i])
        key, direction = key_of(source, target), int(source > target)
        streams = self._of(key, direction, int(segments.packet[i])) if key not in self._masks.crowd else None
        if streams is None:
            found[:] = b"x" * n + bytes(len(found) - n)
        else:
            self._mask_all(found, streams, direction, segments, i, n)
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

    def _mask_all(self, found: bytearray, streams: list[Known], direction: int, segments: SegmentColumns, i: int, n: int) -> None:
        """Mask what is secret of a segment's payload, in each of its streams and by itself."""
        payload = bytes(found)
        inside = []
        for known in streams:
            offset = self._mask(found, known, direction, segments, i, n, alone=known is streams[-1])
            if offset is not None:
                inside.append((known, offset))
        begins = bool(int(segments.flags[i]) & (SYN | RST))  # what these carry may be of no stream
        copies = any(known.copies for known, _ in inside)
        if inside and not copies and not begins:  # what stands around secrets was looked at in the stream
            places = list(self._masks.known_in(payload))
        else:
            quiet = not streams and not begins  # so it was where nothing was found, and a packet may begin and end anywhere
            places = [
                place
                for place in self._masks.secrets(payload, begins=not quiet)
                if place[2] != OPEN and not (quiet and place[2] != KNOWN and reaches_end(payload, place))
            ]
        sure: list[MaskRange] = []
        others: list[MaskRange] = []
        for low, high, kind in places:
            # one that was learnt with what frames chunks in it, or to the end of a word, may have framing in it here too
            sure_one = kind == KNOWN and high - low <= LONG and not _LINE_END.search(payload, low, high)
            (sure if sure_one else others).append(filled(payload, low, high))
        for known, offset in inside if not copies else ():
            its = sorted((low + offset, high + offset, kind) for low, high, kind in others)
            others = [(low - offset, high - offset, kind) for low, high, kind in known.framing.apart(its)]
            # and one that goes on to the end of a word ends with its message
            sure = [(low, known.framing.message_end(low + offset, high + offset) - offset, kind) for low, high, kind in sure]
        for low, high, kind in others + sure:
            found[low:high] = _fill(bytes(found[low:high]), kind)
        found[n:] = bytes(len(found) - n)  # what fills a frame may be anything

    def _of(self, key: bytes, direction: int, packet: int) -> list[Known] | None:
        """The streams that a packet may be of: between its ends, begun before it, the last of them. None where an older one goes on still."""
        known = self._streams.get((key, direction))
        if known is not None and packet < known[1]:
            return known[0]
        begin = bisect_left(self._kept, key)
        end = bisect_left(self._kept, key + (packet + 1).to_bytes(8, "big"), begin)
        oldest = max(begin, end - _SAME_ENDS_MOST)
        if oldest > begin and self._latest[oldest - 1] >= packet:
            return None
        streams = [Known(kept, direction) for kept in self._kept[oldest:end]]
        is_last = end == len(self._kept) or not self._kept[end].startswith(key)
        if len(self._streams) >= _OPEN_MOST:
            self._streams.clear()
        self._streams[key, direction] = streams, _NEVER if is_last else number_of(self._kept[end])
        return streams

    def _mask(self, found: bytearray, known: Known, direction: int, segments: SegmentColumns, i: int, n: int, *, alone: bool) -> int | None:
        """Where in the stream the segment stands, if all of it does. alone: it is of no other stream; else only what lies in the stream's numbers is of it: ports are used again, and in other tunnels at the same time."""
        base = known.base
        seq = int(segments.seq[i]) + bool(int(segments.flags[i]) & SYN)
        key = known.number, direction
        reached = self._reached.get(key, 0)
        near = (seq - base - reached) % _MODULUS
        offset = reached + (near - _MODULUS if near >= _MODULUS >> 1 else near)
        inside = base >= 0 and offset >= -1 and offset + n <= known.length
        if inside and known.length >= FAR:  # what lies beyond was of no stream, and says nothing of the others
            self._reached[key] = max(reached, offset + n)
        if known.whole or base < 0:
            if inside or alone:
                found[:n] = b"x" * n
            return None
        if not inside and known.outside and int(segments.packet[i]) <= known.last_packet:
            for low, high in ((0, min(n, -offset)), (max(0, known.length - offset), n)):
                if low < high:
                    found[low:high] = b"x" * (high - low)
        ranges = known.ranges
        at = 3 * bisect_left(range(len(ranges) // 3), offset + 1, key=lambda i: ranges[3 * i + 1])
        while at < len(ranges) and ranges[at] < offset + n:
            low, high = max(ranges[at], offset) - offset, min(ranges[at + 1], offset + n) - offset
            found[low:high] = _fill(bytes(found[low:high]), ranges[at + 2])
            at += 3
        return offset if inside else None


def _fill(old: bytes, kind: int) -> bytes:
    """What takes the place of some bytes."""
    if kind == BLIND:
        return bytes(len(old))  # which begins no message
    if kind == NUMBER:
        return old.translate(_DIGITS)
    return (b"x" if kind < LITERAL else bytes([kind - LITERAL])) * len(old)
