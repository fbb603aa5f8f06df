"""A capture's content held against a baseline of content mode.

Contract: `options_of` gives the options of a run whose content can be compared; `judge` says in the verdict what differs, cause by cause, or, where the job asks, makes the content
the baseline. A capture without a connection says nothing: it is refused unless that is asked for, or its baseline has none either.
"""

from __future__ import annotations

import copy
import os
import shlex
import tempfile
from pathlib import Path

import msgspec

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.check.causes import Cause, causes_of
from pcapflow.check.content import Content, content_of, read_content, written
from pcapflow.check.reports import read_report
from pcapflow.check.verdicts import MOST, Job, Problem, Verdict
from pcapflow.errors import OutputError, ReportError
from pcapflow.files import begins_as_capture, discard, is_folder, place_of, put_in_place, temporary
from pcapflow.header_options import Headers


def options_of(job: Job) -> pipeline.Options:
    """They add names of header fields, and shapes."""
    looking = job.options.looking
    return msgspec.structs.replace(
        job.options,
        headers=Headers("all" if job.rules.header_values else "names", secrets=job.options.headers.secrets),
        looking=Looking(
            sniff=looking.sniff, hashes=looking.hashes, duplicate_keys=looking.duplicate_keys, shapes=True, values=job.rules.values
        ),
    )


def judge(job: Job, place: Path, report: Path, verdict: Verdict) -> None:
    """Hold a report against the baseline that lies there, or make it the baseline."""
    rules = copy.deepcopy(job.rules)
    content, seen = content_of(read_report(report), rules)
    verdict.ignored = rules.used
    known = _known(job, place)
    if not content.connections and not job.allow_empty and (known is None or known.connections):
        verdict.fail(Problem("empty", "has no TCP connection, so there is nothing to compare; --allow-empty accepts that"))
        return
    if known is None:
        if job.update:
            _put(content, place)
            verdict.accepted = "replaced" if os.path.lexists(place) and place.stat().st_size == 0 else "created"
        else:
            verdict.fail(Problem("baseline", f"has no baseline; accept what it says now: {job.update_command}"))
        return
    causes = causes_of(known, content, seen, rules.size_tolerance)
    problems = [_problem(cause) for cause in causes]
    refused = [problem for problem, cause in zip(problems, causes, strict=True) if job.accept and cause.kind not in job.accept]
    if job.update and not refused:
        verdict.changes, verdict.more_changes = problems[:MOST], max(0, len(problems) - MOST)
        if problems or written(known) != written(content):
            _put(content, place)
            verdict.accepted = "updated" if problems else ""
        return
    for problem in refused or problems:
        verdict.fail(problem)
    if problems:
        verdict.accept = job.update_command
        verdict.followed = sum(cause.followed for cause in causes)
        packet = next((problem.packet for problem in problems if problem.packet is not None), None)
        if packet is not None:
            verdict.show = shlex.join(["pcapflow", "follow", job.capture, "--packet", str(packet)])


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


def _put(content: Content, place: Path) -> None:
    place = place_of(place)
    try:
        fd, beside = temporary(place.parent)
    except OSError as e:
        raise OutputError(f"no file can be written in {place.parent or tempfile.gettempdir()}: {e.strerror}") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(written(content))
    except OSError as e:
        discard(beside)
        raise OutputError(f"{place}: cannot be written: {e.strerror}") from None
    put_in_place(beside, place)


def _problem(cause: Cause) -> Problem:
    if cause.place is None:
        return Problem(cause.kind, cause.text)
    return Problem(cause.kind, cause.text, cause.place.packet, cause.place.connection)
