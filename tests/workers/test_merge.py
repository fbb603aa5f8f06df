"""Entries of several shards in one order, against sorting them all; and the memory they go through, against a list."""

from __future__ import annotations

import os
import random

from hypothesis import given
from hypothesis import strategies as st

from pcapflow.entries import Entry
from pcapflow.workers.frames import Frame, packed, place_of
from pcapflow.workers.link import Inbox, message
from pcapflow.workers.merge import BEYOND, Merge
from pcapflow.workers.ring import Room, mapped, shared

KINDS = ("http", "connection", "plugin.x")


def told(rng: random.Random, shards: int) -> list[list[Entry]]:
    """Of each shard its entries in order; a connection is one shard's."""
    found: list[list[Entry]] = [[] for _ in range(shards)]
    for packet in range(1, rng.randint(2, 30)):
        for connection in rng.sample(range(1, 9), rng.randint(0, 4)):
            for _ in range(rng.choice([1, 1, 3])):
                line = b"%d.%d.%d" % (packet, connection, rng.randrange(1000)) * rng.choice([1, 1, 20])
                found[connection % shards].append(Entry(packet, connection, 0, 0, 0, rng.choice(KINDS), line))
    return [sorted(entries, key=lambda e: (e.packet, e.connection)) for entries in found]


@given(st.integers(0, 1 << 40), st.integers(1, 4), st.booleans())
def test_entries_come_in_the_order_of_packets_and_connections_and_none_too_early(seed: int, shards: int, whole: bool) -> None:
    rng = random.Random(seed)
    entries = told(rng, shards)
    expected = sorted((e for some in entries for e in some), key=lambda e: (e.packet, e.connection))
    merge = Merge(shards)
    given_out: list[bytes] = []
    kinds: list[str] = []
    left = [list(some) for some in entries]
    while any(left):
        shard = rng.choice([i for i, some in enumerate(left) if some])
        n = rng.randint(1, 6)
        some, left[shard] = left[shard][:n], left[shard][n:]
        made = Frame.of(some, b",\n") if rng.random() < 0.5 else Frame.unpacked(packed(some, b",\n"))
        merge.put(shard, made)
        if rng.random() < 0.3:
            merge.reached(shard, (place_of(left[shard][0].packet - 1, at_the_end=False) if left[shard] else BEYOND, BEYOND))
        if rng.random() < 0.5:
            ready = merge.ready()
            if whole:
                taken = [e for part in ready.entries(30) for e in part]
                given_out += [e.line for e in taken]
                kinds += [e.kind for e in taken]
            else:
                given_out += [line for part in ready.pieces(30) for piece in part for line in bytes(piece).split(b",\n")]
            assert given_out == [e.line for e in expected[: len(given_out)]]
    for shard in range(shards):
        merge.reached(shard, (BEYOND, BEYOND))
    given_out += [line for part in merge.ready().pieces(30) for piece in part for line in bytes(piece).split(b",\n")]
    assert given_out == [e.line for e in expected]
    assert kinds == [e.kind for e in expected[: len(kinds)]]
    assert merge.held == [0] * shards


def test_a_shard_for_which_others_wait_holds_nothing_back_however_much_one_packet_completes() -> None:
    """Thousands of entries of one packet and connection are handed on as they come: they are one shard's."""
    merge = Merge(2)
    merge.reached(0, (place_of(9, at_the_end=False), BEYOND))
    for i in range(50):
        merge.put(1, Frame.of([Entry(5, 3, 0, 0, 0, "value", b"%d" % i)], b"\n"))
        assert [bytes(piece) for part in merge.ready().pieces(1) for piece in part] == [b"%d" % i]
        assert merge.held[1] == 0


def test_what_the_end_of_the_capture_completes_stands_behind_what_its_last_packet_does() -> None:
    merge = Merge(2)
    merge.put(0, Frame.of([Entry(9, 5, 0, 0, 0, "http", b"packet")], b"\n"))
    merge.put(1, Frame.of([Entry(9, 1, 0, 0, 0, "connection", b"end")], b"\n", at_the_end=True))
    for shard in (0, 1):
        merge.reached(shard, (BEYOND, BEYOND))
    assert [bytes(piece) for part in merge.ready().pieces(100) for piece in part] == [b"packet", b"end"]


@given(st.integers(0, 1 << 40))
def test_no_piece_lies_where_another_one_does_and_room_comes_back(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.choice([16, 100, 1000])
    room = Room(size)
    taken: list[tuple[int, int]] = []
    refused = 0
    for _ in range(200):
        if taken and rng.random() < 0.4:
            n = rng.randint(1, len(taken))
            room.gone(n)
            del taken[:n]
            continue
        n = rng.randint(1, size)
        if not room.fits(n):
            assert 2 * n > size
            continue
        at = room.place(n)
        if at is None:
            refused += 1
            assert taken  # a piece that fits has room where nothing waits
            continue
        assert 0 <= at <= size - n
        assert all(at + n <= a or a + m <= at for a, m in taken)
        taken.append((at, n))


def test_both_sides_see_the_same_memory() -> None:
    fd = shared(100)
    one, other = mapped(fd, 100), mapped(fd, 100)
    os.close(fd)
    one[10:13] = b"abc"
    assert other[10:13] == b"abc"


@given(st.lists(st.tuples(st.sampled_from([b"E", b"R"]), st.binary(max_size=300)), max_size=10), st.integers(1, 400))
def test_messages_are_read_whole_however_they_are_cut(messages: list[tuple[bytes, bytes]], cut: int) -> None:
    read, write = os.pipe()
    inbox = Inbox(read)
    data = b"".join(message(kind, body) for kind, body in messages)
    found = []
    for at in range(0, len(data), cut):
        os.write(write, data[at : at + cut])
        inbox.fill()
        found += [(one.kind, one.body) for one in inbox.messages()]
    assert not inbox.ended
    os.close(write)
    inbox.fill()
    assert inbox.ended
    assert found == messages
    os.close(read)
