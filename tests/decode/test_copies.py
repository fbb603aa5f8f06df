"""The same packet captured at two places is a copy; what its sender sent again is a retransmission."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.formats import open_capture
from pcapflow.capture.source import open_source
from pcapflow.decode import columns
from pcapflow.decode.copies import SAME_WITHIN, Copies
from pcapflow.decode.segments import DecodeCounts
from pcapflow.limits import Limits
from tests.conftest import Run, check, unplaced
from tests.craft import ACK, CLIENT, PSH, SERVER, T0, Talk, ethernet, ipv6_packet, pcap, request, response, tcp_header
from tests.decode.tunnelled import wrap

TALK = Talk().open().send(0, request()).send(1, response(b"{" + b" " * 5000 + b"}")).acknowledge(0).close()
Frames = list[tuple[int, bytes]]


def twice(frames: Frames, second: Callable[[bytes], bytes] = lambda frame: frame, after: int = 1) -> Frames:
    return sorted([*frames, *((us + after, second(frame)) for us, frame in frames)], key=lambda f: f[0])


def routed(frame: bytes) -> bytes:
    """Another link header, a hop less."""
    return b"\7" * 12 + frame[12:22] + bytes([frame[22] - 1]) + frame[23:24] + b"\x12\x34" + frame[26:]


def tagged(frame: bytes) -> bytes:
    return frame[:12] + b"\x81\0\0\x2a" + frame[12:]


@pytest.mark.parametrize("second", [routed, tagged, lambda frame: tagged(routed(frame))])
@pytest.mark.parametrize("after", [1, 700, 4_000_000])
def test_a_packet_seen_twice_counts_once_however_late(run: Run, second: Callable[[bytes], bytes], after: int) -> None:
    plain = run(pcap(TALK.frames))
    ran = run(pcap(twice(TALK.frames, second, after)))
    decode, payload = ran.summary.decode, ran.summary.tcp.payload_bytes
    assert decode.duplicated == len(TALK.frames)
    assert decode.duplicated_bytes == payload.captured == payload.delivered == plain.summary.tcp.payload_bytes.captured
    assert payload.retransmitted == 0
    assert (ran.summary.tcp.segments, decode.tcp) == (len(TALK.frames), 2 * len(TALK.frames))
    responses = [[unplaced(r["response"], "packet") for r in one.of("http")] for one in (ran, plain)]
    assert responses[0] == responses[1]


def test_what_is_sent_again_is_a_retransmission_however_soon(run: Run) -> None:
    talk = Talk().open().send(0, b"abc")
    talk.step = 0
    talk.packet(0, ACK | PSH, b"abc", seq=1001)
    ran = run(talk.bytes())
    assert (ran.summary.decode.duplicated, ran.summary.tcp.payload_bytes.retransmitted) == (0, 3)


def test_a_copy_that_holds_more_than_the_first_is_read_and_one_that_holds_less_is_left_out(run: Run) -> None:
    us, frame = next((us, frame) for us, frame in TALK.frames if len(frame) > 1000)
    rest = [f for f in TALK.frames if f[1] is not frame]
    for first, second in ((200, len(frame)), (len(frame), 200)):
        capture = pcap(sorted([*rest, (us, frame[:first], len(frame)), (us + 1, frame[:second], len(frame))], key=lambda f: f[0]))
        ran = run(capture)
        assert ran.summary.tcp.missing_bytes == 0
        assert ran.summary.decode.duplicated == (second < first)
        assert ran.of("http")[0]["response"]["body"]["status"] == "complete"


def test_other_bytes_under_the_same_numbers_are_no_copy(run: Run) -> None:
    """A sender's own capture has no checksums yet: the payload tells."""
    frames = list(TALK.frames)
    for n in (3, 40):
        talk = Talk().open().send(0, b"a" * n)
        other = (talk.us + 1, talk.frames[-1][1][:-n] + b"a" * (n - 1) + b"b")
        ran = run(pcap([*talk.frames, other]))
        assert (ran.summary.decode.duplicated, ran.summary.tcp.payload_bytes.conflicting) == (0, 1)
    assert frames


def test_the_same_packet_in_two_tunnels_is_two_packets(run: Run) -> None:
    """A tunnel's own capture beside that of its carrier: each has its connection whole."""
    ran = run(
        pcap(
            sorted(
                [*TALK.frames, *((us + 1, ethernet(wrap("vxlan", frame[14:], number=3))) for us, frame in TALK.frames)], key=lambda f: f[0]
            )
        )
    )
    assert ran.summary.decode.duplicated == 0
    assert [(r["tunnel"], r["packets"]) for r in ran.of("connection")] == [(None, len(TALK.frames)), ("vxlan 3", len(TALK.frames))]


def unsummed(frame: bytes) -> bytes:
    return frame[:50] + b"\x9a\xbc" + frame[52:]


@pytest.mark.parametrize("vlan", [True, False])
def test_a_senders_capture_without_checksums_has_copies_elsewhere_only(run: Run, vlan: bool) -> None:
    ran = run(pcap(twice(TALK.frames, (lambda frame: tagged(unsummed(frame))) if vlan else unsummed)))
    assert ran.summary.decode.duplicated == (len(TALK.frames) if vlan else 0)


def v6(seq: int, flags: int, data: bytes = b"") -> bytes:
    return ethernet(ipv6_packet(bytes(15) + b"\1", bytes(15) + b"\2", tcp_header(5, 6, seq, 1, flags) + data), 0x86DD)


@pytest.mark.parametrize(
    ("data", "after", "copies"),
    [(b"x", SAME_WITHIN // 1000 - 1, 1), (b"x", SAME_WITHIN // 1000, 0), (b"", 1, 0)],
    ids=["at once", "later", "an acknowledgement"],
)
def test_without_an_identification_a_copy_at_the_same_place_comes_at_once_and_carries_something(
    run: Run, data: bytes, after: int, copies: int
) -> None:
    ran = run(pcap([(0, v6(1, ACK, data)), (after, v6(1, ACK, data))]))
    assert ran.summary.decode.duplicated == copies


def cooked(frame: bytes, index: int) -> bytes:
    return struct.pack(">HHIHBB8s", int.from_bytes(frame[12:14], "big"), 0, index, 1, 0, 6, bytes(8)) + frame[14:]


def test_without_an_identification_another_interface_tells(run: Run) -> None:
    frames = [(0, cooked(v6(1, ACK), 1)), (900_000, cooked(v6(1, ACK), 2)), (1_000_000, cooked(v6(1, ACK), 2))]
    ran = run(pcap(frames, link=276))
    assert (ran.summary.decode.duplicated, ran.summary.decode.duplicated_by_place.interface) == (1, 1)


def pcapng(packets: list[tuple[int, int, bytes]]) -> bytes:
    """Packets of (us, interface, frame) with two interfaces."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), *[block(1, struct.pack("<HHI", 1, 0, 0))] * 2]
    for us, interface, frame in packets:
        at = T0 * 1_000_000 + us
        out.append(block(6, struct.pack("<IIIII", interface, at >> 32, at & 0xFFFFFFFF, len(frame), len(frame)) + frame))
    return b"".join(out)


def test_interfaces_of_pcapng_and_captures_given_together_are_places(run: Run, tmp_path: Path) -> None:
    ran = run(pcapng([(us, i, frame) for us, frame in TALK.frames for i in (0, 1)]))
    assert ran.summary.decode.duplicated_by_place.interface == len(TALK.frames)
    assert any("on another interface" in line for line in ran.summary.advice)
    paths = [str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")]
    Path(paths[0]).write_bytes(pcap(TALK.frames))
    Path(paths[1]).write_bytes(pcap([(us + 3, routed(frame)) for us, frame in TALK.frames]))
    summary = pipeline.run(paths).summary
    assert (summary.decode.duplicated, summary.decode.duplicated_by_place.file) == (len(TALK.frames), len(TALK.frames))
    assert summary.tcp.connections == 1
    assert any("in another capture" in line for line in summary.advice)


def test_a_vlan_of_a_routed_packet_is_said(run: Run) -> None:
    ran = run(pcap(twice(TALK.frames, tagged)))
    assert ran.summary.decode.duplicated_by_place.vlan == len(TALK.frames)
    assert any("with another VLAN tag: a mirror of a router shows them" in line for line in ran.summary.advice)


def test_filters_come_first(run: Run) -> None:
    ran = run(pcap(twice(TALK.frames)), filter="port 1")
    assert (ran.summary.decode.duplicated, ran.summary.decode.filtered_out) == (0, 2 * len(TALK.frames))


def test_where_the_budget_refuses_the_table_nothing_is_a_copy(run: Run) -> None:
    ran = check(run(pcap(twice(TALK.frames)), simulate={"blocks": 2}))
    assert ran.summary.decode.duplicated == 0
    assert ran.summary.tcp.payload_bytes.retransmitted > 0


# --- against a model, wherever blocks end

packets = st.lists(
    st.tuples(
        st.integers(0, 3),  # which segment
        st.sampled_from([0, 0, 1, 2]),  # identification
        st.sampled_from([1, 500, 999, 1000, 5000]),  # microseconds since the packet before
        st.sampled_from([0, 0, 7]),  # VLAN
        st.sampled_from([60, 60, 58]),  # bytes captured
    ),
    max_size=25,
)


def model(plan: list[tuple[int, int, int, int, int]]) -> list[bool]:
    """Which are copies: one comparison with the last segment of the same numbers, in a table that forgets nothing."""
    last: dict[tuple[int, int], tuple[int, int, int]] = {}
    found = []
    us = 0
    for which, ident, gap, vlan, caplen in plan:
        us += gap
        before = last.get((which, ident))
        copy = False
        if before is not None and caplen <= before[2]:
            copy = ident != 0 or vlan != before[1] or us - before[0] < SAME_WITHIN // 1000
        last[which, ident] = (us, vlan, caplen)
        found.append(copy)
    return found


@given(packets, st.lists(st.integers(1, 24), max_size=4))
def test_copies_are_those_of_the_model_wherever_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int, int, int, int]], cuts: list[int]
) -> None:
    if not plan:
        return
    us, frames = 0, []
    for which, ident, gap, vlan, caplen in plan:
        us += gap
        frame = _frame(which, ident)
        frame = tagged(frame) if vlan else frame
        frames.append((us, frame[: caplen + 4 * bool(vlan)], len(frame)))
    path = tmp_path_factory.mktemp("copies") / "x.pcap"
    path.write_bytes(pcap(frames))
    ledger = Ledger(Limits())
    copies = Copies(replace(Limits(), copies_window=1 << 14), ledger)
    (block,) = open_capture(open_source(str(path)), Limits(), ledger).blocks(1, Limits())
    kept: list[int] = []
    bounds = sorted({0, len(plan), *(c for c in cuts if c < len(plan))})
    for start, stop in pairwise(bounds):
        part: PacketBlock = block.rows(start, stop)
        kept += copies.leave_out(part, columns.decode(part, DecodeCounts())).packet.tolist()
    expected = [i + 1 for i, copy in enumerate(model(plan)) if not copy]
    assert kept == expected
    assert copies.count == len(plan) - len(expected)
    copies.close()


def _frame(which: int, ident: int) -> bytes:
    from tests.craft import tcp_frame

    return tcp_frame(CLIENT, 5, SERVER, 6, 1 + which, 1, ACK, b"abcdef", ident=ident)
