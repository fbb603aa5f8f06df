"""Gathers what the stages find into the report's summary and its records.

Contract: implements what the reassembly stage calls `Observer` and the protocols stage calls `Host`. Counts always;
builds and encodes a record only where somebody asked for records. Invariant: what is kept does not grow with the traffic: maps are
capped at `map_keys`, the rest are counters. The conservation law is checked for each stream as it ends.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pcapflow import records
from pcapflow.body_options import NOTHING_MORE, Looking
from pcapflow.budget import Ledger
from pcapflow.capture.packet_places import Places
from pcapflow.contents import JsonBody, Other
from pcapflow.counting import Inner, count_json
from pcapflow.drops import Drop, DropReason
from pcapflow.entries import OWNED_JSON, takes
from pcapflow.findings.answers import table_bytes
from pcapflow.findings.bodies import Bodies
from pcapflow.findings.ends import LatestEnds
from pcapflow.findings.listening import NOBODY_MORE, Who
from pcapflow.findings.losses import conflict_record, gap_record
from pcapflow.findings.matching import body_meant, exchange_meant, raw_meant
from pcapflow.findings.ordering import RecordSorter, Take
from pcapflow.findings.plugged import PluggedBodies
from pcapflow.findings.streams import connection_record, half_open_record
from pcapflow.findings.totals import Totals
from pcapflow.header_options import NO_HEADERS, Headers
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader
from pcapflow.payload.registry import payloads
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.cache import Answer, Heads
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head, HeadRead, HeadRules
from pcapflow.protocols.http.plain_run import PlainRun, http_lines, json_lines
from pcapflow.protocols.registry import forms, own_forms
from pcapflow.protocols.stack import Stack
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.keys import endpoints
from pcapflow.records import seconds
from pcapflow.streams.conversation import Consumer, Conversation
from pcapflow.streams.events import StreamGap, Where
from pcapflow.summary import DropCount
from pcapflow.unread import Unread

_CONFLICT, _GAP, _DROP, _JSON, _HTTP, _CONNECTION = 0, 2, 4, 6, 8, 9
"""Ranks of records that one packet completes on one connection; the server's stream comes after the client's."""
_PLUGIN = _JSON


def _limit_of(drop: Drop) -> records.LimitValue | None:
    return records.LimitValue(drop.limit_name, drop.limit_value) if drop.limit_name else None


def _nowhere(packet: int, connection: int, kind: str, line: bytes, rank: int = 0, order: int = -1) -> None:
    """Takes entries where nobody wants any."""


class Collector:
    """One run's findings."""

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        take: Take | None,
        looking: Looking = NOTHING_MORE,
        who: Who = NOBODY_MORE,
        headers: Headers = NO_HEADERS,
        tables: int | None = None,
    ) -> None:
        """tables: bytes for the tables of endpoints and problems, where the limits are a shard's; take takes the records, in order; None where nobody wants any. looking: what for in bodies. who: wants more than the report."""
        self.limits = limits
        self.ledger = ledger
        self._kinds = who.kinds
        self._listeners = (*who.listeners, *([PluggedBodies(payloads())] if payloads().plugged else ()))
        self._bodies = Bodies(limits, ledger, looking, self._listeners)
        self._follow, self._where = who.follow, who.where
        self.counts_alone = take is None and not self._listeners and who.follow is None and who.where is None
        self.tells_heads = any(one.tells_heads for one in self._listeners)
        self._by_connection = [one for one in self._listeners if one.by_connection]
        self.by_packet = any(one.by_packet for one in self._listeners)
        self.by_exchange = who.where is not None or any(one.by_exchange for one in self._listeners)
        self.wants_records = take is not None
        self._sorter = RecordSorter(ledger.output, take) if take is not None else None
        self._add = self._sorter.add if self._sorter is not None else _nowhere
        self._takes_connections, self._takes_http, self._takes_json, self.json_alone = map(
            self._wants, ("connection", "http", "json", OWNED_JSON)
        )
        self._encode = msgspec.json.Encoder().encode
        self.totals = totals = Totals(limits, ledger, table_bytes(limits) if tables is None else tables)
        self._drops, self._counts, self.tcp, self._http, self._json = totals.drops, totals.counts, totals.tcp, totals.http, totals.json
        self.heads = Heads(
            ledger.http, self._forgotten, HeadRules(payloads().form_of, headers, keep_raw=any(one.keeps_heads for one in who.listeners))
        )
        self.forms = own_forms()
        self.sniffs = looking.sniff
        self.looks_at_all = looking.at_all or any(one.looks_at_all for one in who.listeners)
        self.places = Places()
        self.ends = LatestEnds()
        self._answers = totals.answers
        for one in self._listeners:
            one.begin(self)
        if who.follow is not None:
            who.follow.begin(ledger)

    def flush(self) -> None:
        """A block is done: its records can be written."""
        if self._sorter is not None:
            self._sorter.flush()

    def close(self) -> None:
        """No connection is left: what was counted is in `totals`."""
        self.heads.close()
        if self._follow is not None:
            self._follow.close()
        for one in self._listeners:
            one.close()
        if self._sorter is not None:
            self._sorter.flush()
            self._sorter.close()
        self.totals.release()

    def entry(self, packet: int, connection: int, kind: str, line: bytes, rank: int, order: int = -1) -> None:
        """A line of that kind, which packet completed; see `RecordSorter.add`."""
        self._add(packet, connection, kind, line, rank, order)

    def record(self, packet: int, connection: int, record: records.AnyRecord, rank: int = 0) -> None:
        """A record that packet completed."""
        self.entry(packet, connection, record.record, self._encode(record), rank)

    def _wants(self, kind: str) -> bool:
        """Whether somebody takes records of that type."""
        return any(takes(kinds, kind) for kinds in self._kinds)

    def _limit(self, name: str) -> records.LimitValue:
        return records.LimitValue(name, getattr(self.limits, name))

    # --- Observer: connections

    def consumer(self, conversation: Conversation) -> Consumer:
        """See `StreamObserver`."""
        if self._follow is not None:
            return self._follow.consumer(conversation, lambda: Stack(self, forms()))
        return Stack(self, forms())

    def gone(self, connection: Connection, packet: int, ts: int) -> None:
        """A connection is over, at that packet."""
        self._counts.connection(connection)
        if self._follow is not None:
            self._follow.gone(connection)
        self.totals.network.add(connection)
        for direction in (0, 1):
            self._counts.stream(connection, direction)
        self.totals.worst.add(connection)
        if self._takes_connections:
            self._add(packet, connection.number, "connection", self._encode(connection_record(connection)), _CONNECTION)
        for one in self._by_connection:
            one.gone(connection, packet)
        for reading in connection.readings:
            if reading.unread is not None:
                reading.release(self.ledger.connections)

    def half_open(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> None:
        """Connections of which only a SYN was seen are over."""
        self._counts.half_open([syn for _, syn, *_ in gone], end)
        if self._follow is not None:
            for key, syn, packet, ts in gone:
                self._follow.half_open(endpoints(key)[0], syn, packet, ts)
        for one in self._by_connection:
            for key, syn, packet, _ in gone:
                one.half_open(key, syn, packet)
        if not self._takes_connections:
            return
        for key, syn, packet, _ in gone:
            record = half_open_record(key, syn, end)
            self._add(packet, syn.number, "connection", self._encode(record), _CONNECTION)

    def stream_dropped(
        self, conversation: Conversation, direction: int, reason: DropReason, held: int, why: Why, packet: int, ts: int, offset: int
    ) -> None:
        """See `StreamObserver`."""
        drop = Drop(
            reason, why.limit, getattr(self.limits, why.limit), f"{held} bytes were held behind a hole", requested_by=why.requested_by
        )
        self._drops.streams += 1
        self._count_drop(conversation, direction, drop, packet, ts, offset, held)

    def conflict(self, conversation: Conversation, direction: int, conflict: Conflict) -> None:
        """See `StreamObserver`."""
        self.tcp.conflicts += 1
        if not self._wants("conflict"):
            return
        record = conflict_record(conversation, direction, conflict, self.places)
        self.record(conflict.packet, conversation.number, record, _CONFLICT + (record.stream == "server"))

    def untracked(self, packet: int, ts: int, captured: int) -> None:
        """Segments of a connection for which there was no room."""
        self._drops.streams += 1
        self._never_tracked(DropReason.CONNECTION_MEMORY, packet, ts, captured, self._limit(self.ledger.refused))

    def repeated(self, segments: int, captured: int) -> None:
        """Segments came again of a connection whose record is written."""
        total = self.tcp.payload_bytes
        self.tcp.repeated_after_close += segments
        total.captured += captured
        total.retransmitted += captured

    def refused(self, segments: list[tuple[int, int, int]]) -> None:
        """Segments whose checksum is wrong: packet, time (ns) and bytes of each. What they carry is dropped."""
        for packet, ts, n in segments:
            self._never_tracked(DropReason.CHECKSUM_WRONG, packet, ts, n, None)

    def _never_tracked(self, reason: DropReason, packet: int, ts: int, n: int, limit: records.LimitValue | None) -> None:
        """n bytes from that packet on are dropped that no stream has."""
        total = self.tcp.payload_bytes
        total.captured += n
        total.dropped += n
        self._drops.bytes += n
        self.count_drop(reason, n)
        if self._wants("drop"):
            resumes = reason.layer != "reassembly"
            record = records.Drop(
                packet, "client", reason.layer, reason.value, seconds(ts), packet, 0, n, limit, "", None, None, resumes, *self.places.of(packet),
            )  # fmt: skip
            self.record(packet, packet, record)

    def count_drop(self, reason: DropReason, n: int) -> None:
        """Something was given up of which n bytes were held."""
        count = self._drops.by_reason.setdefault(reason, DropCount())
        count.count += 1
        count.bytes += n

    def given_up(self, origin: BodyOrigin, drop: Drop, held: int, rank: int = _DROP) -> None:
        """Something of a body was, of which so many bytes were held."""
        self.count_drop(drop.reason, held)
        if self._wants("drop"):
            packet = origin.packet
            record = records.Drop(
                origin.connection, origin.stream, drop.reason.layer, drop.reason.value, seconds(self.places.ts(packet, origin.ts)), packet, 0, held, _limit_of(drop), drop.detail,
                None, None, True, *self.places.of(packet),
            )  # fmt: skip
            self.record(packet, origin.connection, record, rank + (origin.stream == "server"))

    # --- Host: protocols

    def open_body(self, head: Head, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        return self._bodies.open_body(head, origin)

    def open_raw(self, form: str, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        return self._bodies.open_raw(form, origin)

    def whole_body(self, data: bytes, head: Head, origin: BodyOrigin) -> BodyReader | JsonBody:
        """See `Host`."""
        return self._bodies.whole_body(data, head, origin)

    def head(self, connection: int, side: int, read: HeadRead) -> None:
        """See `Host`."""
        for one in self._listeners:
            if one.tells_heads:
                one.head(connection, side, read)

    def request(self, method: str) -> None:
        """See `Host`."""
        self._http.requests += 1
        self.totals.methods.count(method)

    def response(self, status: str) -> None:
        """See `Host`."""
        self._http.responses += 1
        self.totals.statuses.count(status)

    def anomalies(self, names: list[str]) -> None:
        """See `Host`."""
        counts = self._http.anomalies
        for name in names:
            counts[name] = counts.get(name, 0) + 1

    def exchange(self, conversation: Conversation, exchange: Exchange) -> None:
        """See `Host`."""
        self._answers.add(conversation, exchange, self.places)

    def exchanges(self, conversation: Conversation, run: PlainRun) -> None:
        """See `Host`."""
        times = len(run.numbers)
        self._http.requests += times
        self._http.responses += times
        self.totals.methods.count(run.request.method, times)
        self.totals.statuses.count(run.response.status_text, times)
        run.answer.uses += times
        self._answers.add_run(conversation, run, self.places)
        number = conversation.number
        if self._takes_http:
            for packet, exchange, line in http_lines(number, self.ends(conversation), run, self.places):
                self._add(packet, number, "http", line, _HTTP, exchange)
        if self.json_alone and run.answer.json is not None:
            for packet, line in json_lines(number, run.answer.json, run):
                self._add(packet, number, OWNED_JSON, line, _JSON + 1)

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Host`."""
        for one in self._listeners:
            one.exchange_over(conversation, exchange, response, packet)

    def body(self, status: str) -> None:
        """See `Host`."""
        bodies = self._http.bodies
        if status == "complete":
            bodies.complete += 1
        else:
            setattr(bodies, status, getattr(bodies, status) + 1)

    def held(self, found: JsonBody | Other, inner: Inner | None = None) -> None:
        """See `Host`."""
        self.totals.held(found, inner)

    def not_looked_at(self) -> None:
        """See `Host`."""
        self._json.not_looked_at += 1

    def _forgotten(self, answer: Answer) -> None:
        """An answer leaves the cache: its uses count as bodies."""
        self._http.bodies.complete += answer.uses
        if answer.json is not None:
            count_json(self._json, answer.json, answer.uses)

    def takes(self, connection: int, exchange: Exchange, side: str = "") -> bool:
        """See `Host`."""
        where = self._where
        return where is None or (body_meant(where, connection, exchange, side) if side else exchange_meant(where, connection, exchange))

    def http(self, packet: int, record: records.Http) -> None:
        """See `Host`."""
        if self._takes_http:
            self._add(packet, record.connection, "http", self._encode(record), _HTTP, record.exchange)

    def json(self, packet: int, record: records.Json) -> None:
        """See `Host`."""
        if self._takes_json and (record.exchange is not None or self._where is None or raw_meant(self._where, record.connection)):
            kind = "json" if record.exchange is None else OWNED_JSON
            self._add(packet, record.connection, kind, self._encode(record), _JSON + (record.stream == "server"))

    def plugin(self, conversation: Conversation, direction: int, name: str, fields: bytes, at: Where, packet: int) -> None:
        """See `Host`."""
        self.found_by_plugin(conversation.number, conversation.stream_name(direction), name, None, fields, at, packet)

    def found_by_plugin(self, connection: int, stream: str, name: str, exchange: int | None, fields: bytes, at: Where, packet: int) -> None:
        """What a plug-in found, which begins at that place and which that packet completed; fields: a JSON object."""
        kind = f"plugin.{name}"
        plugins = self.totals.plugins
        plugins[name] = plugins.get(name, 0) + 1
        if self._wants(kind):
            said: Any = msgspec.Raw(fields)
            record = records.Plugin(
                kind, connection, stream, exchange, seconds(at.ts), at.origin, at.offset, said, *self.places.of(at.origin)
            )
            self.entry(packet, connection, kind, self._encode(record), _PLUGIN + (stream == "server"))

    def gap(self, conversation: Conversation, direction: int, gap: StreamGap) -> None:
        """See `Host`."""
        self._counts.gap(gap)
        if self._wants("gap"):
            name = conversation.stream_name(direction)
            record = gap_record(conversation, direction, gap, self._limit(gap.limit) if gap.limit else None, self.places)
            self.record(gap.packet, conversation.number, record, _GAP + (name == "server"))

    def unread(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """See `Host`."""
        for one in self._listeners:
            one.unread(conversation, direction, unread)
        conversation.readings[direction].add(unread, self.ledger.connections)

    def drop(self, conversation: Conversation, direction: int, drop: Drop, packet: int, ts: int, offset: int, held: int) -> None:
        """See `Host`."""
        if drop.reason is DropReason.CONTENT_UNSUPPORTED:
            self.totals.codings_missing.count(drop.subject)
        if drop.reason.layer in ("http", "plugin") and conversation.given_up(direction, drop.reason):
            self._drops.streams += 1
        self._count_drop(conversation, direction, drop, packet, ts, offset, held)

    def _count_drop(self, conversation: Conversation, direction: int, drop: Drop, packet: int, ts: int, offset: int, held: int) -> None:
        self.count_drop(drop.reason, held)
        if self._wants("drop"):
            name = conversation.stream_name(direction)
            reason = drop.reason
            sequence = conversation.wire_sequence(direction, offset)
            record = records.Drop(
                conversation.number, name, reason.layer, reason.value, seconds(self.places.ts(packet, ts)), packet, offset, held, _limit_of(drop), drop.detail,
                sequence, drop.requested_by or None, reason.layer != "reassembly", *self.places.of(packet),
            )  # fmt: skip
            self.record(packet, conversation.number, record, _DROP + (name == "server"))
