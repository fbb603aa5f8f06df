"""Every command that README and docs show runs, and what they show is what it prints.

`python -m tests.test_docs [PAGE...]` writes the real output into the pages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "samples" / "README.md"])
_CONSOLE = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_VOLATILE = re.compile(r"^  process .*$", re.MULTILINE)
"""The process's own peak differs between machines; everything else is the same everywhere."""


_PRINTED = r"(?P<between>\n\n```text\n)(?P<printed>.*?)```"
"""What a program above it prints."""
_BLOCK = re.compile(rf"{_CONSOLE.pattern}|{_PYTHON.pattern.replace('(.*?)', '(?P<python>.*?)')}(?:{_PRINTED})?", re.DOTALL)
_FILE = re.compile(r"```(?:toml|yaml|make|python)\n# (?P<name>[\w./-]+)\n(?P<text>.*?)```", re.DOTALL)
"""A block that begins with a file's name is that file."""
_NEEDS = {"make": "make", "jq": "jq", "man": "man", "sqlite3": "sqlite3"}


def folder_for(page: Path, tmp_path: Path) -> Path:
    """Where a page's commands run, one after the other: a folder of their own that looks like the project's."""
    folder = tmp_path / page.stem
    folder.mkdir()
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name != "pyproject.toml":
            (folder / entry.name).symlink_to(entry)
    return folder


def write_files(page: Path, before: int, folder: Path) -> None:
    """The files that a page shows above a place. A file that a command took away stays away."""
    for match in _FILE.finditer(page.read_text()[:before]):
        written = folder / ".written" / match["name"].replace("/", "-")
        if not written.exists():
            written.parent.mkdir(exist_ok=True)
            written.touch()
            (folder / match["name"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / match["name"]).write_text(match["text"])


def real(command: str, folder: Path) -> str:
    bin_dir = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, cwd=folder, env=env, check=False, timeout=120
    )
    closed = 141 if "| head" in command else 0  # whoever wrote to a head that had enough
    assert done.returncode in (0, closed), f"{command}\n{done.stderr}{done.stdout}"
    return done.stdout if done.stdout.endswith("\n") or not done.stdout else done.stdout + "\n"  # a fence stands on a line of its own


def program(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env={**os.environ, "COLUMNS": "80"}, check=False, capture_output=True, text=True
    )


def comparable(text: str) -> str:
    return _VOLATILE.sub("", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_is_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    folder = folder_for(page, tmp_path)
    for block in _BLOCK.finditer(page.read_text()):
        write_files(page, block.start(), folder)
        if block["python"] is not None:
            if _FILE.match(block[0]):
                continue
            done = program(block["python"], folder)
            assert done.returncode == 0, done.stderr
            assert block["printed"] in (None, done.stdout)
            continue
        command = block["command"]
        if any(f" {word}" in f" {command}" and shutil.which(tool) is None for word, tool in _NEEDS.items()):
            pytest.skip("a tool that the page uses is not installed")
        assert comparable(real(command, folder)) == comparable(block["output"]), command


def commands(name: str) -> list[str]:
    return [match["command"] for page in PAGES if page.name == name for match in _CONSOLE.finditer(page.read_text())]


def test_the_readme_shows_commands_and_the_cookbook_answers_25_questions_or_more() -> None:
    assert len([page for page in PAGES if page == ROOT / "README.md"]) == 1
    assert len(list(_CONSOLE.finditer((ROOT / "README.md").read_text()))) >= 4
    recipes = [command for command in commands("jq.md") if "| jq" in command]
    assert len(set(recipes)) >= 25
    for match in _CONSOLE.finditer((ROOT / "docs" / "jq.md").read_text()):
        assert match["output"].strip(), match["command"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in _LINK.findall(text):
        assert (page.parent / target).exists(), target


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


def rewritten(page: Path, folder: Path) -> str:
    """The page with what its commands print."""

    def run(block: re.Match[str]) -> str:
        write_files(page, block.start(), folder)
        if block["python"] is not None:
            if _FILE.match(block[0]):
                return block[0]
            done = program(block["python"], folder)
            assert done.returncode == 0, done.stderr
            return block[0] if block["printed"] is None else f"```python\n{block['python']}```{block['between']}{done.stdout}```"
        return f"```console\n$ {block['command']}\n{real(block['command'], folder)}```"

    return _BLOCK.sub(run, page.read_text())


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(rewritten(page, folder_for(page, Path(folder))))
