"""One spelling, the American one, in all that a user reads: documentation, help, messages, descriptions of fields."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), PROJECT / "samples/README.md"]
SOURCES = [*PROJECT.glob("pcapflow/**/*.py"), *PROJECT.glob("pcapflow/**/*.js"), *PROJECT.glob("pcapflow/**/*.html")]
BRITISH = re.compile(
    r"\b(?:analys(?:e[ds]?|ing)|(?:recogni|organi|synchroni|resynchroni|normali|seriali|summari|initiali|optimi|minimi|maximi|utili|anonymi|categori|prioriti|"
    r"visuali|standardi|speciali|generali|materiali)s(?:e[ds]?|ing|ation|ations)|(?:behavi|col|fav|neighb|hon|lab|vap|rum|flav)our(?:s|ed|ing|ite|al)?|"
    r"licen(?:ce|ces)|catalogues?|centres?|grey|cancell(?:ed|ing)|labell(?:ed|ing)|modell(?:ed|ing)|travell(?:ed|ing)|signall(?:ed|ing)|"
    r"defence|offence|artefacts?|fulfil|whilst|programmes?|metres?|judgement)\b",
    re.IGNORECASE,
)
FIELDS = re.compile(r"\bresynchronised\b")
"""Names in the report, which stay as they are."""


def prose(page: str) -> str:
    """What of a page is text: no commands, outputs or names."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))


def texts(source: Path) -> list[str]:
    """What a module may say: its strings, but the docstrings of functions and modules."""
    text = source.read_text(encoding="utf-8")
    if source.suffix != ".py":
        return re.findall(r"\"[^\"\n]*\"|`[^`\n]*`|>[^<\n]*<", text)
    tree = ast.parse(text)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]


def british(text: str) -> list[str]:
    return BRITISH.findall(FIELDS.sub("", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documentation_has_american_spelling(page: Path) -> None:
    assert british(prose(page.read_text(encoding="utf-8"))) == []


def test_what_the_program_says_has_american_spelling() -> None:
    found = {str(source.relative_to(PROJECT)): british("\n".join(texts(source))) for source in SOURCES}
    assert {name: words for name, words in found.items() if words} == {}


def test_help_has_american_spelling() -> None:
    from pcapflow.cli import cli

    docs = [(command.help or "") + (command.epilog or "") for command in (cli, *cli.commands.values())]
    assert british("\n".join(docs)) == []


@pytest.mark.parametrize("word", ["analyse", "Recognised", "behaviour", "labelled", "licence"])
def test_the_other_spelling_is_found(word: str) -> None:
    assert british(f"a {word}, too") == [word]
