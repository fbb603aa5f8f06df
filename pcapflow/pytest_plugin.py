"""The pytest plugin: a fixture `pcapflow` that analyzes captures under limits and holds them against baselines.

    def test_the_login(pcapflow):
        pcapflow.check("fixtures/login.pcap", expect={"http.by_status.500": 0}, fail_on=["gap", "drop"])

    @pytest.mark.parametrize("path", captures_in("fixtures"))
    def test_the_captures(pcapflow_capture, path):
        assert pcapflow_capture(path).matches()

Contract: settings are those of the project's pcapflow.toml (docs/ci.md), found from pytest's root. `pytest --pcapflow-update` accepts baselines. Nothing
heavy is imported before a test asks for the fixture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcapflow.files import is_folder

if TYPE_CHECKING:
    from pcapflow.limits import Limits
    from pcapflow.records import AnyRecord
    from pcapflow.summary import Summary


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --pcapflow-update."""
    group = parser.getgroup("pcapflow", "packet captures")
    group.addoption("--pcapflow-update", action="store_true", help="accept the reports of captures as they are now: write their baselines")


_ACCEPTED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which baselines were written."""
    for line in config.stash.get(_ACCEPTED, []):
        terminalreporter.write_line(f"pcapflow: {line}")


class Captures:
    """Analyzes captures. Relative paths are relative to the folder of the test that asks."""

    def __init__(self, folder: Path, root: Path, accepted: list[str], *, update: bool) -> None:
        self._accepted = accepted
        self._folder = folder
        self._root = root
        self._update = update

    def analyze(self, path: str | os.PathLike[str], *, limits: Limits | None = None) -> Summary:
        """The summary of a capture. limits: `pcapflow.Limits`; the defaults for None."""
        from pcapflow import api

        return api.analyze(self._path(path), limits=limits)

    def records(self, path: str | os.PathLike[str], kind: str | None = None, *, limits: Limits | None = None) -> list[AnyRecord]:
        """The records of a capture, all but the summary; of one kind (`gap`, `http`, ...) where it is given."""
        from pcapflow import api
        from pcapflow.entries import RECORD_TYPES
        from pcapflow.errors import UsageError

        if kind is not None and kind not in RECORD_TYPES and not kind.startswith("plugin."):
            raise UsageError(f"{kind!r} is no record; write one of {', '.join(RECORD_TYPES)}, plugin.NAME")
        found = (
            (record.record, record) for record in api.iter_records(self._path(path), limits=limits, kinds=None if kind is None else [kind])
        )
        return [record for its, record in found if its == kind or (kind in (None, "plugin") and its != "summary")]

    def check(
        self,
        path: str | os.PathLike[str],
        *,
        expect: Mapping[str, Any] | None = None,
        fail_on: Sequence[str] | None = None,
        baseline: bool | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Fail where `pcapflow check` would. expect: bounds by path, beside the project's; fail_on: kinds of findings; baseline: whether there is one; what is
        None is as the project says.
        """
        from pcapflow.check.checking import check as check_one
        from pcapflow.check.config import FAIL_ON, find, load
        from pcapflow.check.expectations import Expectation
        from pcapflow.check.exporters import rest, told
        from pcapflow.check.verdicts import Job
        from pcapflow.cli.check import project_settings
        from pcapflow.errors import UsageError

        capture = self._path(path)
        if is_folder(capture):
            raise UsageError(f"{capture}: is a directory; check its captures one by one")
        project = load(find(self._root))
        bounds, options = project_settings(project)
        kinds = tuple(project.fail_on if fail_on is None else fail_on)
        if not set(kinds) <= set(FAIL_ON):
            raise UsageError(f"fail_on: write some of {', '.join(FAIL_ON)}")
        expectations = (*project.expectations(capture), *(Expectation.parse(name, bound) for name, bound in (expect or {}).items()))
        has_baseline = project.baselines if baseline is None else baseline
        command = ("pytest", "--pcapflow-update")
        verdict = check_one(
            Job(
                capture,
                limits or bounds,
                options,
                has_baseline,
                expectations,
                kinds,
                self._update,
                command,
                takes_path=False,
                compare=project.compare,
                rules=project.rules,
            )
        )
        if verdict.accepted:
            self._accepted.append(f"{capture}: baseline {verdict.accepted}")
        if verdict.problems:
            lines = [*(told(problem) for problem in verdict.problems), *rest(verdict)]
            pytest.fail(f"{capture} is not as it was accepted:\n  " + "\n  ".join(lines), pytrace=False)

    def _path(self, path: str | os.PathLike[str]) -> str:
        return str(self._folder / path)


class Capture:
    """One capture."""

    def __init__(self, captures: Captures, path: str | os.PathLike[str]) -> None:
        self._captures = captures
        self.path = path

    def matches(self, **more: Any) -> bool:
        """Whether it is as it was accepted; else the test fails with what differs. more: as `Captures.check` has it."""
        self._captures.check(self.path, **more)
        return True

    def __repr__(self) -> str:
        return f"the capture {os.fspath(self.path)}"


def captures_in(folder: str | os.PathLike[str]) -> list[str]:
    """The captures in a folder and those below it, sorted: for `pytest.mark.parametrize`. Relative to the working folder, as absolute paths."""
    from pcapflow.files import begins_as_capture, is_temporary

    found = [path for path in sorted(Path(folder).resolve().rglob("*")) if not is_temporary(path.name) and begins_as_capture(path)]
    return [str(path) for path in found]


@pytest.fixture
def pcapflow_capture(pcapflow: Captures) -> Callable[[str | os.PathLike[str]], Capture]:
    """A capture by its path: `assert pcapflow_capture("a.pcap").matches()`."""
    return partial(Capture, pcapflow)


@pytest.fixture
def pcapflow(request: pytest.FixtureRequest) -> Captures:
    """Analyzes captures, and holds them against baselines and expectations: `analyze`, `records`, `check`."""
    return Captures(
        request.path.parent,
        request.config.rootpath,
        request.config.stash.setdefault(_ACCEPTED, []),
        update=request.config.getoption("--pcapflow-update"),
    )
