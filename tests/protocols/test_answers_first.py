"""Answers that were captured before the requests they answer: within one block and across blocks, in time and memory as any others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.protocols.http1_pairs import Pairs
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
    assert [(r["index"], r["request"]["target"], r["response"]["status"]) for r in found] == [(i, f"/{i}", 204) for i in range(most - 1)]


def test_nothing_of_them_is_kept_when_a_block_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    finish = Pairs.finish

    def look(self: Pairs, packet: int) -> None:
        kept.append(len(self._foreseen))
        finish(self, packet)

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
