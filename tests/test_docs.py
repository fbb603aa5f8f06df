"""Every command that README and docs show runs, and what they show is what it prints.

`python -m tests.test_docs` writes the real output into the pages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "samples" / "README.md"])
_CONSOLE = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_VOLATILE = re.compile(r"^  process .*$", re.MULTILINE)
"""The process's own peak differs between machines; everything else is the same everywhere."""


def real(command: str) -> str:
    bin_dir = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, cwd=ROOT, env=env, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def comparable(text: str) -> str:
    return _VOLATILE.sub("  process", text)


COMMANDS = [(page, m["command"], m["output"]) for page in PAGES for m in _CONSOLE.finditer(page.read_text())]


@pytest.mark.parametrize(("page", "command", "shown"), COMMANDS, ids=[f"{p.name}: {c[:50]}" for p, c, _ in COMMANDS])
def test_what_a_page_shows_is_what_the_command_prints(page: Path, command: str, shown: str) -> None:
    if "jq" in command and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    assert comparable(real(command)) == comparable(shown)


def test_the_readme_shows_commands() -> None:
    assert len([c for p, c, _ in COMMANDS if p.name == "README.md"]) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere_and_python_runs(page: Path) -> None:
    text = page.read_text()
    for target in _LINK.findall(text):
        assert (page.parent / target).exists(), target
    for code in _PYTHON.findall(text):
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_reference_pages_are_what_the_code_says() -> None:
    assert subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], cwd=ROOT, check=False).returncode == 0


def test_every_command_is_in_the_readme_and_every_option_has_help() -> None:
    import click

    from pcapflow.cli import cli

    readme = (ROOT / "README.md").read_text()
    for name, command in cli.commands.items():
        assert f"pcapflow {name}" in readme
        assert command.help
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, param.name


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(_CONSOLE.sub(lambda m: f"```console\n$ {m['command']}\n{real(m['command'])}```", page.read_text()))
