"""Overlap policies: the rules for pairs, triples against a model that stores every byte, and what the report says of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.overlap import ORDER, Arrivals, owners
from pcapflow.reassembly.overlap_ambiguity import Witness
from tests.conftest import Run
from tests.craft import ACK, Talk
from tests.reassembly.recorder import reassemble

PAIRS = {
    # new begins before, with, after the original x ends before, with, after it: O where the original keeps the overlap, N where the new has it
    Policy.FIRST: "OOO OOO OOO",
    Policy.LAST: "NNN NNN NNN",
    Policy.BSD: "NNN OOO OOO",
    Policy.WINDOWS: "NNN OOO OOO",
    Policy.LINUX: "NNN OON OOO",
    Policy.SOLARIS: "ONN ONN OON",
}


@pytest.mark.parametrize("policy", Policy)
def test_pairs_are_decided_as_novak_and_sturges_have_it(policy: Policy) -> None:
    original = (10, 20, 0)
    found = ""
    for start in (5, 10, 12):
        for end in (18, 20, 25):
            low, high = max(start, 10), min(end, 20)
            ((_, _, arrival),) = owners(policy, [original, (start, end, 1)], low, high)
            found += "ON"[arrival]
        found += " "
    assert found.strip() == PAIRS[policy]


TRIPLES = {
    # segments A, B, C in the order in which they come: who has each byte, by policy
    ((0, 3), (3, 6), (1, 5)): {"bsd": "AAACCB", "linux": "AAACCB", "solaris": "ACCBBB", "first": "AAABBB", "last": "ACCCCB"},
    ((0, 3), (2, 6), (1, 5)): {"bsd": "AAACCB", "linux": "AAACCB", "solaris": "ACBBBB", "first": "AAABBB", "last": "ACCCCB"},
    ((0, 2), (2, 4), (0, 4)): {"bsd": "AACC", "linux": "CCCC", "solaris": "CCCC", "first": "AABB", "last": "CCCC"},
    ((0, 2), (0, 4), (0, 6)): {"bsd": "AABBCC", "linux": "CCCCCC", "solaris": "CCCCCC", "first": "AABBCC", "last": "CCCCCC"},
    ((0, 2), (1, 5), (0, 4)): {"bsd": "AACCB", "linux": "CCCCB", "solaris": "CBBBB", "first": "AABBB", "last": "CCCCB"},
    ((0, 4), (1, 2), (2, 4)): {"bsd": "AAAA", "linux": "AAAA", "solaris": "AAAA", "first": "AAAA", "last": "ABCC"},
}


@pytest.mark.parametrize("triple", TRIPLES)
def test_triples_are_decided_by_the_segments_as_they_came(triple: tuple[tuple[int, int], ...]) -> None:
    segments = [(*edges, i) for i, edges in enumerate(triple)]
    high = max(end for _, end in triple)
    for name, expected in TRIPLES[triple].items():
        text = "".join("ABC"[arrival] * (b - a) for a, b, arrival in owners(Policy(name), segments, 0, high))
        assert text == expected, name


def test_a_run_delivers_what_the_policy_keeps(tmp_path: Path) -> None:
    """Every pair of segments in a small space behind a hole, and every third one, through the whole stage."""
    spans = [(a, b) for a in range(4) for b in range(a + 1, 5)]
    path = tmp_path / "x.pcap"
    for first, second, third in product(spans[::2], spans, spans[::3]):
        talk = Talk(isn=(1000, 5000)).open()
        for name, (a, b) in zip(b"ABC", (first, second, third), strict=True):
            talk.packet(0, ACK, bytes([name]) * (b - a), seq=1002 + a)
        talk.packet(0, ACK, b".", seq=1001)
        talk.save(path)
        covered = set().union(*(range(a, b) for a, b in (first, second, third)))
        for policy in (Policy.BSD, Policy.LINUX, Policy.SOLARIS, Policy.LAST, Policy.FIRST):
            segments = [(a, b, i) for i, (a, b) in enumerate((first, second, third))]
            expected = b"."
            for offset in range(5):
                if offset not in covered:
                    break
                on_it = [s for s in segments if s[0] <= offset < s[1]]
                expected += bytes([b"ABC"[min(on_it, key=ORDER[policy])[2]]])
            told = reassemble(path, overlap=policy)[0].told[0]
            assert told.heard[0].text[: len(expected)] == expected, (policy, first, second, third)


held = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 8), st.integers(0, 2)), min_size=1, max_size=8)


@given(held, st.sampled_from(list(Policy)))
def test_the_witness_knows_which_policies_read_differently(pieces: list[tuple[int, int, int]], chosen: Policy) -> None:
    """Against a model that keeps every copy of every byte and delivers by each policy."""
    segments = [(start, start + n, i) for i, (start, n, _) in enumerate(pieces)]

    def value(arrival: int, offset: int) -> int:
        return offset * 3 + pieces[arrival][2]

    def winner(policy: Policy, offset: int, among: list[tuple[int, int, int]]) -> int | None:
        covering = [s for s in among if s[0] <= offset < s[1]]
        return min(covering, key=ORDER[policy])[2] if covering else None

    rings = Ledger(Limits()).rings
    arrivals, witness = Arrivals(rings, 64, 64), Witness(rings, Limits())
    content: dict[int, int] = {}
    for start, end, arrival in segments:
        arrivals.add(start, end, 0)
        at = start
        while at < end:
            stop = at
            while stop < end and (stop in content) == (at in content):
                stop += 1
            if at in content:
                before = bytes(content[o] for o in range(at, stop))
                after = bytes(value(arrival, o) for o in range(at, stop))
                if before != after or witness.contested(at, stop):
                    witness.add(arrival, at, before, after)
            at = stop
        for offset in range(start, end):
            owner = winner(chosen, offset, segments[: arrival + 1])
            assert owner is not None
            content[offset] = value(owner, offset)

    def text(policy: Policy) -> list[int | None]:
        found = (winner(policy, o, segments) for o in range(24))
        return [None if a is None else value(a, o) for o, a in enumerate(found)]

    expected = {p for p in Policy if text(p) != text(chosen)}
    assert witness.ambiguous_under(chosen, arrivals, 0, 24) == expected


def test_a_witness_that_is_full_says_that_every_policy_may_read_differently() -> None:
    rings = Ledger(Limits()).rings
    arrivals, witness = Arrivals(rings, 8, 8), Witness(rings, replace(Limits(), overlap_bytes=10))
    arrivals.add(0, 8, 0)
    arrivals.add(0, 8, 0)
    witness.add(1, 0, b"aaaaaaaa", b"bbbbbbbb")
    assert witness.full
    assert witness.ambiguous_under(Policy.FIRST, arrivals, 0, 8) == set(Policy) - {Policy.FIRST}


@pytest.mark.parametrize("limits", [Limits(overlap_copies=3), Limits(overlap_ranges=4), Limits(overlap_bytes=20)])
def test_more_copies_than_are_told_apart_say_that_every_policy_may_read_differently(tmp_path: Path, limits: Limits) -> None:
    talk = Talk().open()
    for i in range(8):
        talk.packet(0, ACK, b"%d" % i * (8 - i % 2), seq=1002)
    talk.packet(0, ACK, b".", seq=1001)
    path = tmp_path / "x.pcap"
    talk.save(path)
    recorder, _ = reassemble(path, limits)
    assert recorder.differs == [set(Policy) - {Policy.FIRST}]
    assert recorder.told[0].heard[0].text == b".00000000"
    assert recorder.told[0].counts[0]["conflicting"] == 4 * 7 + 3 * 8


@pytest.mark.parametrize("block_packets", [1000, 8192])
def test_segments_in_order_below_what_waits_are_forgotten_as_they_are_delivered(tmp_path: Path, block_packets: int) -> None:
    talk = Talk().open()
    talk.step = 1
    talk.packet(0, ACK, b"z" * 20, seq=1001 + 9000)
    for k in range(5000):
        talk.packet(0, ACK, bytes([k % 251]), seq=1001 + k)
    talk.packet(0, ACK, b"y" * 20, seq=1001 + 9000)
    path = tmp_path / "x.pcap"
    talk.save(path)
    assert reassemble(path, replace(Limits(), block_packets=block_packets))[0].differs == [{Policy.LAST, Policy.SOLARIS}]


def covering(arrivals: Arrivals, low: int, high: int) -> list[tuple[int, int, int]] | None:
    ((_, _, found),) = arrivals.parts(arrivals.table(low, high), low, high)
    return found


def test_many_segments_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """Seventy segments of ten bytes, then one with other bytes over all of them: no byte has more than two copies."""
    talk = Talk().open()
    for i in range(70):
        talk.packet(0, ACK, b"o" * 10, seq=1002 + 10 * i)
    talk.packet(0, ACK, b"n" * 700, seq=1002)
    talk.packet(0, ACK, b".", seq=1001)
    path = tmp_path / "x.pcap"
    talk.save(path)
    segments = [*((1 + 10 * i, 11 + 10 * i, i) for i in range(70)), (1, 701, 70)]

    def text(policy: Policy) -> bytes:
        owner = (min((s for s in segments if s[0] <= o < s[1]), key=ORDER[policy])[2] for o in range(1, 701))
        return bytes(b"n"[0] if number == 70 else b"o"[0] for number in owner)

    assert len({text(policy) for policy in Policy}) == 3
    for policy in Policy:
        recorder, _ = reassemble(path, overlap=policy)
        assert recorder.told[0].heard[0].text == b"." + text(policy)
        assert recorder.differs == [{other for other in Policy if text(other) != text(policy)}]


def test_segments_that_are_delivered_make_room_for_others_to_be_remembered() -> None:
    rings = Ledger(Limits()).rings
    arrivals = Arrivals(rings, 64, 64)
    for i in range(64):
        arrivals.add(i, i + 1, 0)
    arrivals.add(64, 65, 60)
    assert covering(arrivals, 60, 65) == [(i, i + 1, i) for i in range(60, 65)]
    assert covering(arrivals, 0, 60) == []
    for i in range(65, 200):
        arrivals.add(i, i + 1, 0)
    assert not arrivals.complete
    assert covering(arrivals, 64, 65) is None
    assert rings.used == 0  # what says nothing any more costs nothing


def test_of_many_segments_that_are_alike_the_first_and_the_last_are_remembered() -> None:
    rings = Ledger(Limits()).rings
    arrivals = Arrivals(rings, 64, 64)
    for _ in range(10_000):
        arrivals.add(3, 9, 0)
    assert covering(arrivals, 3, 4) == [(3, 9, 0), (3, 9, 9_999)]
    assert rings.used == 0


def attack() -> bytes:
    """A request whose path is sent twice behind a hole, with other bytes."""
    talk = Talk().open()
    text = b"GET /public HTTP/1.1\r\nHost: a\r\n\r\n"
    start = talk.seq[0]
    talk.packet(0, ACK, text[5:], seq=start + 5)
    talk.packet(0, ACK, b"secret", seq=start + 5)
    talk.packet(0, ACK, text[:5], seq=start)
    talk.seq[0] = start + len(text)
    return talk.close().bytes()


@pytest.mark.parametrize(
    ("policy", "target", "kept"), [("first", "/public", "original"), ("last", "/secret", "new"), ("linux", "/public", "original")]
)
def test_a_conflict_is_a_record_with_both_ranges_and_says_who_would_read_it_otherwise(
    run: Run, policy: str, target: str, kept: str
) -> None:
    ran = run(attack(), overlap=Policy(policy))
    (http,) = ran.of("http")
    assert http["request"]["target"] == target
    (conflict,) = ran.of("conflict")
    assert conflict["kept"] == kept
    assert conflict["bytes"] == len(b"secret")
    assert conflict["segment"] == {"start": 5, "end": 11}
    assert conflict["original"] == {"start": 5, "end": 33}
    assert conflict["packet"] == 5
    assert conflict["sequence"] == 1001 + 5
    (connection,) = ran.of("connection")
    others = [p.value for p in Policy if p is not Policy.LAST] if policy == "last" else ["last"]
    assert connection["streams"]["client"]["ambiguous_under"] == others
    assert connection["streams"]["client"]["conflicting_bytes"] == 6
    assert ran.summary.tcp.conflicts == ran.summary.tcp.ambiguous_streams == 1


def test_bytes_that_were_delivered_stay_as_they_are_under_every_policy(run: Run) -> None:
    talk = Talk().open().send(0, b"abcdefgh")
    talk.packet(0, ACK, b"XXXX", seq=1003)
    for policy in Policy:
        ran = run(talk.bytes(), overlap=policy)
        (conflict,) = ran.of("conflict")
        assert (conflict["kept"], conflict["stream_offset"], conflict["bytes"]) == ("original", 2, 4)
        assert ran.of("connection")[0]["streams"]["client"]["ambiguous_under"] == []


pieces = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 14), st.integers(0, 2)), min_size=1, max_size=14)


@given(pieces, st.sampled_from(list(Policy)), st.sampled_from([1, 0xFFFF_FFF5]))
def test_what_is_delivered_and_who_would_read_it_otherwise_is_what_a_model_of_all_copies_says(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int, int]], chosen: Policy, isn: int
) -> None:
    """Several holes, rings that drain in part, segments that begin below what was delivered."""
    talk = Talk(isn=(isn - 1, 5000)).open()
    arrived: list[tuple[int, int, int]] = []
    texts: dict[Policy, dict[int, int]] = {policy: {} for policy in Policy}

    def value(arrival: int, offset: int) -> int:
        return 97 + (offset + plan[arrival][2] * 5) % 26

    def deliver(offset: int) -> bool:
        covering = [s for s in arrived if s[0] <= offset < s[1]]
        for policy, text in texts.items():
            if covering:
                text[offset] = value(min(covering, key=ORDER[policy])[2], offset)
        return bool(covering)

    following = 0
    for i, (start, n, _) in enumerate(plan):
        talk.packet(0, ACK, bytes(value(i, o) for o in range(start, start + n)), seq=isn + start)
        arrived.append((start, start + n, i))
        while deliver(following):
            following += 1
    for offset in range(following, 60):
        deliver(offset)  # the capture ends: what waits behind holes is delivered
    path = tmp_path_factory.getbasetemp() / "overlap.pcap"
    path.write_bytes(talk.bytes())
    recorder, _ = reassemble(path, overlap=chosen)
    told = recorder.told[0]
    assert {o: b for o, b in enumerate(told.heard[0].data) if b is not None} == texts[chosen]
    assert recorder.differs[0] == {policy for policy in Policy if texts[policy] != texts[chosen]}
