"""`pcapflow check` and `pcapflow diff`, as a CI job runs them: green, red on a planted regression, green again after --update."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
Pcapflow = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "fixtures").mkdir()
    for name in ("statuses.pcap", "lossy.pcap", "json-api.pcap"):
        shutil.copy(SAMPLES / name, tmp_path / "fixtures" / name)
    return tmp_path


@pytest.fixture
def pcapflow(project: Path) -> Pcapflow:
    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pcapflow", *args], cwd=project, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "100", **env}
        )

    return run


def test_a_missing_baseline_is_a_failure_with_the_command_that_makes_it(pcapflow: Pcapflow, project: Path) -> None:
    ran = pcapflow("check", "fixtures/lossy.pcap")
    assert ran.returncode == 1
    assert "accept the report as it is now: pcapflow check --update fixtures/lossy.pcap" in ran.stdout
    command = ran.stdout.split("as it is now: ")[1].splitlines()[0].split()
    assert pcapflow(*command[1:]).returncode == 0
    assert pcapflow("check", "fixtures/lossy.pcap").returncode == 0


def test_a_planted_regression_goes_red_and_green_again_after_update(pcapflow: Pcapflow, project: Path) -> None:
    assert pcapflow("check", "--update", "fixtures").returncode == 0
    assert pcapflow("check", "fixtures").returncode == 0
    capture = project / "fixtures" / "statuses.pcap"
    data = capture.read_bytes()
    assert data.count(b"HTTP/1.1 404") == 1
    capture.write_bytes(data.replace(b"HTTP/1.1 404", b"HTTP/1.1 500"))
    red = pcapflow("check", "fixtures")
    assert red.returncode == 1
    assert '.http.by_status."404": 1 -> null' in red.stdout
    assert ".response.status: 404 -> 500 (packet " in red.stdout
    assert "ok     fixtures/lossy.pcap" in red.stdout
    update = pcapflow("check", "--update", "fixtures")
    assert update.returncode == 0
    assert "baseline updated" in update.stdout
    assert ".response.status: 404 -> 500" in update.stdout
    assert pcapflow("check", "fixtures").returncode == 0


def test_a_baseline_is_the_same_from_any_folder_and_whatever_the_jobs(pcapflow: Pcapflow, project: Path) -> None:
    pcapflow("check", "--update", "--jobs", "1", "fixtures")
    first = {path.name: path.read_bytes() for path in (project / "fixtures").glob("*.report.json")}
    assert len(first) == 3
    shutil.rmtree(project / "fixtures2", ignore_errors=True)
    shutil.copytree(project / "fixtures", project / "fixtures2")
    for path in (project / "fixtures2").glob("*.report.json"):
        path.unlink()
    pcapflow("check", "--update", "--jobs", "3", str(project / "fixtures2"))
    assert {path.name: path.read_bytes() for path in (project / "fixtures2").glob("*.report.json")} == first
    one = json.loads(first["lossy.pcap.report.json"])
    assert "run" not in one
    assert "pcapflow" not in one
    assert "process" not in one["memory"]
    assert "backend" not in one["json"]
    assert one["captures"][0]["path"] == "lossy.pcap"


def test_update_never_touches_the_baseline_of_a_capture_that_could_not_be_read(pcapflow: Pcapflow, project: Path) -> None:
    pcapflow("check", "--update", "fixtures")
    baseline = project / "fixtures" / "lossy.pcap.report.json"
    before = baseline.read_bytes()
    capture = project / "fixtures" / "lossy.pcap"
    whole = capture.read_bytes()
    for broken, status in ((b"not a capture", 3), (whole[:100_000] + b"\xff" * 4000 + whole[104_000:], 4), (None, 3)):
        if broken is None:
            capture.unlink()
        else:
            capture.write_bytes(broken)
        ran = pcapflow("check", "--update", "fixtures/lossy.pcap", "fixtures/statuses.pcap")
        assert ran.returncode == status, ran
        assert "ERROR  fixtures/lossy.pcap" in ran.stdout
        assert "ok     fixtures/statuses.pcap" in ran.stdout
        assert baseline.read_bytes() == before
        assert not list((project / "fixtures").glob(".pcapflow-*"))


def test_a_baseline_that_is_no_report_is_an_error_not_a_difference(pcapflow: Pcapflow, project: Path) -> None:
    (project / "fixtures" / "lossy.pcap.report.json").write_text("{}")
    ran = pcapflow("check", "fixtures/lossy.pcap")
    assert ran.returncode == 3
    assert "is no report" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_expectations_come_from_the_project_s_settings(pcapflow: Pcapflow, project: Path) -> None:
    settings = project / "pcapflow.toml"
    settings.write_text(
        '[options]\nring-size = "64KiB"\nsniff-json = true\n[check]\nbaselines = false\nfail-on = ["gap"]\n'
        '[expect."*.pcap"]\n"drops.streams" = 0\n"memory.peak_bytes" = {max = "16MiB"}\n[expect."statuses*"]\n"http.by_status.404" = {max = 0}\n'
    )
    ran = pcapflow("check", "fixtures")
    assert ran.returncode == 1
    assert "FAILED fixtures/lossy.pcap: 1 problem" in ran.stdout
    assert "gap: gap of " in ran.stdout
    assert "http.by_status.404 is 1, expected at most 0" in ran.stdout
    assert "ok     fixtures/json-api.pcap" in ran.stdout
    assert pcapflow("check", "--fail-on", "", "fixtures/lossy.pcap").returncode == 0
    settings.write_text('[expect."*.pcap"]\n"limits.ring_size" = "64KiB"\n[options]\nring-size = "64KiB"\n')
    assert pcapflow("check", "--no-baseline", "fixtures").returncode == 0
    assert pcapflow("check", "--no-baseline", "--ring-size", "1MiB", "fixtures").returncode == 1
    settings.write_text("[options]\nrin-size = 5\n")
    wrong = pcapflow("check", "fixtures")
    assert wrong.returncode == 2
    assert "options.rin-size: there is no such option; did you mean ring-size?" in wrong.stderr
    settings.write_text('[options]\nring-size = "some"\n')
    wrong = pcapflow("check", "fixtures")
    assert wrong.returncode == 2
    assert "pcapflow.toml: options.ring-size: 'some' is not a size" in wrong.stderr


@pytest.mark.parametrize(
    ("kind", "capture", "said"),
    [
        ("gap", "lossy.pcap", "and 5 more (packet 496)"),
        ("truncated", "lossy.pcap", "(packet "),
        ("invalid-json", "json-api.pcap", "lexical error"),
        ("drop", "json-api.pcap", None),
        ("gap", "json-api.pcap", None),
        ("anomaly", "json-api.pcap", None),
    ],
)
def test_fail_on_names_the_first_of_a_kind_and_counts_the_rest(pcapflow: Pcapflow, kind: str, capture: str, said: str | None) -> None:
    ran = pcapflow("check", "--no-baseline", "--fail-on", kind, f"fixtures/{capture}")
    assert ran.returncode == (0 if said is None else 1)
    if said is not None:
        assert f"    {kind}: " in ran.stdout
        assert said in ran.stdout


def test_fail_on_sees_drops_and_anomalies(pcapflow: Pcapflow, project: Path) -> None:
    capture = project / "fixtures" / "statuses.pcap"
    capture.write_bytes(capture.read_bytes().replace(b"\r\nHost: ", b"\r\nHost : ", 1))
    ran = pcapflow("check", "--no-baseline", "--fail-on", "anomaly", "fixtures/statuses.pcap")
    assert ran.returncode == 1
    assert "space_before_colon" in ran.stdout
    (project / "pcapflow.toml").write_text("")
    capture.write_bytes((SAMPLES / "statuses.pcap").read_bytes().replace(b"HTTP/1.1 404 Not Found\r\n", b"HTTP/9.1 4O4 Not Found\r\n", 1))
    ran = pcapflow("check", "--no-baseline", "--fail-on", "drop", "fixtures/statuses.pcap")
    assert ran.returncode == 1
    assert "drop http_malformed_head" in ran.stdout


def test_junit_and_annotations_say_the_same(pcapflow: Pcapflow, project: Path) -> None:
    odd = project / "fixtures" / "a,b%:c.pcap"
    shutil.copy(SAMPLES / "lossy.pcap", odd)
    ran = pcapflow("check", "--no-baseline", "--fail-on", "gap", "--junit", "out.xml", "--format", "github", "fixtures")
    assert ran.returncode == 1
    suite = ET.parse(project / "out.xml").getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("4", "2", "0")
    (failure,) = suite.findall("testcase[@name='fixtures/lossy.pcap']/failure")
    assert "packet 496" in failure.attrib["message"]
    errors = [line for line in ran.stdout.splitlines() if line.startswith("::error ")]
    assert len(errors) == 2
    assert errors[0].startswith("::error file=fixtures/a%2Cb%25%3Ac.pcap,title=pcapflow fail-on::gap: ")


def test_quiet_is_one_line_a_capture(pcapflow: Pcapflow) -> None:
    ran = pcapflow("check", "-q", "--no-baseline", "--fail-on", "gap", "fixtures")
    assert ran.stdout.splitlines() == ["ok     fixtures/json-api.pcap", "FAILED fixtures/lossy.pcap: 1 problem", "ok     fixtures/statuses.pcap"]


def test_wrong_command_lines_are_status_2_and_nothing_is_written(pcapflow: Pcapflow, project: Path) -> None:
    for args in (["check"], ["check", "-"], ["check", "--fail-on", "gaps", "fixtures"], ["check", "--config", "nowhere.toml", "fixtures"], ["diff", "a"]):
        ran = pcapflow(*args)
        assert ran.returncode == 2, args
        assert "Traceback" not in ran.stderr
    (project / "empty").mkdir()
    assert pcapflow("check", "empty").returncode == 3
    assert not list((project / "fixtures").glob("*.report.json"))


def test_a_baseline_that_cannot_be_written_is_status_73(pcapflow: Pcapflow, project: Path) -> None:
    blocked = project / "fixtures" / "lossy.pcap.report.json"
    blocked.mkdir()
    ran = pcapflow("check", "--update", "fixtures/lossy.pcap")
    assert ran.returncode in (3, 73)
    assert "ERROR" in ran.stdout
    assert "Traceback" not in ran.stderr
    ran = pcapflow("check", "--no-baseline", "--junit", "/dev/full", "fixtures/statuses.pcap")
    assert ran.returncode == 73
    assert ran.stderr.strip() == "pcapflow: /dev/full: cannot be written: No space left on device"


def report(pcapflow: Pcapflow, project: Path, name: str, *args: str) -> str:
    (project / name).write_text(pcapflow("analyze", *args).stdout)
    return name


def test_diff_tells_counts_endpoints_drops_and_memory_that_changed(pcapflow: Pcapflow, project: Path) -> None:
    old = report(pcapflow, project, "old.json", "--json", "fixtures/statuses.pcap")
    same = report(pcapflow, project, "same.ndjson", "--ndjson", "fixtures/statuses.pcap")
    assert pcapflow("diff", old, same).stdout == "no difference\n"
    assert pcapflow("diff", "-q", old, same).returncode == 0
    capture = project / "fixtures" / "statuses.pcap"
    capture.write_bytes(capture.read_bytes().replace(b"GET /missing", b"GET /mizzing"))
    new = report(pcapflow, project, "new.json", "--json", "fixtures/statuses.pcap")
    text = pcapflow("diff", old, new)
    assert text.returncode == 1
    assert "/missing" in text.stdout
    assert "/mizzing" in text.stdout
    found: dict[str, Any] = json.loads(pcapflow("diff", "--json", old, new).stdout)
    assert found["same"] is False
    assert found["counts"] == {"summary_changes": 0, "new": 0, "gone": 0, "changed": 1}
    assert [(e["name"].rpartition("/")[2], e["old"] is None, e["new"] is None) for e in found["endpoints"]] == [("missing", False, True), ("mizzing", True, False)]
    assert found["records"][0]["changes"] == [{"path": ".request.target", "old": "/missing", "new": "/mizzing"}]
    other = report(pcapflow, project, "other.json", "--json", "--memory-limit", "32MiB", "fixtures/lossy.pcap")
    told = pcapflow("diff", "--summary", old, other)
    assert ".memory.limit_bytes" in told.stdout
    assert "-50.0%" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 100
    assert pcapflow("diff", "-q", old, new).stdout == ""


def test_diff_refuses_what_is_no_report(pcapflow: Pcapflow, project: Path) -> None:
    old = report(pcapflow, project, "old.json", "--json", "fixtures/statuses.pcap")
    ran = pcapflow("diff", old, "fixtures/statuses.pcap")
    assert ran.returncode == 3
    assert ran.stderr.count("\n") == 1
    assert pcapflow("diff", old, "nowhere.json").returncode == 3
