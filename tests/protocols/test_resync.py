"""A chunked body with a hole in it goes on where chunk lines confirm one another, and nowhere else."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.protocols.http1.resync import PIECE_BYTES, ChunkSearch
from pcapflow.streams.events import StreamData
from tests.conftest import Ran, Run
from tests.craft import Talk, request, response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
BLOCKS = pytest.mark.parametrize("packets", [1, 3, 8192])


def event(i: int, n: int = 60) -> bytes:
    return json.dumps({"n": i, "pad": "x" * n}).encode() + b"\n"


def chunk(data: bytes, *, line: str = "%x") -> bytes:
    return (line % len(data)).encode() + b"\r\n" + data + b"\r\n"


def talk(segments: Iterable[bytes], lost: Iterable[int], *, after: bytes = b"", fin: bool = True) -> Talk:
    """An answer in segments of which some are lost; after: another answer, to a second request."""
    gone = set(lost)
    t = Talk().open().send(0, request()).acknowledge(1)
    for i, segment in enumerate(segments):
        t.packet(1, 0x18, segment, keep=i not in gone)
    t.acknowledge(0)
    if after:
        t.send(0, request("/next")).acknowledge(1).send(1, after).acknowledge(0)
    return t.close() if fin else t


def ran(run: Run, t: Talk, packets: int = 8192, **limits: Any) -> Ran:
    return run(t.bytes(), replace(Limits(), block_packets=packets, **limits))


def answers(found: Ran) -> list[tuple[int, int, str]]:
    """Of each answer: body bytes, documents, status."""
    bodies = [r["response"]["body"] for r in found.of("http") if r["response"] is not None]
    return [(body["bytes"], body["json"]["documents"] if body["json"] is not None else -1, body["status"]) for body in bodies]


def unread(found: Ran) -> dict[str, int]:
    return {reason: one.bytes for reason, one in found.summary.tcp.unread.items()}


@BLOCKS
@pytest.mark.parametrize("gone", [2, 5, 11])
def test_of_a_stream_of_events_only_those_in_the_hole_are_lost(run: Run, gone: int, packets: int) -> None:
    segments = [HEAD, *(chunk(event(i)) for i in range(12)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [gone], after=response(b"{}")), packets)
    size = sum(len(event(i)) for i in range(12) if i != gone - 1)
    assert answers(found) == [(size, 11, "gapped"), (2, 1, "complete")]
    assert unread(found) == {}


@BLOCKS
@pytest.mark.parametrize("line", ["%x", "%X", "%08x", "%x ", "%x;name=value"])
def test_the_line_may_be_written_as_servers_do(run: Run, line: str, packets: int) -> None:
    segments = [HEAD, *(chunk(event(i), line=line) for i in range(9)), b"0\r\n\r\n"]
    assert answers(ran(run, talk(segments, [3]), packets)) == [(sum(len(event(i)) for i in range(9) if i != 2), 8, "gapped")]


@BLOCKS
def test_a_hole_within_a_large_chunk_is_counted_through(run: Run, packets: int) -> None:
    body = b"".join(event(i) for i in range(700))[:60_000]
    whole = HEAD + chunk(body) + b"0\r\n\r\n"
    segments = [whole[i : i + 1448] for i in range(0, len(whole), 1448)]
    found = ran(run, talk(segments, [7], after=response(b"{}")), packets)
    (first, second) = answers(found)
    assert (first[0], first[2], second) == (len(body) - 1448, "gapped", (2, 1, "complete"))
    assert unread(found) == {}


@BLOCKS
def test_a_hole_that_takes_a_chunks_line_costs_that_chunk(run: Run, packets: int) -> None:
    chunks = [chunk(event(i, 3000)) for i in range(8)]
    whole = HEAD + b"".join(chunks) + b"0\r\n\r\n"
    at = len(HEAD) + len(chunks[0]) + len(chunks[1])
    segments = [whole[: at - 10], whole[at - 10 : at + 20], *(whole[i : i + 1000] for i in range(at + 20, len(whole), 1000))]
    found = ran(run, talk(segments, [1], after=response(b"{}")), packets)
    rest = len(chunks[2]) - 20
    assert unread(found) == {"behind_loss": rest}
    body = sum(len(event(i, 3000)) for i in (0, 1, 3, 4, 5, 6, 7)) - 8
    assert answers(found) == [(body, 6, "gapped"), (2, 1, "complete")]


@BLOCKS
def test_one_whole_chunk_before_the_last_is_enough_where_an_answer_follows(run: Run, packets: int) -> None:
    segments = [HEAD, chunk(event(0)), chunk(event(1)), chunk(event(2)), b"0\r\nX-Sum: 1\r\n\r\n"]
    found = ran(run, talk(segments, [2], after=response(b"{}")), packets)
    assert answers(found) == [(len(event(0)) + len(event(2)), 2, "gapped"), (2, 1, "complete")]
    assert unread(found) == {}
    first, _ = found.of("http")
    assert first["duration"] < 0.0002  # to its own last byte, not to the next answer's first


@pytest.mark.parametrize("fin", [True, False])
def test_the_last_chunk_at_the_end_of_the_stream_needs_a_fin(run: Run, fin: bool) -> None:
    segments = [HEAD, chunk(event(0)), chunk(event(1)), chunk(event(2)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [2], fin=fin))
    if fin:
        assert answers(found) == [(len(event(0)) + len(event(2)), 2, "gapped")]
        assert unread(found) == {}
    else:
        assert answers(found) == [(len(event(0)), 1, "gapped")]
        assert unread(found) == {"behind_loss": len(chunk(event(2))) + 5}


@BLOCKS
def test_an_answer_that_begins_first_ends_the_body(run: Run, packets: int) -> None:
    segments = [HEAD, chunk(event(0)), chunk(event(1)), chunk(event(2))]
    found = ran(run, talk(segments, [2], after=response(b"{}")), packets)
    assert answers(found) == [(len(event(0)), 1, "gapped"), (2, 1, "complete")]
    assert unread(found) == {"behind_loss": len(chunk(event(2)))}


@BLOCKS
def test_text_that_looks_like_chunks_is_text(run: Run, packets: int) -> None:
    lines = b"5\r\nhello\r\n10\r\n\r\nff;x\r\n0\r\n\r\n" * 3
    parts = [lines + event(i) for i in range(6)]
    segments = [HEAD.replace(b"application/x-ndjson", b"text/plain"), *(chunk(part) for part in parts), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [3], after=response(b"{}")), packets)
    assert answers(found) == [(sum(map(len, parts)) - len(parts[2]), -1, "gapped"), (2, 1, "complete")]
    assert unread(found) == {}


@BLOCKS
def test_a_chunked_message_within_a_chunk_does_not_carry_the_body_away(run: Run, packets: int) -> None:
    within = b"log:\r\n" + b"".join(chunk(b"%d: a line of it" % i) for i in range(5)) + b"0\r\n\r\n and more"
    plain = HEAD.replace(b"application/x-ndjson", b"text/plain")
    long = chunk(b"y" * 100 + within)
    segments = [plain, chunk(b"first"), long[:60], long[60:], *(chunk(b"chunk %d" % i) for i in range(6)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [1, 2], after=response(b"{}")), packets)
    (_, _, status), second = answers(found)
    assert (status, second) == ("gapped", (2, 1, "complete"))
    assert found.of("http")[0]["response"]["body"]["bytes"] >= sum(len(b"chunk %d" % i) for i in range(6))


@BLOCKS
def test_a_second_hole_begins_the_search_anew(run: Run, packets: int) -> None:
    segments = [HEAD, *(chunk(event(i)) for i in range(10)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [3, 5]), packets)
    assert answers(found) == [(sum(len(event(i)) for i in (0, 1, 5, 6, 7, 8, 9)), 7, "gapped")]
    assert unread(found) == {"behind_loss": len(chunk(event(3)))}


def test_what_lies_further_back_than_the_limit_is_not_recovered_and_the_rest_is(run: Run) -> None:
    sizes = [100, 30_000, 30_000, 200, 200]
    chunks = [chunk(event(i, n)) for i, n in enumerate(sizes)]
    whole = HEAD + chunk(event(99)) + b"".join(chunks) + b"0\r\n\r\n"
    at = len(HEAD) + len(chunk(event(99)))
    segments = [whole[:at], whole[at : at + len(chunks[0])], *(whole[i : i + 1448] for i in range(at + len(chunks[0]), len(whole), 1448))]
    t = talk(segments, [1])
    assert answers(ran(run, t))[0][1] == 4  # a line that is longer than json_slice is not tried behind a hole
    found = ran(run, t, http_resync_max_bytes=1024)
    assert answers(found)[0][1] == 3
    assert unread(found) == {"behind_loss": len(chunks[1]) + len(chunks[2])}


def test_without_memory_the_search_goes_on_with_what_it_has(run: Run) -> None:
    segments = [HEAD, *(chunk(event(i)) for i in range(40)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [3], after=response(b"{}")), 1, http_total=2048)
    assert found.summary.tcp.payload_bytes.balanced
    assert answers(found)[-1] == (2, 1, "complete")


def test_a_coded_body_keeps_its_framing(run: Run) -> None:
    coded = HEAD.replace(b"Transfer", b"Content-Encoding: gzip\r\nTransfer")
    segments = [coded, *(chunk(event(i)) for i in range(9)), b"0\r\n\r\n"]
    found = ran(run, talk(segments, [3], after=response(b"{}")))
    assert [r["response"]["body"]["bytes"] for r in found.of("http")] == [sum(len(event(i)) for i in range(9) if i != 2), 2]


@given(
    st.lists(st.integers(0, 400), min_size=4, max_size=14),
    st.lists(st.sampled_from(["none", "chunks", "crlf"]), min_size=14, max_size=14),
    st.integers(20, 500),
    st.sets(st.integers(1, 30), min_size=1, max_size=3),
    st.sampled_from([b"", response(b"{}")]),
)
def test_whatever_is_lost_no_byte_is_and_blocks_change_nothing(
    run: Run, sizes: list[int], kinds: list[str], size: int, lost: set[int], after: bytes
) -> None:
    noise = {"none": b"", "chunks": chunk(b"abc") * 3, "crlf": b"\r\n" * 5}
    data = HEAD + b"".join(chunk(noise[kind] + event(i, n)) for i, (n, kind) in enumerate(zip(sizes, kinds, strict=False))) + b"0\r\n\r\n"
    segments = [data[i : i + size] for i in range(0, len(data), size)]
    capture = talk(segments, lost, after=after).bytes()
    found = [run(capture, replace(Limits(), block_packets=packets)) for packets in (2, 7, 8192)]
    assert found[0].comparable() == found[1].comparable() == found[2].comparable()
    if after and found[0].of("http"):
        assert found[0].of("http")[-1]["response"]["status"] == 200


def test_a_place_costs_no_more_than_is_reserved() -> None:
    limits = Limits()
    ledger = Ledger(limits)
    text = b"\r\nffff\r\n" + b"x" * 92
    tracemalloc.start()
    try:
        searches = []
        for i in range(20):
            search = ChunkSearch(ledger.http, limits.http_resync_max_bytes, "server")
            search.begin((1 << 40) + i)
            for n in range(100):
                start = (1 << 40) + i + 100 * n
                one = StreamData(memoryview(text), start, 100, [0], [100], [(1 << 40) + n], [(1 << 60) + n], [(1 << 33) + n])
                assert search.look(one, 0, 100) is None
            searches.append(search)
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert ledger.http.used >= 20 * 100 * PIECE_BYTES
    assert 0.4 * ledger.http.used < traced < ledger.http.used
    for search in searches:
        search.close()
    assert ledger.http.used == 0


@pytest.mark.parametrize("part", [b"1\r\na\r\n" * 3 + b"0\r\n\r\n", b"1\r\na\r\n" * 3 + b"zz\r\n", b"1\r\na\r\n" * 3 + b"0\r\nx"])
def test_a_search_that_begins_again_and_again_looks_at_few_bytes_each_time(run: Run, part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    lines = ChunkSearch._lines

    def counted(self: ChunkSearch, text: bytes, base: int, fresh: int) -> Any:
        nonlocal looked
        looked += len(text) - fresh
        return lines(self, text, base, fresh)

    monkeypatch.setattr(ChunkSearch, "_lines", counted)
    data = part * 2000
    run(talk([HEAD + b"5\r\nhel", b"z" * 10, b"\r\n" + data], [1]).bytes())
    assert looked < 100 * len(data)


def test_bytes_of_an_open_trailer_that_come_one_by_one_cost_some_steps_each(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asked = 0
    lines, first_of = ChunkSearch._lines, ChunkSearch._first_of

    def counted(self: ChunkSearch, text: bytes, base: int, fresh: int) -> Any:
        nonlocal looked
        looked += len(text) - fresh
        return lines(self, text, base, fresh)

    def counted_chain(self: ChunkSearch, *given: Any) -> int:
        nonlocal asked
        asked += 1
        return first_of(self, *given)

    monkeypatch.setattr(ChunkSearch, "_lines", counted)
    monkeypatch.setattr(ChunkSearch, "_first_of", counted_chain)
    data = (b"\r\n0\r\n" + b"a: b\r\n" * 680) * 2
    begun = b"\r\nffffff\r\nxx" * 80
    run(talk([HEAD + b"5\r\nhel", b"z" * 10, begun, *(data[i : i + 1] for i in range(len(data)))], [1]).bytes())
    assert looked < 200 * len(data)
    assert asked < 4 * len(data)
