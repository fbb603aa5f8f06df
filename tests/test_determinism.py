"""The same capture and options give the same bytes: whatever the blocks, the timing of a pipe, and who listens beside the report."""

from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.conditions import Conditions
from pcapflow.errors import CaptureError
from pcapflow.findings.extract import VALUE, Extraction
from pcapflow.findings.names import REST, NamedCounts
from pcapflow.limits import MOST, Limits
from pcapflow.report.sinks.har import Har
from pcapflow.report.sinks.html import Page
from pcapflow.report.sinks.values import ValueLines
from pcapflow.stream_limits import KIB, MIB
from tests.captures import capture_of, stamped
from tests.conftest import CASES
from tests.craft import ACK, FIN, PSH, SYN, Talk, filler, pcap, request, response

MAY_DIFFER = ("run", "memory", "limits", "advice")
"""docs/report.md; `advice` names limits."""


class Told:
    """What a run said."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.summary: Any = None
        self.har = b""
        self.refused = ""

    def comparable(self) -> tuple[Any, ...]:
        return self.lines, self.summary, self.refused


def told(path: str, limits: Limits, *, har: bool = False, page: bool = False) -> Told:
    found = Told()
    parts: list[bytes] = []
    sinks: list[Any] = []
    if har:
        sinks.append(Har(parts.append))
    if page:
        sinks.append(Page([].append, limits))  # type: ignore[arg-type]
    try:
        result = pipeline.run([path], limits, pipeline.Options(), write=found.lines.extend, sinks=sinks)
    except CaptureError as e:
        found.refused = e.problem
        return found
    assert result.unbalanced == []
    assert all(component.at_end_bytes == 0 for component in result.summary.memory.components.values())
    found.summary = msgspec.to_builtins(result.summary)
    for name in MAY_DIFFER:
        del found.summary[name]
    for capture in found.summary["captures"]:
        del capture["path"]
    found.har = b"".join(parts)
    return found


def values(path: str, limits: Limits) -> tuple[list[bytes], list[bytes]]:
    """What `extract a --with-source` says."""
    given_out: list[bytes] = []
    others: list[bytes] = []
    try:
        pipeline.run(
            [path],
            limits,
            pipeline.Options(looking=Looking(sniff=True)),
            sinks=[ValueLines(VALUE, given_out.extend, others.extend)],
            listeners=[Extraction("a", Conditions(), with_source=True)],
        )
    except CaptureError:
        return [], []
    return given_out, others


def blocks_of(rng: random.Random) -> Limits:
    """Blocks of any size, and texts of JSON that are kept whole up to any."""
    return replace(
        Limits(),
        block_size=rng.choice([4 * KIB, 5 * KIB, 64 * KIB, 2 * MIB, 4 * MIB]),
        block_packets=rng.choice([1, 2, 3, 7, 50, 8192]),
        json_whole_max_bytes=rng.choice([1, 30, KIB, MIB]),
    )


def through_a_pipe(folder: Path, data: bytes, rng: random.Random, limits: Limits) -> Told:
    """The same by a named pipe whose writer gives some bytes at a time."""
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)

    def write() -> None:
        try:
            with pipe.open("wb", buffering=0) as out:
                at = 0
                while at < len(data):
                    n = rng.choice([1, 7, 500, 5000, 1 << 16])
                    out.write(data[at : at + n])
                    at += n
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return told(str(pipe), limits)
    finally:
        writer.join()


@settings(max_examples=80 * CASES, derandomize=CASES == 1)
@given(st.integers(0, 1 << 40))
def test_the_report_depends_on_no_block_no_pipe_and_no_sink(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = capture_of(seed)
    path = tmp_path / "x"
    path.write_bytes(data)
    plain = told(str(path), Limits())
    limits = blocks_of(rng)
    assert told(str(path), limits).comparable() == plain.comparable()
    with_har = told(str(path), Limits(), har=True, page=rng.random() < 0.3)
    assert with_har.comparable() == plain.comparable()
    assert told(str(path), limits, har=True).har == with_har.har
    if with_har.har:
        json.loads(with_har.har)
    assert values(str(path), limits) == values(str(path), Limits())
    if seed % 4 == 0:
        assert through_a_pipe(tmp_path, data, rng, limits).comparable() == plain.comparable()


def _order(t: Talk, other: Talk) -> None:
    """Two connections side by side, the later one's method first."""
    other.send(0, request("/", method="POST", fields="Content-Length: 0\r\n"))
    t.us = other.us + 10**4
    t.send(0, request("/"))


def _anomalies(t: Talk, _: Talk) -> None:
    """An answer to bytes that come late: both sides have something odd."""
    asked = b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n"
    t.packet(1, ACK | PSH, b"HTTP/1.1 200 OK\r\nNoColon\r\nContent-Length: 0\r\n\r\n", ack=t.seq[0] + len(asked))
    t.idle(10**4)
    t.send(0, asked).acknowledge(1)


def _empty_lines(t: Talk, _: Talk) -> None:
    """An empty line, a request's first bytes and, much later, the rest."""
    t.packet(0, ACK | PSH, b"\r\n")
    t.packet(0, ACK | PSH, b"GE")
    t.idle(10**4)
    t.packet(0, ACK | PSH, b"T / HTTP/1.1\r\nHost: a\r\n\r\n")


def _gap_in_frames(t: Talk, other: Talk) -> None:
    """A value that a gap lets go, between those of another connection."""
    t.send(0, b'Content-Length: 24\r\n\r\n{"a":"first connection"}')
    t.packet(1, ACK, ack=t.seq[0] + 5)
    other.us = t.us
    other.send(0, request("/")).send(1, response(b'{"a":"second connection"}'))


def _cut_head(t: Talk, _: Talk) -> None:
    """The begin of an answer to bytes that come late, and the hole behind it, which is given up later."""
    t.frames.clear()
    asked = b"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n-1-1"
    t.packet(1, ACK | PSH, b"HTTP/1.1 200 ", ack=t.seq[0] + len(asked))
    t.packet(1, ACK | PSH, b"x" * 34, keep=False)
    t.send(0, asked)
    t.close()


def _late_first_head(t: Talk, _: Talk) -> None:
    """First bytes out of order that are no head, and what shows later that this is HTTP."""
    t.packet(0, ACK | PSH, b"\r\n\r\n", seq=t.seq[0] + 1)
    t.idle(5000)
    t.packet(0, ACK | PSH, b"{", seq=t.seq[0])
    t.seq[0] += 5
    t.send(1, response(b"{}"))


def _long_first_line(t: Talk, _: Talk) -> None:
    """Framed JSON whose first head is longer than a line may be."""
    head = b"Content-Type: " + b"a" * 6000 + b"\r\nContent-Length: 2\r\n\r\n{}"
    t.send(0, head + b'Content-Length: 7\r\n\r\n{"a":1}' * 2)


def _broken_text(t: Talk, _: Talk) -> None:
    """A body of UTF-32 with a byte in it that is no text."""
    body = ("[" + '{"a":1},' * 30).encode("utf-32") + b"\0\0\0\x7f" + "3]".encode("utf-32-le")
    t.send(0, request("/")).send(1, response(body), size=100)


def _answers_first(t: Talk, _: Talk) -> None:
    """Two answers that wait behind a hole, the second to bytes before those that the first answers, and then the request."""
    first = response(b"{}")
    asked = request("/")
    base = t.seq[1]
    t.packet(1, ACK | PSH, response(b"[]"), seq=base + len(first), ack=t.seq[0])
    t.packet(1, ACK | PSH, first, seq=base, ack=t.seq[0] + len(asked))
    t.seq[1] = base + len(first) + len(response(b"[]"))
    t.idle(100)
    t.send(0, asked)


def _lone_return(t: Talk, _: Talk) -> None:
    """A CR that is no line's end, before it is known that this is HTTP."""
    t.packet(1, ACK | PSH, b"\r")
    t.send(0, request("/")).send(1, response(b'{"a":1}'))


def _gap_behind_noise(t: Talk, _: Talk) -> None:
    """A direction that is no JSON and lost something, before the other one shows that it is JSON."""
    t.send(0, b"noise\n")
    t.packet(0, ACK | PSH, b"lost", keep=False)
    t.send(0, b"x")
    t.idle(40 * 10**6)
    t.acknowledge(1).acknowledge(1)
    t.send(1, b'{"a":1}\n').send(0, b"[{}]\n")


def _lines_from_the_middle(t: Talk, _: Talk) -> None:
    """Without a handshake: what one direction says before it is clear that its beginning was missed is looked at by nobody."""
    t.frames.clear()
    t.send(0, b'{"b":1}\n')
    for said in (b"Content-Type: ", b'{"a":1}\n', b"xxx\n"):
        t.send(1, said)


def _lines_before_the_other_tells(t: Talk, _: Talk) -> None:
    """The same, and the direction that shows that this is JSON comes last."""
    t.frames.clear()
    for said in (b"Content-Type: ", b'{"a":1}\n', b"xxx\n"):
        t.send(1, said)
    t.send(0, b'{"b":1}\n')


def _prefix_behind_a_mark(t: Talk, _: Talk) -> None:
    """A byte order mark, and a script's prefix of which a part is within the first bytes."""
    body = b"\xef\xbb\xbf" + b" " * 26 + b')]}\',\n{"a":1}'
    said = response(body)
    t.send(0, request("/"))
    border = len(said) - len(body) + 32
    t.send(1, said[:border]).send(1, said[border:])


def _simple_answer_in_parts(t: Talk, _: Talk) -> None:
    """An answer of HTTP/0.9 in several packets."""
    t.send(0, b"GET /x\r\n").send(1, b"yy").send(1, b'{"a":2}\n')


def _cut_connect(t: Talk, _: Talk) -> None:
    """The head of a CONNECT that a gap cut, and what both sides say behind it."""
    t.packet(0, ACK | PSH, b"CONNECT a:1 HTTP/1.1\r\nHost: a")
    t.packet(0, ACK | PSH, b":1\r\n\r\n", keep=False)
    t.send(0, b"x")
    t.idle(40 * 10**6)
    t.acknowledge(0).acknowledge(1)
    t.send(1, b"HTTP/1.1 200 OK\r\n\r\n").send(1, response(b'{"a":1}')).send(0, request("/2")).send(1, response(b'{"a":2}'))


def _refused_chunks_and_another_answer(t: Talk, _: Talk) -> None:
    """The next answer stands where the first chunk should begin."""
    t.send(0, request("/a") + request("/b"))
    t.send(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").send(1, response(b"{}"))


def _refused_chunks_and_a_drop_before_the_next_answer(t: Talk, _: Talk) -> None:
    """That the body is over shows when the next answer comes, behind a drop of the other side."""
    t.send(0, request("/a")).send(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n(\r\n0\r\n\r\n")
    t.send(0, request("/b", fields="Content-Length: 2\r\nContent-Length: 3\r\n")).send(1, response(b"{}"))


def _handshake_behind_its_exchange(t: Talk, other: Talk) -> None:
    """The answer to the SYN is captured when everything was said."""
    late = Talk(sport=1003)
    late.us = t.us
    late.packet(0, SYN)
    late.seq[1] += 1
    late.send(0, request("/")).send(1, response(b"{}"))
    late.packet(1, SYN | ACK, seq=5000, ack=late.seq[0])
    t.frames += late.frames
    t.us = late.us


def _no_first_line_and_too_many_fields(t: Talk, _: Talk) -> None:
    """What is no first line ends a segment, and a head beyond its limits follows it."""
    t.send(0, request("/")).send(1, response(b"{}")).send(0, request("/") + b"junk\r\n")
    t.send(0, request("/b", fields="".join(f"X-{i}: 1\r\n" for i in range(300))), size=9000).send(0, request("/c"))


def _http_before_the_greeting(t: Talk, _: Talk) -> None:
    """The server's first bytes are HTTP's and do not tell yet; then the client begins in TLS, and goes on as nothing."""
    t.send(1, b"HTTP/1.1 200 OK").send(0, b"\x16\3\1\0\5\1\0\0\1\0").send(0, b"x").send(1, b"\r\nContent-Length: 0\r\n\r\n")


def _line_without_a_version(t: Talk, _: Talk) -> None:
    """A request of HTTP/0.9 but for the field that begins behind it in its segment."""
    t.send(0, b"GET /a \r\nHost: ").send(0, b"a\r\n\r\n").send(1, response(b"{}"))


def _socks_whose_server_leaves(t: Talk, _: Talk) -> None:
    """The server's FIN is captured before the client's request."""
    t.send(0, b"\x05\x02\x00\x02").send(1, b"\x05\x00")
    t.packet(1, FIN | ACK)
    t.send(0, b"\x05\x01\x00\x01\x01\x02\x03\x04\x00P")


def _refused_connect_with_refused_chunks(t: Talk, _: Talk) -> None:
    """The line of the first chunk is none, and unfinished in its segment, while the client waits."""
    t.send(0, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").send(1, b"HTTP/1.1 407 P\r\nTransfer-Encoding: chunked\r\n\r\nzzzz")
    t.send(0, request("/b")).send(1, response(b"{}"))


def _answer_claimed_before_another_one(t: Talk, _: Talk) -> None:
    """Answers whose requests come later: one claims an answer, and so says of another that its request will not come."""
    t.frames.clear()
    begin = t.seq[0]
    t.seq[0] += len(request("/u"))
    t.send(1, response(b"[1]")).packet(1, ACK | PSH, response(b"[22]"), ack=begin)
    t.packet(0, ACK | PSH, request("/u"), seq=begin)


def _long_line_behind_a_return(t: Talk, _: Talk) -> None:
    """A line that is longer than a head may be, behind a byte that begins nothing."""
    t.send(0, request("/a")).send(1, response(b"{}")).send(0, b"\r\x16" + b"x" * 66_000 + b"\r\n" + request("/b"), size=1400)


SAID = [
    _line_without_a_version,
    _socks_whose_server_leaves,
    _refused_connect_with_refused_chunks,
    _answer_claimed_before_another_one,
    _long_line_behind_a_return,
    _http_before_the_greeting,
    _refused_chunks_and_another_answer,
    _refused_chunks_and_a_drop_before_the_next_answer,
    _handshake_behind_its_exchange,
    _no_first_line_and_too_many_fields,
    _simple_answer_in_parts,
    _cut_connect,
    _lone_return,
    _gap_behind_noise,
    _lines_from_the_middle,
    _lines_before_the_other_tells,
    _prefix_behind_a_mark,
    _order,
    _anomalies,
    _empty_lines,
    _gap_in_frames,
    _cut_head,
    _late_first_head,
    _long_first_line,
    _broken_text,
    _answers_first,
]


@pytest.mark.parametrize("say", SAID)
def test_what_once_followed_the_blocks_does_not(tmp_path: Path, say: Any) -> None:
    t, other = Talk(sport=1001).open(), Talk(sport=1002).open()
    say(t, other)
    frames = sorted([*t.frames, *other.frames, *filler(100, 1000)], key=lambda frame: frame[0])
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(frames))
    for packets in (1, 2, 3, 5, 7):
        limits = replace(Limits(), block_packets=packets)
        assert told(str(path), limits).comparable() == told(str(path), Limits()).comparable()
        assert values(str(path), limits) == values(str(path), Limits())


@given(st.lists(st.sampled_from([f"n{i}" for i in range(40)] + ["GET", "PUT"]), max_size=120), st.integers(1, 6), st.randoms())
def test_a_map_of_names_is_the_same_in_any_order_and_its_counts_are_exact(names: list[str], most: int, rng: random.Random) -> None:
    def counted(some: list[str]) -> dict[str, int]:
        counts = NamedCounts(most, ("GET", "PUT"))
        for name in some:
            counts.count(name)
        return counts.named()

    found = counted(names)
    assert counted(rng.sample(names, len(names))) == found
    assert list(counted(rng.sample(names, len(names)))) == list(found)
    assert sum(found.values()) == len(names)
    assert all(n == names.count(name) for name, n in found.items() if name != REST)
    assert len([name for name in found if name.startswith("n")]) == min(most, len({n for n in names if n.startswith("n")}))
    assert {"GET", "PUT"} & set(names) <= set(found)


@settings(max_examples=40 * CASES)
@given(st.integers(0, 1 << 40), st.sampled_from([Limits().idle_timeout, MOST]))
def test_any_time_that_a_format_can_hold_gives_one_report(tmp_path: Path, seed: int, timeout: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(stamped(seed))
    limits = replace(Limits(), idle_timeout=timeout, gap_timeout=timeout)
    expected = told(str(path), limits).comparable()
    for packets in (1, 3):
        assert told(str(path), replace(limits, block_packets=packets)).comparable() == expected


@pytest.mark.parametrize("packets", [1, 100, 8192])
def test_so_many_answers_wait_behind_a_hole_of_the_client_in_every_block(tmp_path: Path, packets: int) -> None:
    talk = Talk()
    talk.step = 1
    talk.open().send(0, request("/a"), keep=False).send(1, response(b"{}"))
    for _ in range(400):
        talk.send(0, request("/a")).send(1, response(b"{}"))
    path = talk.idle(5000).send(0, request("/a")).send(1, response(b"{}")).save(tmp_path / "x")
    exchanges = [r for r in map(json.loads, told(path, replace(Limits(), block_packets=packets)).lines) if r["record"] == "http"]
    assert (len(exchanges), sum(r["request"] is None for r in exchanges), sum(r["response"] is None for r in exchanges)) == (546, 145, 144)


@pytest.mark.parametrize("packets", [1, 8192])
def test_json_behind_white_space_that_nobody_looked_at_is_counted_in_every_block(tmp_path: Path, packets: int) -> None:
    talk = Talk().open().send(0, request("/a")).send(1, response(b' {"a":1}', kind="text/plain"), size=7).close()
    assert told(talk.save(tmp_path / "x"), replace(Limits(), block_packets=packets)).summary["json"]["not_looked_at"] == 1


@pytest.mark.parametrize(
    "first", [b"PRI * HTTP/2.0\r\n", b"\r\n\r\nGE", b"GET / HTTP/9.9\r\nHost", b"\x00\x01", b"{", b"GET /x HTTP/1.1\r\nHost: a\r\n"]
)
def test_what_came_before_the_protocol_was_known_is_read_as_what_comes_after(tmp_path: Path, first: bytes) -> None:
    """The client's first bytes do not tell; the server's do."""
    talk = Talk().open().send(0, first, size=3).send(1, response(b"{}"), size=9).send(0, b"\r\n" + request("/b"), keep=False)
    path = talk.idle(200).send(0, request("/c")).send(1, response(b"[1]")).close().save(tmp_path / "x")
    whole = told(path, Limits()).comparable()
    for packets in (1, 2, 3, 5, 9):
        assert told(path, replace(Limits(), block_packets=packets)).comparable() == whole
