"""HTTP endpoints of a report, a method and a path on a host, and what became of them between two reports.

Contract: `Endpoints.add` takes records; `changes` compares two. Invariant: `MOST_ENDPOINTS` are told apart; the rest are one, `...`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pcapflow.records import AnyRecord, Http

_LONGEST = 1e12
"""Seconds of an exchange; a report that somebody wrote may say more than can be summed."""
MOST_ENDPOINTS = 10_000
LONGEST = 256
"""Characters of a name; longer ones that begin alike are one."""


@dataclass(slots=True)
class Endpoint:
    """What was asked of one. errors: answers of 400 and above; unanswered: requests without an answer; bytes: of the answers' bodies; microseconds: of all answers together."""

    requests: int = 0
    errors: int = 0
    unanswered: int = 0
    bytes: int = 0
    microseconds: int = 0

    @property
    def mean(self) -> float:
        """Seconds to an answer's last byte, on average."""
        answered = self.requests - self.unanswered
        return round(self.microseconds / answered / 1e6, 6) if answered else 0.0


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """An endpoint that differs; None where a report has it not."""

    name: str
    old: Endpoint | None
    new: Endpoint | None


class Endpoints:
    """Those of one report."""

    def __init__(self) -> None:
        self._known: dict[str, Endpoint] = {}
        self.seen = False
        """Whether the report has exchanges at all."""

    def add(self, record: AnyRecord) -> None:
        """A record; only exchanges with a request count."""
        if not isinstance(record, Http) or record.request is None:
            return
        self.seen = True
        name = f"{record.request.method} {record.request.host or ''}{record.request.target.partition('?')[0]}"
        if len(name) > LONGEST:
            name = name[:LONGEST] + "..."
        endpoint = self._known.get(name)
        if endpoint is None:
            endpoint = self._known.setdefault(name if len(self._known) < MOST_ENDPOINTS else "...", Endpoint())
        endpoint.requests += 1
        response = record.response
        if response is None:
            endpoint.unanswered += 1
            return
        endpoint.errors += response.status >= 400
        endpoint.bytes += response.body.bytes
        endpoint.microseconds += round(min(record.duration or 0.0, _LONGEST) * 1e6)

    def changes(self, new: Endpoints, most: int) -> list[EndpointChange]:
        """Where the new ones differ from these, by name."""
        found = []
        if not (self.seen and new.seen):
            return []
        for name in sorted(self._known.keys() | new._known.keys()):
            before, after = self._known.get(name), new._known.get(name)
            if before != after:
                found.append(EndpointChange(name, before, after))
        return found[:most]
