"""Connections that lie whole in a block and are one exchange: those that came before are told and counted many at a time.

Contract: implements `BriefReader` for a run of which nobody wants more than the counts. `flush` counts what came since, as `Collector` would have counted each when it came and when it was over: tests hold
both against each other. Invariant: an exchange is counted so only where all of it is `known_exchanges.known`, else it is read at once if it is a usual one; what is kept until `flush`, which comes with the end of a block, lies in that block, or is of connections that have
their room.
"""

from __future__ import annotations

import numpy as np

from pcapflow.capture.packet_places import Places
from pcapflow.findings.answers import Took
from pcapflow.findings.totals import Totals
from pcapflow.protocols.host import Host
from pcapflow.protocols.known_exchanges import PROTOCOL, Known, known, read
from pcapflow.protocols.stack import Stack
from pcapflow.reassembly import brief
from pcapflow.reassembly.brief import Facts
from pcapflow.streams.conversation import Consumer, Conversation


class BriefExchanges:
    """One run's."""

    def __init__(self, services: Host, totals: Totals) -> None:
        self.consumer: Consumer = Stack.of_what_is_read(services, PROTOCOL)
        self._services, self._heads = services, services.heads
        self._totals = totals
        self._known: dict[tuple[bytes, bytes], tuple[Known, list[Facts]]] = {}
        """By what was said: what it is, and those that came since `flush`."""
        self._told: list[tuple[Known, list[Facts]]] = []
        """The same, and of answers that left the cache since."""
        self._gone: list[Facts] = []
        self._forgotten = self._heads.forgotten

    def take(self, ask: bytes, said: bytes, facts: Facts) -> bool:
        """See `BriefReader`."""
        if self._forgotten != self._heads.forgotten:
            self._known.clear()
            self._forgotten = self._heads.forgotten
        found = self._known.get((ask, said))
        if found is None:
            exchange = known(self._heads, ask, said)
            if exchange is None:
                return False
            found = self._known[ask, said] = exchange, []
            self._told.append(found)
        found[0].answer.uses += 1  # as long as it is in the cache
        found[1].append(facts)
        return True

    def read(self, conversation: Conversation, ask: bytes, said: bytes, facts: Facts) -> bool:
        """See `BriefReader`."""
        return read(self._services, conversation, ask, said, facts[brief.ASKED : brief.DONE_TS + 1])

    def is_done(self, consumer: Consumer) -> bool:
        """See `BriefReader`."""
        return isinstance(consumer, Stack) and consumer.spoke_only(PROTOCOL)

    def gone(self, facts: Facts) -> None:
        """See `BriefReader`."""
        self._gone.append(facts)

    def flush(self, places: Places) -> None:
        """Count what came; places: where packets lie."""
        if self._told:
            for exchange, some in self._told:
                self._tell(exchange, some, places)
            self._known.clear()
            self._told.clear()
        if self._gone:
            over = np.array([facts[: brief.COUNTED] for facts in self._gone], dtype=np.int64)
            self._totals.counts.read_whole(PROTOCOL, len(over), int(over[:, brief.BYTES].sum()))
            self._totals.network.add_all(over[:, brief.ROUND_TRIP], over[:, brief.CLIENT_ROUND_TRIP])
            self._gone.clear()

    def _tell(self, exchange: Known, some: list[Facts], places: Places) -> None:
        totals, times = self._totals, len(some)
        totals.http.requests += times
        totals.http.responses += times
        totals.methods.count(exchange.request.method, times)
        totals.statuses.count(exchange.response.status_text, times)
        rows = np.array([facts[: brief.COUNTED] for facts in some], dtype=np.int64)
        took = Took(
            *(
                rows[:, column]
                for column in (brief.NUMBER, brief.ASKED, brief.ASKED_TS, brief.ANSWERED_TS, brief.DONE, brief.DONE_TS, brief.ROUND_TRIP)
            )
        )
        totals.answers.add_alike(exchange.request, exchange.size, took, places)
