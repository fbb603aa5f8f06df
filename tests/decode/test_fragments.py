"""IP fragments are put together in any order and any cut of the capture, in bounded memory; what cannot be is counted."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.decode.fragments import Fragment, Fragments
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB, SECOND
from tests.conftest import Run
from tests.craft import Talk, ethernet, ipv4_packet, ipv6_packet, pcap, request, response
from tests.decode.tunnelled import udp, wrap

TALK = Talk().open().send(0, request("/a")).send(1, response(b'{"ok":[%s1]}' % (b"1," * 900))).close()


def cut(payload: bytes, size: int) -> list[tuple[int, bytes, bool]]:
    """Offset, bytes, and whether more follow."""
    size = max(8, size // 8 * 8)
    return [(at, payload[at : at + size], at + size < len(payload)) for at in range(0, len(payload), size)]


def fragments4(packet: bytes, number: int, size: int) -> list[bytes]:
    """Frames of the fragments of an IPv4 packet."""
    found = []
    for at, data, more in cut(packet[20:], size):
        header = bytearray(packet[:20])
        header[2:4] = struct.pack(">H", 20 + len(data))
        header[4:6] = struct.pack(">H", number)
        header[6:8] = struct.pack(">H", at // 8 | 0x2000 * more)
        found.append(ethernet(bytes(header) + data))
    return found


def fragments6(packet: bytes, number: int, size: int) -> list[bytes]:
    a, b = packet[8:24], packet[24:40]
    return [
        ethernet(ipv6_packet(a, b, struct.pack(">BBHI", packet[6], 0, at | more, number) + data, proto=44), 0x86DD)
        for at, data, more in cut(packet[40:], size)
    ]


def as_v6(frame: bytes) -> bytes:
    ends = [bytes(15) + frame[at + 3 : at + 4] for at in (26, 30)]
    return ipv6_packet(*ends, frame[34:])


def fragmented(size: int, *, v6: bool = False, shuffled: int | None = None) -> list[tuple[int, bytes]]:
    frames = []
    for i, (us, frame) in enumerate(TALK.frames):
        parts = fragments6(as_v6(frame), i, size) if v6 else fragments4(frame[14:], i, size)
        if shuffled is not None:
            random.Random(shuffled + i).shuffle(parts)
        frames += [(us, part) for part in parts]
    return frames


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("size", [8, 24, 100, 700])
@pytest.mark.parametrize("shuffled", [None, 1])
def test_a_conversation_in_fragments_is_what_it_is_whole(run: Run, v6: bool, size: int, shuffled: int | None) -> None:
    whole = run(pcap([(us, ethernet(as_v6(f), 0x86DD) if v6 else f) for us, f in TALK.frames])).of("http")[0]
    frames = fragmented(size, v6=v6, shuffled=shuffled)
    for limits in (Limits(), replace(Limits(), block_packets=3), replace(Limits(), block_size=4 * KIB)):
        ran = run(pcap(frames), limits)
        (exchange,) = ran.of("http")
        exchange["response"]["packet"] = whole["response"]["packet"]  # that of the last fragment
        assert exchange["response"] == whole["response"]
        decode = ran.summary.decode
        assert decode.tcp == len(TALK.frames)
        assert decode.datagrams == decode.tcp - (decode.packets - decode.fragments)
        assert (decode.fragments_dropped, decode.fragments_overlapping, decode.malformed) == (0, 0, 0)
        assert decode.other == decode.fragments - decode.datagrams


def test_a_tunnel_in_fragments_is_opened(run: Run) -> None:
    frames = [(us, part) for i, (us, f) in enumerate(TALK.frames) for part in fragments4(wrap("vxlan", f[14:], number=3), i, 64)]
    ran = run(pcap(frames))
    assert ran.of("connection")[0]["tunnel"] == "vxlan 3"
    assert len(ran.of("http")) == 1


def test_fragments_in_a_tunnel_are_put_together(run: Run) -> None:
    frames = [(us, ethernet(wrap("gre", part[14:]))) for us, part in fragmented(64)]
    assert run(pcap(frames)).of("http")[0]["response"]["status"] == 200


def test_a_fragment_that_is_missing_or_cut_short_leaves_a_gap_and_is_counted(run: Run) -> None:
    frames = fragmented(100)
    long = [i for i, (_, frame) in enumerate(frames) if len(frame) == 130]
    lost = run(pcap([f for i, f in enumerate(frames) if i != long[3]]))
    assert lost.summary.decode.fragments_dropped > 0
    assert "IP fragments could not be reassembled" in "\n".join(lost.summary.advice)
    snapped = run(pcap([(us, f[:-9], len(f)) if i == long[3] else (us, f) for i, (us, f) in enumerate(frames)]))
    assert snapped.summary.decode.fragments_dropped > 1
    assert snapped.summary.decode.datagrams == lost.summary.decode.datagrams


def test_fragments_that_overlap_make_an_end_of_their_datagram(run: Run) -> None:
    whole = ipv4_packet("1.1.1.1", "2.2.2.2", udp(9, bytes(range(200))), proto=17)
    parts = fragments4(whole, 1, 64)
    other = fragments4(whole[:20] + whole[20:84] + bytes(124), 1, 64)[1]
    ran = run(pcap([(0, parts[0]), (1, parts[1]), (2, parts[1]), (3, other), (4, parts[2]), (5, parts[3])]))
    decode = ran.summary.decode
    assert (decode.datagrams, decode.fragments_overlapping, decode.fragments, decode.fragments_dropped) == (0, 1, 6, 6)
    assert "1 datagrams were given up because their fragments overlap" in "\n".join(ran.summary.advice)
    again = run(pcap([(0, parts[0]), (1, parts[1]), (2, parts[1]), (4, parts[2]), (5, parts[3])])).summary.decode
    assert (again.datagrams, again.udp, again.fragments_dropped) == (1, 1, 1)


def test_a_datagram_waits_so_long_and_the_oldest_leaves_where_memory_is_short() -> None:
    limits = replace(Limits(), fragments_total=8 * KIB)
    ledger = Ledger(limits)
    table = Fragments(limits, ledger)

    def part(number: int, start: int, *, more: bool = True) -> Fragment:
        return Fragment((number,), start, b"x" * 512, more, 17, whole=True)

    assert table.add(part(1, 0), 0) is None
    assert table.add(part(1, 512, more=False), limits.fragment_timeout) is None
    assert table.dropped == 1
    table.finish()
    for number in range(10):
        assert table.add(part(number, 0), SECOND) is None
    assert ledger.fragments.used <= 8 * KIB
    assert table.dropped == 2 + 6
    assert table.add(part(9, 512, more=False), SECOND) == (b"x" * 1024, 17)
    assert table.add(part(0, 512, more=False), SECOND) is None
    table.finish()
    assert ledger.used == 0
    assert table.datagrams == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(1, 5), st.booleans(), st.booleans()), max_size=30))
def test_the_table_is_a_dictionary_of_bytes(plan: list[tuple[int, int, int, bool, bool]]) -> None:
    """Against a model that keeps each datagram's bytes by offset; a fragment that overlaps otherwise than as a copy ends its datagram."""
    limits = Limits()
    ledger = Ledger(limits)
    table = Fragments(limits, ledger)
    model: dict[int, dict[int, tuple[int, bool, bytes]]] = {}
    for number, start, n, more, other in plan:
        data = bytes((start * 8 + i + 100 * other) % 256 for i in range(n * 8))
        got = table.add(Fragment((number,), start * 8, data, more, 17, whole=True), 0)
        pieces = model.setdefault(number, {})
        if pieces.get(start) == (n, more, data):
            assert got is None
            continue
        ends = [s + k for s, (k, m, _) in pieces.items() if not m]
        overlap = any(s < start + n and start < s + k for s, (k, _, _) in pieces.items())
        beyond = bool(ends) and (start + n > ends[0] or not more)
        beyond |= not more and any(s + k > start + n for s, (k, _, _) in pieces.items())
        if pieces and (overlap or beyond):
            assert got is None
            del model[number]
            continue
        pieces[start] = (n, more, data)
        total = next((s + k for s, (k, m, _) in pieces.items() if not m), None)
        if total is not None and sum(k for k, _, _ in pieces.values()) == total:
            assert got == (b"".join(pieces[s][2] for s in sorted(pieces)), 17 if 0 in pieces else 0)
            del model[number]
        else:
            assert got is None
    table.finish()
    assert ledger.used == 0
