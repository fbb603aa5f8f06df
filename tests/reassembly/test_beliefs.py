"""What RSTs and SYNs are believed for, and what is taken back (RFC 9293 section 3.10.7, RFC 5961); late repetitions of what is closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow.limits import Limits
from pcapflow.stream_limits import SECOND
from tests.conftest import Run
from tests.craft import ACK, FIN, PSH, RST, SYN, Talk, filler, merge, pcap, request, response
from tests.reassembly.recorder import Recorder, Told, reassemble

ABC = b"abcdefghijklmnopqrstuvwxyz"
BLOCKS = (8192, 1, 3)


def told_by(tmp_path: Path, talk: Talk | bytes, limits: Limits | None = None) -> list[Told]:
    """The connections of a capture, which are the same for every size of blocks."""
    return recorded(tmp_path, talk, limits).told


def recorded(tmp_path: Path, talk: Talk | bytes, limits: Limits | None = None) -> Recorder:
    path = tmp_path / "x.pcap"
    path.write_bytes(talk if isinstance(talk, bytes) else talk.bytes())
    first, *others = [reassemble(path, replace(limits or Limits(), block_packets=n))[0] for n in BLOCKS]
    for other in others:
        assert [(t.number, t.end, t.packets, t.counts, t.heard, t.gone_at) for t in other.told] == [
            (t.number, t.end, t.packets, t.counts, t.heard, t.gone_at) for t in first.told
        ]
    return first


def ends(told: list[Told]) -> list[str]:
    return [t.end for t in told]


# --- RST


@pytest.mark.parametrize("away", [-1, -50_000, 5_000_000, 123_456_789, 1 << 31])
def test_a_reset_outside_the_window_is_nothing(tmp_path: Path, away: int) -> None:
    talk = Talk().open().send(0, ABC).send(1, ABC).acknowledge(0).acknowledge(1)
    talk.packet(1, RST, seq=talk.seq[1] + away)
    talk.send(0, ABC).send(1, ABC).close()
    (told,) = told_by(tmp_path, talk)
    assert told.end == "fin"
    assert [h.text for h in told.heard] == [ABC * 2, ABC * 2]


@pytest.mark.parametrize("ahead", [0, 1, 1000, 65_535])
@pytest.mark.parametrize("side", [0, 1])
def test_a_reset_that_its_receiver_ignores_is_taken_back(tmp_path: Path, ahead: int, side: int) -> None:
    """Signed with an option that the receiver checks, or challenged: the peer goes on and acknowledges what comes after it."""
    talk = Talk().open().send(0, ABC).send(1, ABC)
    talk.packet(side, RST | ACK, seq=talk.seq[side] + ahead)
    talk.packet(1 - side, ACK)
    for _ in range(3):
        talk.send(side, ABC).acknowledge(1 - side)
        talk.send(1 - side, ABC).acknowledge(side)
    talk.close()
    (told,) = told_by(tmp_path, talk)
    assert told.end == "fin"
    assert [h.text for h in told.heard] == [ABC * 4, ABC * 4]
    assert all(c["out_of_window"] == 0 for c in told.counts)


def test_a_reset_at_the_next_number_ends_the_connection_after_its_linger(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(1, RST | ACK)
    (told, _) = told_by(tmp_path, pcap([*talk.frames, *filler(3, talk.us + 6_000_000)]))
    assert (told.end, told.gone_at) == ("rst", len(talk.frames) + 1)
    assert {h.end.kind for h in told.heard if h.end} == {"rst"}
    assert {h.end.ts for h in told.heard if h.end} == {1_700_000_000 * SECOND + talk.us * 1000}


def test_a_reset_further_on_in_the_window_counts_where_nothing_follows(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(1, RST | ACK, seq=talk.seq[1] + 100)
    assert ends(told_by(tmp_path, talk)) == ["rst"]


def test_data_in_flight_from_the_side_that_had_not_seen_the_reset_is_delivered(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(1, RST)
    talk.send(0, ABC * 3, size=26)
    (told,) = told_by(tmp_path, talk)
    assert (told.end, told.heard[0].text) == ("rst", ABC * 4)


@pytest.mark.parametrize(("ack", "end"), [(1001, "rst"), (1000, "end_of_capture"), (77, "end_of_capture"), (None, "end_of_capture")])
def test_a_reset_before_an_answer_counts_only_where_it_acknowledges_the_syn(tmp_path: Path, ack: int | None, end: str) -> None:
    talk = Talk()
    talk.packet(0, SYN)
    talk.packet(1, RST | (ACK if ack is not None else 0), seq=0, ack=ack or 0)
    (told,) = told_by(tmp_path, talk)
    assert told.end == end


def test_a_refusal_is_taken_back_where_the_server_answers_after_all(tmp_path: Path) -> None:
    talk = Talk()
    talk.packet(0, SYN)
    talk.packet(1, RST | ACK, seq=0, ack=1001)
    talk.packet(1, SYN | ACK)
    talk.acknowledge(0).send(0, ABC).send(1, ABC).close()
    (told,) = told_by(tmp_path, talk)
    assert (told.end, told.heard[0].text, told.heard[1].text) == ("fin", ABC, ABC)


def test_an_acknowledgement_of_what_was_in_flight_takes_nothing_back(tmp_path: Path) -> None:
    talk = Talk().open().send(1, ABC * 2, size=26)
    talk.packet(1, RST, seq=talk.seq[1] - 26)  # as a server without the connection answers what was sent before all came
    talk.acknowledge(0)
    (told,) = told_by(tmp_path, talk)
    assert told.end == "rst"


def test_resets_that_ended_nothing_are_counted(run: Run) -> None:
    talk = Talk().open().send(0, request())
    talk.packet(1, RST, seq=talk.seq[1] + 99_000_000)
    talk.packet(1, RST | ACK)
    talk.send(1, response(b"{}")).acknowledge(0).close()
    ran = run(talk.bytes())
    assert ran.summary.tcp.resets_ignored == 2
    (exchange,) = ran.of("http")
    assert exchange["response"]["status"] == 200


# --- SYN


def test_a_stray_syn_in_the_middle_splits_nothing(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC).send(1, ABC)
    talk.packet(0, SYN, seq=3_000_000_000)
    talk.packet(1, ACK)  # the challenge
    talk.send(0, ABC).send(1, ABC).close()
    (told,) = told_by(tmp_path, talk)
    assert (told.end, told.packets) == ("fin", len(talk.frames))
    assert [h.text for h in told.heard] == [ABC * 2, ABC * 2]


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("close", ["", "fin"])
def test_ports_that_are_used_again_give_as_many_connections_as_there_were_whatever_was_seen(
    tmp_path: Path, sides: tuple[int, ...], close: str
) -> None:
    frames = []
    us = 0
    for turn in range(3):
        talk = Talk(isn=(1000 + turn * 700_000_000, 5000 + turn * 900_000_000))
        talk.us = us + 1_000_000
        talk.open().send(0, ABC).send(1, ABC * 2)
        if close:
            talk.close()
        us = talk.us
        frames += [frame for frame in talk.frames if (frame[1][34:36] == b"\0\x50") in [bool(side) for side in sides]]
    told = told_by(tmp_path, pcap(frames))
    assert len(told) == 3
    for t in told:
        heard = sorted(h.text for h in t.heard)
        assert heard == sorted((ABC if 0 in sides else b"", ABC * 2 if 1 in sides else b""))
        assert sum(c["out_of_window"] for c in t.counts) == 0


@pytest.mark.parametrize("old", [FIN | ACK, RST | ACK, RST, ACK | PSH])
def test_a_syn_begins_anew_where_the_other_side_had_only_the_end_of_an_older_connection(tmp_path: Path, old: int) -> None:
    before = Talk(isn=(777_000_000, 888_000_000))
    before.packet(1, old, b"old" if old & PSH else b"")
    after = Talk()
    after.us = before.us + 1_000_000
    after.open().send(0, ABC).send(1, ABC).close()
    told = told_by(tmp_path, merge(before, after))
    assert [t.end for t in told][1:] == ["fin"]
    assert [h.text for h in told[1].heard] == [ABC, ABC]
    assert all(c["out_of_window"] == 0 for c in told[1].counts)


def test_of_two_answers_to_a_syn_the_one_that_the_client_goes_on_with_counts(tmp_path: Path) -> None:
    for right in (0, 1):
        talk = Talk()
        talk.packet(0, SYN)
        for n in (5000, 2_000_000_000):
            talk.packet(1, SYN | ACK, seq=n)
        talk.seq[1] = (5001, 2_000_000_001)[right]
        talk.acknowledge(0).send(0, ABC).send(1, ABC).acknowledge(0).close()
        (told,) = told_by(tmp_path, talk)
        assert (told.end, told.heard[1].text) == ("fin", ABC), right


def test_a_syn_that_nobody_goes_on_with_and_nothing_follows_is_a_connection_that_nobody_answered(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, SYN, seq=3_000_000_000)
    talk.idle(1_000_000).packet(0, SYN, seq=3_000_000_000)
    first, second = told_by(tmp_path, talk)
    assert (first.heard[0].text, first.packets) == (ABC, 4)
    assert (second.packets, second.number, second.heard[0].text) == (2, 5, b"")


@pytest.mark.parametrize("seconds", [1, 7, 40])
def test_a_syn_that_did_not_fit_waits_for_its_answer_also_beyond_the_linger(tmp_path: Path, seconds: int) -> None:
    """A slow server, of which only the client's side was captured: nothing else comes in between."""
    frames = []
    for turn in range(2):
        talk = Talk(isn=(1000 + turn * 700_000_000, 5000))
        talk.us = turn * 1_000_000
        talk.packet(0, SYN)
        talk.idle(turn * seconds * 1_000_000).packet(0, ACK)
        frames += talk.send(0, ABC).frames
    first, second = told_by(tmp_path, pcap(frames))
    assert (first.heard[0].text, second.heard[0].text) == (ABC, ABC)
    assert all(c["out_of_window"] == 0 for t in (first, second) for c in t.counts)


def test_after_enough_packets_of_the_connection_a_syn_was_a_stray_packet(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, SYN, seq=3_000_000_000)
    for _ in range(70):
        talk.idle(100_000).send(0, b"x")
    talk.packet(0, ACK | PSH, b"forged", seq=3_000_000_001)
    (told,) = told_by(tmp_path, talk.send(0, b"y").close())
    assert told.heard[0].text == ABC + b"x" * 70 + b"y"
    assert told.counts[0]["out_of_window"] == len(b"forged")


@pytest.mark.parametrize("before", [FIN | ACK, 0])
def test_a_syn_begins_at_once_after_its_senders_fin_or_with_data_of_its_own(tmp_path: Path, before: int) -> None:
    talk = Talk().open().send(0, ABC)
    if before:
        talk.packet(0, before)
    talk.packet(0, SYN, b"" if before else b"early", seq=3_000_000_000)
    first, second = told_by(tmp_path, talk)
    assert (first.heard[0].text, second.heard[0].text) == (ABC, b"" if before else b"early")
    assert sum(c["out_of_window"] for c in (*first.counts, *second.counts)) == 0


# --- what stands where no segment can stand


def test_a_segment_far_from_its_stream_acknowledges_nothing(tmp_path: Path) -> None:
    """A forged or damaged one must not give up a hole whose bytes come later."""
    talk = Talk().open().send(1, ABC)
    at = talk.seq[0]
    talk.send(0, b"lost", keep=False).send(0, b"after")
    talk.packet(1, ACK, seq=talk.seq[1] + 500_000_000)
    frames = [*talk.frames, *filler(400, talk.us)]
    talk.us += 10_000_000
    talk.frames.clear()
    talk.packet(0, ACK | PSH, b"lost", seq=at)
    (told, _) = told_by(tmp_path, pcap([*frames, *talk.frames]))
    assert told.heard[0].text == b"lostafter"


def test_a_cut_segment_far_from_its_stream_leaves_no_hole(run: Run) -> None:
    talk = Talk().open().send(0, ABC)
    far = Talk()
    far.us = talk.us
    far.packet(0, ACK | PSH, b"x" * 100, seq=talk.seq[0] + 500_000_000)
    ((at, frame),) = far.frames
    talk.us = far.us
    sent = talk.frames
    talk.frames = []
    talk.send(0, ABC).close()
    ran = run(pcap([*sent, (at, frame[:-50], len(frame)), *talk.frames]))
    assert (ran.summary.tcp.missing_bytes, ran.summary.tcp.payload_bytes.out_of_window) == (0, 50)
    assert ran.of("connection")[0]["end"] == "fin"


# --- what is over


@pytest.mark.parametrize("who", [0, 1])
def test_the_last_segments_sent_again_belong_to_the_connection_that_closed(tmp_path: Path, who: int) -> None:
    talk = Talk().open().send(0, ABC).send(1, ABC).close()
    capture = list(talk.frames)
    for wait in (14_000_000, 28_000_000, 57_000_000):
        talk.idle(wait).packet(who, FIN | ACK | PSH, ABC, seq=talk.seq[who] - 27)
        talk.packet(1 - who, ACK)
        capture = talk.frames
    recorder = recorded(tmp_path, pcap(capture))
    assert len(recorder.told) == 1
    assert (recorder.repeated_segments, recorder.repeated_bytes) == (6, 3 * 26)


@pytest.mark.parametrize(("wait", "more", "connections"), [(14, b"", 1), (119, b"", 1), (14, b"!?", 2), (121, b"", 2)])
def test_what_goes_beyond_the_last_numbers_or_comes_too_late_is_another_connection(
    tmp_path: Path, wait: int, more: bytes, connections: int
) -> None:
    talk = Talk().open().send(0, ABC).close()
    talk.idle(wait * 1_000_000).packet(0, ACK | PSH, ABC + more, seq=1001)
    assert len(told_by(tmp_path, talk)) == connections


def test_at_most_so_many_last_numbers_are_kept_and_they_push_out_nothing(tmp_path: Path) -> None:
    talks = []
    for i in range(200):
        talk = Talk(sport=1000 + i)
        talk.us = i * 10
        talks.append(talk.open().send(0, b"x").close())
    late = Talk(sport=1000, isn=(1001, 5002))
    late.us = 20_000_000
    late.packet(0, ACK | PSH, b"x")
    capture = pcap(sorted([*(frame for talk in talks for frame in talk.frames), *filler(2, 10_000_000), *late.frames], key=lambda f: f[0]))
    kept = recorded(tmp_path, capture)
    assert (len(kept.told), kept.repeated_segments) == (201, 1)
    path = tmp_path / "x.pcap"
    small, ledger = reassemble(path, replace(Limits(), max_finals=64, block_packets=1))
    assert (len(small.told), small.repeated_segments) == (202, 0)
    assert ledger.pressure  # whether it was new is not certain any more


def test_repetitions_of_what_is_closed_are_in_the_account_and_counted(run: Run) -> None:
    talk = Talk().open().send(0, request()).send(1, response(b"{}")).close()
    talk.idle(14_000_000).packet(1, FIN | ACK | PSH, b"}", seq=talk.seq[1] - 2)
    ran = run(talk.bytes())
    tcp = ran.summary.tcp
    assert (tcp.connections, tcp.repeated_after_close, tcp.payload_bytes.retransmitted) == (1, 1, 1)
    assert tcp.payload_bytes.captured == tcp.payload_bytes.delivered + 1


def test_both_fins_make_the_end_fin_although_a_hole_stayed_open(run: Run) -> None:
    talk = Talk().open().send(0, request())
    talk.send(1, b"lost" * 5, keep=False).send(1, ABC)
    talk.packet(0, FIN | ACK, ack=5001)
    talk.packet(1, FIN | ACK)
    ran = run(talk.bytes())
    (connection,) = ran.of("connection")
    assert (connection["end"], connection["streams"]["server"]["status"]) == ("fin", "gapped")


def test_a_stream_with_one_percent_out_of_window_is_partial_and_the_advice_names_its_connection(run: Run) -> None:
    def capture(junk: int) -> bytes:
        talk = Talk().open().send(0, b"x" * 9900, size=990)
        talk.packet(0, ACK, b"y" * junk, seq=talk.seq[0] + 500_000_000)
        return talk.close().bytes()

    much, little = run(capture(100)), run(capture(99))
    assert much.of("connection")[0]["streams"]["client"]["status"] == "partial"
    assert much.summary.tcp.streams_out_of_window == 1
    assert any("1 stream has bytes with impossible sequence numbers" in line and "(connection 1): " in line for line in much.summary.advice)
    assert little.of("connection")[0]["streams"]["client"]["status"] == "complete"
    assert not any("sequence numbers" in line for line in little.summary.advice)
