"""Advice is true: a second run with the options that it names drops nothing, and each habit of a capture gets its line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.stream_limits import KIB, MIB
from pcapflow.summary import Summary
from tests.adversarial import make
from tests.conftest import CASES, Run
from tests.craft import ACK, CLIENT, SERVER, SYN, Talk, ethernet, filler, ipv4_packet, merge, pcap, request, response, tcp_frame, tcp_header

_OPTION = re.compile(r"--([a-z-]+) (\d+)(MiB|KiB)?")
_UNIT = {"": 1, "KiB": KIB, "MiB": MIB}


def advised(limits: Limits, summary: Summary) -> Limits:
    """The limits with the options of the first line."""
    values = {name.replace("-", "_"): int(n) * _UNIT[unit] for name, n, unit in _OPTION.findall(summary.advice[0])}
    assert values, summary.advice
    if "memory_limit" in values:
        limits = limits.with_memory(values.pop("memory_limit"))
    return replace(limits, **values)


def lost_for_room(summary: Summary) -> dict[str, Any]:
    causes = {cause: n for cause, n in summary.tcp.gaps_by_cause.items() if cause in ("memory", "ring_full")}
    return {
        **causes,
        **summary.drops.by_reason,
        **({"evicted": summary.tcp.evicted_connections} if summary.tcp.evicted_connections else {}),
    }


SAMPLES = Path(__file__).parents[2] / "samples"
SMALL = Limits(
    memory_limit=16 * MIB, ring_ranges=256, rings_total=256 * KIB, ring_size=32 * KIB, connections_total=10 * MIB, max_half_open=64
)


@pytest.mark.parametrize(
    ("kind", "size", "limits"),
    [
        ("holes", 20_000, SMALL),
        ("holes", 60_000, replace(SMALL, ring_size=MIB)),
        ("many_holes", 100, SMALL),
        ("splits", 4_000, replace(SMALL, rings_total=8 * MIB)),
        ("reorder", 400_000, replace(SMALL, ring_size=8 * KIB)),
        ("unclosed", 600, replace(SMALL, max_connections=100)),
        ("holes", 40_000, Limits().with_memory(22 * MIB)),
    ],
)
@pytest.mark.parametrize("drop_streams", [False, True])
def test_a_second_run_with_the_advice_drops_nothing(tmp_path: Path, kind: str, size: int, limits: Limits, drop_streams: bool) -> None:
    path = tmp_path / "x.pcap"
    make(kind, path, size)
    options = pipeline.Options(drop_streams=drop_streams)
    first = pipeline.run([str(path)], limits, options).summary
    assert lost_for_room(first)
    claim = "no connection would be evicted" if kind == "unclosed" else "no hole would be given up for lack of buffer space"
    assert first.advice[0].startswith(f"{claim} with --")
    second = pipeline.run([str(path)], advised(limits, first), options).summary
    assert lost_for_room(second) == {}
    assert not any("would be" in line for line in second.advice)


segments = st.lists(
    st.tuples(
        st.integers(0, 3),  # which stream
        st.integers(1, 3000),  # offset
        st.integers(1, 900),  # bytes
        st.booleans(),  # acknowledged
        st.sampled_from([100, 100, 100, 5_000, 12_000_000]),  # microseconds since the segment before
        st.sampled_from([1, 1, 1, 2, 3]),  # times
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60 * CASES)
@given(segments, st.integers(1, 8), st.sampled_from([12, 24, 1000]), st.booleans())
def test_advice_holds_whatever_comes(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int, int, bool, int, int]], ranges: int, kib: int, drop_streams: bool
) -> None:
    frames = [(1, tcp_frame(CLIENT, 9000 + s, SERVER, 80, 999, 0, SYN)) for s in range(4)]
    us = 10
    for stream, offset, n, acknowledges, gap, times in plan:
        us += gap
        frames += [(us, tcp_frame(CLIENT, 9000 + stream, SERVER, 80, 1000 + offset, 1, ACK, b"x" * n))] * times
        if acknowledges:
            frames.append((us + 50, tcp_frame(SERVER, 80, CLIENT, 9000 + stream, 1, 1000 + offset + n, ACK)))
    path = tmp_path_factory.getbasetemp() / "advice.pcap"
    path.write_bytes(pcap(frames))
    limits = replace(SMALL, ring_size=1 * KIB, ring_ranges=ranges, rings_total=kib * KIB)
    options = pipeline.Options(drop_streams=drop_streams)
    first = pipeline.run([str(path)], limits, options).summary
    if lost_for_room(first):
        second = pipeline.run([str(path)], advised(limits, first), options).summary
        certain = first.advice[0].startswith("no hole would be given up for lack of buffer space with --")
        assert certain or first.advice[0].startswith("fewer holes would be given up with --")
        assert lost_for_room(second) == {} or not certain


def test_no_more_is_claimed_than_was_seen_where_connections_with_holes_were_evicted(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    make("crumbs", path, 200)
    first = pipeline.run([str(path)], replace(SMALL, max_connections=50)).summary
    assert first.tcp.evicted_connections
    assert "memory" in first.tcp.gaps_by_cause
    assert first.advice[0].startswith("fewer holes would be given up with --")


def test_a_hole_that_is_lost_after_another_waits_for_its_own_time(tmp_path: Path) -> None:
    """The first hole's time is up at 31 s; the second's, whose data came at 20 s, is not."""
    talk = Talk().open()
    talk.packet(0, ACK, b"a" * 600, seq=1101)
    talk.packet(0, ACK, b"b" * 600, seq=1901)
    talk.idle(20_000_000).packet(0, ACK, b"c" * 600, seq=2701)
    talk.packet(0, ACK, b"d" * 600, seq=3501)
    talk.idle(11_000_000).packet(0, ACK, b"e" * 3000, seq=4301)
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.bytes())
    limits = replace(SMALL, ring_size=2 * KIB)
    first = pipeline.run([str(path)], limits).summary
    assert first.tcp.gaps_by_cause["ring_full"] > 1
    assert lost_for_room(pipeline.run([str(path)], advised(limits, first)).summary) == {}


def test_late_bytes_that_come_again_do_not_fill_a_hole(tmp_path: Path) -> None:
    """The same few bytes of the hole come a hundred times; the ring must still hold all that waits behind the rest of it."""
    talk = Talk().open()
    for i in range(6):
        talk.packet(0, ACK, b"a" * 500, seq=1201 + 500 * i)
    for _ in range(100):
        talk.packet(0, ACK, b"late", seq=1001)
    for i in range(6, 300):
        talk.packet(0, ACK, b"a" * 1000, seq=4201 + 1000 * (i - 6))
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.bytes())
    limits = replace(SMALL, rings_total=MIB, ring_size=2 * KIB)
    first = pipeline.run([str(path)], limits).summary
    assert first.tcp.payload_bytes.late == 400
    assert lost_for_room(first)
    needed = advised(limits, first)
    assert needed.ring_size > 290 * KIB
    assert lost_for_room(pipeline.run([str(path)], needed).summary) == {}


def said(run: Run, capture: bytes) -> str:
    return "\n".join(run(capture).summary.advice)


def test_capture_loss_is_a_rate(run: Run) -> None:
    talk = Talk().open().send(0, b"a" * 700, keep=False).send(0, b"b" * 300).acknowledge(1)
    advice = said(run, pcap([*talk.frames, *filler(80, talk.us + 2000)]))
    assert "the capture lost 70.0% of the bytes, although the receivers acknowledged them" in advice


def test_a_snap_length_is_said(run: Run) -> None:
    talk = Talk().open()
    frame = tcp_frame(CLIENT, 40000, SERVER, 80, 1001, 5001, ACK, b"x" * 400)
    assert "25.0% of the packets were truncated by the snap length" in said(run, pcap([*talk.frames, (99, frame[:96], len(frame))]))


def test_one_direction_only_is_said(run: Run) -> None:
    talks = [Talk(sport=i + 1) for i in range(4)]
    for i, talk in enumerate(talks):
        talk.packet(0, ACK, b"x")
        if i:
            talk.packet(1, ACK, b"y")
    assert "25.0% of the connections (connection 1) were captured in one direction only" in said(run, merge(*talks))


def test_options_are_said_to_be_named_only_where_they_are() -> None:
    for names in (("lossy.pcap", "redis.pcap"), ("lossy.pcap",)):
        advice = pipeline.run([str(SAMPLES / name) for name in names]).summary.advice
        (unread,) = [line for line in advice if "belong to messages with missing bytes" in line]
        assert "options named above" not in unread or any("--" in line for line in advice[: advice.index(unread)])


@pytest.mark.parametrize("block_packets", [1, 2, 3, 100])
def test_a_mirror_port_that_shows_packets_twice_is_said(run: Run, block_packets: int) -> None:
    talk = Talk().open().send(0, request()).send(1, response(b"{}" * 3000)).close()
    doubled = [frame for frame in talk.frames for _ in range(2)]
    ran = run(pcap(doubled), replace(Limits(), block_packets=block_packets))
    assert ran.summary.decode.duplicated == len(talk.frames)
    assert ran.summary.decode.duplicated_by_place.same == len(talk.frames)
    assert ran.summary.decode.duplicated_bytes == ran.summary.tcp.payload_bytes.captured == ran.summary.tcp.payload_bytes.delivered
    assert "50.0% of the segments are copies of packets already captured, most of them at the same place" in "\n".join(ran.summary.advice)
    assert ran.summary.http.responses == 1


def test_retransmissions_that_come_later_are_no_second_copies(run: Run) -> None:
    talk = Talk().open().send(0, b"abc")
    talk.idle(5000).packet(0, ACK, b"abc", seq=1001)
    assert run(talk.bytes()).summary.decode.duplicated == 0


def test_offloaded_segments_are_said_where_the_snap_length_cuts_them(run: Run) -> None:
    talk = Talk().open().send(1, b"z" * 60_000, size=20_000)
    assert "offloading" not in said(run, talk.bytes())
    for cut, is_said in ((1514, True), (128, False)):
        advice = said(run, pcap([(us, frame[:cut], len(frame)) for us, frame in talk.frames], snaplen=cut))
        assert ("so a snap length of 1,514 bytes is too short" in advice) is is_said
        assert "capture whole packets" in advice


def checksummed(frame: bytes, *, wrong: bool) -> bytes:
    segment = frame[34:]
    pseudo = frame[26:34] + b"\0\x06" + len(segment).to_bytes(2, "big")
    data = pseudo + segment + b"\0" * (len(segment) & 1)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return frame[:50] + ((~total & 0xFFFF) ^ wrong).to_bytes(2, "big") + frame[52:]


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("size", [0, 7, 100])
def test_wrong_checksums_are_counted_and_accepted(run: Run, wrong: bool, size: int) -> None:
    def frame(i: int) -> bytes:
        return ethernet(ipv4_packet(CLIENT, SERVER, tcp_header(1, 2, 5, 6, ACK, b"\1\1\x08\x0aabcdefgh") + b"q" * size, ident=i + 1))

    ran = run(pcap([(i, checksummed(frame(i), wrong=wrong)) for i in range(600)]))
    assert (ran.summary.decode.checksums_checked, ran.summary.decode.checksums_wrong) == (2, 2 * wrong)
    assert not any("checksum" in line for line in ran.summary.advice)
    assert ran.summary.tcp.payload_bytes.delivered == size


def test_wrong_checksums_are_said_where_bytes_conflict(run: Run) -> None:
    talk = Talk().open().send(0, b"abcd" * 100)
    talk.packet(0, ACK, b"ABCD", seq=1001)
    frames = [*talk.frames, *filler(300, talk.us)]
    assert "damaged segments may be the cause" in said(run, pcap(frames))


def test_an_acknowledgement_before_its_data_is_an_order_that_the_capture_made(run: Run) -> None:
    talk = Talk().open()
    talk.packet(1, ACK, ack=1001 + 3)
    talk.packet(0, ACK, b"abc")
    ran = run(pcap([*talk.frames, *filler(70, talk.us + 2000)]))
    assert ran.summary.tcp.early_acknowledgements == 1
    assert ran.summary.tcp.gaps == 0
    assert "1 acknowledgement captured before the data" in "\n".join(ran.summary.advice)


def test_a_capture_without_losses_gets_no_advice(run: Run) -> None:
    talk = Talk().open().send(0, request()).send(1, response(b"{}")).close()
    assert run(talk.bytes()).summary.advice == []


@pytest.mark.parametrize(("account", "layer"), [("json", "json"), ("content", "content"), ("http", "http")])
def test_a_full_account_of_a_parser_is_said(run: Run, account: str, layer: str) -> None:
    import gzip

    from tests.craft import chunked

    body = gzip.compress(b'{"a":[%s1]}' % (b"1," * 900)) if account == "content" else b'{"a":[%s1]}' % (b"1," * 900)
    fields = "Content-Encoding: gzip\r\n" if account == "content" else ""
    talk = Talk().open().send(0, request())
    talk.send(1, response(body, fields=fields) if account != "http" else chunked(body, [100]), size=30)
    first = 2 if account == "http" else 1  # a head that is not kept for its like is no loss
    ran = run(talk.close().bytes(), limits=replace(Limits(), block_packets=1), simulate={account: first})
    assert set(ran.summary.drops.by_reason) == {f"{layer}_memory"}
    assert f"the {layer} account was full once: try --memory-limit 128MiB" in ran.summary.advice
    (drop,) = ran.of("drop")
    assert drop["limit"] == {"name": f"{account}_total", "value": 16 * MIB}


def test_connections_that_nobody_reads_are_named_with_what_would_help(run: Run) -> None:
    hello = b"\x16\x03\x01\x00\x05hello"
    frames = []
    for n, said in enumerate((hello, hello, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00\x01binary", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")):
        frames += Talk(sport=41_000 + n).open().send(0, said).close().frames
    silent = Talk(sport=42_000).open().close()
    summary = run(pcap(frames + silent.frames)).summary
    assert {name: (one.connections, one.delivered_bytes) for name, one in summary.tcp.spoken.items()} == {
        "http": (1, 27), "http2": (1, 24), "tls": (2, 20), "opaque": (1, 8), "empty": (1, 0),
    }  # fmt: skip
    assert sum(one.delivered_bytes for one in summary.tcp.spoken.values()) == summary.tcp.payload_bytes.delivered
    lines = [line.partition(":")[0] for line in summary.advice]
    assert lines[:3] == [
        "2 of 6 connections (25.3% of the delivered bytes) are TLS",
        "1 of 6 connections (30.4% of the delivered bytes) speaks HTTP/2",
        "1 of 6 connections (10.1% of the delivered bytes) speaks a protocol that pcapflow did not recognize",
    ]
