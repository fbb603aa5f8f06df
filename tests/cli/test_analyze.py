"""The command line as a user meets it: outputs, exit statuses, one clear line for bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.craft import Talk, pcap, request, response
from tests.launcher import launch

SAMPLES = Path(__file__).parents[2] / "samples"
SAMPLE = SAMPLES / "json-api.pcap"


def pcapflow(*args: str | Path, stdin: bytes | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return launch(*args, stdin=stdin, env=env)


def one_line(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode()
    assert "Traceback" not in text
    assert text.count("\n") == 1, text
    return text


def test_the_document_has_every_record_and_the_summary() -> None:
    done = pcapflow("analyze", "--json", SAMPLE)
    assert (done.returncode, done.stderr) == (0, b"")
    document = json.loads(done.stdout)
    assert document["schema"] == "pcapflow.report/2"
    assert len([r for r in document["records"] if r["record"] == "http"]) == document["http"]["requests"] == 6
    assert list(document)[:3] == ["schema", "records", "pcapflow"]


def test_ndjson_is_the_same_records_one_a_line_and_the_summary_last() -> None:
    lines = pcapflow("analyze", "--ndjson", SAMPLE).stdout.splitlines()
    document = json.loads(pcapflow("analyze", "--json", SAMPLE).stdout)
    assert [json.loads(line) for line in lines[:-1]] == document["records"]
    assert json.loads(lines[-1])["record"] == "summary"


def test_records_can_be_left_out() -> None:
    assert "records" not in json.loads(pcapflow("analyze", "--json", "--no-records", SAMPLE).stdout)


def test_a_document_without_packets_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([]))
    assert json.loads(pcapflow("analyze", "--json", path).stdout)["records"] == []


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_summary_fits_the_terminal_and_has_no_colour_in_a_pipe(columns: str) -> None:
    done = pcapflow("analyze", SAMPLES / "lossy.pcap", env={"COLUMNS": columns})
    text = done.stdout.decode()
    assert done.returncode == 0
    assert max(map(len, text.splitlines())) <= int(columns)
    assert "\x1b" not in text
    order = [text.index(word) for word in ("packets", "Problems", "Slowest", "Recovered", "\nLost\n", "Memory")]
    assert order == sorted(order)


def test_standard_input_is_a_capture_too() -> None:
    by_pipe = json.loads(pcapflow("analyze", "--json", "-", stdin=SAMPLE.read_bytes()).stdout)
    by_file = json.loads(pcapflow("analyze", "--json", SAMPLE).stdout)
    assert by_pipe["records"] == by_file["records"]


def test_an_output_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    done = pcapflow("analyze", "--json", "-o", target, SAMPLE)
    assert (done.returncode, done.stdout) == (0, b"")
    assert json.loads(target.read_text())["http"]["requests"] == 6
    assert os.listdir(tmp_path) == ["report.json"]


def test_an_output_file_from_before_survives_a_run_that_fails(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("earlier")
    done = pcapflow("analyze", "--json", "-o", target, tmp_path / "missing.pcap")
    assert done.returncode == 3
    assert target.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report.json"]


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = pcapflow("analyze", "--json", "-o", tmp_path / "no" / "report.json", SAMPLE)
    assert done.returncode == 73
    assert "cannot be written" in one_line(done)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello, world, this is text", "is not a capture"),
        (b"\x0a\x0d\x0d\x0a" + bytes(30), "its section header has no byte order"),
    ],
)
def test_what_is_no_capture_ends_with_status_3_and_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    done = pcapflow("analyze", path)
    assert (done.returncode, done.stdout) == (3, b"")
    assert said in one_line(done)
    assert str(path) in one_line(done)


def test_directories_and_missing_files_end_with_status_3(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        done = pcapflow("analyze", path)
        assert done.returncode == 3
        one_line(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_ends_with_status_3(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    path.chmod(0)
    assert pcapflow("analyze", path).returncode == 3


def test_an_unknown_link_type_is_named_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "usb.pcap"
    path.write_bytes(pcap([(1, b"abcd"), (2, b"efgh")], link=249))
    done = pcapflow("analyze", "--json", path)
    assert done.returncode == 3
    assert "USBPCAP" in one_line(done)
    assert json.loads(done.stdout)["decode"]["unsupported_link"] == 2


@pytest.mark.parametrize("size", ["much", "-1", "0", "12XiB", ""])
def test_a_size_that_is_no_size_is_a_usage_error(size: str) -> None:
    done = pcapflow("analyze", "--memory-limit", size, SAMPLE)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"not a size" in done.stderr


def test_a_damaged_capture_ends_with_status_4_and_a_report(tmp_path: Path) -> None:
    whole = Talk().open().send(0, request()).send(1, response(b"[]")).close().bytes()
    path = tmp_path / "x.pcap"
    path.write_bytes(whole + struct.pack("<IIII", 0, 0, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(100))
    done = pcapflow("analyze", "--json", path)
    assert done.returncode == 4
    assert f"byte {len(whole)}" in one_line(done)
    assert json.loads(done.stdout)["http"]["requests"] == 1


def test_a_cut_last_record_is_a_warning_and_status_0(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(SAMPLE.read_bytes()[:-10])
    done = pcapflow("analyze", "--json", path)
    assert done.returncode == 0
    assert "cut short" in one_line(done)
    assert json.loads(done.stdout)["captures"][0]["cut_short"]


def test_a_memory_limit_that_is_too_small_is_one_line_that_says_the_least_that_works() -> None:
    done = pcapflow("analyze", "--memory-limit", "64KiB", SAMPLE)
    assert done.returncode == 2
    assert one_line(done) == "pcapflow: --memory-limit 64 KiB is too small; the minimum is 1 MiB\n"


@pytest.mark.parametrize("options", [("--ndjson",), ("--json",)])
def test_a_reader_that_leaves_ends_the_run_quietly(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        f"{sys.executable} -m pcapflow analyze {' '.join(options)} {SAMPLES / 'keepalive.pcap'} | head -c 10; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.endswith(b"0\n")


def test_ndjson_comes_while_the_capture_is_still_arriving() -> None:
    whole = SAMPLE.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", "--ndjson", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(whole[: len(whole) // 2])
        process.stdin.flush()
        first = process.stdout.readline()
        assert json.loads(first)["record"] in ("http", "json")
        process.stdin.write(whole[len(whole) // 2 :])
        process.stdin.close()
        rest = process.stdout.read()
    assert first + rest == pcapflow("analyze", "--ndjson", "-", stdin=whole).stdout.replace(b"", b"") or json.loads(rest.splitlines()[-1])


def test_an_interrupt_still_writes_the_report() -> None:
    whole = SAMPLE.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", "--ndjson", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(whole[: len(whole) // 2])
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        process.wait(30)
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1])["interrupted"] is True


def test_captured_text_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07"
    path = tmp_path / f"{evil}.pcap"
    Talk().open().send(0, request(method="GET")).close().save(path)
    text = pcapflow("analyze", path).stdout
    assert b"\x1b" not in text
    assert b"\x07" not in text


def test_help_and_version_answer() -> None:
    assert b"analyze" in pcapflow("--help").stdout
    assert re.fullmatch(rb"pcapflow, version \d+\.\d+\.\d+\n", pcapflow("--version").stdout)
    assert b"--memory-limit" in pcapflow("analyze", "--help").stdout


def test_two_outputs_at_once_are_a_usage_error() -> None:
    assert pcapflow("analyze", "--json", "--ndjson", SAMPLE).returncode == 2
    assert pcapflow("analyze").returncode == 2


def test_a_name_that_is_no_utf8_is_read_and_shown(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/nonutf\xff.pcap"
    with open(path, "wb") as f:
        f.write(SAMPLE.read_bytes())
    done = subprocess.run([sys.executable, "-m", "pcapflow", "analyze", "--json", path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["captures"][0]["path"].endswith("nonutf\ufffd.pcap")


def test_control_characters_of_a_name_do_not_reach_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "e\x1b[31mvil\n.pcap"
    path.write_bytes(SAMPLE.read_bytes()[:-5])
    assert "\x1b" not in one_line(pcapflow("analyze", "--json", path))


@pytest.mark.parametrize(
    "option", [("--memory-limit", "9" * 5000), ("--gap-timeout", "9" * 400 + "h"), ("--idle-timeout", "0ns"), ("--gap-timeout", "soon")]
)
def test_absurd_values_are_usage_errors(option: tuple[str, str]) -> None:
    assert pcapflow("analyze", *option, SAMPLE).returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_standard_streams_end_with_a_documented_status(closed: str) -> None:
    capture = "-" if closed == "<&-" else str(SAMPLE)
    done = subprocess.run(
        f"{sys.executable} -m pcapflow analyze --json {capture} {closed}",
        shell=True,
        capture_output=True,
        check=False,
        executable="/bin/bash",
    )
    assert done.returncode == {">&-": 73, "2>&-": 0, "<&-": 3}[closed]
    assert b"Traceback" not in done.stderr


def test_an_output_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    done = pcapflow("analyze", "--json", "-o", tmp_path / ("x" * 300), SAMPLE)
    assert done.returncode == 73
    one_line(done)
