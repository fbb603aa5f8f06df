"""Rich's renderables as text: for a terminal, or for a file.

Contract: `as_text` writes nothing. Colors are the terminal's own eight, so that they read on light and dark.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType

_WIDEST = 120


_PAGE = '<pre style="white-space:pre;overflow-x:auto;line-height:1.35;font-family:monospace">{code}</pre>'
"""Around the text in a notebook."""


def as_html(parts: Sequence[RenderableType], width: int) -> str:
    """For a notebook: text with its colors, in `width` columns."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, highlight=False, legacy_windows=False, markup=False, record=True
    )
    console.print(Group(*parts))
    return console.export_html(inline_styles=True, code_format=_PAGE)


def as_text(parts: Sequence[RenderableType], width: int | None, *, color: bool | None) -> str:
    """width: columns, None for the terminal's; color: None where the terminal and NO_COLOR decide."""
    terminal = True if color is None and sys.stdout is not None and sys.stdout.isatty() else color
    console = Console(
        file=io.StringIO(),  # rich would flush what it is given, and whoever writes the text knows what to say of an error
        width=width or min(shutil.get_terminal_size((80, 24)).columns, _WIDEST),
        force_terminal=terminal,
        no_color=True if color is False else None,
        highlight=False,
        legacy_windows=False,
        markup=False,
    )
    with console.capture() as captured:
        console.print(Group(*parts))
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))
