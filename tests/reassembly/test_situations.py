"""The situations of docs/reassembly.md, one test each, and every state of a connection against every kind of segment."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pcapflow.drops import GapCause
from pcapflow.limits import Limits
from pcapflow.reassembly.causes import Why
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.pressure import Pressure
from pcapflow.stream_limits import KIB, MIB, SECOND
from tests.conftest import Run
from tests.craft import ACK, FIN, PSH, RST, SYN, Talk, filler, merge, pcap, request, response
from tests.reassembly.recorder import Told, reassemble

TEXT = bytes(range(97, 123))


def told_by(tmp_path: Path, talk: Talk | bytes, limits: Limits | None = None) -> list[Told]:
    path = tmp_path / "x.pcap"
    path.write_bytes(talk if isinstance(talk, bytes) else talk.bytes())
    return reassemble(path, limits)[0].told


def test_a_simultaneous_open_is_one_connection_whose_client_sent_the_first_syn(tmp_path: Path) -> None:
    talk = Talk()
    talk.packet(1, SYN)
    talk.packet(0, SYN)
    talk.packet(1, SYN | ACK, seq=5000)
    talk.packet(0, SYN | ACK, seq=1000)
    talk.send(0, TEXT).send(1, TEXT[::-1]).close()
    (told,) = told_by(tmp_path, talk)
    # heard[0] is the client's: here the side that Talk calls 1
    assert (told.heard[0].text, told.heard[1].text) == (TEXT[::-1], TEXT)
    assert (told.end, told.roles) == ("fin", "syn")


def test_a_one_sided_capture_ends_its_holes_by_timeout_or_end(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.frames = [f for i, f in enumerate(talk.frames) if i != 1]
    talk.send(0, b"#", keep=False).send(0, TEXT)
    (told,) = told_by(tmp_path, talk)
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.END]
    talk.idle(31 * 10**6).send(0, TEXT)
    (told,) = told_by(tmp_path, talk)
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.TIMEOUT]
    assert told.heard[0].text == b"." + TEXT * 2


def test_a_zero_window_probe_is_the_next_byte_and_its_repetition_a_retransmission(tmp_path: Path) -> None:
    talk = Talk().open().send(0, TEXT)
    talk.packet(0, ACK, b"X", seq=talk.seq[0])
    talk.packet(1, ACK, ack=talk.seq[0])
    talk.packet(0, ACK, b"XYZ", seq=talk.seq[0])
    talk.seq[0] += 3
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == TEXT + b"XYZ"
    assert told.counts[0]["retransmitted"] == 1
    assert told.counts[0]["missing"] == 0


def test_a_stream_without_its_fin_ends_with_the_capture_and_is_partial(run: Run) -> None:
    (connection,) = run(Talk().open().send(0, TEXT).bytes()).of("connection")
    assert connection["end"] == "end_of_capture"
    assert connection["streams"]["client"]["status"] == "partial"


def test_data_before_an_early_fin_still_fills_its_hole(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK | FIN, TEXT[10:], seq=1011)
    talk.packet(0, ACK, TEXT[:10], seq=1001)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == TEXT
    assert told.heard[0].end is not None
    assert told.heard[0].end.kind == "fin"


def test_older_gaps_than_are_remembered_count_as_retransmitted(tmp_path: Path) -> None:
    talk = Talk().open()
    for _ in range(6):
        talk.send(0, b"ab", keep=False).send(0, b"cd")
    talk.acknowledge(1)
    frames = [*talk.frames, *filler(80, talk.us + 2000)]
    talk.us, talk.frames = frames[-1][0], []
    for i in range(6):
        talk.packet(0, ACK, b"ab", seq=1001 + 4 * i)
    (told, *_) = told_by(tmp_path, pcap([*frames, *talk.frames]), replace(Limits(), late_ranges=2))
    assert told.counts[0]["late"] == 4
    assert told.counts[0]["retransmitted"] == 8


def test_a_hog_beside_a_hundred_small_streams_harms_none_of_them(run: Run) -> None:
    """The hog holds megabytes behind a hole; the small ones have a hole each for a while, and are complete."""
    hog = Talk(sport=999).open().send(0, b"#", keep=False)
    for _ in range(40):
        hog.send(0, b"h" * 14_480)
    small = []
    for i in range(100):
        talk = Talk(sport=2000 + i).open()
        talk.step = 60
        body = b'{"n":%d,"text":"%s"}' % (i, b"s" * 3000)
        message = request("/", method="POST", body=body)
        start = talk.seq[0]
        talk.packet(0, ACK, message[1448:2896], seq=start + 1448)
        talk.packet(0, ACK, message[2896:], seq=start + 2896)
        talk.packet(0, ACK, message[:1448], seq=start)
        talk.seq[0] = start + len(message)
        small.append(talk.send(1, response(b"{}")).close())
    ran = run(merge(hog, *small), replace(Limits(), rings_total=256 * KIB))
    assert ran.summary.memory.pressure
    (gap, *more) = ran.of("gap")
    assert (gap["connection"], gap["cause"], more) == (1, "memory", [])
    assert gap["limit"]["name"] in ("soft_percent", "rings_total")
    assert gap["requested_by"] is not None
    assert gap["held_bytes"] > 100 * KIB
    exchanges = ran.of("http")
    assert len(exchanges) == 100
    assert {e["request"]["body"]["status"] for e in exchanges} == {"complete"}
    streams = [c["streams"][s] for c in ran.of("connection") if c["client"]["port"] != 999 for s in ("client", "server")]
    assert {s["status"] for s in streams} == {"complete"}


def test_a_hog_is_who_costs_most_not_who_holds_most_bytes(run: Run) -> None:
    """Twelve streams hold one byte on each of 300 pages, two hundred others some bytes behind a hole that is filled in time."""
    hogs, small = [], []
    for i in range(12):
        hog = Talk(sport=900 + i).open()
        start = hog.seq[0]
        for page in range(300):
            hog.packet(0, ACK, b"h", seq=start + 100 + 4096 * page)
        hogs.append(hog)
    for i in range(200):
        talk = Talk(sport=2000 + i).open()
        talk.step = 150
        start = talk.seq[0]
        for part in range(8, 0, -1):
            talk.packet(0, ACK, b"%d" % part * 500, seq=start + 500 * part)
        talk.packet(0, ACK, b"0" * 500, seq=start)
        talk.seq[0] = start + 4500
        small.append(talk.close())
    ran = run(merge(*hogs, *small), replace(Limits(), rings_total=8 * MIB))
    losers = {g["connection"] for g in ran.of("gap") if g["cause"] == "memory"}
    ports = {c["connection"]: c["client"]["port"] for c in ran.of("connection")}
    assert losers
    assert {ports[number] for number in losers} <= set(range(900, 912))
    assert all(c["streams"]["client"]["status"] == "complete" for c in ran.of("connection") if c["client"]["port"] >= 2000)


def test_beyond_the_soft_threshold_the_hole_that_has_waited_longest_goes_before_the_limit_is_met(tmp_path: Path) -> None:
    talks = []
    for i in range(4):
        talk = Talk(sport=3000 + i).open().send(0, b"#", keep=False)
        talk.us = 100 + i
        talk.step = 40
        talks.append(talk.send(0, b"x" * 1000 * 40, size=1000))
    path = tmp_path / "x.pcap"
    path.write_bytes(merge(*talks))
    recorder, ledger = reassemble(path, replace(Limits(), rings_total=160 * KIB))
    gaps = sorted((g for t in recorder.told for g in t.heard[0].gaps if g.cause is GapCause.MEMORY), key=lambda g: g.packet)
    assert gaps
    assert gaps[0].limit == "soft_percent"
    assert ledger.rings.peak < ledger.rings.limit
    first = next(t for t in recorder.told if gaps[0] in t.heard[0].gaps)
    assert first.number == min(t.number for t in recorder.told)
    hard, _ = reassemble(path, replace(Limits(), rings_total=160 * KIB, soft_percent=100))
    assert {g.limit for t in hard.told for g in t.heard[0].gaps if g.cause is GapCause.MEMORY} == {"rings_total"}


def test_a_gap_leads_to_the_evidence(run: Run) -> None:
    talk = Talk(isn=(0xFFFF_FFF0, 5000)).open().send(0, b"a" * 10).send(0, b"b" * 20, keep=False).send(0, b"c" * 7).acknowledge(1)
    at = len(talk.frames)
    (gap,) = run(pcap([*talk.frames, *filler(80, talk.us + 2000)])).of("gap")
    assert gap["stream_offset"] == 10
    assert gap["last_offset"] == 29
    assert gap["bytes"] == 20
    assert gap["sequence"] == (0xFFFF_FFF1 + 10) & 0xFFFF_FFFF
    assert gap["last_sequence"] == (0xFFFF_FFF1 + 29) & 0xFFFF_FFFF
    assert gap["held_bytes"] == 7
    assert (gap["limit"], gap["requested_by"]) == (None, None)
    assert gap["packet"] == at + 64


def test_ring_full_names_the_limit(run: Run) -> None:
    talk = Talk().open().send(0, b"#", keep=False).send(0, b"x" * 9000, size=1000)
    gaps = run(talk.bytes(), replace(Limits(), ring_size=4 * KIB)).of("gap")
    assert gaps[0]["limit"] == {"name": "ring_size", "value": 4096}
    ranges = Talk().open()
    for i in range(1, 8):
        ranges.packet(0, ACK, b"x", seq=1001 + 2 * i)
    gaps = run(ranges.bytes(), replace(Limits(), ring_ranges=3)).of("gap")
    assert gaps[0]["limit"] == {"name": "ring_ranges", "value": 3}


def test_a_dropped_stream_names_who_asked_and_what_it_held(run: Run) -> None:
    hog = Talk(sport=2000).open().send(0, b"#", keep=False).send(0, TEXT * 2000)
    ran = run(merge(hog), replace(Limits(), rings_total=20 * KIB), drop_streams=True)
    (drop,) = ran.of("drop")
    assert drop["reason"] == "hole_memory"
    assert drop["limit"]["name"] in ("rings_total", "soft_percent")
    assert (drop["requested_by"], drop["sequence"], drop["stream_offset"], drop["resumes"]) == (1, 1001, 0, False)
    assert 8_000 < drop["bytes"] <= 16 * KIB


def test_the_table_evicts_closed_connections_before_silent_ones_and_unanswered_syns_before_both(tmp_path: Path) -> None:
    closed = Talk(sport=1).open().close()
    silent = Talk(sport=2)
    silent.us = 200
    silent.open()
    syn = Talk(sport=3)
    syn.us = 300
    syn.packet(0, SYN)
    late = []
    for i in range(2):
        talk = Talk(sport=10 + i)
        talk.us = 1000 + 100 * i
        late.append(talk.open())
    told = told_by(tmp_path, merge(closed, silent, syn, *late), replace(Limits(), max_connections=2, block_packets=1))
    by_port = {t.number: t.end for t in told}
    numbers = sorted(by_port)
    assert [by_port[n] for n in numbers] == ["fin", "evicted", "end_of_capture", "end_of_capture", "end_of_capture"]


FLAGS = [0, ACK, SYN, SYN | ACK, FIN, FIN | ACK, RST, RST | ACK, SYN | FIN, SYN | RST, FIN | RST, PSH | ACK, 0xFF]
STATES = {
    "new": lambda t: t,
    "syn": lambda t: (t.packet(0, SYN), t)[1],
    "open": lambda t: t.open(),
    "data": lambda t: t.open().send(0, TEXT).send(1, TEXT),
    "hole": lambda t: t.open().send(0, b"##", keep=False).send(0, TEXT),
    "acknowledged hole": lambda t: t.open().send(0, b"##", keep=False).send(0, TEXT).acknowledge(1),
    "half closed": lambda t: (t.open().packet(0, FIN | ACK), t)[1],
    "fin behind a hole": lambda t: (t.open().send(0, b"##", keep=False).packet(0, FIN | ACK, TEXT), t)[1],
    "closed": lambda t: t.open().close(),
    "reset": lambda t: (t.open().packet(1, RST), t)[1],
    "midstream": lambda t: t.send(0, TEXT),
}


@pytest.mark.parametrize("state", STATES)
def test_every_segment_in_every_state_balances_and_is_the_same_on_every_path(tmp_path: Path, state: str) -> None:
    from tests.reassembly.test_against_model import as_tuple

    path = tmp_path / "x.pcap"
    for flags, side, data, shift in product(FLAGS, (0, 1), (b"", b"z", TEXT), (-30, -1, 0, 1, 40)):
        talk = STATES[state](Talk())
        talk.packet(side, flags, data, seq=talk.seq[side] + shift)
        talk.send(0, TEXT).acknowledge(1)
        path.write_bytes(talk.bytes())
        walked = [as_tuple(t) for t in reassemble(path, walk_all=True)[0].told]  # the recorder checks the law for each stream
        for k in (1000, 1):
            assert [as_tuple(t) for t in reassemble(path, replace(Limits(), block_packets=k))[0].told] == walked, (flags, side, data, shift)


@pytest.mark.parametrize("jump", [-365 * 86400, 365 * 86400])
def test_a_year_that_is_a_mistake_neither_fires_timeouts_nor_stops_them(tmp_path: Path, jump: int) -> None:
    talk = Talk().open().send(0, b"#", keep=False).send(0, TEXT)
    frames = list(talk.frames)
    frames.append((max(0, frames[-1][0] + jump * 10**6), frames[-1][1]))
    talk.frames = []
    talk.idle(10 * 10**6).send(0, TEXT)
    talk.idle(25 * 10**6).send(0, TEXT)
    (told,) = told_by(tmp_path, pcap([*frames, *talk.frames]))
    (gap,) = told.heard[0].gaps
    assert gap.cause is GapCause.TIMEOUT
    assert gap.packet == len(frames) + len(talk.frames)


def test_idle_is_an_hour_of_capture_time(tmp_path: Path) -> None:
    talk = Talk().open().send(0, TEXT)
    assert Limits().idle_timeout == 3600 * SECOND
    # a step of more than ten minutes is believed when a few packets agree with it
    talk.idle(3601 * 10**6).send(0, TEXT * 3, size=10)
    assert [t.end for t in told_by(tmp_path, talk)] == ["idle", "end_of_capture"]


def test_a_capture_with_a_packet_every_quarter_of_an_hour_has_a_clock(tmp_path: Path) -> None:
    talk = Talk().open().send(0, b"#", keep=False).send(0, TEXT)
    for _ in range(6):
        talk.idle(900 * 10**6).send(0, TEXT)
    told, *_ = told_by(tmp_path, talk)
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.TIMEOUT]


def test_holes_that_are_filled_are_counted_wherever_they_were(tmp_path: Path) -> None:
    talk = Talk().open()
    for at in (20, 40, 60):
        talk.packet(0, ACK, b"x" * 10, seq=1001 + at)
    talk.packet(0, ACK, b"y" * 10, seq=1001 + 30)  # joins two ranges
    talk.packet(0, ACK, b"z" * 20, seq=1001)  # the first hole
    talk.packet(0, ACK, b"w" * 5, seq=1001 + 50)  # not all of the last
    (told,) = told_by(tmp_path, talk)
    assert told.counts[0]["filled"] == 2
    assert told.counts[0]["gaps"] == 1


def test_limits_grow_with_the_memory_that_is_allowed() -> None:
    grown = Limits().with_memory(128 * MIB)
    assert grown.rings_total == 64 * MIB
    assert Limits().with_memory(32 * MIB).rings_total == 16 * MIB


def test_who_is_asked_for_memory_is_who_gives_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking has an effect: another one is asked the next time."""
    frames = []
    for n in range(60):
        t = Talk(sport=10_000 + n).open().send(0, b"lost", keep=False)
        t.us = n
        frames += t.send(0, b"x" * (9000 if n < 40 else 9200)).frames
    path = tmp_path / "short.pcap"
    path.write_bytes(pcap(sorted(frames, key=lambda frame: frame[0])))
    named: list[int] = []
    asked: list[int] = []
    fattest, relieve = Pressure.fattest, Context.relieve

    def naming(self: Any) -> Any:
        victim = fattest(self)
        named.append(victim.owner.number)
        return victim

    def asking(self: Any, victim: Any, why: Why, who: Any, packet: int) -> None:
        if why.limit != "soft_percent":
            asked.append(victim.owner.number)
        relieve(self, victim, why, who, packet)

    monkeypatch.setattr(Pressure, "fattest", naming)
    monkeypatch.setattr(Context, "relieve", asking)
    reassemble(path, replace(Limits(), rings_total=300 * KIB, soft_percent=100))
    assert len(asked) > 10
    assert asked == named
