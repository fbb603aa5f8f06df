"""`pcapflow docs`: the documentation, as it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pcapflow.cli.help import Command
from pcapflow.cli.output import open_output
from pcapflow.errors import UsageError
from pcapflow.suggestions import did_you_mean

_EXAMPLES = """\b
Examples:
  pcapflow docs
  pcapflow docs slice
  pcapflow docs glossary | less
"""
_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """Where the pages are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "docs"
    return installed if installed.is_dir() else _PACKAGE.parent / "docs"


@click.command("docs", cls=Command, epilog=_EXAMPLES, short_help="Print the documentation.")
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Print a PAGE of the documentation, or the list of pages. The page is formatted on a terminal, and Markdown otherwise."""
    pages = {path.stem: path for path in sorted(folder().glob("*.md"), key=lambda path: path.stem)}
    if page is None:
        widest = max(map(len, pages), default=0)
        text = "".join(f"{name:<{widest}}  {_title(path)}\n" for name, path in pages.items())
    else:
        name = page.removeprefix("docs/").removesuffix(".md")
        if name not in pages:
            raise UsageError(f"{page}: there is no such page{did_you_mean(name, list(pages))}; `pcapflow docs` lists the pages")
        text = pages[name].read_text(encoding="utf-8")
        if sys.stdout.isatty():
            from rich.markdown import Markdown

            from pcapflow.report.console import as_text

            text = as_text([Markdown(text)], None, color=None)
    with open_output(None) as out:
        out.write(text.encode())


def _title(path: Path) -> str:
    """A page's first heading."""
    with path.open(encoding="utf-8") as lines:
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")
