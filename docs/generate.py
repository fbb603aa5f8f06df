"""Prints the reference pages that come from the code's own tables, or checks that the files are as printed.

python docs/generate.py            rewrites docs/limits.md and docs/drops.md
python docs/generate.py --check    status 1 where one of them differs
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits

HERE = Path(__file__).parent


def value(n: int, unit: str) -> str:
    """A default for a person."""
    if unit == "bytes":
        for name, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if n >= size and n % size == 0:
                return f"{n // size} {name}"
    if unit == "nanoseconds":
        return f"{n / 1e9:g} s" if n >= 10**9 else f"{n / 1e6:g} ms"
    return f"{n:,} {unit}" if unit != "bytes" else f"{n} bytes"


def limits() -> str:
    """docs/limits.md."""
    lines = [
        "# Limits",
        "",
        "Every bound of pcapflow. All are in the report under `limits`; from Python all can be set (`Limits(ring_size=...)`), on the",
        "command line those with an option (`pcapflow analyze --help`). A limit is above zero. This page is printed from",
        "`pcapflow/limits.py` by `docs/generate.py`.",
        "",
        "| limit | default | what it bounds, and why so much | what happens there |",
        "|---|---|---|---|",
    ]
    defaults = Limits().as_dict()
    lines.extend(
        f"| `{f.name}` | {value(defaults[f.name], f.metadata['unit'])} | {f.metadata['reason']} | {f.metadata['reached']} |"
        for f in fields(Limits)
    )
    return "\n".join(lines) + "\n"


def drops() -> str:
    """docs/drops.md."""
    lines = [
        "# Gaps and drops",
        "",
        "A **gap** is a stretch of a stream that was given up as missing; the stream goes on after it. A **drop** is something",
        "that pcapflow gave up on purpose: a stream, a message or a body. Each has a record of its own, and both are counted in the",
        "summary (`tcp.gaps_by_cause`, `drops.by_reason`). This page is printed from `pcapflow/drops.py` by `docs/generate.py`.",
        "",
        "## Causes of gaps",
        "",
        "| cause | what it means |",
        "|---|---|",
        *(f"| `{c.value}` | {c.sentence} |" for c in GapCause),
        "",
        "## Reasons for drops",
        "",
        "| reason | layer | what it means |",
        "|---|---|---|",
        *(f"| `{r.value}` | {r.layer} | {r.sentence} |" for r in DropReason),
    ]
    return "\n".join(lines) + "\n"


PAGES = {"limits.md": limits, "drops.md": drops}


def main() -> int:
    """Write or check."""
    wrong = []
    for name, page in PAGES.items():
        path = HERE / name
        text = page()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                wrong.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in wrong:
        print(f"docs/{name} is not what the code says: run python docs/generate.py")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
