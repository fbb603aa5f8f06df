"""What went wrong, in words: once for the terminal and the page.

Contract: functions take parts of the summary and return plain text, in which captured text stands as it came: whoever shows it makes it harmless.
Invariant: every kind of problem has its words here.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.anomalies import NoResponse
from pcapflow.summary import Summary
from pcapflow.tables import Problem
from pcapflow.terminal_text import counted, duration

SENTENCES = {
    "broken_json": "invalid JSON",
    "broken_yaml": "invalid YAML",
    "broken_multipart": "invalid multipart body",
    "unanswered": "no response",
    "gapped_body": "gapped body",
    "truncated_body": "truncated body",
    "cut_head": "incomplete head",
    "dropped_body": "dropped body",
    "other": "other",
}


UNANSWERED = {
    NoResponse.GAP: "response missing in a gap",
    NoResponse.RESET: "connection reset before a response",
    NoResponse.CLOSED: "connection closed without a response",
    NoResponse.OPEN: "no response yet, connection still open",
    NoResponse.UNREAD: "response not readable as HTTP",
    NoResponse.LIMIT: "response no longer awaited: limit reached",
}


class Line(NamedTuple):
    """So many of something."""

    times: int
    text: str


def what(problem: Problem) -> str:
    """What went wrong, and with whose message."""
    if problem.kind in ("server_error", "client_error"):
        return problem.detail
    if problem.kind == "unanswered" and problem.detail:
        return UNANSWERED[NoResponse(problem.detail)]
    sentence = SENTENCES[problem.kind]
    if problem.kind.startswith("broken_"):
        return f"{sentence} from {problem.sender} {problem.ip}"
    where = "of" if problem.kind == "cut_head" else "in"
    return f"{sentence} {where} the {'request' if problem.sender == 'client' else 'response'}" if problem.sender is not None else sentence


def broken(problem: Problem) -> str:
    """What is wrong with a text, at which path; and the place of the first such text, where that says more. Empty for other problems."""
    if not problem.kind.startswith("broken_"):
        return ""
    detail, place = problem.detail, problem.place
    location, _, byte = (place or "").rpartition(", ")
    if detail.endswith(f", at {location}"):
        return f"{detail}, {byte}"
    return f"{detail}; first: {place}" if place else detail


def more(problem: Problem) -> str:
    """What a page has the room to say beside it."""
    return NoResponse(problem.detail).sentence if problem.kind == "unanswered" and problem.detail else broken(problem)


def network(s: Summary) -> list[Line]:
    """What the network did to the connections."""
    n = s.network
    rows = []
    waited = ""
    if n.stalled_connections:
        some = s.tcp.examples.get("stalled", [])
        who = ", ".join([*map(str, some), *(["..."] if n.stalled_connections > len(some) else [])])
        waited = f": {counted(n.stalled_connections, 'connection')} ({who}) waited {duration(n.stalled)} in total"
    if n.lost or n.stalled_connections:
        rows.append(
            Line(n.lost, f"network loss{'es' * (n.lost != 1)}, repaired by {counted(n.lost_segments, 'retransmitted segment')}{waited}")
        )
    if n.zero_windows:
        rows.append(
            Line(
                n.zero_windows, f"{_word(n.zero_windows, 'time')} a receiver's window was closed, for {duration(n.closed)}: it reads slowly"
            )
        )
    if n.retransmitted_segments:
        rows.append(
            Line(
                n.retransmitted_segments,
                f"{_word(n.retransmitted_segments, 'retransmission')} of captured segments: network loss after the capture point, or spurious",
            )
        )
    return rows


def _word(n: int, one: str) -> str:
    """That of so many things."""
    return one if n == 1 else f"{one}s"


def _some_bytes(n: int) -> str:
    return "1 byte is" if n == 1 else f"{n:,} bytes are"


def losses(s: Summary) -> list[Line]:
    """What of the streams is not there."""
    rows = []
    if s.tcp.gaps:
        rows.append(Line(s.tcp.gaps, f"{_word(s.tcp.gaps, 'gap')}: {_some_bytes(s.tcp.missing_bytes)} missing from the streams"))
    given_up = sum(count.count for count in s.drops.by_reason.values())
    if given_up:
        rows.append(Line(given_up, f"{_word(given_up, 'drop')}: {', '.join(s.drops.by_reason)}"))
    return rows
