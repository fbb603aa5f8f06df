"""What an installation takes: megabytes and packages of a new environment with pcapflow and what it needs.

    python -m tests.benchmarks.footprint [EXTRA ...]

Files are those that pip records, compiled ones too; pip and setuptools are not counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = """
from importlib.metadata import distributions
for one in distributions():
    if one.name not in ("pip", "setuptools"):
        paths = {one.locate_file(file).resolve() for file in one.files or ()}
        print(one.name, sum(path.stat().st_size for path in paths if path.is_file()))
"""


def main(extras: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="pcapflow-footprint-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)], check=True)
        lines = subprocess.run([python, "-c", LIST], check=True, capture_output=True, text=True).stdout.splitlines()
    sizes = sorted(((int(size), name) for name, size in (line.split() for line in lines)), reverse=True)
    for size, name in sizes:
        print(f"{size / 1e6:7.1f} MB  {name}")
    print(f"{sum(size for size, _ in sizes) / 1e6:7.1f} MB in {len(sizes)} packages")


if __name__ == "__main__":
    main(sys.argv[1:])
