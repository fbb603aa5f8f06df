"""Answers that were captured before the requests they answer: within one block and across blocks, in time and memory as any others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.protocols.http.pairing import Pairs
from tests.conftest import Run
from tests.craft import Talk, pcap
from tests.work import calls

ASK, ANSWER = b"GET /%d HTTP/1.0\n\n", b"HTTP/1.0 204\n\n"


def exchanged(requests: int, answers: int, *, first: bool) -> bytes:
    """A packet of requests and one of answers, which acknowledges them; first: the answers stand before them in the capture."""
    talk = Talk().open()
    asked = b"".join(ASK % i for i in range(requests))
    talk.seq[0] += len(asked)
    said = ANSWER * answers
    parts = [said[at : at + 14_000] for at in range(0, len(said), 14_000)]
    if first:
        for part in parts:
            talk.send(1, part)
    after = talk.seq[0]
    talk.seq[0] -= len(asked)
    talk.send(0, asked)
    assert talk.seq[0] == after
    if not first:
        for part in parts:
            talk.send(1, part)
    return pcap(talk.frames)


@pytest.mark.parametrize("packets", [8192, 1, 4])
@pytest.mark.parametrize("most", [256, 3])
def test_each_is_the_answer_to_its_request(run: Run, packets: int, most: int) -> None:
    ran = run(exchanged(most - 1, most - 1, first=True), replace(Limits(), block_packets=packets, http_pipeline_max=most))
    found = ran.of("http")
    assert [(r["exchange"], r["request"]["target"], r["response"]["status"]) for r in found] == [(i, f"/{i}", 204) for i in range(most - 1)]


def test_nothing_of_them_is_kept_when_a_block_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    finish = Pairs.finish

    def look(self: Pairs, packet: int, ended: str) -> None:
        kept.append(len(self._foreseen))
        finish(self, packet, ended)

    monkeypatch.setattr(Pairs, "finish", look)
    path = tmp_path / "x.pcap"
    path.write_bytes(exchanged(250, 250, first=True))
    assert pipeline.run([str(path)]).summary.http.responses == 250
    assert kept == [0]


def test_more_answers_cost_no_more_because_requests_come_behind_them(tmp_path: Path) -> None:
    def work(*, first: bool) -> int:
        path = tmp_path / "x.pcap"
        path.write_bytes(exchanged(255, 4_000, first=first))
        return calls(lambda: pipeline.run([str(path)]))

    assert work(first=True) < 2 * work(first=False)


@pytest.mark.parametrize("packets", [1, 2, 5, 8192])
def test_what_the_client_s_end_tells_is_not_known_to_the_server_s_earlier_bytes(run: Run, packets: int) -> None:
    """Found by random captures: a request whose head is cut by the connection's end, which answers of an earlier packet may be to."""
    # time (us), side, the client's port, flags, sequence and acknowledgement numbers, data
    rows = [
        (1500093, 1, 40001, 24, 5001, 2147483679, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nfalse"),
        (0, 1, 40001, 24, 5475, 2348, b'"\r\n:\n{\t }\n}]'),
        (0, 0, 40001, 24, 2372, 5487, b"\nHost: a\r\n\r\n"),
        (0, 0, 40001, 24, 2384, 6137, b"PUT /p HTTP/1.1\r\nHost: example\r\nContent-Length: 8\r"),
        (40000170, 1, 40000, 20, 1640, 311, b""),
        (300093, 0, 40001, 2, 2147483643, 0, b""),
        (
            0,
            1,
            40001,
            24,
            5487,
            2384,
            b"HTTP/1.1 200 OK\r\nContent-Length: 398\r\n\r\n" + b"x" * 398 + b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n",
        ),
        (900093, 0, 40001, 16, 2147483644, 5001, b""),
    ]
    frames = []
    for us, side, port, flags, seq, ack, data in rows:
        talk = Talk(sport=port)
        talk.us, talk.ident = us - talk.step, len(frames)
        talk.packet(side, flags, data, seq=seq, ack=ack)
        frames += talk.frames
    ran = run(pcap(frames), replace(Limits(), block_packets=packets))
    assert [r["exchange"] for r in ran.of("http") if r["connection"] == 1] == [0, 1, 2]
