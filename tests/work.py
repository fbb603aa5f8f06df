"""Bounds the work of tests by counting it, never by the clock.

`calls` counts the functions that a piece of work calls, Python's and C's: the same in every run, on a busy machine too. What happens within one call of
C is not seen by that: `ends` gives such work so much that anything but linear time would take hours, and only looks whether it ends.

    python -m tests.work ARGUMENTS...

runs the command line, and writes the count as the last line of standard error.
"""

from __future__ import annotations

import cProfile
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def calls(work: Callable[[], object]) -> int:
    """How many functions are called."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def ends(program: str) -> None:
    """Whether a Python program ends: it has ten minutes for what takes a second."""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=600)


def main() -> None:
    """The command line, counted."""
    from pcapflow.cli import main as command

    profile = cProfile.Profile()
    status: object = 0
    try:
        profile.runcall(command)
    except SystemExit as e:
        status = e.code
    print(sum(entry.callcount for entry in profile.getstats()), file=sys.stderr)
    sys.exit(status)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
