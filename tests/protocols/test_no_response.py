"""Why a request has no response: in its record, in the summary's problems, and in the words that a person reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pcapflow.anomalies import NoResponse
from pcapflow.limits import Limits
from pcapflow.report.problem_words import UNANSWERED, what
from tests.conftest import Run
from tests.craft import ACK, FIN, RST, Talk, request, response

TEXT = response(b"x" * 600, kind="text/plain")


def asked(*targets: str) -> Talk:
    t = Talk().open()
    for target in targets:
        t.send(0, request(target))
    return t.acknowledge(1)


def reset_by(side: int) -> Talk:
    t = asked("/a")
    t.packet(side, RST | ACK)
    return t


def closed_by_server() -> Talk:
    t = asked("/a")
    t.packet(1, FIN | ACK)
    return t.acknowledge(0)


def lost_before(another: bool) -> Talk:
    """The response is lost; another: a later one is there, to a request that shows that the first was answered."""
    t = asked("/a").send(1, TEXT, keep=False).acknowledge(0)
    if another:
        t.send(0, request("/b")).acknowledge(1).send(1, TEXT).acknowledge(0)
    return t.close()


def lost_long_ago() -> Talk:
    """A response was lost before the request whose connection was reset."""
    t = asked("/a").send(1, TEXT, keep=False).acknowledge(0).send(0, request("/b")).acknowledge(1).send(1, TEXT).acknowledge(0)
    t.send(0, request("/c")).acknowledge(1)
    t.packet(1, RST | ACK)
    return t


CASES: dict[str, tuple[Talk, list[str | None]]] = {
    "the response is in a gap": (lost_before(False), ["gap"]),
    "the response is in a gap before another one": (lost_before(True), ["gap", None]),
    "the server resets": (reset_by(1), ["reset"]),
    "the client resets": (reset_by(0), ["reset"]),
    "the server closes": (closed_by_server(), ["closed"]),
    "both close": (asked("/a").close(), ["closed"]),
    "the capture ends": (asked("/a"), ["open"]),
    "one of two pipelined requests waits": (asked("/a", "/b").send(1, TEXT), [None, "open"]),
    "a reset long after a loss": (lost_long_ago(), ["gap", None, "reset"]),
    "the server's bytes are not HTTP": (asked("/a").send(1, b"\x00\x01\x02" * 40).acknowledge(0).close(), ["unread"]),
    "the capture has the client's packets only": (Talk().send(0, request("/a")), ["open"]),
}


@pytest.mark.parametrize("packets", [1, 3, 8192])
@pytest.mark.parametrize("case", CASES)
def test_a_request_without_a_response_says_why(run: Run, case: str, packets: int) -> None:
    talk, reasons = CASES[case]
    ran = run(talk.bytes(), replace(Limits(), block_packets=packets))
    records = sorted(ran.of("http"), key=lambda record: record["exchange"])
    assert [record["unanswered"] for record in records] == reasons
    assert [record["response"] is None for record in records] == [reason is not None for reason in reasons]
    found = {row.detail: row.count for row in ran.summary.problems if row.kind == "unanswered"}
    assert found == {reason: reasons.count(reason) for reason in reasons if reason is not None}


def test_a_request_that_no_longer_waits_because_of_a_limit_says_so(run: Run) -> None:
    ran = run(asked(*(f"/{i}" for i in range(6))).bytes(), replace(Limits(), http_pipeline_max=2))
    assert [record["unanswered"] for record in ran.of("http")] == ["limit"] * 5 + ["open"]


def test_each_reason_has_its_own_words(run: Run) -> None:
    assert set(UNANSWERED) == set(NoResponse)
    assert len(set(UNANSWERED.values())) == len(NoResponse)
    words = {case: [what(row) for row in run(talk.bytes()).summary.problems] for case, (talk, _) in CASES.items()}
    assert words["the server resets"] == ["connection reset before a response"]
    assert words["the response is in a gap"] == ["response missing in a gap"]
    assert words["a reset long after a loss"] == ["response missing in a gap", "connection reset before a response"]
