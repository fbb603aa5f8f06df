"""The property tests with many more cases than the suite has time for.

    python -m tests.benchmarks.cases [TIMES] [PYTEST ARGUMENTS]

TIMES (default 20) as many cases of each, in tests/reassembly unless the arguments name other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys


def main(words: list[str]) -> int:
    times = words.pop(0) if words and words[0].isdecimal() else "20"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *(words or ["tests/reassembly", "-k", "not costs_about"])]
    return subprocess.run(command, env={**os.environ, "PCAPFLOW_CASES": times}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
