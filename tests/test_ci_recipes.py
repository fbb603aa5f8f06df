"""The workflow, the pre-commit hook and the Makefile of docs/ci.md, each run: green, red on a planted regression, green again after the update."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_docs import _FILE, ROOT

ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository as somebody has it who copied everything from the page."""
    for match in _FILE.finditer((ROOT / "docs" / "ci.md").read_text()):
        path = tmp_path / match["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"])
    (tmp_path / "pcapflow.toml").write_text('[check]\nfail-on = ["drop"]\n')
    (tmp_path / "fixtures").mkdir()
    for name in ("statuses.pcap", "json-api.pcap"):
        shutil.copy(ROOT / "samples" / name, tmp_path / "fixtures")
    run(tmp_path, "pcapflow check -q --update fixtures")
    run(tmp_path, "git init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm fixtures")
    return tmp_path


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=300, env=ENV
    )


def plant(project: Path) -> None:
    capture = project / "fixtures" / "statuses.pcap"
    capture.write_bytes(capture.read_bytes().replace(b"HTTP/1.1 404", b"HTTP/1.1 500"))


def workflow(project: Path) -> tuple[bool, str]:
    """The steps of the job, as a runner takes them: `if` decides after a failure; those that only fetch or install are left out."""
    job: dict[str, Any] = yaml.safe_load((project / ".github" / "workflows" / "captures.yml").read_text())["jobs"]["check"]
    good, said = True, ""
    ran = 0
    for step in job["steps"]:
        command = step.get("run", "")
        wanted = {"failure()": not good, "always()": True}.get(step.get("if"), good)
        if not command or command.startswith("pip install") or not wanted:
            continue
        ran += 1
        done = run(project, command)
        said += done.stdout
        good = good and done.returncode == 0
    assert ran
    return good, said


def test_the_workflow_goes_red_on_a_regression_and_green_after_the_update(project: Path) -> None:
    assert workflow(project) == (True, "2 captures: 2 ok\n")
    assert (project / "captures.xml").exists()
    plant(project)
    good, said = workflow(project)
    assert not good
    assert "::error file=fixtures/statuses.pcap,title=pcapflow status::" in said
    assert (project / "findings.txt").exists()
    run(project, "pcapflow check --update fixtures")
    assert workflow(project)[0]


def test_the_makefile_checks_and_accepts(project: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    assert run(project, "make -s check-captures").returncode == 0
    plant(project)
    assert run(project, "make -s check-captures").returncode != 0
    assert run(project, "make -s accept-captures").returncode == 0
    assert run(project, "make -s check-captures").returncode == 0


def test_the_pre_commit_hook_stops_a_commit_with_a_regression(project: Path) -> None:
    whole = run(project, "pre-commit run --all-files")
    assert whole.returncode == 0, whole
    assert "captures are as they were accepted" in whole.stdout
    plant(project)
    broken = run(project, "git add -A && pre-commit run")
    assert broken.returncode != 0
    assert "FAILED fixtures/statuses.pcap" in broken.stdout
    run(project, "pcapflow check -q --update fixtures")
    assert run(project, "git add -A && pre-commit run").returncode == 0


def test_the_action_s_own_step_goes_red_on_a_regression_and_writes_the_summary(project: Path) -> None:
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: one["default"] for name, one in action["inputs"].items()}
    step = action["runs"]["steps"][-1]
    summary = project / "summary.md"

    def go() -> subprocess.CompletedProcess[str]:
        values = {name: value.replace("${{ inputs.", "").replace(" }}", "") for name, value in step["env"].items()}
        env = {**ENV, **{name: inputs[value] for name, value in values.items()}, "GITHUB_STEP_SUMMARY": str(summary)}
        command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300, env=env)

    assert go().returncode == 0
    plant(project)
    done = go()
    assert done.returncode == 1
    assert "::error file=fixtures/statuses.pcap,title=pcapflow status::GET /missing: status 500, was status 404" in done.stdout
    assert "| status | GET /missing: status 500, was status 404 | 13 | 22 |" in summary.read_text()
    install = next(step["run"] for step in action["runs"]["steps"] if "pip install" in step.get("run", ""))
    assert "github.action_path" in install


def test_the_hook_that_others_can_use_takes_the_captures_of_a_commit(project: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    files = [
        name
        for name in ("fixtures/a.pcap", "fixtures/b.pcapng.gz", "fixtures/a.pcap.content.json", "x.py")
        if re.search(hook["files"], name)
    ]
    assert files == ["fixtures/a.pcap", "fixtures/b.pcapng.gz"]
    assert run(project, f"{hook['entry']} fixtures/statuses.pcap fixtures/json-api.pcap").returncode == 0
    plant(project)
    assert run(project, f"{hook['entry']} fixtures/statuses.pcap").returncode == 1
