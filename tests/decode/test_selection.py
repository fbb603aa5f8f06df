"""--filter, --from, --to, --packets and --verify-checksums: what is left out, what is refused, and that both are counted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.cli.values import Moment
from pcapflow.decode import checksums, columns
from pcapflow.decode.filters import DEEPEST, LONGEST, compile_filter
from pcapflow.decode.segments import DecodeCounts
from pcapflow.drops import DropReason
from pcapflow.errors import UsageError
from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import T0, Talk, ethernet, ipv6_packet, merge, pcap, request, response, tcp_header
from tests.decode.test_paths_agree import blocks
from tests.report.test_advice import checksummed

A, B = "10.0.0.1", "10.0.0.2"


def segment(data: bytes = b"x", side: int = 0, **ends: object) -> bytes:
    """One frame of a talk between these ends."""
    talk = Talk(**ends)  # type: ignore[arg-type]
    talk.packet(side, 16, data)
    return talk.frames[0][1]


V6 = ethernet(
    ipv6_packet(b"\x20\x01\x0d\xb8" + bytes(11) + b"\1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\2", tcp_header(7, 443, 1, 1, 16) + b"v6"),
    0x86DD,
)
FRAMES = {
    "web": segment(client=A, sport=40_000, server=B, dport=80),
    "back": segment(side=1, client=A, sport=40_000, server=B, dport=80),
    "other": segment(client="192.168.7.9", sport=50_000, server="172.16.0.1", dport=8443),
    "v6": V6,
}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("tcp", "web back other v6"),
        ("host 10.0.0.1", "web back"),
        ("src host 10.0.0.1", "web"),
        ("dst host 10.0.0.1", "back"),
        ("net 10.0.0.0/8", "web back"),
        ("net 192.168.0.0/16 or net 2001:db8::/32", "other v6"),
        ("port 80", "web back"),
        ("dst port 80", "web"),
        ("tcp port 443", "v6"),
        ("tcp dst port 80 or tcp src port 80", "web back"),
        ("portrange 8000-9000", "other"),
        ("ip6", "v6"),
        ("ip", "web back other"),
        ("not ip", "v6"),
        ("! port 80 && ip", "other"),
        ("not (port 80 or port 443)", "other"),
        ("port 443 or port 80 and src host 10.0.0.2", "back v6"),
        ("(port 443 or port 80) and src host 10.0.0.2", "back"),
        ("(port 443 || port 80)&&(host 10.0.0.2)", "web back"),
        ("host 2001:db8::1", "v6"),
        ("vlan", ""),
    ],
)
def test_an_expression_says_which_segments(tmp_path: Path, expression: str, names: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(i, frame) for i, frame in enumerate(FRAMES.values())]))
    (block,) = blocks(path)
    found = compile_filter(expression)(columns.decode(block, DecodeCounts()))
    assert [name for name, yes in zip(FRAMES, found.tolist(), strict=True) if yes] == names.split()


@pytest.mark.parametrize(("expression", "names"), [("vlan", "7 8"), ("vlan 7", "7 8"), ("vlan 8", "8"), ("not vlan", "none")])
def test_vlans_may_be_told(tmp_path: Path, expression: str, names: str) -> None:
    web = FRAMES["web"]
    frames = {"none": web, "7": ethernet(web[14:], vlans=[7]), "8": ethernet(web[14:], vlans=[7, 8])}
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(i, frame) for i, frame in enumerate(frames.values())]))
    (block,) = blocks(path)
    found = compile_filter(expression)(columns.decode(block, DecodeCounts()))
    assert [name for name, yes in zip(frames, found.tolist(), strict=True) if yes] == names.split()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "ends where an expression is expected"),
        ("port", "ends where a port is expected"),
        ("port http", "'http' is not a number up to 65535"),
        ("port 70000", "'70000' is not a number up to 65535"),
        ("host example.com", "'example.com' is not an address; names are not looked up"),
        ("host 10.0.0.0/8", "is a network: write net 10.0.0.0/8"),
        ("net nonsense", "is not an address or network"),
        ("udp", "only TCP is read; udp is not supported"),
        ("(port 80", "ends where a closing parenthesis is expected"),
        ("port 80 port 81", "'port' is not expected"),
        ("port 80 & port 81", "'& port 81' is not understood"),
        ("portrange 80", "is no range of ports"),
        ("greater 100", "'greater' is not supported"),
        ("(" * (DEEPEST + 2) + "tcp" + ")" * (DEEPEST + 2), f"nests deeper than {DEEPEST}"),
        ("tcp or " * LONGEST + "tcp", f"is longer than {LONGEST}"),
    ],
)
def test_what_is_no_expression_is_said_in_a_sentence(expression: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_filter(expression)
    assert said in str(caught.value)


@given(st.text(alphabet="()!&| portcphsn0189./-", max_size=60))
def test_any_text_is_an_expression_or_a_usage_error(text: str) -> None:
    try:
        compile_filter(text)
    except UsageError as e:
        assert "\n" not in str(e)


def test_a_filtered_run_is_a_run_over_what_is_left(run: Run) -> None:
    talks = [Talk(sport=1000 + i).open().send(0, request(f"/{i}")).send(1, response(b'{"n":1}')).close() for i in range(4)]
    for i, talk in enumerate(talks):
        talk.frames = [(us + i, frame) for us, frame in talk.frames]
    for limits in (Limits(), replace(Limits(), block_packets=3)):
        ran = run(merge(*talks), limits, filter="port 1002")
        (exchange,) = ran.of("http")
        assert exchange["request"]["target"] == "/2"
        assert ran.summary.decode.filtered_out == 3 * len(talks[0].frames)
        assert ran.summary.tcp.segments == len(talks[0].frames)
        # packets keep their numbers
        assert ran.of("connection")[0]["connection"] == 3


def test_times_begin_and_end_a_run(run: Run) -> None:
    talk = Talk().open().send(0, b"abc").idle(10_000_000).send(0, b"defg")
    at = (T0 * 10**6 + talk.us) * 1000
    for times, delivered in (({"end": at}, 3), ({"begin": at}, 4), ({"begin": at, "end": at}, 0), ({"begin": 0, "end": at + 1}, 7)):
        assert run(talk.bytes(), **times).summary.tcp.payload_bytes.delivered == delivered


@pytest.mark.parametrize("block_packets", [1, 4, 1000])
def test_only_so_many_packets_are_read(run: Run, block_packets: int) -> None:
    talk = Talk().open().send(0, request()).send(1, response(b"{}")).close()
    for n in (1, 4, len(talk.frames), len(talk.frames) + 5):
        summary = run(talk.bytes(), replace(Limits(), block_packets=block_packets), packets=n).summary
        assert summary.decode.packets == summary.captures[0].packets == min(n, len(talk.frames))


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_checksums_of_a_block_are_those_of_each_segment(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[bytes, bool, int]]
) -> None:
    frames = []
    for i, (data, wrong, pad) in enumerate(plan):
        frame = segment(data, sport=i + 1)
        frames.append((i, checksummed(frame, wrong=wrong) + bytes(pad)))
    path = tmp_path_factory.getbasetemp() / "sums.pcap"
    path.write_bytes(pcap(frames))
    (block,) = blocks(path)
    segments = columns.decode(block, DecodeCounts())
    found = checksums.wrong(block, segments)
    assert found.tolist() == [wrong for _, wrong, _ in plan] == [not checksums.adds_up(block, segments, i) for i in range(len(plan))]


def test_segments_with_a_wrong_checksum_are_dropped_and_counted(run: Run) -> None:
    talk = Talk().open().send(0, b"a" * 100, size=10)
    data = [i for i, (_, frame) in enumerate(talk.frames) if len(frame) > 54]
    frames = [(us, checksummed(frame, wrong=i in data[3:5])) for i, (us, frame) in enumerate(talk.frames)]
    accepted = run(pcap(frames))
    assert accepted.summary.tcp.payload_bytes.delivered == 100
    for limits in (Limits(), replace(Limits(), block_packets=2)):
        ran = run(pcap(frames), limits, verify_checksums=True)
        total = ran.summary.tcp.payload_bytes
        assert (total.captured, total.delivered, total.dropped, total.balanced) == (100, 80, 20, True)
        assert ran.summary.tcp.missing_bytes == 20
        assert (ran.summary.decode.checksums_checked, ran.summary.decode.checksums_wrong) == (len(frames), 2)
        assert any("2 segments were dropped because of a wrong TCP checksum" in line for line in ran.summary.advice)
        assert ran.summary.drops.by_reason[DropReason.CHECKSUM_WRONG].bytes == 20
        drops = ran.of("drop")
        assert [(d["layer"], d["reason"], d["packet"], d["bytes"]) for d in drops] == [
            ("decode", "checksum_wrong", data[i] + 1, 10) for i in (3, 4)
        ]


def test_a_segment_that_was_cut_cannot_be_checked(tmp_path: Path) -> None:
    frame = checksummed(segment(b"abcdef"), wrong=True)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([(0, frame[:-2], len(frame))]))
    (block,) = blocks(path)
    assert not checksums.wrong(block, columns.decode(block, DecodeCounts())).any()
    assert not np.any(checksums.wrong(block, columns.decode(block, DecodeCounts()).take(np.zeros(0, dtype=np.int64))))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1700000000.25", 1_700_000_000_250_000_000),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01 00:00:01.5", 1_500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_times_are_read(text: str, ns: int) -> None:
    assert Moment().convert(text, None, None) == ns


@pytest.mark.parametrize(
    "wrong",
    [
        ["--filter", "port"],
        ["--from", "yesterday"],
        ["--packets", "0"],
        ["--to", "2023"],
        ["--from", "20231114"],
        ["--from", "202311"],
        ["--from", "25:00"],
    ],
)
def test_a_wrong_selection_is_status_2_and_one_line(wrong: list[str]) -> None:
    command = [sys.executable, "-m", "pcapflow", "analyze", *wrong, "samples/lossy.pcap"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
