"""`pcapflow check` and `pcapflow diff`, as a CI job runs them: green, red on a planted regression, green again after --update."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.check.config import FAIL_ON
from pcapflow.records import Drop
from tests.launcher import launch_text

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
        if args[0] == "check":  # content mode has tests of its own (tests/check/test_content.py)
            args = ("check", "--compare", "exact", *args[1:])
        return launch_text(*args, cwd=project, env={"COLUMNS": "100", **env})

    return run


def test_a_missing_baseline_is_a_failure_with_the_command_that_makes_it(pcapflow: Pcapflow, project: Path) -> None:
    ran = pcapflow("check", "fixtures/lossy.pcap")
    assert ran.returncode == 1
    assert "to accept the report: pcapflow check --update --compare exact fixtures/lossy.pcap" in ran.stdout
    command = ran.stdout.split("to accept the report: ")[1].splitlines()[0].split()
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
    assert "is not a report" in ran.stdout
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
    assert " bytes missing from byte " in ran.stdout
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
        ("gap", "lossy.pcap", "(packet 496), and 5 more"),
        ("truncated", "lossy.pcap", "(packet "),
        ("invalid-json", "json-api.pcap", "the literal is not true, false or null"),
        ("unread", "lossy.pcap", "124,528 bytes from the server (behind_loss) (packet 496), and 4 more"),
        ("unread", "json-api.pcap", None),
        ("unanswered", "lossy.pcap", "and "),
        ("unanswered", "json-api.pcap", None),
        ("5xx", "statuses.pcap", "GET "),
        ("5xx", "json-api.pcap", None),
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


def test_the_help_names_every_kind_that_fail_on_takes(pcapflow: Pcapflow) -> None:
    said = " ".join(pcapflow("check", "--help").stdout.split())
    assert all(kind in said for kind in FAIL_ON)


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
    assert "drop: http_malformed_head at byte " in ran.stdout


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
    assert ran.stdout.splitlines() == [
        "ok     fixtures/json-api.pcap",
        "FAILED fixtures/lossy.pcap: 1 problem",
        "ok     fixtures/statuses.pcap",
    ]


def test_wrong_command_lines_are_status_2_and_nothing_is_written(pcapflow: Pcapflow, project: Path) -> None:
    for args in (
        ["check"],
        ["check", "-"],
        ["check", "--fail-on", "gaps", "fixtures"],
        ["check", "--config", "nowhere.toml", "fixtures"],
        ["diff", "a"],
    ):
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
    assert found["counts"] == {"summary_changes": 4, "new": 0, "gone": 0, "changed": 1}
    assert [(e["name"].rpartition("/")[2], e["old"] is None, e["new"] is None) for e in found["endpoints"]] == [
        ("missing", False, True),
        ("mizzing", True, False),
    ]
    assert found["records"][0]["changes"] == [{"path": ".request.target", "old": "/missing", "new": "/mizzing"}]
    other = report(pcapflow, project, "other.json", "--json", "--memory-limit", "32MiB", "fixtures/lossy.pcap")
    told = pcapflow("diff", "--summary", old, other)
    assert ".limits.memory_limit" in told.stdout
    assert ".rings.limit_bytes" not in told.stdout
    assert "-50.0%" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 100
    assert pcapflow("diff", "-q", old, new).stdout == ""


def test_diff_refuses_what_is_no_report(pcapflow: Pcapflow, project: Path) -> None:
    old = report(pcapflow, project, "old.json", "--json", "fixtures/statuses.pcap")
    assert pcapflow("diff", old, "fixtures/statuses.pcap").returncode == 0
    (project / "text").write_text("none")
    ran = pcapflow("diff", old, "text")
    assert ran.returncode == 3
    assert ran.stderr.count("\n") == 1
    assert pcapflow("diff", old, "nowhere.json").returncode == 3


# --- what reviewers found


def expecting(project: Path, *lines: str) -> None:
    (project / "pcapflow.toml").write_text('[check]\nbaselines = false\n[expect."*.pcap"]\n' + "\n".join(lines) + "\n")


def test_bounds_on_what_a_baseline_leaves_out_are_held_against_the_run(pcapflow: Pcapflow, project: Path) -> None:
    expecting(project, '"memory.process.peak_rss_bytes" = {max = "1KiB"}')
    assert pcapflow("check", "fixtures/lossy.pcap").returncode == 1
    expecting(
        project,
        '"json.backend" = {one_of = ["yajl2_c", "yajl2", "yajl2_cffi", "python"]}',
        '"run.workers" = 1',
        '"run.packets_per_second" = {min = 1}',
    )
    assert pcapflow("check", "fixtures/lossy.pcap").returncode == 0


def test_a_capture_that_only_its_baseline_tells_of_is_missed(pcapflow: Pcapflow, project: Path) -> None:
    pcapflow("check", "--update", "fixtures")
    capture = project / "fixtures" / "lossy.pcap"
    for content in (b"", b"garbage" * 30, None):
        if content is None:
            capture.unlink()
        else:
            capture.write_bytes(content)
        ran = pcapflow("check", "fixtures")
        assert ran.returncode == 3
        assert "ERROR  fixtures/lossy.pcap" in ran.stdout
    assert "the capture is missing, and its baseline lossy.pcap.report.json is there" in ran.stdout
    ran = pcapflow("check", "--no-baseline", "fixtures")
    assert ran.returncode == 0
    assert "lossy" not in ran.stdout + ran.stderr
    (project / "fixtures" / "notes.txt").write_text("mine")
    assert "warning: fixtures/notes.txt: not a capture, skipped" in pcapflow("check", "fixtures").stderr


def test_a_link_is_matched_by_its_own_name(pcapflow: Pcapflow, project: Path) -> None:
    (project / "store").mkdir()
    (project / "fixtures" / "lossy.pcap").rename(project / "store" / "x")
    (project / "fixtures" / "lossy.pcap").symlink_to("../store/x")
    for glob in ("fixtures/*.pcap", "./fixtures/lossy.pcap", "lossy.pcap"):
        (project / "pcapflow.toml").write_text(f'[expect."{glob}"]\n"tcp.gaps" = 0\n')
        assert pcapflow("check", "--no-baseline", "fixtures/lossy.pcap").returncode == 1, glob


@pytest.mark.parametrize(
    "line",
    [
        '"memory.components.rigns.peak_bytes" = 0', '"drops.by_reason.json_scalar_to_large.count" = 0', '"limits.rign_size" = 0', '"tcp.gaps_by_cause.acknowleged" = 0',
        '"http.anomalies.bare_fl" = 0', '"tcp.gaps" = {equals = 6, one_of = [6]}', f'"tcp.gaps" = {{min = 1{"0" * 400}}}',
    ],
)  # fmt: skip
def test_what_could_never_be_found_is_an_error(pcapflow: Pcapflow, project: Path, line: str) -> None:
    expecting(project, line)
    ran = pcapflow("check", "fixtures/lossy.pcap")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    expecting(project, '"captures[1].packets" = {min = 1}')
    assert pcapflow("check", "fixtures/lossy.pcap").returncode == 1


def test_the_wire_cannot_switch_a_bound_off(pcapflow: Pcapflow, project: Path) -> None:
    capture = project / "fixtures" / "statuses.pcap"
    capture.write_bytes(capture.read_bytes().replace(b"DELETE ", b"record ").replace(b"GET /m", b"record"[:3] + b" /m"))
    expecting(project, '"http.by_method.PATCH" = {min = 1}')
    assert pcapflow("check", "fixtures/statuses.pcap").returncode == 1
    from pcapflow.check.expectations import Expectation

    assert Expectation.parse("http.by_method.GET", {"min": 1}).violations({"record": "summary", "http": {"by_method": {"record": 1}}})


def test_a_reader_that_leaves_does_not_make_it_green(project: Path) -> None:
    shell = f"set -o pipefail; {sys.executable} -m pcapflow check --no-baseline --fail-on gap --junit out.xml fixtures fixtures/lossy.pcap | head -c 1 >/dev/null"
    assert subprocess.run(["bash", "-c", shell], cwd=project, check=False, timeout=120, capture_output=True).returncode == 1
    assert (project / "out.xml").exists()
    process = subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "check", "--no-baseline", "--fail-on", "gap", "fixtures"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_update_without_baselines_is_refused(pcapflow: Pcapflow, project: Path) -> None:
    assert pcapflow("check", "--update", "--no-baseline", "fixtures").returncode == 2
    expecting(project)
    assert pcapflow("check", "--update", "fixtures").returncode == 2


@pytest.mark.parametrize(
    "settings",
    [
        "[check]\nfail-on = [[1]]\n", "[options]\nsniff-json = []\n", "[options]\nsniff-json = 1\n", "[options]\npackets = 3.7\n", "[options]\ngap-timeout = true\n", "x = " + "[" * 20_000,
        f"[check]\nx = 1{'0' * 5000}\n",
    ],
)  # fmt: skip
def test_settings_that_are_none_are_one_line(pcapflow: Pcapflow, project: Path, settings: str) -> None:
    (project / "pcapflow.toml").write_text(settings)
    ran = pcapflow("check", "fixtures/statuses.pcap")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "pcapflow.toml" in ran.stderr


@pytest.mark.parametrize("text", ["tool = 5\n", 'tool = "pcapflow"\n', "not toml ["])
def test_a_pyproject_that_says_nothing_to_us_is_passed_over(pcapflow: Pcapflow, project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text)
    assert pcapflow("check", "--no-baseline", "fixtures/statuses.pcap").returncode == 0
    (project / "pyproject.toml").write_text("[tool]\npcapflow = 5\n")
    assert pcapflow("check", "--no-baseline", "fixtures/statuses.pcap").returncode == 2


def test_a_block_size_is_no_difference(pcapflow: Pcapflow, project: Path) -> None:
    pcapflow("check", "--update", "fixtures/lossy.pcap")
    ran = pcapflow("check", "--block-size", "64KiB", "fixtures/lossy.pcap")
    assert ran.returncode == 0, ran.stdout


def test_the_command_that_is_told_makes_the_baseline_that_was_wanted(pcapflow: Pcapflow, project: Path) -> None:
    shutil.copy(project / "fixtures" / "json-api.pcap", project / "-x y.pcap")
    args = ["--hash-bodies", "--idle-timeout", "30m", "--from", "2020-01-01T00:00:00Z", "--", "-x y.pcap"]
    ran = pcapflow("check", *args)
    told = ran.stdout.split("to accept the report: ")[1].splitlines()[0]
    shell = told.replace("pcapflow", f"{sys.executable} -m pcapflow", 1)
    assert subprocess.run(["bash", "-c", shell], cwd=project, check=False, timeout=60, capture_output=True).returncode == 0, told
    assert pcapflow("check", *args).returncode == 0


def test_a_baseline_that_cannot_be_read_is_replaced_where_update_asks(pcapflow: Pcapflow, project: Path) -> None:
    place = project / "fixtures" / "lossy.pcap.report.json"
    pcapflow("check", "--update", "fixtures/lossy.pcap")
    whole = place.read_bytes()
    nested = whole.replace(b'{"record":', b'{"zzz":' + b"[" * 5000 + b"]" * 5000 + b',"record":', 1)
    for broken in (
        b"<<<<<<< HEAD\n" + whole,
        whole[:500],
        nested,
        whole.replace(b"report/2", b"report/9"),
        whole.decode().encode("utf-16"),
    ):
        place.write_bytes(broken)
        ran = pcapflow("check", "fixtures/lossy.pcap")
        if broken is nested:
            assert ran.returncode in (0, 3)
            continue
        assert ran.returncode == 3, ran
        assert "to accept the report: pcapflow check --update --compare exact fixtures/lossy.pcap" in ran.stdout
        assert "b'" not in ran.stdout
        assert "baseline replaced" in pcapflow("check", "--update", "fixtures/lossy.pcap").stdout
        assert place.read_bytes() == whole


def test_reports_come_through_pipes_in_any_layout(pcapflow: Pcapflow, project: Path) -> None:
    one = report(pcapflow, project, "one.json", "--json", "fixtures/statuses.pcap")
    shell = f"{sys.executable} -m json.tool {one} | {sys.executable} -m pcapflow diff {one} /dev/stdin"
    assert (
        subprocess.run(["bash", "-c", shell], cwd=project, check=False, timeout=60, capture_output=True, text=True).stdout
        == "no difference\n"
    )


def test_no_file_lies_beside_what_is_no_file(project: Path) -> None:
    with (project / "fixtures" / "statuses.pcap").open("rb") as capture:
        ran = subprocess.run(
            [sys.executable, "-m", "pcapflow", "check", "--update", "/dev/stdin"],
            stdin=capture,
            capture_output=True,
            text=True,
            check=False,
            cwd=project,
        )
    assert ran.returncode == 2
    assert "--no-baseline" in ran.stderr


def test_long_targets_take_no_memory(project: Path) -> None:
    from tests.craft import Talk

    talk = Talk().open()
    for n in range(1500):
        talk.send(0, b"GET /%d%s HTTP/1.1\r\nHost: h\r\n\r\n" % (n, b"a" * 20_000), size=30_000)
        talk.send(1, b"HTTP/1.1 204 No Content\r\n\r\n")
    path = talk.save(project / "long.pcap")
    code = (
        "import sys; from pcapflow.cli import cli\n"
        "try: cli.main(['check', *sys.argv[1:]], standalone_mode=False)\n"
        "except BaseException as e: print(getattr(e, 'status', e))\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    for update in (["--update"], []):
        ran = subprocess.run(
            [sys.executable, "-c", code, *update, path], capture_output=True, text=True, check=True, cwd=project, timeout=120
        )
        status, peak = ran.stdout.splitlines()[-2:]
        assert status == "0"
        assert int(peak) < 150_000, ran.stdout


def slow(project: Path, jobs: str, *args: str) -> subprocess.Popen[str]:
    """A check of captures that never end: named pipes that nobody closes."""
    return subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "check", "--no-baseline", "--jobs", jobs, "--junit", "out.xml", *args, *sorted(str(p) for p in project.glob("pipe*"))],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.fixture
def pipes(project: Path) -> Any:
    """Three named pipes with a capture that goes on."""
    data = (project / "fixtures" / "lossy.pcap").read_bytes()[:40_000]
    open_ends = []
    for n in range(3):
        path = project / f"pipe{n}"
        os.mkfifo(path)
        fd = os.open(path, os.O_RDWR)
        os.write(fd, data)
        open_ends.append(fd)
    yield
    for fd in open_ends:
        os.close(fd)


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.usefixtures("pipes")
def test_ctrl_c_ends_it_and_says_which_captures_were_not_checked(project: Path, jobs: str) -> None:
    import signal
    import time

    process = slow(project, jobs)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    assert out.count("interrupted") == 3
    assert "Traceback" not in err
    assert ET.parse(project / "out.xml").getroot().attrib["errors"] == "3"


def processes_of(group: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) == group and (entry / "stat").read_text().rsplit(") ", 1)[1][0] != "Z":
                    found.append((entry / "cmdline").read_text())
            except (OSError, IndexError):
                continue
    return found


@pytest.mark.usefixtures("pipes")
def test_workers_go_when_their_parent_is_killed(project: Path) -> None:
    import time

    process = slow(project, "2")
    time.sleep(3)
    assert len(processes_of(process.pid)) >= 3
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while processes_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(process.pid) == []


def test_a_killed_worker_costs_its_own_capture_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pcapflow.check import checking
    from pcapflow.check.workers import _CHECKS
    from pcapflow.limits import Limits
    from pcapflow.pipeline import Options
    from pcapflow.workers.pool import results

    jobs = [
        checking.Job(str(project / "fixtures" / name), Limits(), Options(), False)
        for name in ("lossy.pcap", "json-api.pcap", "statuses.pcap")
    ]
    deadly = checking.Job(jobs[1].capture, _Deadly(), Options(), False)
    verdicts = list(results(_CHECKS, [jobs[0], deadly, jobs[2]], 2))
    assert [verdict.exit_status for verdict in verdicts] == [0, 71, 0]


class _Deadly:
    """Limits that kill whoever unpacks them in a worker."""

    def __reduce__(self) -> Any:
        return os.kill, (_Parent(), 9)


class _Parent:
    """The number of the process that unpacks it."""

    def __reduce__(self) -> Any:
        return os.getpid, ()


# --- what a new user stumbled over


def test_a_capture_that_is_to_be_compared_and_cannot_be_read_is_one_line(pcapflow: Pcapflow, project: Path) -> None:
    for name, data in (("ng.pcapng", b"\n\r\r\n" + bytes(60)), ("packed.pcap.gz", __import__("gzip").compress(b"x"))):
        (project / name).write_bytes(data)
        ran = pcapflow("diff", "fixtures/statuses.pcap", name)
        assert ran.returncode == 3
        assert ran.stderr.startswith(f"pcapflow: {name}: ")
        assert ran.stderr.count("\n") == 1


def test_another_limit_is_one_difference_and_what_is_expected_stands_first(pcapflow: Pcapflow, project: Path) -> None:
    pcapflow("check", "--update", "fixtures")
    (project / "pcapflow.toml").write_text('[options]\nmemory-limit = "32MiB"\n[expect."*.pcap"]\n"tcp.gaps" = 0\n')
    ran = pcapflow("check", "fixtures/lossy.pcap")
    assert ran.stdout.splitlines()[:5] == [
        "FAILED fixtures/lossy.pcap: 2 problems",
        "    tcp.gaps is 6, expected 0",
        "    made with another limit: .limits.memory_limit: 67108864 -> 33554432",
        "    to accept this: pcapflow check --update --compare exact fixtures/lossy.pcap",
        "result capture                  packets  problems  baseline",
    ]


def test_expectations_that_are_for_no_capture_of_a_folder_are_named(pcapflow: Pcapflow, project: Path) -> None:
    (project / "pcapflow.toml").write_text('[expect."nomatch*"]\n"tcp.gaps" = 0\n[expect."lossy*"]\n"tcp.gaps" = 6\n')
    ran = pcapflow("check", "--no-baseline", "fixtures")
    assert ran.returncode == 0
    assert ran.stderr == "pcapflow: warning: " + str(project / "pcapflow.toml") + ": expect.'nomatch*' matches none of the captures\n"
    assert pcapflow("check", "--no-baseline", "fixtures/lossy.pcap").stderr == ""


def test_what_is_shown_of_thousands_of_captures_is_not_kept(project: Path) -> None:
    """Each has problems of 16 KB, and JUnit's file all of them."""
    from pcapflow.check.exporters import JUnit
    from pcapflow.check.verdicts import Problem, Verdict

    tracemalloc.start()
    with JUnit() as cases:
        for i in range(2000):
            verdict = Verdict(
                f"{i}.pcap", "failed", exit_status=1, problems=[Problem("difference", "&" * 800) for _ in range(20)], accept="&" * 1000
            )
            cases.add(verdict)
            verdict.told()
        written: list[int] = []
        cases.write(lambda some: written.append(len(some)))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert sum(written) > 2000 * 80_000
    assert verdict.more == 20


def test_no_more_is_kept_of_a_comparison_than_some_megabytes(project: Path) -> None:
    from pcapflow.check.comparing import compare
    from pcapflow.check.tables import render

    def report(prefix: str) -> Iterator[Any]:
        for i in range(20_000):
            yield Drop(i + 1, "client", "http", prefix * 300, 1.0, i + 1, 0, 0, None, "d" * 500, None, None, True)
        yield pipeline.run([str(SAMPLES / "lossy.pcap")]).summary

    tracemalloc.start()
    found = compare(report("a"), report("b"), most=100_000)
    assert found.differences == 40_000
    assert 1_000 < len(found.records) < 20_000
    text = [len(part) for part in render(found, width=100)]
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()
    assert sum(text) > 1 << 20
