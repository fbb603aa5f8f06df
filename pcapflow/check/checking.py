"""One capture held against its baseline and its expectations.

Contract: `check` takes a `Job` and returns a `Verdict`; both can be sent to another process. It raises nothing for what a capture, a baseline or the
wire says. Its report goes to a file, record by record, and is read back from there: memory is bounded by the run's limits and
`comparing`'s window, whatever the capture holds. A baseline takes the new report's place only where `update` asks, the capture was read
to its end, and the account balances.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.folders import skipped_files
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import captures_in
from pcapflow.check import baseline, content, content_mode
from pcapflow.check.comparing import Comparison, compare
from pcapflow.check.expectations import Expectation, Violation
from pcapflow.check.reports import read_report
from pcapflow.check.verdicts import MOST, Job, Problem, Verdict
from pcapflow.check.walk_records import name_of, packet_of
from pcapflow.contents import JsonBody, JsonError, Other, broken, broken_at
from pcapflow.contents import Problem as Broken
from pcapflow.errors import DAMAGED, INTERNAL, INTERRUPTED, NOT_A_CAPTURE, OUT_OF_MEMORY, OutputError, PcapflowError, ReportError
from pcapflow.files import begins_as_capture, closing, discard, is_folder, place_of, put_in_place, temporary
from pcapflow.limits import Limits
from pcapflow.records import AnyRecord, Connection, Drop, Gap, Http, Json, Streams
from pcapflow.summary import Summary
from pcapflow.terminal_text import counted
from pcapflow.unread import Unread


def check(job: Job) -> Verdict:
    """Analyze a capture and hold it against what is expected of it."""
    verdict = Verdict(job.capture)
    try:
        _check(job, verdict)
    except PcapflowError as e:
        verdict.fail(Problem("error", str(e)), status=e.exit_status)
    except MemoryError:
        verdict.fail(Problem("error", "the process ran out of memory"), status=OUT_OF_MEMORY)
    except Exception as e:  # noqa: BLE001 - one capture's defect is not the others'
        verdict.fail(Problem("error", f"internal error: {type(e).__name__}: {e}; please report it with the capture"), status=INTERNAL)
    return verdict


def folder_of(job: Job) -> Path | None:
    """Where its report is written, to become the baseline; None where it is to become none: in the system's folder for what is temporary."""
    return place_of(job.baseline).parent if job.update and job.baseline is not None else None


def _check(job: Job, verdict: Verdict) -> None:
    if job.baseline is not None and not os.path.lexists(job.capture) and os.path.lexists(job.baseline):
        missing = f"the capture is missing, and its baseline {job.baseline.name} is there: restore the capture, or delete the baseline"
        verdict.fail(Problem("error", missing), status=NOT_A_CAPTURE)
        return
    folder = folder_of(job)
    try:
        fd, report = temporary(folder if folder is not None else tempfile.gettempdir())
    except OSError as e:
        raise OutputError(f"no file can be written in {folder or 'a temporary folder'}: {e.strerror}") from None
    try:
        with closing(os.fdopen(fd, "wb")) as file:
            try:
                writer = baseline.Baseline(file.write)
                options = content_mode.options_of(job.options, job.rules) if job.mode == "content" else job.options
                result = pipeline.run([job.capture], job.limits, options, write=writer.records)
                writer.summary(result.summary)
                file.flush()
            except OSError as e:
                raise OutputError(f"{report}: cannot be written: {e.strerror}") from None
            verdict.packets, verdict.seconds, verdict.warnings = result.summary.decode.packets, result.summary.run.seconds, result.warnings
            if _whole(result, verdict):
                _judge(job, report, result.summary, verdict)
    finally:
        discard(report)


def _whole(result: pipeline.Result, verdict: Verdict) -> bool:
    """Whether the report covers the whole capture; else says why not."""
    error = result.account_error()
    if error is not None:
        verdict.fail(Problem("error", str(error)), status=INTERNAL)
    elif result.nothing_decoded:
        verdict.fail(Problem("error", "no packet has a link type that is supported"), status=NOT_A_CAPTURE)
    elif result.summary.interrupted:
        verdict.fail(Problem("error", "interrupted"), status=INTERRUPTED)
    elif result.out_of_memory:
        verdict.fail(Problem("error", "the process ran out of memory"), status=OUT_OF_MEMORY)
    elif result.damaged:
        verdict.fail(Problem("error", f"the capture is damaged at byte {result.summary.captures[-1].damaged_at}"), status=DAMAGED)
    return not verdict.exit_status


def _judge(job: Job, report: Path, summary: Summary, verdict: Verdict) -> None:
    for problem in chain(_fail_on(job.fail_on, report), _expected(job.expectations, report, summary)):
        verdict.fail(problem)
    if job.baseline is None or job.mode == "exact":
        for expectation in job.expectations:
            if expectation.relative is not None:
                verdict.fail(Problem("expectation", f"{expectation.path}: a bound relative to the baseline needs one of content mode"))
    if job.baseline is None:
        return
    if job.mode == "content":
        content_mode.judge(job, job.baseline, report, summary, verdict)
        return
    accepted = _against_baseline(job, job.baseline, report, verdict)
    if accepted:
        put_in_place(report, place_of(job.baseline))
        verdict.accepted = accepted


def _against_baseline(job: Job, place: Path, report: Path, verdict: Verdict) -> str:
    """What is to become of the baseline: nothing, or `created`, `updated`, `replaced`."""
    if not os.path.lexists(place):
        if not job.update:
            verdict.fail(Problem("baseline", f"has no baseline; to accept the report: {job.update_command}"))
        return "created" if job.update else ""
    try:
        rules = job.rules.fresh()
        comparison = compare(
            read_report(place), read_report(report), with_endpoints=False, hides=rules.hides_change if rules.used else None
        )
        verdict.ignored = rules.used
    except ReportError as e:
        if job.update and not is_folder(place) and not begins_as_capture(place):
            return "replaced"
        raise ReportError(f"{e}; to accept the report: {job.update_command}") from None
    if job.update and job.accept and not comparison.same:
        verdict.fail(Problem("baseline", "differs, and --accept is for baselines of content mode; update it without"))
        return ""
    if job.update:
        verdict.changes = differences(comparison)[:MOST]
        verdict.more_changes = comparison.differences - len(verdict.changes)
        return "" if comparison.same else "updated"
    for problem in differences(comparison):
        verdict.fail(problem)
    if not comparison.same:
        verdict.accept = job.update_command
    verdict.more += comparison.differences - len(comparison.summary) - len(comparison.records)
    return ""


def differences(comparison: Comparison) -> list[Problem]:
    """A comparison's differences in words, field by field."""
    found = []
    for change in comparison.summary:
        other = "made with another limit: " if change.path.startswith(".limits.") else ""
        found.append(Problem("difference", f"{other}{change.path}: {shown(change.old)} -> {shown(change.new)}"))
    for record in comparison.records:
        if record.kind != "changed":
            found.append(Problem("difference", f"{record.kind}: {record.name}", record.packet))
            continue
        fields = "; ".join(f"{change.path}: {shown(change.old)} -> {shown(change.new)}" for change in record.changes)
        found.append(Problem("difference", f"{record.name}: {fields}", record.packet))
    return found


def shown(value: Any) -> str:
    """A value on one line, cut where it is long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."


def _expected(expectations: tuple[Expectation, ...], report: Path, summary: Summary) -> Iterator[Problem]:
    values = msgspec.to_builtins(summary)
    for expectation in expectations:
        if not expectation.into_records:
            yield from (_violated(violation, None) for violation in expectation.violations(values))
    into_records = [expectation for expectation in expectations if expectation.into_records]
    if not into_records:
        return
    for record in read_report(report):
        if not isinstance(record, Summary):
            values = msgspec.to_builtins(record)
            for expectation in into_records:
                yield from (_violated(violation, record) for violation in expectation.violations(values))


def _violated(violation: Violation, record: AnyRecord | None) -> Problem:
    where = f"{name_of(record)}: " if record is not None else ""
    return Problem(
        "expectation",
        f"{where}{violation.path} is {shown(violation.value)}, expected {violation.bound}",
        packet_of(record) if record is not None else None,
    )


def _fail_on(kinds: tuple[str, ...], report: Path) -> Iterator[Problem]:
    """One problem a kind: how many there are, and the first."""
    if not kinds:
        return
    first: dict[str, AnyRecord] = {}
    count = dict.fromkeys(kinds, 0)
    cut_short = False
    for record in read_report(report):
        if isinstance(record, Summary):
            cut_short = any(capture.cut_short for capture in record.captures)
            continue
        for kind in _kinds_of(record):
            if kind in count:
                count[kind] += 1
                first.setdefault(kind, record)
    for kind in kinds:
        if kind == "truncated" and cut_short:
            yield Problem("fail-on", "truncated: the capture's last record is cut short")
        if count[kind]:
            record = first[kind]
            packet = _unread(record.streams)[0].packet if isinstance(record, Connection) else packet_of(record)
            yield Problem("fail-on", f"{kind}: {name_of(record)}{_detail(kind, record)}", packet, more=count[kind] - 1)


def _kinds_of(record: AnyRecord) -> list[str]:
    if isinstance(record, Gap):
        return ["gap"]
    if isinstance(record, Drop):
        return ["drop"]
    if isinstance(record, Json):
        return ["invalid-json"] if _is_invalid(record) else ["truncated"] * (record.status == "truncated")
    if isinstance(record, Http):
        bodies = [message.body for message in (record.request, record.response) if message is not None]
        bad = [wrong for body in bodies for held in (body.json, body.payload) if held is not None for wrong in _wrong(held)]
        holds = {
            "invalid-json": bool(bad),
            "anomaly": bool(record.anomalies),
            "truncated": any(body.status == "truncated" for body in bodies),
            "unanswered": record.response is None,
            "5xx": record.response is not None and 500 <= record.response.status <= 599,
        }
        return [kind for kind, there in holds.items() if there]
    if isinstance(record, Connection):
        return ["unread"] * any(_unread(record.streams))
    return []


def _is_invalid(json: Json | JsonBody) -> bool:
    return json.status == "invalid" or (json.broken > 0 and json.status != "truncated")


def _unread(streams: Streams) -> list[Unread]:
    return [*streams.client.unread, *streams.server.unread]


def _detail(kind: str, record: AnyRecord) -> str:
    if kind == "anomaly" and isinstance(record, Http):
        return f": {', '.join(record.anomalies)}"
    if isinstance(record, Connection):
        sides = (("client", record.streams.client), ("server", record.streams.server))
        unread = [(one, side) for side, stream in sides for one in stream.unread]
        return ": " + ", ".join(f"{counted(one.bytes, 'byte')} from the {side} ({one.name or one.reason})" for one, side in unread)
    if isinstance(record, Json):
        return _error(record.error)
    if kind == "invalid-json" and isinstance(record, Http):
        bodies = [message.body for message in (record.request, record.response) if message is not None]
        return _said(next(wrong for body in bodies for held in (body.json, body.payload) if held is not None for wrong in _wrong(held)))
    return f": {record.cause}" if isinstance(record, Gap) else ""


def _wrong(held: JsonBody | Other) -> list[Broken | None]:
    """What is wrong with a body that is not what it says; None where nobody knows."""
    if isinstance(held, JsonBody):
        return [held.error] if _is_invalid(held) else []
    return [error for _, error in broken(held)]


def _said(error: Broken | None) -> str:
    return f": {error.message} ({broken_at(error)})" if error is not None and not isinstance(error, JsonError) else _error(error)


def _error(error: JsonError | None) -> str:
    return f": {error.message} (byte {error.offset}, at {error.location or 'the top'})" if error is not None else ""


def captures_of(folder: str, limits: Limits, ledger: Ledger, *, baselines: bool = True) -> tuple[list[str], str]:
    """The captures in a directory, by name, those too that only their baselines tell of, where these count; and what to say of its other files. ledger: of all directories
    of a run, whose names are kept together.
    """
    captures, others = captures_in(folder, limits, ledger, Interrupt())
    suffixes = (baseline.SUFFIX, content.SUFFIX)
    accepted = {path for path in others if path.endswith(suffixes)}
    missed = {path.removesuffix(suffixes[0]).removesuffix(suffixes[1]) for path in accepted if baselines} - set(captures)
    return sorted({*captures, *missed}), skipped_files([path for path in others if path not in accepted and path not in missed])
