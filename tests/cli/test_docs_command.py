"""`pcapflow docs`: the pages, as they are installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launcher import launch_text

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_is_listed_with_its_title() -> None:
    lines = [line.split(maxsplit=1) for line in launch_text("docs").stdout.splitlines()]
    assert [name for name, _ in lines] == sorted(path.stem for path in DOCS.glob("*.md"))
    assert all((DOCS / f"{name}.md").read_text().startswith(f"# {title}\n") for name, title in lines)


@pytest.mark.parametrize("name", ["glossary", "glossary.md", "docs/glossary.md"])
def test_a_page_is_printed_as_it_is(name: str) -> None:
    assert launch_text("docs", name).stdout == (DOCS / "glossary.md").read_text()


def test_a_page_that_there_is_not_is_said_with_the_nearest() -> None:
    done = launch_text("docs", "glosary")
    assert done.returncode == 2
    assert "did you mean glossary?" in done.stderr
    assert launch_text("docs", "../README").returncode == 2
