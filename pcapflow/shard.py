"""One worker's part of a run, all of it or that of some connections: blocks of packets in, findings out. decode -> reassembly -> protocols -> payload.

Contract: `take` takes one block after another, `finish` comes once, and what was found is in the collector. Invariant: as many bytes are accounted for as
were decoded, or `unbalanced` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Account, Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.trace import Reading
from pcapflow.decode import columns
from pcapflow.decode.capture_health import Watch
from pcapflow.decode.copies import Copies
from pcapflow.decode.fragments import Fragments
from pcapflow.decode.segments import CONTROL, FIN, RST, SYN, DecodeCounts, SegmentColumns
from pcapflow.decode.selection import Selection
from pcapflow.decode.shares import Shares
from pcapflow.fields import PacketTime
from pcapflow.findings.brief_exchanges import BriefExchanges
from pcapflow.findings.collector import Collector
from pcapflow.findings.totals import Totals
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.process_memory import resident_bytes
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.flow_table import FlowTable
from pcapflow.reassembly.sizing import Needs
from pcapflow.reassembly.skews import Skews
from pcapflow.records import seconds
from pcapflow.summary import Component, Decode, DuplicatedByPlace, Memory, NotRead, Process


class Part(NamedTuple):
    """Which part of the work a shard is."""

    number: int
    """The first, 0, counts what belongs to no connection."""
    of: int
    sampled: npt.NDArray[np.int64] | None = None
    merges: bool = False
    reads: bool = False
    """See `Shares`."""


WHOLE = Part(0, 1)


class Partial(NamedTuple):
    """What a shard found; it can cross a process."""

    totals: Totals
    needs: Needs
    skews: Skews
    memory: Memory
    no_memory: bool
    """An allocation failed."""
    read: Reading
    """What every shard of a run reads."""
    decode: Decode
    """What the packets were, as the first shard counts them."""
    decoded: int
    """Bytes of payload, of everybody's connections."""


class _Own:
    """Which segments are a shard's."""

    def __init__(self, part: Part) -> None:
        self._shares = Shares(part.of, part.sampled, merges=part.merges, reads=part.reads) if part.of > 1 else None
        self._number = part.number
        self.captured = 0
        """Bytes of their payload."""
        self.decoded = 0
        """The same of everybody's."""

    def of(self, segments: SegmentColumns) -> SegmentColumns:
        """Those of a block."""
        n = int(segments.payload_len.sum())
        self.decoded += n
        if self._shares is not None:
            segments = segments.take(self._shares.of(segments) == self._number)
            n = int(segments.payload_len.sum())
        self.captured += n
        return segments


class Shard:
    """The table of connections, what reads them, and what they said."""

    def __init__(self, limits: Limits, options: Options, ledger: Ledger, collector: Collector, part: Part = WHOLE) -> None:
        """part: which connections are this shard's. Raises `UsageError` for a filter that is none."""
        self.limits = limits
        self.ledger = ledger
        self.collector = collector
        self._options = options
        self._selection = Selection(options.begin, options.end, options.filter, verify_checksums=options.verify_checksums)
        self._ctx = Context(limits, ledger, collector, drops_streams=options.drop_streams, overlap=options.overlap)
        self._own = _Own(part)
        self._number = part.number
        self._brief = BriefExchanges(collector, collector.totals) if collector.counts_alone else None
        self._table = FlowTable(
            self._ctx, collector, self._own.of, reader=self._brief, walk_all=options.walk_all, vlan_key=options.vlan_key
        )
        self._counts, self._watch = DecodeCounts(), Watch()
        self._fragments, self._copies = Fragments(limits, ledger), Copies(limits, ledger)
        self.last_packet = self._last_ts = 0

    def take(self, block: PacketBlock) -> None:
        """The next packets."""
        self.ledger.at(block.first_packet, int(block.ts[0]))
        self.collector.places.enter(block)
        segments = self._segments(block)
        flags, tcp = segments.flags, self.collector.tcp
        tcp.segments += len(flags)
        control = flags[(flags & CONTROL) != 0]
        tcp.syn += int(np.count_nonzero(control & SYN))
        tcp.fin += int(np.count_nonzero(control & FIN))
        tcp.rst += int(np.count_nonzero(control & RST))
        self._table.process(block, segments)
        if self._brief is not None:
            self._brief.flush(self.collector.places)
        self.last_packet = block.first_packet + len(block) - 1
        self._last_ts = int(block.ts[-1])

    def _segments(self, block: PacketBlock) -> SegmentColumns:
        """Those of a block that are looked at."""
        segments = columns.decode(block, self._counts, open_tunnels=self._options.tunnels, fragments=self._fragments)
        self._watch.look(block, segments)
        if self._selection.asked:
            segments, refused = self._selection.take(block, segments)
            if not self._number:
                n = sum(n for *_, n in refused)
                self._own.captured += n
                self._own.decoded += n
                self.collector.refused(refused)
        if self._options.looks_for is not None:
            segments = segments.take(segments.packet <= self._options.looks_for)
        else:
            segments = self._copies.leave_out(block, segments)
        return segments

    def finish(self, *, no_memory: bool) -> None:
        """No block comes any more: end what is left. no_memory: an allocation failed, and a connection may be half done; what can be said of the others
        still is.
        """
        self.ledger.at(self.last_packet, self._last_ts)
        self._fragments.finish()
        self._copies.close()
        collector, tcp = self.collector, self.collector.tcp
        with suppress(*((Exception,) if no_memory else ())):
            self._table.finish(self.last_packet, self._last_ts)
        if self._brief is not None:
            self._brief.flush(collector.places)
        with suppress(*((Exception,) if no_memory else ())):
            collector.close()
        tcp.early_acknowledgements = self._ctx.early_acks
        tcp.resets_ignored = self._ctx.resets_ignored
        if no_memory:
            tcp.payload_bytes.balanced = False
        elif self._own.captured != tcp.payload_bytes.captured:
            tcp.payload_bytes.balanced = False
            collector.totals.unbalanced.append(f"the whole: {self._own.captured} bytes decoded, {tcp.payload_bytes.captured} accounted for")

    def decode(self) -> Decode:
        """What the packets were."""
        selection = self._selection
        return Decode(
            packets=self._counts.packets,
            tcp=self._counts.tcp,
            udp=self._counts.udp,
            other=self._counts.other,
            malformed=self._counts.malformed,
            unsupported_link=self._counts.unsupported_link,
            bytes=self._counts.bytes,
            not_read={name: NotRead(*amount) for name, amount in self._counts.unread.named(self.limits).items()},
            ip=self._counts.ip,
            fragments=self._counts.fragments,
            datagrams=self._fragments.datagrams,
            fragments_dropped=self._fragments.dropped,
            fragments_overlapping=self._fragments.overlapping,
            filtered_out=selection.filtered_out,
            snapped=self._counts.snapped + self._watch.sliced,
            duplicated=self._copies.count,
            duplicated_bytes=self._copies.bytes,
            duplicated_by_place=DuplicatedByPlace(
                self._copies.by_file,
                self._copies.by_interface,
                self._copies.by_vlan,
                self._copies.count - self._copies.by_file - self._copies.by_interface - self._copies.by_vlan,
            ),
            oversized=self._watch.oversized,
            backwards=self._watch.backwards,
            checksums_checked=self._watch.checksums if selection.verified is None else selection.verified,
            checksums_wrong=self._watch.wrong_checksums if selection.verified is None else selection.wrong,
        )

    def partial(self, start_rss: int, read: Reading, *, no_memory: bool) -> Partial:
        """What a finished shard found, but for entries; start_rss: see `memory`."""
        ctx = self._ctx
        memory = self.memory(start_rss)
        return Partial(self.collector.totals, ctx.needs, ctx.skews, memory, no_memory, read, self.decode(), self._own.decoded)

    def memory(self, start_rss: int) -> Memory:
        """What the shard took; start_rss: bytes that its process took before."""
        ledger = self.ledger
        components = {a.name: Component(a.peak, a.limit, a.used, _reached(a)) for a in ledger.accounts()}
        process = Process(resident_bytes()[0], start_rss)
        apart = ledger.apart
        if apart is None:
            return Memory(ledger.limit, ledger.peak, _reached(ledger), ledger.pressure, components, process)
        pressure = ledger.pressure or apart.pressure
        return Memory(ledger.limit + apart.limit, ledger.peak + apart.peak, _reached(ledger), pressure, components, process)


def _reached(peak: Account | Ledger) -> PacketTime | None:
    return PacketTime(seconds(peak.peak_ts), peak.peak_packet) if peak.peak else None


def merged(partials: Sequence[Partial]) -> Partial:
    """What all shards of a run found, the first of which comes first; it is changed. What they account for together is what one of them decoded, or they did not agree on whose a connection is."""
    first = partials[0]
    totals = first.totals
    for partial in partials[1:]:
        totals.add(partial.totals)
        first.needs.add(partial.needs)
        first.skews.merge(partial.skews)
    captured = totals.tcp.payload_bytes.captured
    if captured != first.decoded and totals.tcp.payload_bytes.balanced:
        totals.tcp.payload_bytes.balanced = False
        totals.unbalanced.append(f"all workers: {first.decoded} bytes decoded, {captured} accounted for")
    totals.tcp.clock_skew = first.skews.seconds()
    totals.finish()
    return first._replace(memory=_together([one.memory for one in partials]), no_memory=any(one.no_memory for one in partials))


def _together(memories: Sequence[Memory]) -> Memory:
    """What all shards took: no more than all of them at their highest. Where that was reached is said of the highest."""
    highest = max(memories, key=lambda one: one.peak_bytes)
    components = {}
    for name in highest.components:
        of_each = [one.components[name] for one in memories]
        most = max(of_each, key=lambda one: one.peak_bytes)
        components[name] = Component(
            sum(one.peak_bytes for one in of_each),
            sum(one.limit_bytes for one in of_each),
            sum(one.at_end_bytes for one in of_each),
            most.peak_at,
        )
    process = Process(sum(one.process.peak_rss_bytes for one in memories), sum(one.process.start_rss_bytes for one in memories))
    return Memory(
        sum(one.limit_bytes for one in memories),
        sum(one.peak_bytes for one in memories),
        highest.peak_at,
        any(one.pressure for one in memories),
        components,
        process,
    )
