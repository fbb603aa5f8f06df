"""What a run counts, whoever works on it: one shard's, and what several come to.

Contract: `Collector` counts into its parts; `release` gives their memory back when no connection is left, from when on the value can cross a process; `add` takes what
another shard counted, and `finish` makes the summary's maps of it. Invariant: what is kept does not grow with the traffic, and `add` may take shards in any order.
"""

from __future__ import annotations

from pcapflow.anomalies import Anomaly
from pcapflow.body_options import EXTRAS
from pcapflow.budget import Ledger
from pcapflow.contents import JsonBody, Other
from pcapflow.counting import Inner, add_json, add_payloads, count_json, count_payload
from pcapflow.drops import DropReason, GapCause
from pcapflow.findings.adding import add_counts, add_drops, add_http, add_tcp
from pcapflow.findings.answers import Answers
from pcapflow.findings.names import METHODS, STATUSES, NamedCounts
from pcapflow.findings.network import NetworkCounts
from pcapflow.findings.streams import Worst
from pcapflow.findings.tcp_counts import UNBALANCED_MAX, TcpCounts
from pcapflow.limits import Limits
from pcapflow.payload.at_once import backend
from pcapflow.summary import EXAMPLES, Drops, HttpSummary, JsonSummary, PayloadSummary


class Totals:
    """One shard's, or one run's."""

    def __init__(self, limits: Limits, ledger: Ledger, table_bytes: int) -> None:
        """table_bytes: for the tables of endpoints and problems, at the most."""
        self.drops = Drops()
        self.counts = TcpCounts(self.drops)
        self.tcp = self.counts.tcp
        self.http = HttpSummary()
        self.json = JsonSummary()
        self.payloads: dict[str, PayloadSummary] = {}
        self.plugins: dict[str, int] = {}
        """What each plug-in found."""
        self.worst = Worst(limits)
        self.answers, self.network = Answers(limits, ledger, table_bytes), NetworkCounts()
        self.methods = NamedCounts(limits.map_keys, METHODS)
        self.statuses = NamedCounts(limits.map_keys, STATUSES)
        self.codings_missing = NamedCounts(limits.map_keys, EXTRAS)

    @property
    def unbalanced(self) -> list[str]:
        """Streams whose account does not balance."""
        return self.counts.unbalanced

    def held(self, found: JsonBody | Other, inner: Inner | None) -> None:
        """Count what a body held, and what was within that."""
        if isinstance(found, JsonBody):
            count_json(self.json, found)
        else:
            count_payload(self.payloads, found)
        if inner is not None:
            add_json(self.json, inner.json)
            add_payloads(self.payloads, inner.payloads)

    def release(self) -> None:
        """No exchange comes any more."""
        self.answers.close()

    def add(self, other: Totals) -> None:
        """What another shard of the run counted."""
        add_drops(self.drops, other.drops)
        add_tcp(self.tcp, other.tcp)
        add_http(self.http, other.http)
        add_json(self.json, other.json)
        add_payloads(self.payloads, other.payloads)
        add_counts(self.plugins, other.plugins)
        self.worst.merge(other.worst)
        self.answers.merge(other.answers)
        self.network.merge(other.network)
        self.methods.merge(other.methods)
        self.statuses.merge(other.statuses)
        self.codings_missing.merge(other.codings_missing)
        self.unbalanced.extend(other.unbalanced[: UNBALANCED_MAX - len(self.unbalanced)])

    def finish(self) -> None:
        """The run is over: in an order that does not depend on what came first."""
        self.counts.close()
        self.json.backend = backend()
        self.payloads = {name: self.payloads[name] for name in sorted(self.payloads)}
        causes, anomalies, by_reason = self.tcp.gaps_by_cause, self.http.anomalies, self.drops.by_reason
        self.tcp.gaps_by_cause = {cause.value: causes[cause] for cause in GapCause if cause in causes}
        self.tcp.examples = {name: self.tcp.examples[name] for name in EXAMPLES if name in self.tcp.examples}
        self.http.by_method, self.http.by_status = self.methods.named(), self.statuses.named()
        self.http.codings_missing = self.codings_missing.named()
        self.http.anomalies = {name.value: anomalies[name] for name in Anomaly if name in anomalies}
        self.drops.by_reason = {reason.value: by_reason[reason] for reason in DropReason if reason in by_reason}
