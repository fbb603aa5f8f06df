"""`pcapflow check`: captures held against their baselines and against what their project expects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcapflow.cli import errors
from pcapflow.cli.check_text import Text
from pcapflow.cli.help import Command, capture_arguments
from pcapflow.cli.memory import fitting_processes
from pcapflow.cli.options import OPTIONS_OF_A_RUN, looking, looking_options, run_options, settings
from pcapflow.cli.output import open_output, refuse_overwriting
from pcapflow.cli.sinks import Place, place, refuse_one_place_twice
from pcapflow.errors import CaptureError, UsageError
from pcapflow.files import is_file, is_folder, is_there, is_url
from pcapflow.limits import MOST, Limits
from pcapflow.terminal_text import brief

if TYPE_CHECKING:
    from pcapflow.check.config import Config
    from pcapflow.check.verdicts import Job, Verdict
    from pcapflow.pipeline import Options

_EXAMPLES = """\b
Examples:
  pcapflow check fixtures/*.pcap
  pcapflow check --update fixtures/*.pcap
  pcapflow check --no-baseline --fail-on gap,drop fixtures
  pcapflow check --junit report.xml --format github fixtures/*.pcap
"""
_NOT_SETTINGS = ("quiet", "simulate")


@click.command(cls=Command, epilog=_EXAMPLES, short_help="Check captures against baselines and expectations, for CI.")
@capture_arguments()
@click.option("--update", is_flag=True, help="Accept the current reports: write them as the baselines.")
@click.option("--no-baseline", is_flag=True, help="Check only expectations and --fail-on.")
@click.option(
    "--fail-on",
    metavar="KINDS",
    default=None,
    help="Fail on any of these, comma-separated: gap, drop, unread, truncated, invalid-json (also YAML and multipart), anomaly, unanswered, 5xx.",
)
@click.option(
    "--config",
    type=click.Path(),
    default=None,
    help="Settings file.  [default: the nearest pcapflow.toml, or pyproject.toml with [tool.pcapflow]]",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    default=None,
    help="Captures to check in parallel, each in its own process.  [default: number of processors]",
)
@click.option(
    "--compare",
    type=click.Choice(["content", "exact"]),
    default=None,
    help="Compare the content of the capture, or its report field by field.  [default: the kind of the existing baseline, else content]",
)
@click.option(
    "--accept",
    metavar="KINDS",
    default=None,
    help="With --update: accept a capture only if all its differences are of these kinds: status, shape, headers, sizes, exchanges, ... (pcapflow docs ci).",
)
@click.option("--all", "everything", is_flag=True, help="Also show differences that merely follow from another one.")
@click.option("--diff", "shows_diff", is_flag=True, help="Show how the baseline would change, in `diff -u` format.")
@click.option("--allow-empty", is_flag=True, help="Accept captures without any TCP connection.")
@click.option("--explain", is_flag=True, help="Show how much each `ignore` rule excluded.")
@click.option("--junit", metavar="FILE", type=click.Path(), default=None, help="Also write the result as JUnit XML to FILE.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="Output format: plain text, or GitHub annotations.",
)
@looking_options
@run_options
def check(
    captures: tuple[str, ...],
    *,
    update: bool,
    no_baseline: bool,
    fail_on: str | None,
    config: str | None,
    jobs: int | None,
    compare: str | None,
    accept: str | None,
    everything: bool,
    shows_diff: bool,
    allow_empty: bool,
    explain: bool,
    junit: str | None,
    form: str,
    **run: Any,
) -> None:
    """Analyze each CAPTURE separately and check it against its baseline (CAPTURE.content.json) and the project's expectations.

    A directory means all captures in it. The exit status is 1 if anything differs. See `pcapflow docs ci` for settings and CI recipes.
    """
    from pcapflow.check.config import FAIL_ON, find, here, load

    project = load(Path(config) if config is not None else find(here()))
    kinds = tuple(filter(None, fail_on.split(","))) if fail_on is not None else project.fail_on
    for kind in kinds:
        if kind not in FAIL_ON:
            raise UsageError(f"--fail-on: {kind!r} is not one of {', '.join(FAIL_ON)}")
    baselines = project.baselines and not no_baseline
    if update and not baselines:
        raise UsageError(
            "--update writes baselines, and "
            + ("--no-baseline says that there are none" if no_baseline else f"{project.source} says that there are none")
        )
    project = replace(project, compare=compare or project.compare)
    accepted = _accepted(accept, update=update)
    jobs_of = _jobs(click.get_current_context(), project, run, captures, kinds, update=update, baselines=baselines)
    work = [replace(job, allow_empty=allow_empty, accept=accepted, everything=everything, shows_diff=shows_diff) for job in jobs_of]
    read = chain(captures, (str(job.baseline) for job in work if job.has_baseline), [project.source])
    refuse_overwriting(read, {"--junit": junit, "the result": "-"})
    refuse_one_place_twice({"the result": "-", "--junit": junit})
    if update:
        _refuse_baselines_elsewhere(work, project, junit)
    _say_which_globs_match_nothing(project, captures, work)
    verdicts = _judged(work, jobs or _usual_jobs(work), form, quiet=run["quiet"], junit=junit)
    _say_what_was_ignored(verdicts, project, explain=explain)
    statuses = {verdict.exit_status for verdict in verdicts}
    raise errors.Finished(errors.first_of(statuses))


def _judged(work: list[Job], jobs: int, form: str, *, quiet: bool, junit: str | None) -> list[Verdict]:
    """The verdicts, each told as it comes."""
    from pcapflow.check.exporters import JUnit
    from pcapflow.check.workers import verdicts_of

    verdicts: list[Verdict] = []
    with ExitStack() as stack:
        out = stack.enter_context(open_output(None))
        text = Text(out, form, quiet=quiet)
        cases = stack.enter_context(JUnit()) if junit is not None else None
        for verdict in stack.enter_context(closing(verdicts_of(work, jobs))):
            verdicts.append(verdict)
            if form == "github":
                text.github(verdict)
            else:
                text.verdict(verdict)
            if cases is not None:
                cases.add(verdict)
            verdict.told()
        text.end(verdicts)
        if cases is not None:
            with open_output(junit) as file:
                cases.write(file.write)
    return verdicts


def _accepted(accept: str | None, *, update: bool) -> tuple[str, ...]:
    """The kinds of causes that --accept names."""
    from pcapflow.check.causes import KINDS

    if accept is None:
        return ()
    if not update:
        raise UsageError("--accept requires --update")
    kinds = tuple(kind.strip() for kind in accept.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"--accept: {kind!r} is not one of {', '.join(KINDS)}")
    return kinds


def _say_what_was_ignored(verdicts: list[Verdict], project: Config, *, explain: bool) -> None:
    """How much each rule left out, where somebody asks; a rule that excluded nothing in any capture may be misspelt."""
    if not any(verdict.ignored for verdict in verdicts):
        return
    for rule in project.rules.used:
        n = sum(verdict.ignored.get(rule, 0) for verdict in verdicts)
        if explain:
            errors.say(f"ignore {rule!r}: excluded {n:,}")
        elif not n:
            errors.say(f"warning: {project.source}: ignore {rule!r} excluded nothing in any capture")


def _refuse_baselines_elsewhere(work: list[Job], project: Config, junit: str | None) -> None:
    """A baseline in the place of another one, of the settings, or of JUnit's file."""
    taken: dict[Place, str] = {}
    for job in work:
        baseline = str(job.baseline)
        refuse_overwriting([project.source], {"--update": baseline})
        refuse_one_place_twice({"--junit": junit, "--update": baseline})
        other = taken.setdefault(place(baseline), job.capture)
        if other != job.capture:
            raise UsageError(f"{job.capture}: its baseline is that of {other} too")


def _jobs(
    ctx: click.Context,
    project: Config,
    run: dict[str, Any],
    captures: tuple[str, ...],
    fail_on: tuple[str, ...],
    *,
    update: bool,
    baselines: bool,
) -> Iterator[Job]:
    from pcapflow.check import baseline
    from pcapflow.check.verdicts import Job

    bounds, options = _settings(ctx, project, run)
    command = ("pcapflow", "check", "--update", *_options_given(ctx))
    for capture in dict.fromkeys(_expanded(captures, baselines=baselines)):
        place = baseline.place_of_baseline(capture, project.compare)[0] if baselines else None
        beside = is_file(capture) and not capture.startswith(("/dev/", "/proc/"))
        if place is not None and (is_url(capture) or (is_there(capture) and not beside)):
            raise UsageError(f"{capture}: is not a local file and can have no baseline; use analyze, or --no-baseline")
        yield Job(
            capture,
            bounds,
            options,
            baselines,
            project.expectations(capture),
            fail_on,
            update,
            command,
            compare=project.compare,
            rules=project.rules,
        )


def _usual_jobs(work: list[Job]) -> int:
    """How many captures are checked at one time where nobody says: a process for each processor, as far as the container has memory for them."""
    from pcapflow.processors import processors

    wanted = min(processors(), len(work)) or 1
    room = fitting_processes(work[0].limits.memory_limit) if work else None
    if room is None or room >= wanted:
        return wanted
    errors.say(f"{room} at one time: the container's memory holds no more ({wanted} processors; --jobs says otherwise)")
    return room


def _say_which_globs_match_nothing(project: Config, given: tuple[str, ...], work: list[Job]) -> None:
    """Where a whole folder is checked, expectations that are for none of it are for nothing."""
    from pcapflow.check.config import matches

    if not any(is_folder(path) for path in given):
        return
    for glob, _ in project.expect:
        if not any(matches(glob, job.capture, project.root) for job in work):
            errors.say(f"warning: {project.source}: expect.{glob!r} matches none of the captures")


def _options_given(ctx: click.Context) -> list[str]:
    """The options on the command line that say how captures are analyzed, as they stand there."""
    names = {param.name for param in OPTIONS_OF_A_RUN} | {"config", "compare", "allow_empty"}
    line = sys.argv[sys.argv.index("check") + 1 :] if "check" in sys.argv else []
    try:
        raw, _, _ = ctx.command.make_parser(ctx).parse_args(list(line))
    except click.UsageError:
        return []
    found: list[str] = []
    for param in ctx.command.params:
        if param.name in names and param.name in raw and param.name not in _NOT_SETTINGS:
            found.append(max(param.opts, key=len))
            if not (isinstance(param, click.Option) and param.is_flag):
                found.append(str(raw[param.name]))
    return found


def project_settings(project: Config) -> tuple[Limits, Options]:
    """The limits and options that a project's settings say, with nothing on the command line."""
    ctx = check.make_context("pcapflow check", ["-"])
    return _settings(ctx, project, ctx.params)


def _settings(ctx: click.Context, project: Config, run: dict[str, Any]) -> tuple[Limits, Options]:
    run = {**run, **_settings_of(ctx, project)}
    return settings(run, looking(run))


def _settings_of(ctx: click.Context, project: Config) -> dict[str, Any]:
    """The project's options of the analysis, as if they stood on the command line, where nothing else stands there."""
    known = {option.removeprefix("--"): param for param in OPTIONS_OF_A_RUN for option in param.opts if param.name not in _NOT_SETTINGS}
    found: dict[str, Any] = {}
    for name, value in project.options.items():
        param = known.get(name)
        if param is None:
            from pcapflow.suggestions import did_you_mean

            raise UsageError(f"{project.source}: options.{name}: there is no such option{did_you_mean(name, known)}")
        assert param.name is not None
        if ctx.get_parameter_source(param.name) is not click.core.ParameterSource.DEFAULT:
            continue
        flag = isinstance(param, click.Option) and param.is_flag
        if isinstance(value, bool) != flag or not isinstance(value, str | int):
            raise UsageError(f"{project.source}: options.{name}: write " + ("true or false" if flag else "a string or a whole number"))
        if isinstance(value, int) and not isinstance(value, bool) and not -MOST <= value <= MOST:
            raise UsageError(f"{project.source}: options.{name}: {brief(value)} is none that an option may be")
        try:
            found[param.name] = param.type_cast_value(ctx, value)
        except click.BadParameter as e:
            raise UsageError(f"{project.source}: options.{name}: {e.message}") from None
    return found


def _expanded(captures: tuple[str, ...], *, baselines: bool) -> Iterator[str]:
    from pcapflow.budget import Ledger
    from pcapflow.check.checking import captures_of

    limits = Limits()
    ledger = Ledger(limits)
    for path in captures:
        if path == "-":
            raise UsageError("-: a capture on standard input has no name for a baseline; use analyze")
        if not is_folder(path):
            yield path
            continue
        found, warning = captures_of(path, limits, ledger, baselines=baselines)
        if not found:
            raise CaptureError(path, "is a directory without captures")
        if warning:
            errors.say(f"warning: {warning}")
        yield from found
