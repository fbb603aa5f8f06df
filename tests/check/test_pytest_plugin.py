"""The pytest plugin, run by a pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "samples"

TESTS = """
import pcapflow as package

def test_summary(pcapflow):
    assert pcapflow.analyze("a.pcap").tcp.gaps == 6
    assert len(pcapflow.records("a.pcap", "gap")) == 6
    assert len(pcapflow.records("a.pcap")) > 6
    assert pcapflow.analyze("a.pcap", limits=package.Limits(max_connections=2)).tcp.evicted_connections > 0

def test_baseline(pcapflow):
    pcapflow.check("a.pcap")

def test_expect(pcapflow):
    pcapflow.check("a.pcap", expect={"tcp.gaps": {"max": EXPECTED}}, baseline=False)
"""


def run(folder: Path, *args: str, expected: int = 6) -> subprocess.CompletedProcess[str]:
    shutil.copy(SAMPLES / "lossy.pcap", folder / "a.pcap")
    (folder / "test_it.py").write_text(TESTS.replace("EXPECTED", str(expected)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "120"}
    )


def test_a_missing_baseline_fails_is_accepted_and_then_holds(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert first.returncode == 1
    assert "a.pcap is not as it was accepted:\n  has no baseline; to accept its content: pytest --pcapflow-update" in first.stdout
    assert "2 passed" in first.stdout
    assert run(tmp_path, "--pcapflow-update").returncode == 0
    assert run(tmp_path).returncode == 0


def test_a_failure_reads_as_a_sentence_without_a_traceback(tmp_path: Path) -> None:
    run(tmp_path, "--pcapflow-update")
    ran = run(tmp_path, expected=5)
    assert ran.returncode == 1
    assert "a.pcap is not as it was accepted:\n  tcp.gaps is 6, expected at most 5\n" in ran.stdout
    assert "pytest_plugin.py" not in ran.stdout


def test_the_project_s_settings_hold_here_too(tmp_path: Path) -> None:
    run(tmp_path, "--pcapflow-update")
    (tmp_path / "pcapflow.toml").write_text('[check]\nfail-on = ["gap"]\n')
    assert " bytes missing from byte " in run(tmp_path).stdout


def test_the_plugin_loads_nothing_heavy_before_it_is_asked() -> None:
    code = "import sys, pcapflow.pytest_plugin; print(sorted({'numpy', 'rich', 'ijson', 'dpkt', 'msgspec'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


EACH = """
import pytest
from pcapflow.pytest_plugin import captures_in

@pytest.mark.parametrize("path", captures_in("."))
def test_each(pcapflow_capture, path):
    assert pcapflow_capture(path).matches()
"""


def test_a_folder_of_captures_is_a_test_each_and_a_failure_names_the_cause(tmp_path: Path) -> None:
    def ran(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "160"}
        )

    (tmp_path / "deep").mkdir()
    for name in ("statuses.pcap", "deep/vlan.pcap"):
        shutil.copy(SAMPLES / Path(name).name, tmp_path / name)
    (tmp_path / "test_each.py").write_text(EACH)
    assert "2 passed" in ran("--pcapflow-update").stdout
    assert (tmp_path / "deep" / "vlan.pcap.content.json").exists()
    assert "2 passed" in ran().stdout
    capture = tmp_path / "statuses.pcap"
    capture.write_bytes(capture.read_bytes().replace(b"HTTP/1.1 404", b"HTTP/1.1 500"))
    said = ran().stdout
    assert "1 failed, 1 passed" in said
    assert "GET /missing: status 500, was status 404 (connection 13, packet 22)" in said
    assert "pytest_plugin.py" not in said
