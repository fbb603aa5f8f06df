"""Counts of what was in bodies, for a summary. Vocabulary: knows nobody.

Contract: `count_json` and `count_payload` count one body, or one that came many times; `Inner` are the counts of what was within bodies: parts, and fields.
"""

from __future__ import annotations

from pcapflow.contents import FormBody, JsonBody, Other, YamlBody, format_of
from pcapflow.summary import JsonSummary, PayloadSummary


def count_json(total: JsonSummary, json: JsonBody, times: int = 1) -> None:
    """Count a body of JSON that came so many times."""
    total.bodies += times
    total.documents += json.documents * times
    total.events += json.events * times
    total.keys += json.keys * times
    total.broken += json.broken * times
    total.duplicate_keys += (json.duplicate_keys or 0) * times
    total.bytes += json.bytes * times
    status = json.status
    if status == "complete":
        total.complete += times
    else:
        setattr(total, status, getattr(total, status) + times)


def count_payload(totals: dict[str, PayloadSummary], body: Other, *, within: bool = False) -> None:
    """Count a body that is not JSON; within: it was within another one, whose parts are its parts."""
    total = totals.setdefault(format_of(body), PayloadSummary())
    total.bodies += 1
    total.pieces += (
        body.documents if isinstance(body, YamlBody) else body.fields if isinstance(body, FormBody) else 0 if within else body.parts
    )
    total.bytes += body.bytes
    setattr(total, body.status, getattr(total, body.status) + 1)


def add_json(total: JsonSummary, other: JsonSummary) -> None:
    """What was in other JSON bodies."""
    total.bodies += other.bodies
    total.documents += other.documents
    total.events += other.events
    total.keys += other.keys
    total.broken += other.broken
    total.duplicate_keys += other.duplicate_keys
    total.bytes += other.bytes
    total.complete += other.complete
    total.invalid += other.invalid
    total.partial += other.partial
    total.truncated += other.truncated
    total.gapped += other.gapped
    total.dropped += other.dropped
    total.not_looked_at += other.not_looked_at


def add_payloads(totals: dict[str, PayloadSummary], others: dict[str, PayloadSummary]) -> None:
    """What was in other bodies."""
    for name, other in others.items():
        total = totals.setdefault(name, PayloadSummary())
        total.bodies += other.bodies
        total.pieces += other.pieces
        total.bytes += other.bytes
        total.complete += other.complete
        total.invalid += other.invalid
        total.partial += other.partial
        total.truncated += other.truncated
        total.gapped += other.gapped
        total.dropped += other.dropped
        total.not_read += other.not_read


class Inner:
    """Counts of what was within one body."""

    __slots__ = ("json", "payloads")

    def __init__(self) -> None:
        self.json = JsonSummary()
        self.payloads: dict[str, PayloadSummary] = {}

    def count(self, found: JsonBody | Other | None) -> None:
        """Something was."""
        if isinstance(found, JsonBody):
            count_json(self.json, found)
        elif found is not None:
            count_payload(self.payloads, found, within=True)

    def add(self, other: Inner) -> None:
        """What was within something within it."""
        add_json(self.json, other.json)
        add_payloads(self.payloads, other.payloads)
