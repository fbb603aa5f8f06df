"""Coverage-guided fuzzing by atheris (libFuzzer).

    python -m tests.fuzz decode|reassembly|pipeline|capture [FOLDER] [-max_total_time=60] [other libFuzzer flags]

Seeds are put into FOLDER (default: a temporary one), where new inputs are kept. What fails is written to crash-*; `python -m tests.fuzz KIND
crash-FILE` runs it alone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pcapflow"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    name, rest = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="pcapflow-fuzz-") as scratch:
        if not any(not word.startswith("-") for word in rest):
            rest.append(scratch)
        for folder in map(Path, rest):
            if folder.is_dir():
                for i, seed in enumerate(seeds(name)):
                    (folder / f"seed-{i}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *rest], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
