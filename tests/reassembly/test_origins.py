"""What waits behind a hole keeps the packet and time that carried it, by every cause, and acknowledgements that come early widen their grace."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow.limits import Limits
from pcapflow.reassembly.ring import PAGE_BYTES
from pcapflow.stream_limits import MILLISECOND
from tests.conftest import Run
from tests.craft import ACK, T0, Talk, filler, pcap, request, response

CAUSES = {
    "acknowledged": (Limits(), True),
    "timeout": (replace(Limits(), gap_timeout=100 * MILLISECOND), False),
    "end": (Limits(), False),
    "ring_full": (replace(Limits(), ring_ranges=1), None),
    "memory": (replace(Limits(), rings_total=PAGE_BYTES + 4_500), False),
}


def exchanges(acknowledge: bool | None) -> Talk:
    """Four exchanges, ten milliseconds each and a second apart; the second request is not in the capture."""
    talk = Talk().open()
    for i in range(4):
        talk.us = (i + 1) * 1_000_000
        talk.send(0, request(f"/{i}"), keep=i != 1 and (acknowledge is not None or i != 3))
        if acknowledge is None and i == 3:
            talk.seq[0] += 1  # a second hole, for which there is no room
            talk.send(0, request(f"/{i}"))
        if acknowledge:
            talk.acknowledge(1)
        talk.us = (i + 1) * 1_000_000 + 10_000
        # a server that is captured acknowledges with its answer
        talk.packet(1, ACK, response(b"{}\n"), ack=None if acknowledge else 1001)
    return talk


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("packets", [8192, 1, 3])
def test_exchanges_behind_a_hole_have_their_own_times_whatever_ended_it(run: Run, cause: str, packets: int) -> None:
    limits, acknowledge = CAUSES[cause]
    talk = exchanges(acknowledge)
    ran = run(pcap([*talk.frames, *filler(80, talk.us + 200_000)]), replace(limits, block_packets=packets))
    assert cause in ran.summary.tcp.gaps_by_cause
    found = {r["request"]["target"]: r for r in ran.of("http") if r["request"]}
    assert set(found) >= {"/0", "/2", "/3"}
    for i in (0, 2, 3):
        assert found[f"/{i}"]["ts"] == pytest.approx(T0 + i + 1 + 10e-6, abs=11e-6)
        if acknowledge:
            assert found[f"/{i}"]["duration"] == pytest.approx(0.01, abs=1e-6)


def test_an_answer_ends_when_its_last_byte_came_not_when_its_last_segment_did(run: Run) -> None:
    """The middle segment was lost on the network and comes again half a second later: until then the client waits."""
    talk = Talk().open().send(0, request())
    began = talk.us
    whole = response(b'"' + b"x" * 2998 + b'"')
    at = talk.seq[1]
    for n in (0, 2):
        talk.packet(1, ACK, whole[n * 1000 : n * 1000 + 1000 + 999 * (n == 2)], seq=at + n * 1000)
    talk.us = began + 500_000
    talk.packet(1, ACK, whole[1000:2000], seq=at + 1000)
    talk.seq[1] += len(whole)
    (exchange,) = run(talk.close().bytes()).of("http")
    assert exchange["duration"] == pytest.approx(0.50001, abs=1e-6)


def test_a_message_that_came_whole_before_the_hole_was_filled_ends_at_its_own_time(run: Run) -> None:
    talk = Talk().open().send(0, request("/a")).send(0, request("/b"))
    first, second = response(b"[1]"), response(b"[2]")
    at = talk.seq[1]
    talk.us = 1_000
    talk.packet(1, ACK, second, seq=at + len(first))
    talk.us = 900_000
    talk.packet(1, ACK, first, seq=at)
    a, b = run(pcap(talk.frames)).of("http")
    assert (a["request"]["target"], b["request"]["target"]) == ("/a", "/b")
    assert a["duration"] == pytest.approx(0.9, abs=1e-3)
    assert b["duration"] == pytest.approx(0.001, abs=1e-3)


def test_an_answer_whose_end_is_missing_ends_with_the_last_byte_that_was_seen(run: Run) -> None:
    talk = Talk().open().send(0, request())
    began = talk.us
    talk.send(1, response(b"x" * 2000), size=500)
    talk.frames = talk.frames[:-1]
    seen = talk.us - 10 - began
    talk.acknowledge(0)
    ran = run(pcap([*talk.frames, *filler(100, talk.us + 1_000_000)]))
    (exchange,) = ran.of("http")
    assert exchange["response"]["body"]["status"] == "gapped"
    assert exchange["duration"] == pytest.approx((seen - 10) / 1e6, abs=2e-5)


# --- two capture points whose clocks differ


def skewed(skew: int, *, midstream: bool = False, packets: int = 90) -> bytes:
    """Ten exchanges; what the server sends was captured with a clock that is ahead by so many us; a busy link beside them."""
    talk = Talk()
    if not midstream:
        talk.open()
    for _ in range(10):
        talk.us += 2_000
        talk.send(0, request())
        talk.us += 300
        talk.send(1, response(b'{"a":' + b"1" * 3000 + b"}"))
        talk.us += 100
        talk.acknowledge(0)
    frames = [(us + skew * (frame[34:36] == b"\0\x50"), frame) for us, frame in talk.close().frames]
    beside = [(us, frame) for i in range(30) for us, frame in filler(packets, i * 1_000)]
    beside = [(i * 10, frame) for i, (_, frame) in enumerate(beside)]
    return pcap(sorted([*frames, *beside], key=lambda f: f[0]))


@pytest.mark.parametrize("packets", [8192, 5])
def test_a_difference_of_clocks_is_seen_in_the_handshake_said_and_waited_for(run: Run, packets: int) -> None:
    ran = run(skewed(5_000), replace(Limits(), block_packets=packets))
    tcp = ran.summary.tcp
    assert (tcp.gaps, tcp.payload_bytes.late) == (0, 0)
    assert ran.summary.http.bodies.complete == 10
    assert tcp.clock_skew == pytest.approx(0.005, abs=0.001)
    assert any("the clocks of two capture points differ" in line for line in ran.summary.advice)


def test_without_a_handshake_it_costs_what_is_sent_until_the_first_late_bytes_come(run: Run) -> None:
    tcp = run(skewed(5_000, midstream=True)).summary.tcp
    assert 1 <= tcp.gaps <= 3  # exchanges begin 2.4 ms apart
    assert tcp.clock_skew == pytest.approx(0.005, abs=0.001)


def test_one_acknowledgement_long_before_its_data_is_no_difference_of_clocks(run: Run) -> None:
    talk = Talk().open().send(0, b"lost", keep=False).acknowledge(1)
    talk.packet(0, ACK, b"more")
    late = Talk(isn=(1001, 5001))
    late.us = talk.us + 300_000
    late.packet(0, ACK, b"lost")
    ran = run(pcap(sorted([*talk.frames, *filler(200, talk.us + 1000), *late.frames], key=lambda f: f[0])))
    assert ran.summary.tcp.payload_bytes.late == 4
    assert ran.summary.tcp.clock_skew is None


# --- follow


def followed(path: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pcapflow", "follow", "-q", "--connection", "1", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def speakers(text: str) -> list[str]:
    return [line.split(",")[0].removeprefix("--- ") for line in text.splitlines() if line.startswith("--- ") and "seen to end" not in line]


@pytest.mark.parametrize("acknowledge", [True, False])
def test_follow_prints_both_sides_in_the_order_of_capture(tmp_path: Path, acknowledge: bool) -> None:
    talk = exchanges(acknowledge)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*talk.frames, *filler(80, talk.us + 200_000)]))
    texts = {followed(path, *block) for block in ([], ["--block-size", "4KiB"])}
    assert len(texts) == 1
    (text,) = texts
    said = [line for line in text.splitlines() if line.startswith(("GET", "HTTP")) or ", gap of " in line]
    order = [
        "GET /0 HTTP/1.1",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "GET /2 HTTP/1.1",
        "HTTP/1.1 200 OK",
        "GET /3 HTTP/1.1",
        "HTTP/1.1 200 OK",
    ]
    assert [line for line in said if not line.startswith("---")] == order
    assert said.index(next(line for line in said if line.startswith("---"))) == said.index("GET /2 HTTP/1.1") - 1


def test_follow_says_where_there_was_no_room_to_wait(tmp_path: Path) -> None:
    talk = Talk().open().send(0, b"lost", keep=False).send(0, b"held")
    for _ in range(3_000):
        talk.packet(1, ACK, b"z" * 1000, ack=1001)
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.bytes())
    assert "stand where they were delivered" in followed(path, "--memory-limit", "10MiB")
    assert "stand where they were delivered" not in followed(path)
