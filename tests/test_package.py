"""The package as it is installed: its wheel, its types, and what it says there is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import pcapflow

ROOT = Path(__file__).parents[1]
PROGRAM = """
from typing import assert_type

import pcapflow
from pcapflow.records import Gap, Http

try:
    report = pcapflow.analyze(["a.pcap", "b.pcap"], limits=pcapflow.Limits(max_connections=10), where={"status": "5xx"}, html="page.html")
except pcapflow.CaptureError as e:
    raise SystemExit(e.exit_status) from None
assert_type(report, pcapflow.Report)
assert_type(report.tcp.missing_bytes, int)
for row in pcapflow.exchanges("a.pcap", memory_limit="32MiB", gap_timeout=2.5):
    assert_type(row.status, int | None)
for record in pcapflow.iter_records("a.pcap", filter="port 80", overlap="linux"):
    kind: str = record.record
    if isinstance(record, Gap):
        assert_type(record.bytes, int)
    elif isinstance(record, Http) and record.response is not None:
        assert_type(record.response.status, int)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which the wheel is unpacked, beside what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_a_program_that_uses_it_is_checked_strictly_against_its_types(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "--python-executable", installed, program]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Success: no issues found in 1 source file"), done.stdout
    program.write_text(PROGRAM.replace("missing_bytes, int", "missing_bytes, str"))
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "assert-type" in done.stdout


def test_what_is_installed_runs_and_says_what_there_is(installed: Path, tmp_path: Path) -> None:
    code = f"import pcapflow; print(pcapflow.__file__); print(dir(pcapflow)); print(pcapflow.analyze({str(ROOT / 'samples' / 'lossy.pcap')!r}).tcp.gaps)"
    done = subprocess.run([installed, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    where, names, gaps = done.stdout.splitlines()
    assert where.startswith(str(installed.parents[1]))
    assert names == str(sorted(pcapflow.__all__))
    assert int(gaps) > 0


def test_the_documentation_is_installed_too(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([installed, "-m", "pcapflow", "docs", "glossary"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == (ROOT / "docs" / "glossary.md").read_text()


def test_all_that_it_names_is_there() -> None:
    assert dir(pcapflow) == sorted(pcapflow.__all__)
    assert all(getattr(pcapflow, name) is not None for name in pcapflow.__all__)
