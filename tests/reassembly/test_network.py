"""What the network did to a connection: round trips of the handshake, segments that came twice, holes by loss and by order, and the time that was waited for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcapflow.limits import Limits
from tests.conftest import Ran, Run
from tests.craft import Talk, request, response, tcp_frame

BLOCKS = pytest.mark.parametrize("packets", [1, 2, 5, 8192])
NOTHING = {
    "retransmitted_segments": 0,
    "lost": 0,
    "lost_segments": 0,
    "reordered": 0,
    "stalled": 0,
    "zero_windows": 0,
    "closed": 0,
    "duplicate_acknowledgements": 0,
    "resets": 0,
}


def network(run: Run, t: Talk, packets: int = 8192) -> dict[str, Any]:
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert ran.lines == run(t.bytes(), replace(Limits(), block_packets=packets), walk_all=True).lines
    (record,) = ran.of("connection")
    for side in ("client", "server"):
        assert record["network"][side]["lost"] + record["network"][side]["reordered"] == record["streams"][side]["holes_filled"]
    found: dict[str, Any] = record["network"]
    return found


def handshake(*, to_server: int = 400, to_client: int = 300) -> Talk:
    t = Talk()
    t.packet(0, 2)
    t.idle(to_server - 10).packet(1, 0x12)
    t.idle(to_client - 10).packet(0, 0x10)
    return t


@BLOCKS
def test_round_trips_are_those_of_the_handshake(run: Run, packets: int) -> None:
    found = network(run, handshake().send(0, request()).send(1, response(b"{}")).close(), packets)
    assert (found["round_trip"], found["client_round_trip"]) == (0.0004, 0.0003)
    assert found["client"] == found["server"] == NOTHING


@BLOCKS
def test_a_syn_that_was_sent_again_counts_from_its_latest_copy(run: Run, packets: int) -> None:
    t = Talk()
    for wait in (0, 1_000_000):
        t.idle(wait)
        t.packet(0, 2, seq=1000)
    t.seq[0] = 1001
    t.idle(90).packet(1, 0x12)
    t.idle(40).packet(0, 0x10)
    found = network(run, t.send(0, request()).close(), packets)
    assert (found["round_trip"], found["client_round_trip"]) == (0.0001, 0.00005)


def test_without_a_handshake_there_is_no_round_trip(run: Run) -> None:
    found = network(run, Talk().send(0, request()).send(1, response(b"{}")))
    assert (found["round_trip"], found["client_round_trip"]) == (None, None)


def sent(t: Talk, at: int, data: bytes, ident: int) -> None:
    """The server's data at a stream offset, in a packet of that identification; 0 for one that has none."""
    t.ident = ident - 1
    t.packet(1, 0x18, data, seq=t.seq[1] + at)
    if not ident:
        frame = tcp_frame(t.server, t.dport, t.client, t.sport, t.seq[1] + at, t.seq[0], 0x18, data)
        t.frames[-1] = t.us, frame


@BLOCKS
@pytest.mark.parametrize(
    ("idents", "wait", "lost"),
    [
        ((7, 9, 12), 50, True),  # sent after what lay behind
        ((7, 9, 8), 900_000, False),  # sent before it, however late it came
        ((0xFFFE, 0xFFFF, 3), 50, True),  # the count begins again
        ((2, 1, 0xFFFF), 900_000, False),
        ((0, 0, 0), 300, False),  # no identification: sooner than a round trip
        ((0, 0, 0), 500, True),
        ((1, 2, 0x8001), 300, False),  # identifications so far apart are not counted up
        ((1, 2, 0x8001), 500, True),
    ],
)
def test_a_hole_was_lost_or_overtaken_by_identification_else_by_time(
    run: Run, idents: tuple[int, int, int], wait: int, packets: int, lost: bool
) -> None:
    answer = response(b"x" * 3000)
    t = handshake().send(0, request()).acknowledge(1)
    first, second, third = (answer[i : i + 1000] for i in (0, 1000, 2000))
    sent(t, 0, first, idents[0])
    sent(t, 2000, third, idents[1])
    t.idle(wait - 10)
    sent(t, 1000, second, idents[2])
    t.seq[1] += len(first + second + third)
    t.send(1, answer[3000:]).acknowledge(0).close()
    found = network(run, t, packets)
    expected = NOTHING | {"lost": int(lost), "lost_segments": int(lost), "reordered": int(not lost), "stalled": wait / 1e6 if lost else 0}
    assert found["server"] == expected
    assert found["client"] == NOTHING
    (exchange,) = run(t.bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert exchange["stalled"] == expected["stalled"]


@BLOCKS
def test_what_came_twice_is_counted_by_segment(run: Run, packets: int) -> None:
    answer = response(b"x" * 3000)
    t = handshake().send(0, request()).acknowledge(1)
    begin = t.seq[1]
    t.send(1, answer, size=1000)
    t.packet(1, 0x18, answer[:1000], seq=begin)
    t.packet(1, 0x18, answer[1000:2500], seq=begin + 1000)
    found = network(run, t.acknowledge(0).close(), packets)
    assert found["server"] == NOTHING | {"retransmitted_segments": 2}


@BLOCKS
def test_what_the_capture_alone_misses_made_nobody_wait(run: Run, packets: int) -> None:
    answer = response(b"x" * 3000)
    t = handshake().send(0, request()).acknowledge(1)
    t.send(1, answer[:1000]).send(1, answer[1000:2000], keep=False).send(1, answer[2000:]).acknowledge(0)
    found = network(run, t.idle(2_000_000).acknowledge(0).close(), packets)
    assert found["server"] == NOTHING
    (exchange,) = run(t.bytes()).of("http")
    assert exchange["stalled"] == 0


@BLOCKS
def test_a_first_segment_that_was_lost_is_waited_for_before_the_answer_begins(run: Run, packets: int) -> None:
    answer = response(b"x" * 2500)
    t = handshake().send(0, request()).acknowledge(1)
    sent(t, 1000, answer[1000:], 5)
    t.idle(9990)
    sent(t, 0, answer[:1000], 9)
    t.seq[1] += len(answer)
    (exchange,) = run(t.acknowledge(0).close().bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert (exchange["wait"], exchange["stalled"], exchange["duration"]) == (0.01002, 0.01, 0.01002)


@BLOCKS
def test_a_lost_segment_of_a_request_stalls_its_exchange(run: Run, packets: int) -> None:
    asked = request(method="POST", body=b"x" * 2500)
    t = handshake()
    seq = t.seq[0]
    t.packet(0, 0x18, asked[:1000], seq=seq)
    t.packet(0, 0x18, asked[2000:], seq=seq + 2000)
    t.idle(7990)
    t.packet(0, 0x18, asked[1000:2000], seq=seq + 1000)
    t.seq[0] += len(asked)
    (exchange,) = run(
        t.acknowledge(1).send(1, response(b"{}")).acknowledge(0).close().bytes(), replace(Limits(), block_packets=packets)
    ).of("http")
    assert (exchange["stalled"], exchange["wait"]) == (0.008, 0.00002)


def window(t: Talk, side: int, n: int) -> None:
    """An acknowledgement of that side with that window."""
    t.packet(side, 0x10)
    us, frame = t.frames[-1]
    t.frames[-1] = us, frame[:48] + n.to_bytes(2, "big") + frame[50:]


@BLOCKS
@pytest.mark.parametrize("opens", [True, False])
def test_a_receiver_without_room_is_counted_and_timed_for_the_bytes_that_it_stops(run: Run, packets: int, opens: bool) -> None:
    t = handshake().send(0, request()).acknowledge(1).send(1, response(b"x" * 3000)[:2000])
    for _ in range(3):
        t.idle(990)
        window(t, 0, 0)
    t.idle(1990)
    if opens:
        window(t, 0, 500)
        t.idle(990)
        window(t, 0, 0)
        t.idle(990)
        window(t, 0, 500)
    else:
        t.send(1, b"x")
    found = network(run, t, packets)
    assert found["server"] == NOTHING | ({"zero_windows": 2, "closed": 0.005} if opens else {"zero_windows": 1, "closed": 0.004})
    assert found["client"] == NOTHING


# --- duplicate acknowledgements


def repeats(frames: list[tuple[int, bytes]]) -> dict[tuple[bytes, bytes], int]:
    """By sender and receiver (address and port), how often the receiver said again what it had said, while more was under way: RFC 5681 section 2, packet by packet."""
    said: dict[tuple[bytes, bytes], tuple[int, int]] = {}
    reached: dict[tuple[bytes, bytes], int] = {}
    found: Counter[tuple[bytes, bytes]] = Counter()
    for _, frame in frames:
        ip = frame[14:]
        tcp = ip[(ip[0] & 15) * 4 : int.from_bytes(ip[2:4], "big")]
        sender, receiver = ip[12:16] + tcp[:2], ip[16:20] + tcp[2:4]
        seq, ack, window = (int.from_bytes(tcp[a:b], "big") for a, b in ((4, 8), (8, 12), (14, 16)))
        flags, data = tcp[13], tcp[tcp[12] >> 4 << 2 :]
        if flags & 0x04:
            continue
        if flags & 0x10 and not flags & 0x02:
            pure = not data and not flags & 0x01 and window
            pure = pure and seq >= reached.get((sender, receiver), seq)
            if pure and said.get((sender, receiver)) == (ack, window) and ack < reached.get((receiver, sender), 0):
                found[receiver, sender] += 1
            said[sender, receiver] = ack, window
        if data or flags & 0x01 or (sender, receiver) not in reached:  # what lies before its first packet was sent
            reached[sender, receiver] = max(reached.get((sender, receiver), 0), seq + (flags >> 1 & 1) + len(data) + (flags & 1))
    return found


def counted(ran: Ran) -> dict[tuple[bytes, bytes], int]:
    found = {}
    for record in ran.of("connection"):
        ends = {side: ip_address(record[side]["ip"]).packed + record[side]["port"].to_bytes(2, "big") for side in ("client", "server")}
        for side, other in (("client", "server"), ("server", "client")):
            n = record["network"][side]["duplicate_acknowledgements"]
            if n:
                found[ends[side], ends[other]] = n
    assert ran.summary.network.duplicate_acknowledgements == sum(found.values())
    return found


@BLOCKS
def test_an_acknowledgement_that_says_the_same_again_while_more_is_under_way_is_a_duplicate(run: Run, packets: int) -> None:
    t = handshake().send(0, request()).acknowledge(1).send(1, response(b"x" * 6000), size=1000)
    for n in (500, 500, 500, 600, 600, 0, 0, 600):  # a window that changes says something new, and one of 0 too
        ack = t.seq[1] - 5000
        t.packet(0, 0x10, ack=ack)
        us, frame = t.frames[-1]
        t.frames[-1] = us, frame[:48] + n.to_bytes(2, "big") + frame[50:]
    t.acknowledge(0).acknowledge(0).send(0, request()).acknowledge(1).close()
    found = network(run, t, packets)
    assert (found["server"]["duplicate_acknowledgements"], found["client"]["duplicate_acknowledgements"]) == (3, 0)
    assert repeats(t.frames) == {(b"\x0a\0\0\2\0\x50", b"\x0a\0\0\1\x9c\x40"): 3}


steps = st.lists(
    st.tuples(
        st.sampled_from(["data", "ack", "ack", "ack", "lose", "fin", "keepalive"]),
        st.integers(0, 1),
        st.integers(0, 3),
        st.sampled_from([500, 500, 600, 0]),
    ),
    max_size=30,
)


@given(steps, st.integers(1, 12), st.booleans())
def test_duplicate_acknowledgements_are_those_of_the_rfc_whatever_the_blocks(
    run: Run, made: list[tuple[str, int, int, int]], packets: int, opened: bool
) -> None:
    t = handshake() if opened else Talk()
    behind = [t.seq[0], t.seq[1]]  # what each side has acknowledged of the other
    ended: set[int] = set()
    for what, side, n, size in made:
        begin = len(t.frames)
        if side in ended and what != "ack":
            continue
        if what in ("data", "lose"):
            t.packet(side, 0x18, b"d" * 100, keep=what == "data", ack=behind[1 - side])
        elif what == "fin":
            ended.add(side)
            t.packet(side, 0x11, ack=behind[1 - side])
        elif what == "keepalive":
            t.packet(side, 0x10, seq=t.seq[side] - 1, ack=behind[1 - side])
        else:
            behind[1 - side] = min(t.seq[1 - side], max(behind[1 - side], t.seq[1 - side] - 100 * n))
            t.packet(side, 0x10, ack=behind[1 - side])
        for i in range(begin, len(t.frames)):
            us, frame = t.frames[i]
            t.frames[i] = us, frame[:48] + size.to_bytes(2, "big") + frame[50:]
    expected = repeats(t.frames)
    for walk_all in (False, True):
        ran = run(t.bytes(), replace(Limits(), block_packets=packets), walk_all=walk_all)
        assert counted(ran) == expected


@BLOCKS
def test_resets_are_counted_by_sender(run: Run, packets: int) -> None:
    t = handshake().send(0, request()).acknowledge(1)
    t.packet(1, 0x14)
    found = network(run, t, packets)
    assert (found["server"]["resets"], found["client"]["resets"]) == (1, 0)


def held_time(segments: list[tuple[int, int, int]]) -> int:
    """Model: how long (us) a receiver holds data beyond the next byte, where all of it comes at last. segments: when, from, to."""
    total, since, have = 0, None, set[int]()
    for when, begin, end in segments:
        have |= set(range(begin, end))
        reached = next(i for i in range(len(have) + 1) if i not in have)
        waits = len(have) > reached
        if waits and since is None:
            since = when
        elif not waits and since is not None:
            total, since = total + when - since, None
    return total


@given(
    order=st.permutations(range(8)).map(list),
    steps=st.lists(st.integers(1, 5000), min_size=8, max_size=8),
    packets=st.sampled_from([1, 3, 8192]),
)
@example(order=[0, 1, 2, 3, 7, 5, 6, 4], steps=[1] * 8, packets=3)
def test_the_time_that_is_waited_is_the_time_that_a_receiver_holds_data(run: Run, order: list[int], steps: list[int], packets: int) -> None:
    answer = response(b"x" * 800)
    cuts = [len(answer) * i // 8 for i in range(9)]
    t = handshake(to_server=20, to_client=20).send(0, request()).acknowledge(1)
    came = []
    for place, (i, step) in enumerate(zip(order, steps, strict=True)):
        t.idle(step + 20)  # more than a round trip: what comes late was sent again
        sent(t, cuts[i], answer[cuts[i] : cuts[i + 1]], 100 + place)
        came.append((t.us, cuts[i], cuts[i + 1]))
    t.seq[1] += len(answer)
    found = network(run, t.acknowledge(0).close(), packets)
    assert round(found["server"]["stalled"] * 1e6) == held_time(came)
    assert found["server"]["reordered"] == 0
