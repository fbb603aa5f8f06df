"""The only wiring: blocks from the captures to a shard of work (`shard`), what it finds to the report and its sinks.

Contract: `run` takes capture paths and limits, gives records to a writer as they complete, and returns the summary. It raises
`CaptureError` before anything was analyzed. Where the conservation law fails, `Result.account_error` says so; damage after a capture's first packet is said in the summary. Only this module knows all stages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import msgspec

from pcapflow import __version__, records
from pcapflow.budget import Ledger
from pcapflow.capture import linktypes
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.clock import timed
from pcapflow.capture.folders import skipped_files
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.packet_places import Places
from pcapflow.capture.reader import CaptureInfo
from pcapflow.capture.trace import Reading, Trace
from pcapflow.decode import dpkt_path
from pcapflow.decode.selection import Selection
from pcapflow.entries import Kinds
from pcapflow.errors import AccountError
from pcapflow.findings.advice import advise
from pcapflow.findings.answers import table_bytes
from pcapflow.findings.collector import Collector
from pcapflow.findings.exchanges import Exchanges
from pcapflow.findings.follow import Picking
from pcapflow.findings.listening import Listener, Who
from pcapflow.findings.ordering import Take
from pcapflow.json_backend import known_digits
from pcapflow.limits import Limits
from pcapflow.memory_scale import common_of
from pcapflow.options import Options
from pcapflow.payload import registry as payloads
from pcapflow.process_memory import HardLimit, memory_at_hand, resident_bytes
from pcapflow.protocols import registry as protocols
from pcapflow.records import seconds
from pcapflow.report.sinks.base import Sink, Writer, kinds_wanted, left_out, to_each
from pcapflow.shard import Partial, Shard, merged
from pcapflow.summary import SCHEMA, Capture, Run, Summary
from pcapflow.workers.division import divide
from pcapflow.workers.gate import through
from pcapflow.workers.job import Job, Link
from pcapflow.workers.team import Team

__all__ = ["Options", "Progress", "Result", "run"]
_WARNINGS_MAX = 100
"""Warnings of one run; thousands of files may each have some."""


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. bytes_total: None where an input's size is not known."""

    packets: int
    bytes_done: int
    bytes_total: int | None
    memory_bytes: int
    memory_limit: int


class Result(msgspec.Struct):
    """What a run leaves."""

    summary: Summary
    warnings: list[str] = msgspec.field(default_factory=list)
    damaged: bool = False
    out_of_memory: bool = False
    """The process had no memory left, its own limit or the system's: the report covers what was read before."""
    unbalanced: list[str] = msgspec.field(default_factory=list)
    asked_to_stop: bool = False
    """A signal came, perhaps when all was read already."""
    nothing_decoded: bool = False
    """Every packet had a link type that is not supported."""

    def account_error(self) -> AccountError | None:
        """What to raise or say where the conservation law does not hold."""
        if not self.unbalanced or self.out_of_memory:
            return None
        return AccountError(
            f"internal error: the account does not balance for {'; '.join(self.unbalanced[:3])}; please report this with the capture"
        )


def run(
    paths: Sequence[str],
    limits: Limits | None = None,
    options: Options | None = None,
    *,
    write: Callable[[list[Any]], object] | None = None,
    kinds: Kinds = None,
    flush: Callable[[], object] | None = None,
    progress: Callable[[Progress], object] | None = None,
    sinks: Sequence[Sink] = (),
    listeners: Sequence[Listener] = (),
    follow: Picking | None = None,
    separator: bytes | None = None,
) -> Result:
    """Analyze captures as one trace. write takes each record's JSON, of those kinds (`entries.takes`), or several with that separator between in one piece; flush is called when a block's records are written; sinks get
    what is found too (`report.sinks`), listeners what bodies hold (`findings.listening`); follow: picks the one connection that is read.
    """
    limits = limits or Limits()
    options = options or Options()
    began = time.perf_counter()
    start_rss = resident_bytes()[1]
    ledger = Ledger(limits, options.simulate)
    for sink in sinks:
        sink.begin(ledger)
    writer = Writer(write, kinds, separator) if write is not None else None
    who = wanted(writer, sinks, options, listeners, follow)
    take = to_each(writer, sinks)
    with Interrupt() as interrupt:
        with ExitStack() as stack:
            stack.enter_context(memory_at_hand())
            stack.enter_context(known_digits())
            hard_limit = stack.enter_context(HardLimit(options.process_limit))
            trace = stack.enter_context(Trace(paths, limits, ledger, interrupt))
            division = divide(limits, options, trace, ledger, alone=follow is not None, takes=take is not None)
            trace.limits = division.limits
            jobs = division.jobs(paths, options, who, separator, takes=take is not None)
            team = _team(stack, trace, interrupt, jobs, writer if writer is not None and is_alone(writer, who) else None, take)
            take = team.take if team is not None and take is not None else take
            collector = Collector(division.limits, ledger, take, options.looking, who, options.headers, table_bytes(limits))
            shard = Shard(division.limits, options, ledger, collector, division.part)
            collector.places = _places(trace)
            course = _Course(interrupt, team)
            watchers = _Watchers(flush, progress, sinks, trace, team, hard_limit, options.simulate.get("process", 0))
            blocks = course.blocks(trace.blocks(options.packets))
            no_memory = _take_all(shard, blocks, watchers.ready, lambda block: watchers.done(shard, block))
            if no_memory:
                hard_limit.lift()
            others = _finish(shard, team, no_memory=no_memory)
            for sink in sinks:
                sink.finish()
            division.release()
        found = merged([shard.partial(start_rss, trace.reading, no_memory=no_memory), *others])
        result = result_of(found, limits, time.perf_counter() - began, interrupted=course.asked)
        result.summary.run.workers = division.workers
        result.asked_to_stop = course.asked  # meanwhile too
        result.summary.not_written = left_out(sinks)
        for sink in sinks:
            sink.summary(result.summary)
    return result


def check(options: Options) -> None:
    """Raises `UsageError` for what a run would refuse, before it begins."""
    Selection(options.begin, options.end, options.filter, verify_checksums=options.verify_checksums)


def work(job: Job, link: Link) -> Partial:
    """What a worker does: its part of a run. Called by `workers.worker` in a process of its own."""
    start_rss = resident_bytes()[1]
    limits, options = job.limits, job.options
    ledger = Ledger(job.whole)
    with ExitStack() as stack:
        stack.enter_context(memory_at_hand())
        stack.enter_context(known_digits())
        trace = stack.enter_context(Trace(job.paths, limits, ledger, Interrupt(), link.source))
        if limits != job.whole:  # others divide them
            ledger.leave(limits, *common_of(limits.memory_limit))
        take = link.take if job.takes else None
        collector = Collector(limits, ledger, take, options.looking, job.who, options.headers, table_bytes(job.whole))
        shard = Shard(limits, options, ledger, collector, job.part)
        collector.places = _places(trace)

        blocks = through(trace.blocks(options.packets), link.ask)
        no_memory = _take_all(shard, blocks, lambda _: None, lambda _: link.reached(shard.last_packet))
        link.end()
        shard.finish(no_memory=no_memory)
    return shard.partial(start_rss, trace.reading, no_memory=no_memory)


def _take_all(shard: Shard, blocks: Iterator[PacketBlock], ready: Callable[[int], None], done: Callable[[PacketBlock], None]) -> bool:
    """Let a shard take blocks; ready is called before each, with its number from 1, and done after it. Whether the process had no memory left for more."""
    try:
        for number, block in enumerate(timed(blocks, shard.ledger), 1):
            ready(number)
            shard.take(block)
            shard.collector.flush()
            done(block)
    except MemoryError:
        return True
    return False


def _team(stack: ExitStack, trace: Trace, interrupt: Interrupt, jobs: list[Job], writer: Writer | None, take: Take | None) -> Team | None:
    """Who shares the run; None for nobody. writer: where it takes all lines alone: they are written as they come; else entries are made of them."""
    if not jobs:
        return None
    interrupt.patient = not trace.is_read_once  # a file never keeps a read waiting
    team = stack.enter_context(Team(jobs, writer.write if writer is not None else take, interrupt, whole=writer is None))
    if team.feed is not None:
        trace.share(team.feed.write)
    return team


def _finish(shard: Shard, team: Team | None, *, no_memory: bool) -> list[Partial]:
    """No block comes any more: what the others found, when their entries are written too."""
    if team is not None:
        team.end()
    shard.finish(no_memory=no_memory)
    return team.results() if team is not None else []


def _places(trace: Trace) -> Places:
    return Places([records.text(os.fsencode(info.path)) for info in trace.infos])


class _Watchers(NamedTuple):
    """Who is told of each block that was taken."""

    flush: Callable[[], object] | None
    progress: Callable[[Progress], object] | None
    sinks: Sequence[Sink]
    trace: Trace
    team: Team | None
    hard_limit: HardLimit
    fails_at: int
    """The block before which the process has no memory on purpose; 0 for none."""

    def ready(self, number: int) -> None:
        """The next block is taken, of that number, from 1. Raises MemoryError where too little is left for one."""
        self.hard_limit.check()
        if number == self.fails_at:
            raise MemoryError

    def done(self, shard: Shard, block: PacketBlock) -> None:
        """The block was."""
        if self.team is not None:
            self.team.advance(shard.last_packet)
        if self.flush is not None:
            self.flush()
        for sink in self.sinks:
            sink.block(block.ts, block.wirelen)
        if self.progress is not None:
            ledger = shard.ledger
            self.progress(Progress(shard.last_packet, self.trace.position, self.trace.size, ledger.used, ledger.limit))


class _Course:
    """How far a run goes: to the end, or to where the user asked to stop. What was read by then is still to be analyzed, and every shard reads as far."""

    def __init__(self, interrupt: Interrupt, team: Team | None) -> None:
        self._interrupt = interrupt
        self._team = team
        self._until: int | None = None
        self._taken = 0

    @property
    def asked(self) -> bool:
        """Whether the user asked to stop, perhaps when all was read already."""
        return self._interrupt.asked or self._interrupt.signals > 0

    def blocks(self, blocks: Iterator[PacketBlock]) -> Iterator[PacketBlock]:
        """The blocks up to there."""
        if self._team is not None:
            try:
                yield from through(blocks, self._ask)
            except KeyboardInterrupt:  # while the first shard waited for bytes: the others have no more
                self._until = self._team.stop(self._taken)
            return
        with suppress(KeyboardInterrupt):
            for block in blocks:
                yield block
                if self._interrupt.asked:
                    return
            return
        self._interrupt.asked = True

    def _ask(self, taken: int) -> int | None:
        """See `gate.Ask`."""
        assert self._team is not None
        self._taken = taken
        if self._until is None and self.asked:
            self._until = self._team.stop(taken)
        if self._until is None and self._team.feed is not None:
            self._team.feed.tell()
        return self._until


def wanted(
    writer: Writer | None, sinks: Sequence[Sink], options: Options, listeners: Sequence[Listener] = (), follow: Picking | None = None
) -> Who:
    """Who wants what of a run."""
    return Who(kinds_wanted(writer, sinks), (*listeners, *_exchanges(sinks, options)), options.where, follow)


def is_alone(writer: Writer, who: Who) -> bool:
    """Whether a writer takes all lines, and may have several in one piece: no entries are made of them."""
    return len(who.kinds) == 1 and not who.listeners and writer.separator is not None


def _exchanges(sinks: Sequence[Sink], options: Options) -> list[Listener]:
    """Who keeps exchanges whole, where a sink wants that."""
    makers = {sink.own: maker for sink in sinks if (maker := sink.maker()) is not None}
    return [Exchanges(makers, options.headers, options.where)] if makers else []


def result_of(found: Partial, limits: Limits, elapsed: float, *, interrupted: bool) -> Result:
    """What a run leaves whose shards found all that together. elapsed: in seconds."""
    totals, decode, infos = found.totals, found.decode, found.read.infos
    bytes_read = sum(info.bytes for info in infos)
    summary = Summary(
        schema=SCHEMA,
        pcapflow=__version__,
        interrupted=interrupted,
        captures=[_capture(info) for info in infos],
        decode=decode,
        tcp=totals.tcp,
        http=totals.http,
        json=totals.json,
        payloads=totals.payloads,
        drops=totals.drops,
        memory=found.memory,
        advice=[],
        limits=limits.as_dict(),
        run=Run(round(elapsed, 6), int(decode.packets / elapsed), int(bytes_read / elapsed), 1),
        worst_streams=totals.worst.streams(),
        network=totals.network.summary(),
        endpoints=totals.answers.endpoints(),
        problems=totals.answers.problems(),
        plugins=dict(sorted(totals.plugins.items())),
    )
    summary.advice = advise(summary, found.needs)
    result = Result(summary, unbalanced=totals.unbalanced, out_of_memory=found.no_memory, asked_to_stop=interrupted)
    _warn(result, found.read)
    return result


def _capture(info: CaptureInfo) -> Capture:
    return Capture(
        path=records.text(os.fsencode(info.path)),
        format=info.format,
        compression=info.compression,
        link_types=[linktypes.name(number) for number in info.link_types],
        snaplen=info.snaplen,
        bytes=info.bytes,
        packets=info.packets,
        first_ts=seconds(info.first_ts) if info.first_ts is not None else None,
        last_ts=seconds(info.last_ts) if info.last_ts is not None else None,
        cut_short=info.cut_short,
        damaged_at=info.damaged_at,
        dropped_by_capture=info.dropped_by_capture,
        skipped_bytes=info.skipped_bytes,
        decryption_secrets=info.decryption_secrets,
    )


def _warn(result: Result, read: Reading) -> None:
    """What is to be said of the captures."""
    say = result.warnings.append
    for info in read.infos:
        result.damaged |= info.damaged_at is not None
        if len(result.warnings) > 2 * _WARNINGS_MAX:
            continue
        if info.damaged_at is not None:
            skipped = f", {info.skipped_bytes} bytes were skipped" if info.skipped_bytes else ""
            say(f"{info.path}: damaged at byte {info.damaged_at}: {info.damage}; {info.packets} packets were read{skipped}")
        elif info.cut_short:
            say(f"{info.path}: its last record is cut short; {info.packets} whole packets were read")
        for link_type in info.link_types:
            if link_type not in dpkt_path.SUPPORTED_LINK_TYPES:
                say(
                    f"{info.path}: link type {linktypes.name(link_type)} is not supported; its {info.by_link_type[link_type]:,} packets were counted, not decoded"
                )
    if read.skipped:
        say(skipped_files(read.skipped))
    for point in (*protocols.plugged(), *payloads.plugged()):
        if point.problem:
            say(f"the plug-in {point.name} of {point.package} is not used: {point.problem}")
    seen = [link_type for info in read.infos for link_type in info.link_types]
    more = len(result.warnings) - _WARNINGS_MAX
    if more > 0:
        result.warnings[_WARNINGS_MAX:] = [f"and {more:,} more warnings"]
    result.nothing_decoded = bool(seen) and not any(link_type in dpkt_path.SUPPORTED_LINK_TYPES for link_type in seen)
