"""What ends a hole, a stream and a connection, one situation a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits
from pcapflow.stream_limits import SECOND
from tests.craft import ACK, FIN, PSH, RST, SYN, Talk, filler, merge, pcap
from tests.reassembly.recorder import Told, reassemble
from tests.work import calls

ABC = b"abcdefghijklmnopqrstuvwxyz"


def told_by(tmp_path: Path, talk: Talk | bytes, limits: Limits | None = None) -> list[Told]:
    path = tmp_path / "x.pcap"
    path.write_bytes(talk if isinstance(talk, bytes) else talk.bytes())
    return reassemble(path, limits)[0].told


def test_a_whole_conversation_is_heard_on_both_sides(tmp_path: Path) -> None:
    (told,) = told_by(tmp_path, Talk().open().send(0, ABC).send(1, ABC * 200).close())
    assert told.heard[0].text == ABC
    assert told.heard[1].text == ABC * 200
    assert (told.end, told.roles, told.start) == ("fin", "syn", "syn")
    assert [h.end.kind for h in told.heard if h.end] == ["fin", "fin"]


def test_a_hole_that_is_filled_leaves_no_gap(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, ABC[5:], seq=1001 + 5)
    talk.packet(0, ACK, ABC[:5], seq=1001)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC
    assert told.counts[0]["out_of_order"] == 1
    assert told.counts[0]["ring_peak"] == len(ABC) - 5


def holey() -> Talk:
    """The client's first five bytes are missing, the rest is there."""
    talk = Talk().open()
    talk.send(0, ABC[:5], keep=False)
    return talk.send(0, ABC[5:])


def test_an_acknowledged_hole_ends_after_its_grace(tmp_path: Path) -> None:
    talk = holey().acknowledge(1)
    at = len(talk.frames)
    (told, *_) = told_by(tmp_path, pcap([*talk.frames, *filler(100, talk.us + 2000)]))
    (gap,) = told.heard[0].gaps
    assert (gap.start, gap.length, gap.cause) == (0, 5, GapCause.ACKNOWLEDGED)
    assert gap.packet == at + 64
    assert told.heard[0].text == b"....." + ABC[5:]


def test_data_within_the_grace_still_fills_the_hole(tmp_path: Path) -> None:
    talk = holey().acknowledge(1)
    late = Talk(isn=(1001, 0))
    late.us = talk.us + 40_000
    late.packet(0, ACK, ABC[:5], ack=5001)
    (told, *_) = told_by(tmp_path, pcap(sorted([*talk.frames, *late.frames, *filler(100, talk.us + 2000)], key=lambda f: f[0])))
    assert told.heard[0].text == ABC
    assert told.heard[0].gaps == []


def test_data_after_the_grace_is_late(tmp_path: Path) -> None:
    talk = holey().acknowledge(1)
    late = Talk(isn=(1001, 0))
    late.us = talk.us + 90_000
    late.packet(0, ACK, ABC[:5], ack=5001)
    (told, *_) = told_by(tmp_path, pcap(sorted([*talk.frames, *late.frames, *filler(100, talk.us + 2000)], key=lambda f: f[0])))
    assert told.counts[0]["late"] == 5
    assert told.counts[0]["missing"] == 5


def test_a_hole_ends_when_its_data_has_waited_too_long(tmp_path: Path) -> None:
    talk = holey()
    (told, *_) = told_by(tmp_path, pcap([*talk.frames, *filler(40, talk.us + 29_990_000)]))
    (gap,) = told.heard[0].gaps
    assert gap.cause is GapCause.TIMEOUT
    assert 29.9 < (gap.ts - 1_700_000_000 * SECOND) / SECOND < 30.1


def test_a_hole_ends_when_the_ring_is_full(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC[:5], keep=False).send(0, ABC * 100)
    (told,) = told_by(tmp_path, talk, replace(Limits(), ring_size=1500))
    (gap,) = told.heard[0].gaps
    assert (gap.start, gap.length, gap.cause) == (0, 5, GapCause.RING_FULL)
    assert told.heard[0].text[5:] == ABC * 100


def test_a_hole_ends_when_there_are_too_many_ranges(tmp_path: Path) -> None:
    talk = Talk().open()
    for i in range(1, 12):
        talk.packet(0, ACK, b"x", seq=1001 + 2 * i)
    (told,) = told_by(tmp_path, talk, replace(Limits(), ring_ranges=4))
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.RING_FULL] * 7 + [GapCause.END] * 4


def test_a_hole_ends_when_memory_is_short_and_nothing_else_is_lost(tmp_path: Path) -> None:
    talks = [Talk(sport=2000 + i).open().send(0, b"#", keep=False).send(0, ABC * 300, size=700) for i in range(8)]
    told = told_by(tmp_path, merge(*talks), replace(Limits(), rings_total=16 * 1024))
    assert {g.cause for t in told for g in t.heard[0].gaps} >= {GapCause.MEMORY}
    for t in told:
        assert t.heard[0].text == b"." + ABC * 300


def test_overload_drop_gives_up_the_stream_and_not_the_others(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    hog = Talk(sport=2000).open().send(0, b"#", keep=False).send(0, ABC * 2000)
    small = Talk(sport=2001).open().send(0, ABC).close()
    path.write_bytes(merge(hog, small))
    recorder, _ = reassemble(path, replace(Limits(), rings_total=16 * 1024), drop_streams=True)
    assert recorder.drops == [(1, DropReason.HOLE_MEMORY)]
    assert recorder.told[0].counts[0]["dropped"] == len(ABC) * 2000
    assert recorder.told[1].heard[0].text == ABC


def test_a_hole_that_is_open_at_the_end_is_given_up_there(tmp_path: Path) -> None:
    (told,) = told_by(tmp_path, holey())
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.END]
    assert told.end == "end_of_capture"


def test_a_lost_tail_is_missing_because_it_was_acknowledged(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC).send(0, ABC, keep=False).acknowledge(1)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC + b"." * 26
    assert told.heard[0].gaps[0].cause is GapCause.ACKNOWLEDGED


def test_the_acknowledgement_of_a_lost_fin_is_no_missing_byte(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, FIN | ACK, keep=False)
    talk.acknowledge(1)
    (told,) = told_by(tmp_path, talk)
    assert told.counts[0]["missing"] == 0


def test_a_missing_tail_before_a_captured_fin_is_missing(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC, keep=False)
    talk.packet(0, FIN | ACK)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == b"." * 26
    assert told.heard[0].end is not None
    assert told.heard[0].end.kind == "fin"


def test_the_sequence_space_wraps(tmp_path: Path) -> None:
    talk = Talk(isn=(0xFFFF_FFF0, 0xFFFF_FFFF)).open().send(0, ABC * 3, size=7).send(1, ABC * 3, size=5).close()
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == told.heard[1].text == ABC * 3
    assert told.end == "fin"


def test_a_capture_that_begins_midstream_takes_what_comes_first_as_offset_zero(tmp_path: Path) -> None:
    talk = Talk()
    talk.send(1, ABC).send(0, ABC)
    (told,) = told_by(tmp_path, talk)
    assert told.start == "midstream"
    assert (told.roles, told.heard[0].text) == ("port", ABC)


def test_a_new_syn_with_another_number_is_another_connection(tmp_path: Path) -> None:
    first = Talk().open().send(0, b"one").close()
    again = Talk(isn=(70_000, 80_000))
    again.us = first.us + 10
    again.open().send(0, b"two").close()
    told = told_by(tmp_path, merge(first, again))
    assert [t.heard[0].text for t in told] == [b"one", b"two"]
    assert [t.end for t in told] == ["fin", "fin"]


def test_reused_ports_end_a_connection_that_never_closed(tmp_path: Path) -> None:
    first = Talk().open().send(0, b"one")
    again = Talk(isn=(70_000, 80_000))
    again.us = first.us + 10
    again.open().send(0, b"two")
    told = told_by(tmp_path, merge(first, again))
    assert [t.end for t in told] == ["reused", "end_of_capture"]


def test_a_syn_that_is_sent_again_is_the_same_connection(tmp_path: Path) -> None:
    talk = Talk()
    talk.packet(0, SYN)
    talk.packet(0, SYN, seq=1000)
    talk.packet(1, SYN | ACK)
    talk.send(0, ABC).close()
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC


def test_data_on_the_syn_is_the_streams_first_byte(tmp_path: Path) -> None:
    talk = Talk()
    talk.packet(0, SYN, b"fast")
    talk.packet(1, SYN | ACK)
    talk.send(0, b" open").close()
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == b"fast open"


def test_a_reset_ends_both_streams_and_its_text_is_not_theirs(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(1, RST | ACK, b"go away")
    talk.send(0, ABC)
    (told,) = told_by(tmp_path, talk)
    assert told.end == "rst"
    assert told.heard[0].text == ABC * 2  # the client had not seen the RST yet
    assert told.counts[0]["out_of_window"] == 0
    assert told.counts[1]["out_of_window"] == 7


def test_data_beyond_the_fin_cannot_belong_to_the_stream(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, FIN | ACK)
    talk.send(0, b"more")
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC
    assert told.counts[0]["out_of_window"] >= 3


def test_half_closed_connections_go_on_in_the_other_direction(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, FIN | ACK)
    talk.send(1, ABC * 100)
    talk.packet(1, FIN | ACK)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[1].text == ABC * 100
    assert told.end == "fin"


def test_keep_alive_probes_are_retransmissions_whatever_their_byte(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, ACK, b"\0", seq=talk.seq[0] - 1)
    talk.send(0, ABC)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC * 2
    assert (told.counts[0]["retransmitted"], told.counts[0]["conflicting"]) == (1, 0)


def test_one_wrong_sequence_number_does_not_carry_the_stream_away(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, ACK, b"stray", seq=talk.seq[0] + 500_000_000)
    talk.send(0, ABC)
    (told,) = told_by(tmp_path, talk)
    assert told.heard[0].text == ABC * 2
    assert told.counts[0]["out_of_window"] == 5


def test_a_jump_that_goes_on_is_believed(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.seq[0] += 50_000_000
    talk.send(0, ABC, size=13)
    (told,) = told_by(tmp_path, talk)
    assert told.counts[0]["out_of_window"] == 13
    assert told.counts[0]["delivered"] == 39
    assert [g.cause for g in told.heard[0].gaps] == [GapCause.RING_FULL]


def test_conflicting_bytes_are_counted_one_by_one_within_the_history(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    talk.packet(0, ACK, b"abcdEFgh", seq=1001)
    (told,) = told_by(tmp_path, talk)
    assert (told.counts[0]["conflicting"], told.counts[0]["retransmitted"]) == (2, 6)
    (forgetful,) = told_by(tmp_path, talk, replace(Limits(), history_bytes=20))
    assert (forgetful.counts[0]["conflicting"], forgetful.counts[0]["retransmitted"]) == (0, 8)


def test_snapped_packets_leave_holes_of_their_missing_tails(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC).send(0, ABC).acknowledge(1)
    frames: list[tuple[int, bytes] | tuple[int, bytes, int]] = [(us, f[:64], len(f)) for us, f in talk.frames]
    (told, *_) = told_by(tmp_path, pcap([*frames, *filler(100, talk.us + 2000)]))
    assert told.heard[0].text == (ABC[:10] + b"." * 16) * 2


def test_a_silent_connection_ends_at_the_packet_at_which_it_had_been_silent_long_enough(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC)
    began = len(talk.frames)
    told = told_by(tmp_path, pcap([*talk.frames, *filler(50, talk.us + 9_990_000)]), replace(Limits(), idle_timeout=10 * SECOND))
    assert told[0].end == "idle"
    assert told[0].gone_at == began + 11


def test_a_closed_connection_lingers(tmp_path: Path) -> None:
    talk = Talk().open().send(0, ABC).close()
    again = Talk(isn=(1001, 5002))
    again.us = talk.us + 100_000
    again.packet(0, ACK | PSH, ABC)
    told = told_by(tmp_path, merge(talk, again))
    assert len(told) == 1
    assert told[0].counts[0]["retransmitted"] == 26


def test_the_table_evicts_the_one_that_was_silent_longest(tmp_path: Path) -> None:
    talks = []
    for i in range(6):
        talk = Talk(sport=3000 + i)
        talk.us = i * 1000
        talks.append(talk.open().send(0, ABC))
    told = told_by(tmp_path, merge(*talks), replace(Limits(), max_connections=3, block_packets=4))
    assert [t.end for t in told] == ["evicted"] * 3 + ["end_of_capture"] * 3
    assert all(t.heard[0].text == ABC for t in told)


def test_a_connection_that_finds_no_room_is_dropped_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(Talk().open().send(0, ABC).bytes())
    recorder, _ = reassemble(path, replace(Limits(), connections_total=1000))
    assert recorder.told == []
    assert recorder.untracked_bytes == 26


@pytest.mark.parametrize("jump", [365 * 86400 * 1_000_000, -365 * 86400 * 1_000_000 // 10])
def test_one_timestamp_far_off_neither_fires_nor_freezes_the_clock(tmp_path: Path, jump: int) -> None:
    talk = holey()
    frames = list(talk.frames)
    stray = filler(1, 0)[0][1]
    frames.append((max(0, talk.us + jump), stray))
    frames.extend(filler(10, talk.us + 1000))
    (told, *_) = told_by(tmp_path, pcap([*frames, *filler(40, talk.us + 31_000_000)]))
    (gap,) = told.heard[0].gaps
    assert gap.cause is GapCause.TIMEOUT
    assert gap.packet > len(talk.frames) + 2


def test_a_capture_clock_that_steps_back_for_good_neither_hangs_nor_fires_twice(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, ABC, seq=1101)
    talk.packet(1, ACK, ack=1201)
    hours = 7200_000_000
    frames = [(us + hours, f) for us, f in talk.frames] + filler(55, hours + 5000) + filler(40)
    told = told_by(tmp_path, pcap(frames))
    assert [g.cause for g in told[0].heard[0].gaps] == [GapCause.ACKNOWLEDGED] * 2


def test_a_hole_that_finds_no_memory_at_all_is_given_up(tmp_path: Path) -> None:
    talk = Talk().open().send(0, b"#", keep=False).send(0, ABC)
    (told,) = told_by(tmp_path, talk, replace(Limits(), rings_total=1000))
    assert told.heard[0].text == b"." + ABC
    assert told.heard[0].gaps[0].cause is GapCause.MEMORY


def test_a_segment_longer_than_the_ring_is_delivered_though_a_hole_is_open(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"b" * 100, seq=1201)
    talk.packet(0, ACK, b"a" * 1100, seq=1001)
    (told,) = told_by(tmp_path, talk, replace(Limits(), ring_size=1024))
    assert told.counts[0]["delivered"] == 1100
    assert told.counts[0]["missing"] == 0


def test_a_fin_below_what_is_held_is_not_believed(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"b" * 100, seq=1101)
    talk.packet(0, FIN | ACK, seq=1051)
    talk.packet(0, ACK, b"a" * 50, seq=1001)
    (told,) = told_by(tmp_path, talk)
    assert told.counts[0]["delivered"] == 150


def test_the_oldest_data_behind_holes_decides_the_timeout(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.packet(0, ACK, b"c" * 10, seq=1101)
    talk.idle(20_000_000)
    talk.packet(0, ACK, b"b" * 10, seq=1051)
    frames = [*talk.frames, *[(20_100_000 + i * 1_000_000, filler(1)[0][1]) for i in range(25)]]
    packets = set()
    for block in (10_000, 1, 7):
        told = told_by(tmp_path, pcap(frames), replace(Limits(), block_packets=block))
        packets.add(tuple(g.packet for g in told[0].heard[0].gaps))
    assert len(packets) == 1
    ((first, *_),) = packets
    assert first == 5 + 11


def test_timers_stop_where_silence_has_ended_the_connection(tmp_path: Path) -> None:
    talk = Talk().open().send(0, b"a" * 10)
    talk.packet(1, ACK, ack=1201)
    frames = [*talk.frames, *[(2000 + i * 200_000_000, filler(1)[0][1]) for i in range(100)]]
    results = [told_by(tmp_path, pcap(frames), replace(Limits(), block_packets=n))[0] for n in (10_000, 1)]
    assert results[0].heard[0].gaps == results[1].heard[0].gaps
    assert results[0].gone_at == results[1].gone_at


def test_keys_whose_hashes_collide_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from pcapflow.reassembly import keys

    talks = []
    for i in range(4):
        talk = Talk(sport=5000 + i)
        talk.us = i
        talk.open()
        for _ in range(3):
            talk.send(0, ABC)
            talk.packet(0, ACK, ABC, seq=talk.seq[0] - 26)
        talks.append(talk)
    capture = merge(*talks)
    expected = [t.counts for t in told_by(tmp_path, capture, replace(Limits(), block_packets=9))]
    monkeypatch.setattr(keys, "_MIX", np.zeros_like(keys._MIX))
    assert [t.counts for t in told_by(tmp_path, capture, replace(Limits(), block_packets=9))] == expected


def test_many_duplicates_cost_linear_time(tmp_path: Path) -> None:
    def work(n: int) -> int:
        talk = Talk().open()
        for _ in range(n):
            talk.packet(0, ACK, b"xy")
            talk.packet(0, ACK, b"xy", seq=talk.seq[0] - 2)
        return calls(lambda: told_by(tmp_path, talk))

    assert work(8000) < 8.5 * work(1000)


def test_a_limit_of_zero_is_refused() -> None:
    from pcapflow.errors import UsageError

    with pytest.raises(UsageError, match="ring_ranges"):
        replace(Limits(), ring_ranges=0)
