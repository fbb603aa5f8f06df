"""`pcapflow diff`: what changed between two captures, or two reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pcapflow.cli import errors
from pcapflow.cli.help import Command
from pcapflow.cli.output import open_output, refuse_overwriting
from pcapflow.errors import UsageError
from pcapflow.terminal_text import plain

if TYPE_CHECKING:
    from pcapflow.check.causes import Cause
    from pcapflow.check.comparing import Comparison
    from pcapflow.check.config import Config
    from pcapflow.check.content import Content, Seen

_EXAMPLES = """\b
Examples:
  pcapflow diff monday.pcap tuesday.pcap
  pcapflow diff fixtures/a.pcap.content.json new/a.pcap
  pcapflow diff monday.json tuesday.json
  pcapflow diff --json a.ndjson b.ndjson | jq .endpoints
  pcapflow analyze --json a.pcap | pcapflow diff a.pcap.report.json /dev/stdin
"""


@click.command(cls=Command, epilog=_EXAMPLES, short_help="Show what changed between two captures or two reports.")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option(
    "--compare",
    type=click.Choice(["content", "exact"]),
    default=None,
    help="Compare the content of captures, or reports field by field.  [default: content for captures and content baselines, else exact]",
)
@click.option(
    "--config",
    type=click.Path(),
    default=None,
    help="Settings file.  [default: the nearest pcapflow.toml, or pyproject.toml with [tool.pcapflow]]",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document instead of text.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; only set the exit status.")
@click.option("--summary", "only_summary", is_flag=True, help="Compare only summaries and endpoints, not individual records.")
@click.option(
    "--most",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Maximum differences to show of each kind; all are counted.",
)
def diff(old: str, new: str, *, compare: str | None, config: str | None, as_json: bool, quiet: bool, only_summary: bool, most: int) -> None:
    """Compare two captures, or two reports of `pcapflow analyze` (--json, --ndjson, or an exact baseline). The exit status is 1 if they differ.

    Captures and content baselines are compared by content, as in `pcapflow check`: endpoints, statuses, header fields, JSON shapes and losses. Reports are compared without the
    values that may differ between two identical runs: run times, process memory, the version, and the folders in paths. The project's settings apply as in `pcapflow check`.
    """
    from pcapflow.check.config import find, here, load
    from pcapflow.check.content import is_content
    from pcapflow.files import begins_as_capture, is_url

    for path in (old, new):
        if is_url(path):
            raise UsageError(f"{path}: diff reads files; make a report of the URL first (pcapflow analyze --ndjson -o FILE), or fetch it")

    if not quiet:
        refuse_overwriting((old, new), {"the result": "-"})
    project = load(Path(config) if config is not None else find(here()))
    contents = [is_content(path) for path in (old, new)]
    both = all(content or begins_as_capture(path) for content, path in zip(contents, (old, new), strict=True))
    mode = compare or ("content" if both or any(contents) else "exact")
    if mode == "exact" and any(contents):
        raise UsageError(f"{(old, new)[contents.index(True)]}: is a content baseline, and --compare exact compares reports")
    if mode == "content":
        same = _by_content(old, new, project, as_json=as_json, quiet=quiet)
    else:
        same = _by_field(old, new, project, as_json=as_json, quiet=quiet, records=not only_summary, most=most)
    if not same:
        raise errors.Finished(errors.DIFFERENT)


def _content(path: str, project: Config) -> tuple[Content, Seen]:
    """What a capture, a report or a content baseline says."""
    from pcapflow.check.captures import report_at
    from pcapflow.check.content import Seen, content_of, is_content, read_content
    from pcapflow.check.content_mode import options_of
    from pcapflow.check.left_out import without
    from pcapflow.check.reports import read_report
    from pcapflow.cli.check import project_settings

    if is_content(path):
        return without(read_content(Path(path)), project.rules), Seen()
    limits, options = project_settings(project)
    with report_at(path, limits, options_of(options, project.rules)) as report:
        return content_of(read_report(report), project.rules)


def _by_content(old: str, new: str, project: Config, *, as_json: bool, quiet: bool) -> bool:
    """What the captures say; whether that is the same."""
    from pcapflow.check.causes import causes_of

    known, _ = _content(old, project)
    content, seen = _content(new, project)
    causes = causes_of(known, content, seen, project.rules.size_tolerance)
    if not quiet:
        with open_output(None) as out:
            if as_json:
                out.json()(_causes(causes))
                return not causes
            for cause in causes:
                place = f" (connection {cause.place.connection}, packet {cause.place.packet})" if cause.place is not None else ""
                out.write(f"{plain(cause.text)}{place}\n".encode("utf-8", "replace"))
            if not causes:
                out.write(b"no difference\n")
    return not causes


def _causes(causes: list[Cause]) -> bytes:
    import msgspec

    rows = [
        {
            "kind": cause.kind,
            "endpoint": cause.endpoint or None,
            "text": cause.text,
            "connection": cause.place.connection if cause.place is not None else None,
            "packet": cause.place.packet if cause.place is not None else None,
            "followed": cause.followed,
        }
        for cause in causes
    ]
    return msgspec.json.encode({"same": not causes, "causes": rows}) + b"\n"


def _by_field(old: str, new: str, project: Config, *, as_json: bool, quiet: bool, records: bool, most: int) -> bool:
    """Reports field by field; whether they are the same."""
    from pcapflow.check.captures import report_at
    from pcapflow.check.comparing import compare
    from pcapflow.check.reports import read_report
    from pcapflow.cli.check import project_settings

    settings, rules = project_settings(project), project.rules
    with report_at(old, *settings) as before, report_at(new, *settings) as after:
        hides = rules.hides_change if rules.used else None
        comparison = compare(read_report(before), read_report(after), most=most, records=records, hides=hides)
    if not quiet:
        with open_output(None) as out:
            if as_json:
                out.json()(_document(comparison))
            else:
                from pcapflow.check.tables import render

                for text in render(comparison):
                    out.write(text.encode("utf-8", "replace"))
    return comparison.same


def _document(comparison: Comparison) -> bytes:
    import msgspec

    found = msgspec.to_builtins(comparison)
    counts = {name: found[name] for name in ("summary_changes", "new", "gone", "changed")}
    return (
        msgspec.json.encode(
            {
                "same": comparison.same,
                "counts": counts,
                "summary": found["summary"],
                "endpoints": found["endpoints"],
                "records": found["records"],
            }
        )
        + b"\n"
    )
