"""A capture's content held against a baseline of content mode.

Contract: `options_of` gives the options of a run whose content can be compared; `judge` says in the verdict what differs, cause by cause, or, where the job asks, makes the content
the baseline. A capture without a connection says nothing: it is refused unless that is asked for, or its baseline has none either.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.check.causes import Cause, causes_of
from pcapflow.check.content import MOST_BYTES, OUTCOME_BYTES, OUTCOMES, Content, content_of, read_content, written
from pcapflow.check.expectations import Expectation
from pcapflow.check.ignoring import Rules
from pcapflow.check.left_out import without
from pcapflow.check.line_diff import unified
from pcapflow.check.reports import read_report
from pcapflow.check.verdicts import MOST, Job, Problem, Verdict
from pcapflow.errors import OutputError, ReportError
from pcapflow.files import begins_as_capture, discard, is_folder, place_of, put_in_place, temporary
from pcapflow.header_options import Headers
from pcapflow.summary import Summary

_DIFF_LINES = 400
"""Of one baseline."""


def options_of(options: pipeline.Options, rules: Rules) -> pipeline.Options:
    """They add names of header fields, shapes, and what the rules compare beside."""
    looking = options.looking
    return msgspec.structs.replace(
        options,
        headers=Headers("all" if rules.header_values else "names", secrets=options.headers.secrets),
        looking=Looking(
            sniff=looking.sniff, hashes=looking.hashes, duplicate_keys=looking.duplicate_keys, shapes=True, values=rules.values
        ),
    )


def judge(job: Job, place: Path, report: Path, summary: Summary, verdict: Verdict) -> None:
    """Hold a report, and its summary as it was found, against the baseline that lies there, or make it the baseline."""
    rules = job.rules.fresh()
    content, seen = content_of(read_report(report), rules)
    verdict.ignored = rules.used
    if seen.beyond:
        verdict.warnings.append(
            f"{job.capture}: more different outcomes than are told apart ({OUTCOMES:,}, or {OUTCOME_BYTES >> 10:,} KiB of them); {seen.beyond:,} exchanges are told by their status alone, which depends on their order"
        )
    budgets = [one for one in job.expectations if one.relative is not None]
    values = msgspec.to_builtins(summary) if budgets else {}
    measured = {one.path: one.measured(values) for one in budgets}
    content.budgets = {path: value for path, value in sorted(measured.items()) if value is not None}
    for path in measured.keys() - content.budgets.keys():
        verdict.fail(Problem("budget", f"{path}: there is no such value in the report"))
    known = _known(job, place)
    if not content.connections and not job.allow_empty and (known is None or known.connections):
        verdict.fail(Problem("empty", "has no TCP connection, so there is nothing to compare; --allow-empty accepts that"))
    elif known is not None:
        known = without(known, job.rules.fresh())
        causes = causes_of(known, content, seen, rules.size_tolerance, everything=job.everything)
        told = [(_problem(cause), cause.kinds or (cause.kind,)) for cause in causes]
        told += [(Problem("budget", text), ("budget",)) for text in _over(budgets, known, content)]
        if job.update:
            _update(job, place, known, content, told, verdict)
        else:
            _fail(job, [problem for problem, _ in told], verdict)
        if job.shows_diff and verdict.problems:
            verdict.diff = _diff(place.name, known, content)
        verdict.followed = sum(cause.followed for cause in causes) if verdict.problems else 0
    elif job.update:
        accepted = "replaced" if os.path.lexists(place) else "created"
        if _put(content, place, verdict):
            verdict.accepted = accepted
    else:
        verdict.fail(Problem("baseline", f"has no baseline; to accept its content: {job.update_command}"))


def _fail(job: Job, problems: list[Problem], verdict: Verdict) -> None:
    for problem in problems:
        verdict.fail(problem)
    if problems:
        verdict.accept = job.update_command
        packet = next((problem.packet for problem in problems if problem.packet is not None), None)
        if packet is not None:
            path = ["--", job.capture] if job.capture.startswith("-") else [job.capture]
            verdict.show = shlex.join(["pcapflow", "follow", "--packet", str(packet), *path])


def _update(job: Job, place: Path, known: Content, content: Content, told: list[tuple[Problem, tuple[str, ...]]], verdict: Verdict) -> None:
    """What differs becomes the baseline, where all of it is to be accepted. Where nothing does the baseline stays: sizes and budgets do not creep."""
    refused = [problem for problem, kinds in told if job.accept and not set(kinds) <= set(job.accept)]
    if refused:
        _fail(job, refused, verdict)
        return
    problems = [problem for problem, _ in told]
    if not problems and known.budgets.keys() != content.budgets.keys():
        problems = [Problem("budget", f"values are stored for {', '.join(content.budgets) or 'no budget'}")]
        content = msgspec.structs.replace(known, budgets={path: known.budgets.get(path, n) for path, n in content.budgets.items()})
    if problems and _put(content, place, verdict):
        verdict.changes, verdict.more_changes = problems[:MOST], max(0, len(problems) - MOST)
        verdict.accepted = "updated"


def _diff(name: str, known: Content, content: Content) -> list[str]:
    old, new = (written(one).decode("utf-8", "replace").splitlines() for one in (known, content))
    found = list(islice(unified(old, new, name, "now"), _DIFF_LINES + 1))
    return found if len(found) <= _DIFF_LINES else [*found[:_DIFF_LINES], "..."]


def _over(budgets: list[Expectation], known: Content, content: Content) -> Iterator[str]:
    """What is more than its baseline allows, or cannot be held against it."""
    for one in budgets:
        before, now = known.budgets.get(one.path), content.budgets.get(one.path)
        if now is None:
            continue  # that is said already
        if before is None:
            yield f"{one.path} has no value in the baseline; --update stores it"
        else:
            said = one.over(now, before)
            if said is not None:
                yield said


def _known(job: Job, place: Path) -> Content | None:
    """The baseline; None for none, and for one that an update takes the place of since it cannot be read."""
    if not os.path.lexists(place):
        return None
    try:
        return read_content(place)
    except ReportError as e:
        if job.update and not is_folder(place) and not begins_as_capture(place):
            return None
        raise ReportError(f"{e}; accept what the capture says now: {job.update_command}") from None


def _put(content: Content, place: Path, verdict: Verdict) -> bool:
    """Write the baseline; False where it would be larger than what is read."""
    data = written(content)
    if len(data) > MOST_BYTES:
        text = f"says too much for a baseline: {len(data):,} bytes, {MOST_BYTES:,} at the most; leave some of it out (ignore), or cut the capture"
        verdict.fail(Problem("baseline", text))
        return False
    place = place_of(place)
    try:
        fd, beside = temporary(place.parent)
    except OSError as e:
        raise OutputError(f"no file can be written in {place.parent}: {e.strerror}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    except OSError as e:
        discard(beside)
        raise OutputError(f"{place}: cannot be written: {e.strerror}") from None
    put_in_place(beside, place)
    return True


def _problem(cause: Cause) -> Problem:
    if cause.place is None:
        return Problem(cause.kind, cause.text)
    return Problem(cause.kind, cause.text, cause.place.packet, cause.place.connection)
