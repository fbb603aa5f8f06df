"""Faults of disk, files, limits and signals: one clear line, the documented status, and nothing lost that was there before."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.source import open_source
from pcapflow.check.reports import read_report
from pcapflow.errors import ReportError, UsageError
from pcapflow.files import is_temporary, temporary
from pcapflow.limits import MOST, Limits
from pcapflow.stream_limits import KIB
from pcapflow.terminal_text import harmless_json, plain
from tests.craft import Talk, pcap, request, response
from tests.launcher import launch_text

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "samples" / "json-api.pcap")
LOSSY = str(ROOT / "samples" / "lossy.pcap")
LONG = "a" * 300
PROGRAM = [sys.executable, "-m", "pcapflow"]


def run(*args: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    if not more:
        return launch_text(*args, cwd=ROOT)
    given: dict[str, Any] = {"capture_output": True, "cwd": ROOT, **more}
    if "stdout" in given or "stderr" in given:
        del given["capture_output"]
        given.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([*PROGRAM, *map(str, args)], text=True, check=False, timeout=60, **given)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    for path, capture in zip(paths, (SAMPLE, LOSSY), strict=True):
        assert run("analyze", "-q", "--json", "-o", path, capture).returncode == 0
    return paths


FULL = {
    "the summary": ("analyze", "-q", SAMPLE),
    "a document": ("analyze", "-q", "--json", SAMPLE),
    "lines": ("analyze", "-q", "--ndjson", SAMPLE),
    "help": ("--help",),
    "a command's help": ("analyze", "--help"),
    "the version": ("--version",),
    "the schema": ("report-schema",),
    "a check": ("check", "--no-baseline", SAMPLE),
    "values": ("extract", "-q", "", SAMPLE),
    "bytes": ("follow", "-q", "--connection", "1", SAMPLE),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_status_73_for(what: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*FULL[what], stdout=full)
    assert done.returncode == 73
    assert "cannot be written: No space left on device" in done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
def test_a_full_disk_is_status_73_for_a_comparison(reports: tuple[Path, Path]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("diff", *reports, stdout=full)
    assert (done.returncode, one_line(done)) == (73, "pcapflow: standard output: cannot be written: No space left on device\n")


def test_a_full_disk_for_what_waits_to_be_put_in_order_is_status_73(tmp_path: Path) -> None:
    talks = [Talk(sport=1000 + i).open().send(0, request(f"/{'x' * 3000}{i}")).send(1, response(b"{}")).close() for i in range(400)]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])))

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

    done = run("analyze", "-q", "--ndjson", "--memory-limit", "2MiB", path, preexec_fn=small_files, stdout=subprocess.DEVNULL)
    assert done.returncode == 73
    assert "cannot be written: File too large" in one_line(done)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("analyze", "-q", "nothere"), 3),
        (("analyze", "--nothing"), 2),
        (("analyze", "-q", LOSSY), 0),
        (("analyze", "-q", "-o", "/dev/null", LOSSY), 0),
    ],
)
def test_a_full_or_closed_standard_error_changes_no_status(args: tuple[str, ...], status: int) -> None:
    with Path("/dev/full").open("w") as full:
        assert run(*args, stdout=subprocess.DEVNULL, stderr=full).returncode == status
    command = " ".join([sys.executable, "-m", "pcapflow", *args])
    assert subprocess.run(f"{command} 2>&- >/dev/null", shell=True, check=False, cwd=ROOT).returncode == status


def test_a_closed_standard_output_is_no_error_where_the_report_goes_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    command = " ".join([*PROGRAM, "analyze", "-q", "--json", "-o", str(out), SAMPLE])
    done = subprocess.run(f"{command} >&-", shell=True, check=False, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(out.read_text())["decode"]["packets"] == 201


@pytest.mark.parametrize(("args", "status"), [
    (("analyze", "-q", LONG), 3), (("analyze", "-q", ""), 3), (("analyze", "-q", "-o", LONG, SAMPLE), 73), (("analyze", "-q", "--html", LONG, SAMPLE), 73),
    (("analyze", "-q", "--parquet", LONG, SAMPLE), 73), (("diff", LONG, LONG), 3), (("extract", "-q", "a", "--drops", LONG, SAMPLE), 73), ((LONG,), 2),
])  # fmt: skip
def test_names_that_are_none_are_one_line_of_the_right_status(args: tuple[str, ...], status: int, tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert "internal error" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_check_of_a_name_that_is_none_is_status_3() -> None:
    done = run("check", LONG)
    assert done.returncode == 3
    assert f"{LONG}: cannot be opened: File name too long" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_in_a_folder_and_an_unreadable_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "good.pcap").write_bytes(Path(SAMPLE).read_bytes())
    (tmp_path / "secret.pcap").write_bytes(Path(SAMPLE).read_bytes())
    (tmp_path / "secret.pcap").chmod(0)
    done = run("analyze", "-q", tmp_path)
    assert (done.returncode, one_line(done)) == (3, f"pcapflow: {tmp_path / 'secret.pcap'}: cannot be opened: Permission denied\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    inner.chmod(0)
    for command in (("analyze", "-q", inner / "x.pcap"), ("check", inner / "x.pcap"), ("diff", inner / "a", inner / "b")):
        assert run(*command).returncode == 3
    assert run("analyze", "-q", "-o", inner / "x.json", SAMPLE).returncode == 73
    inner.chmod(0o700)


def _linked(make: Callable[[Path, Path], None]) -> Callable[[Path], tuple[Path, Path]]:
    def prepare(folder: Path) -> tuple[Path, Path]:
        capture, other = folder / "in.pcap", folder / "out"
        shutil.copy(SAMPLE, capture)
        make(capture, other)
        return capture, other

    return prepare


def _itself(folder: Path) -> tuple[Path, Path]:
    shutil.copy(SAMPLE, folder / "in.pcap")
    return folder / "in.pcap", folder / "in.pcap"


def _in_a_folder(folder: Path) -> tuple[Path, Path]:
    shutil.copy(SAMPLE, folder / "in.pcap")
    return folder, folder / "in.pcap"


PLACES = {
    "itself": _itself,
    "a link": _linked(lambda a, b: b.symlink_to(a)),
    "a hard link": _linked(lambda a, b: b.hardlink_to(a)),
    "a capture in the folder": _in_a_folder,
}
OUTPUTS = {
    "-o": ("analyze", "-q", "-o"), "--html": ("analyze", "-q", "--html"), "--har": ("analyze", "-q", "--har"), "extract -o": ("extract", "a", "-q", "-o"),
    "--drops": ("extract", "a", "-q", "--drops"), "follow -o": ("follow", "--connection", "1", "-q", "-o"), "--junit": ("check", "--no-baseline", "-q", "--junit"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("option", OUTPUTS)
def test_an_output_that_is_an_input_is_refused_and_the_input_kept(tmp_path: Path, place: str, option: str) -> None:
    capture, output = PLACES[place](tmp_path)
    done = run(*OUTPUTS[option], output, capture)
    assert done.returncode == 2
    assert "is an input; pcapflow does not overwrite it" in one_line(done)
    assert (tmp_path / "in.pcap").read_bytes() == Path(SAMPLE).read_bytes()


@pytest.mark.parametrize(
    "command", [("analyze", "-q", "--json"), ("extract", "-q", "a"), ("follow", "-q", "--connection", "1"), ("check", "--no-baseline")]
)
@pytest.mark.parametrize("redirection", [">>", "1<>"])
def test_standard_output_that_is_an_input_is_refused_and_the_input_kept(tmp_path: Path, command: tuple[str, ...], redirection: str) -> None:
    shutil.copy(SAMPLE, tmp_path / "in.pcap")
    line = f"{' '.join([*PROGRAM, *command])} in.pcap {redirection} in.pcap"
    done = subprocess.run(line, shell=True, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "standard output: is an input; pcapflow does not overwrite it" in one_line(done)
    assert (tmp_path / "in.pcap").read_bytes() == Path(SAMPLE).read_bytes()


@pytest.mark.parametrize("read", ["x.pcap.content.json", "pcapflow.toml"])
def test_junit_over_a_baseline_or_the_settings_is_refused(tmp_path: Path, read: str) -> None:
    shutil.copy(SAMPLE, tmp_path / "x.pcap")
    (tmp_path / "pcapflow.toml").write_text("[options]\n")
    assert subprocess.run([*PROGRAM, "check", "-q", "--update", "x.pcap"], check=False, cwd=tmp_path, capture_output=True).returncode == 0
    before = (tmp_path / read).read_bytes()
    done = subprocess.run([*PROGRAM, "check", "-q", "--junit", read, "x.pcap"], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / read).read_bytes()) == (2, before)
    assert "is an input" in one_line(done)


def test_tables_take_the_place_of_no_capture(tmp_path: Path) -> None:
    for name in ("http.parquet", "http.7.parquet"):
        shutil.copy(SAMPLE, tmp_path / name)
    for captures in ((tmp_path / "http.parquet",), (tmp_path / "http.7.parquet",), (tmp_path,)):
        done = run("analyze", "-q", "--parquet", tmp_path, *captures)
        assert done.returncode == 2
        assert "is an input" in one_line(done)
    assert run("analyze", "-q", "--parquet", tmp_path, SAMPLE).returncode == 0
    assert (tmp_path / "http.7.parquet").read_bytes() == Path(SAMPLE).read_bytes()


@pytest.mark.skipif(not Path("/dev/fd/1").exists(), reason="no descriptors by path here")
@pytest.mark.parametrize(
    ("path", "redirection"), [("link", "> out"), ("/dev/stdout", "> out"), ("/dev/fd/3", "3> out"), ("/proc/self/fd/3", "3>> out")]
)
def test_an_output_that_is_a_descriptor_is_written_where_it_leads(tmp_path: Path, path: str, redirection: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    line = f"{' '.join(PROGRAM)} analyze -q --json -o {path} {SAMPLE} {redirection}"
    done = subprocess.run(line, shell=True, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "out").read_text())["decode"]["packets"] == 201
    assert (tmp_path / "link").is_symlink()


def test_an_output_through_a_link_is_written_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("latest.json")
    assert run("analyze", "-q", "--json", "-o", tmp_path / "link", SAMPLE).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "latest.json").read_text())["decode"]["packets"] == 201


def test_two_outputs_of_extract_in_one_place_are_refused(tmp_path: Path) -> None:
    done = run("extract", "-q", "a", "-o", tmp_path / "x", "--drops", tmp_path / "x", SAMPLE)
    assert done.returncode == 2
    assert "the output goes there already" in one_line(done)


def test_an_output_in_a_working_folder_that_is_gone_is_status_73(tmp_path: Path) -> None:
    line = f"mkdir gone; cd gone; rmdir ../gone; {' '.join(PROGRAM)} analyze -q -o x {SAMPLE}"
    done = subprocess.run(line, shell=True, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 73
    assert "x: cannot be written" in one_line(done)


@pytest.mark.parametrize("command", [("check", "--no-baseline"), ("analyze", "-q", "--ndjson", "--memory-limit", "2MiB")])
def test_no_place_for_temporary_files_is_status_73(tmp_path: Path, command: tuple[str, ...]) -> None:
    talks = [Talk(sport=1000 + i).open().send(0, request(f"/{'x' * 3000}{i}")).send(1, response(b"{}")).close() for i in range(400)]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])))

    def no_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = run(*command, path, preexec_fn=no_files)
    assert done.returncode == 73
    assert "internal error" not in done.stderr + done.stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_that_is_called_as_a_temporary_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".pcapflow-a.tmp")
    assert run("analyze", "-q", "-o", tmp_path / "x", SAMPLE).returncode == 0
    assert (tmp_path / ".pcapflow-a.tmp").exists()


@pytest.mark.parametrize("megabytes", [30, 60, 80, 90])
def test_too_few_addresses_to_load_what_is_needed_are_status_71(megabytes: int) -> None:
    done = run("analyze", "-q", SAMPLE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)))
    assert done.returncode == 71
    assert "out of memory" in one_line(done)


@pytest.mark.parametrize(("number", "statuses"), [(signal.SIGINT, (130, -signal.SIGINT)), (signal.SIGTERM, (143, -signal.SIGTERM))])
def test_a_signal_while_modules_are_imported_ends_the_process_and_says_nothing(
    number: int, statuses: tuple[int, int], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for i in range(8):
        process = subprocess.Popen(
            [*PROGRAM, "analyze", "-q", str(pipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        time.sleep(0.06 + 0.02 * i)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode in statuses, (i, said)
        assert "start.py" not in said  # before it Python itself is still being loaded
        assert "Exception ignored" not in said


def test_an_earlier_report_in_the_folder_of_captures_is_written_anew(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "in.pcap")
    for _ in range(2):
        assert run("analyze", "-q", "--json", "-o", tmp_path / "report.json", tmp_path).returncode == 0


def test_too_few_open_files_are_one_line_and_status_3(tmp_path: Path) -> None:
    captures = []
    for i in range(24):
        talk = Talk(sport=1000 + i).open().send(0, request("/")).send(1, response(b"{}")).close()
        talk.frames = [(us, frame) for us, frame in talk.frames for _ in range(60)]
        captures.append(tmp_path / f"{i:02}.pcap")
        captures[-1].write_bytes(pcap(talk.frames))

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    done = run("analyze", "-q", "--block-size", "4KiB", *captures, preexec_fn=few)
    assert done.returncode == 3
    assert "Too many open files" in one_line(done)


@pytest.mark.parametrize("files", [8, 9, 12, 16])
def test_where_few_files_may_be_open_captures_are_checked_all_the_same(tmp_path: Path, files: int) -> None:
    """A process of its own for each takes three: without, this one does it."""
    for i in range(4):
        shutil.copy(SAMPLE, tmp_path / f"{i}.pcap")

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    done = run("check", "--no-baseline", "-j", "3", tmp_path, preexec_fn=few)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("4 captures: 4 ok\n")


def _interrupted(args: list[str | Path], after: float, number: int = signal.SIGINT) -> tuple[int, str]:
    started = subprocess.Popen([*PROGRAM, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    time.sleep(after)
    started.send_signal(number)
    _, said = started.communicate(timeout=30)
    return started.returncode, said.strip()


def test_a_pipe_that_nobody_writes_to_obeys_an_interrupt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _interrupted(["analyze", "-q", tmp_path / "pipe"], 1.5) == (130, "")
    assert _interrupted(["analyze", "-q", tmp_path / "pipe"], 1.5, signal.SIGTERM) == (143, "")


def test_what_may_wait_for_long_does_not_begin_behind_an_interrupt(tmp_path: Path) -> None:
    """It came after the handler was there, and before the wait."""
    asked = Interrupt()
    asked.asked = True
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeyboardInterrupt):
        open_source(str(tmp_path / "pipe"), asked)
    keeps = os.open(tmp_path / "pipe", os.O_RDWR)  # a writer, so that opening does not wait, who writes nothing
    early = Interrupt()
    source = open_source(str(tmp_path / "pipe"), early)
    early.asked = True
    with pytest.raises(KeyboardInterrupt):
        source.peek(4)
    os.write(keeps, b"what")
    assert source.peek(4) == b"what"
    source.close()
    os.close(keeps)


def test_an_interrupt_while_the_program_is_loaded_ends_without_a_traceback_of_ours() -> None:
    """Python's own start, before the program is there at all, is Python's."""
    load = "import sys, time\nfrom pcapflow.start import main\nsys.argv = ['pcapflow', '--help']\nimport click\nclick.command = lambda *a, **k: time.sleep(60)\nmain()"
    started = subprocess.Popen([sys.executable, "-c", load], stderr=subprocess.PIPE, cwd=ROOT)
    time.sleep(1.5)
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=30)[1] == b""
    assert started.returncode == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.15, 0.3, 0.5, 0.8, 1.2])
def test_a_check_that_is_interrupted_leaves_nothing_and_its_processes_say_nothing(tmp_path: Path, after: float, number: int) -> None:
    for i in range(8):
        shutil.copy(SAMPLE, tmp_path / f"{i}.pcap")
    started = subprocess.Popen(
        [*PROGRAM, "check", "--update", "-j", "2", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(started.pid, number)  # as a terminal does
    _, said = started.communicate(timeout=30)
    if started.returncode not in (-number, 0) or said:  # else Python itself was still being started, or all was done
        assert said.strip() in ("", "pcapflow: interrupted")
        assert started.returncode == 128 + number
    assert not any(is_temporary(path.name) for path in tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_processes_of_check_had_under_way_is_removed_when_it_ends(tmp_path: Path, number: int) -> None:
    """By whoever asked them, and by themselves where nobody is left who did."""
    for name in ("a", "b"):
        os.mkfifo(tmp_path / f"{name}.pcap")
    keeps = [os.open(tmp_path / f"{name}.pcap", os.O_RDWR) for name in ("a", "b")]
    for fd in keeps:
        os.write(fd, Path(SAMPLE).read_bytes()[:4000])
    code = (
        "import sys; from pcapflow.check.workers import verdicts_of; from pcapflow.check.verdicts import Job; from pcapflow.limits import Limits; from pcapflow.pipeline import Options\n"
        "print([v.exit_status for v in verdicts_of([Job(p, Limits(), Options(), True, update=True, compare='content') for p in sys.argv[1:]], 2)])"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.pcap", tmp_path / "b.pcap"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        _until(lambda: sum(is_temporary(path.name) for path in tmp_path.iterdir()) == 2)
        started.send_signal(number)
        started.communicate(timeout=30)
        _until(lambda: not any(is_temporary(path.name) for path in tmp_path.iterdir()))
    finally:
        started.kill()
        for fd in keeps:
            os.close(fd)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_killed_run_left_is_no_capture_and_no_baseline_and_the_next_run_removes_it(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "a.pcap")
    left = tmp_path / ".pcapflow-xyz.tmp"
    left.write_bytes(b"half a report")
    fd, under_way = temporary(tmp_path / ".")
    assert not left.exists()
    left.write_bytes(b"half a report")
    done = run("analyze", "-q", "--json", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("check", "--update", tmp_path).returncode == 0
    assert run("check", tmp_path).returncode == 0
    assert not left.exists()
    assert under_way.exists()  # somebody has it open
    os.close(fd)
    assert sorted(path.name for path in tmp_path.iterdir() if not is_temporary(path.name)) == ["a.pcap", "a.pcap.content.json"]


def test_numbers_beyond_what_a_limit_may_be_are_refused() -> None:
    done = run("analyze", "-q", "--ring-ranges", str(1 << 62), SAMPLE)
    assert (done.returncode, one_line(done)) == (2, f"pcapflow: ring_ranges: {1 << 62} is more than {MOST}, the most that a limit may be\n")
    with pytest.raises(UsageError, match="is not above zero"):
        replace(Limits(), json_slice=0)


@pytest.mark.parametrize("name", list(Limits().as_dict()))
@pytest.mark.parametrize("value", [1, 100, MOST])
def test_any_value_of_a_limit_gives_a_report_or_a_clear_line(tmp_path: Path, name: str, value: int) -> None:
    path = (
        Talk()
        .open()
        .send(0, b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", size=700)
        .send(1, response(b'{"a":["\\n",{"b":1}]}' * 40), size=90)
        .close()
        .save(tmp_path / "x.pcap")
    )
    try:
        result = pipeline.run([path], replace(Limits(), **{name: value}), write=lambda _: None)
    except (UsageError, pipeline.AccountError) as e:
        raise AssertionError(e) from None
    except Exception as e:
        assert type(e).__name__ == "CaptureError", e  # a block that does not fit is said
        return
    assert result.unbalanced == []


def test_what_gap_fill_writes_is_bounded_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    t = Talk().open().send(0, b"begin")
    t.seq[0] += 200_000
    path = t.send(0, b"end").acknowledge(1).close().save(tmp_path / "x.pcap")
    out = tmp_path / "out"
    program = f"import sys, dataclasses\nimport pcapflow.cli.follow\nf = sys.modules['pcapflow.cli.follow']\nold = f.settings\nf.settings = lambda run: (dataclasses.replace(old(run)[0], gap_fill_max_bytes={64 * KIB}), old(run)[1])\nfrom pcapflow.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, "follow", "-q", "--connection", "1", "--raw", "--gap-fill", "2e", "-o", str(out), path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert out.read_bytes() == b"begin" + b"." * (64 * KIB) + b"end"
    assert f"gap_fill_max_bytes: {200_000 - 64 * KIB:,} missing bytes are not filled" in one_line(done)


OBEYED = "\x7f\x9b31m\u061c\u202e\u2066"


def test_json_on_a_terminal_has_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    path = Talk().open().send(0, request("/" + OBEYED)).send(1, response(b"{}")).close().save(tmp_path / "x.pcap")
    in_a_pipe = run("analyze", "-q", "--ndjson", path).stdout
    parent, child = pty.openpty()
    done = subprocess.Popen([*PROGRAM, "analyze", "-q", "--ndjson", path], stdout=child, cwd=ROOT)
    os.close(child)
    shown = b""
    try:
        while data := os.read(parent, 65536):
            shown += data
    except OSError:
        pass  # the terminal is gone with the program
    assert done.wait(timeout=30) == 0
    text = shown.decode()
    assert OBEYED in in_a_pipe
    assert not set(OBEYED.replace("31m", "")) & set(text)
    assert [json.loads(line)["record"] for line in text.splitlines()] == [json.loads(line)["record"] for line in in_a_pipe.splitlines()]
    (target,) = [record["request"]["target"] for record in map(json.loads, text.splitlines()) if record["record"] == "http"]
    assert target == "/" + OBEYED


def test_harmless_text_and_json_keep_the_rest() -> None:
    assert plain("a\u061cb\x9bc") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert harmless_json('{"a":"\u061c\x9b\u00e9"}'.encode()) == '{"a":"\\u061c\\u009b\u00e9"}'.encode()


@pytest.mark.parametrize(
    ("name", "value"), [("captures", b"{}," * 5_000_000 + b"{}"), ("http", b"{}," * 5_000_000 + b"{}"), ("limits", b"1," * 600_000 + b"1")]
)
def test_a_hostile_baseline_is_refused_in_bounded_memory(tmp_path: Path, name: str, value: bytes) -> None:
    path = tmp_path / "x.report.json"
    path.write_bytes(b'{"schema":"pcapflow.report/2","records":[\n],"%s":[%s]}' % (name.encode(), value))
    program = f"""
import sys
from pcapflow.check.reports import read_report
from pcapflow.process_memory import resident_bytes
from pcapflow.errors import ReportError
before = resident_bytes()[1]
try:
    list(read_report({str(path)!r}))
except ReportError as e:
    print(resident_bytes()[0] - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 88 << 20
    with pytest.raises(ReportError):
        list(read_report(path))


CAPTURE = b'{"path":"x","format":"pcap","compression":null,"link_types":[%s],"snaplen":0,"bytes":0,"packets":0,"first_ts":null,"last_ts":null,"cut_short":false}'


def test_a_capture_of_a_report_with_more_than_a_capture_has_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    for value in (b",".join([b'"a"'] * 3_000_000), b",".join([b'"a"'] * 1000)):
        test_a_hostile_baseline_is_refused_in_bounded_memory(tmp_path, "captures", CAPTURE % value)


def test_a_record_with_more_than_a_record_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"record":"http","anomalies":[' + b",".join([b'"a"'] * 300_000) + b"]}\n")
    with pytest.raises(ReportError, match="line 1: holds more than a report's record does"):
        list(read_report(path))


@pytest.mark.parametrize("backend", ["python", "yajl2_c"])
def test_a_report_with_half_a_character_is_read_or_refused_whatever_ijson_would_choose(tmp_path: Path, backend: str) -> None:
    document = json.loads(run("analyze", "-q", "--json", SAMPLE).stdout)
    text = json.dumps(document, indent=2).replace('"pcapflow"', '"pcapflow\\ud800"', 1)
    for name in ("a", "b"):
        (tmp_path / name).write_text(text)
    done = run("diff", tmp_path / "a", tmp_path / "b", env={**os.environ, "IJSON_BACKEND": backend})
    assert done.returncode in (0, 3)
    assert "internal error" not in done.stderr


def test_an_update_over_the_settings_is_refused(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "a")
    (tmp_path / "a.content.json").write_text("[options]\n")
    done = subprocess.run(
        [*PROGRAM, "check", "-j1", "--update", "--config", "a.content.json", "a"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, (tmp_path / "a.content.json").read_text()) == (2, "[options]\n")


def test_a_file_in_the_place_of_a_table_is_refused(tmp_path: Path) -> None:
    done = run("analyze", "-q", "--har", tmp_path / "http.parquet", "--parquet", tmp_path, SAMPLE)
    assert done.returncode == 2
    assert "a table of --parquet may go there" in one_line(done)


def test_a_usage_error_with_standard_error_closed_is_not_on_standard_output(tmp_path: Path) -> None:
    command = " ".join(PROGRAM)
    done = subprocess.run(f"{command} analyze --bogus x 2>&-", shell=True, check=False, cwd=ROOT, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("backend", ["python", "yajl2_c"])
def test_what_ijson_would_choose_changes_nothing(backend: str) -> None:
    lines = run("analyze", "-q", "--ndjson", SAMPLE, env={**os.environ, "IJSON_BACKEND": backend}).stdout.splitlines()
    assert lines[:-1] == run("analyze", "-q", "--ndjson", SAMPLE).stdout.splitlines()[:-1]
    assert json.loads(lines[-1])["json"]["backend"] == "yajl2_c"


def test_a_backend_that_there_is_not_is_one_line() -> None:
    done = run("analyze", "-q", SAMPLE, env={**os.environ, "IJSON_BACKEND": "nothing"})
    assert done.returncode == 2
    assert "unset IJSON_BACKEND" in one_line(done)


def test_several_files_of_one_run_in_one_folder_take_their_places_together(tmp_path: Path) -> None:
    """The first of them is closed when the next is opened, and is nobody's leftover."""
    assert run("analyze", "-q", "--parquet", tmp_path / "tables", "-o", tmp_path / "x.json", "--json", SAMPLE).returncode == 0
    assert {"connection.parquet", "http.parquet", "json.parquet"} <= {path.name for path in (tmp_path / "tables").iterdir()}


def test_junit_in_the_place_of_a_baseline_to_be_made_is_refused(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "x.pcap")
    (tmp_path / "link").symlink_to(tmp_path)
    for place in ("x.pcap.content.json", "link/x.pcap.content.json"):
        done = launch_text("check", "-q", "--update", "--junit", place, "x.pcap", cwd=tmp_path)
        assert done.returncode == 2
        assert "--junit goes there already" in one_line(done)
        assert not (tmp_path / "x.pcap.content.json").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_baseline_that_is_a_link_is_updated_where_it_leads(tmp_path: Path, there: bool) -> None:
    (tmp_path / "store").mkdir()
    shutil.copy(SAMPLE, tmp_path / "x.pcap")
    place, target = tmp_path / "x.pcap.content.json", tmp_path / "store" / "x.json"
    if there:
        assert launch_text("check", "-q", "--update", "x.pcap", cwd=tmp_path).returncode == 0
        place.rename(target)
    place.symlink_to(target)
    assert launch_text("check", "-q", "--update", "--packets", "100", "x.pcap", cwd=tmp_path).returncode == 0
    assert place.is_symlink()
    assert json.loads(target.read_text())["schema"] == "pcapflow.baseline/1"
    assert launch_text("check", "-q", "--packets", "100", "x.pcap", cwd=tmp_path).returncode == 0


def test_tables_go_where_links_lead_and_no_page_is_lost_to_one(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (tmp_path / "store").mkdir()
    (folder / "http.parquet").symlink_to(tmp_path / "store" / "http")
    (tmp_path / "page.html").symlink_to(folder / "json.parquet")
    done = run("analyze", "-q", "--html", tmp_path / "page.html", "--parquet", folder, SAMPLE)
    assert done.returncode == 2
    assert "a table of --parquet may go there" in one_line(done)
    assert run("analyze", "-q", "--parquet", folder, SAMPLE).returncode == 0
    assert (folder / "http.parquet").is_symlink()
    assert (tmp_path / "store" / "http").read_bytes()[:4] == b"PAR1"


def test_files_that_no_earlier_run_made_stay_beside_tables(tmp_path: Path) -> None:
    (tmp_path / "http.2024.parquet").write_bytes(b"PAR1 of somebody")
    (tmp_path / "http.1.parquet").write_bytes(b"no table")
    (tmp_path / "json.1.parquet").write_bytes(b"PAR1 of an earlier run")
    (tmp_path / "json.2.parquet").write_bytes(b"PAR1 of an earlier run")
    assert run("analyze", "-q", "--parquet", tmp_path, SAMPLE).returncode == 0
    assert (tmp_path / "http.2024.parquet").exists()
    assert (tmp_path / "http.1.parquet").read_bytes() == b"no table"
    assert not (tmp_path / "json.1.parquet").exists()
    assert not (tmp_path / "json.2.parquet").exists()


def test_a_signal_while_a_sink_is_imported_leaves_nothing_behind(tmp_path: Path) -> None:
    """What is imported late is imported before a file is opened; but for what a run needs now and then, in which a signal waits."""
    code = (
        "import builtins, sys; made = []; real = builtins.__import__\n"
        "from pathlib import Path\n"
        "def look(name, *a, **k):\n"
        "    if name.startswith(('pcapflow', 'rich', 'pyarrow')) and name not in sys.modules and name != 'pcapflow.secret_words' and any(Path(sys.argv[-2]).iterdir()): made.append(name)\n"
        "    return real(name, *a, **k)\n"
        "builtins.__import__ = look\n"
        "from pcapflow.cli import main\n"
        "try: main()\n"
        "finally: print(made, file=sys.stderr)\n"
    )
    folder = tmp_path / "out"
    folder.mkdir()
    args = [
        "analyze",
        "-q",
        "-o",
        str(folder / "report"),
        "--html",
        str(folder / "page"),
        "--har",
        str(folder / "har"),
        "--parquet",
        str(folder),
        SAMPLE,
    ]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.mark.parametrize(
    "line",
    [
        "analyze -q --json --html x x.pcap > x",
        "analyze -q --ndjson --har x x.pcap >> x",
        "extract -q a --drops x x.pcap > x",
        "check --no-baseline --junit x x.pcap > x",
        "analyze -q --json --parquet tables x.pcap > tables/gap.parquet",
        "analyze -q --json -o x --parquet linked x.pcap",
        "analyze -q --json --html x --parquet linked x.pcap",
        "analyze -q --json --parquet linked x.pcap > x",
        "analyze -q --parquet twice x.pcap",
        "check --update x.pcap y.pcap",
    ],
)
def test_no_output_takes_the_place_of_another_by_whatever_name(tmp_path: Path, line: str) -> None:
    for name in ("x.pcap", "y.pcap"):
        shutil.copy(SAMPLE, tmp_path / name)
    for folder in ("tables", "linked", "twice"):
        (tmp_path / folder).mkdir()
    (tmp_path / "x").write_text("")
    (tmp_path / "linked" / "http.parquet").symlink_to("../x")
    (tmp_path / "twice" / "http.parquet").symlink_to("../z")
    (tmp_path / "twice" / "gap.parquet").symlink_to("../z")
    (tmp_path / "y.pcap.content.json").symlink_to("x.pcap.content.json")
    done = subprocess.run(f"{' '.join(PROGRAM)} {line}", shell=True, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    one_line(done)


@pytest.mark.parametrize("digits", ["640", "0", "10000"])
def test_which_numbers_are_read_does_not_depend_on_the_environment(tmp_path: Path, digits: str) -> None:
    talk = Talk().open().send(0, request())
    for n in (1_000, 5_000):
        talk.send(1, response(b'{"a": %s}' % (b"7" * n))).send(0, request())
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(talk.frames))
    found = [
        run("analyze", "-q", "--ndjson", path, env={**os.environ, "PYTHONINTMAXSTRDIGITS": value}).stdout.splitlines()[:-1]
        for value in (digits, "4300")
    ]
    assert found[0] == found[1]
    assert sum('"json_number_unsupported"' in line for line in found[0]) > 0


_SIGNALLED = """
import os, signal, sys
import pcapflow.cli.output as output, pcapflow.pipeline as pipeline, pcapflow.report.documents as documents
def hit(module, name, times=1):
    real, left = getattr(module, name), [times]
    def then(*args, **more):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **more)
    setattr(module, name, then)
hit(*{"advise": (pipeline, "advise"), "summary": (documents.DocumentWriter, "summary"), "place": (output, "put_in_place", 3)}[sys.argv.pop(1)])
from pcapflow.start import main
main()
"""


@pytest.mark.parametrize("moment", ["advise", "summary", "place"])
def test_an_interrupt_when_all_was_read_leaves_whole_outputs(tmp_path: Path, moment: str) -> None:
    tables = tmp_path / "tables"
    args = ["analyze", "-q", "--json", "-o", str(tmp_path / "report"), "--html", str(tmp_path / "page"), "--parquet", str(tables), SAMPLE]
    done = subprocess.run([sys.executable, "-c", _SIGNALLED, moment, *args], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr.strip()) == (130, "")  # click ends the line that ^C began
    assert json.loads((tmp_path / "report").read_text())["interrupted"] is False
    assert (tmp_path / "page").stat().st_size > 1000
    assert len(list(tables.glob("*.parquet"))) == 7
    assert not any(is_temporary(path.name) for folder in (tmp_path, tables) for path in folder.iterdir())


def test_an_empty_name_beside_a_glob_with_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pcapflow.toml").write_text('[expect."a/*.pcap"]\n"tcp.connections" = 1\n')
    done = launch_text("check", "--no-baseline", "", cwd=tmp_path)
    assert done.returncode == 3
    assert "internal error" not in done.stdout + done.stderr


def test_settings_that_are_nested_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text('[expect."*.pcap"]\n' + ".".join(["a"] * 3000) + " = 1\n")
    done = launch_text("check", "-q", "--no-baseline", "--config", tmp_path / "deep.toml", SAMPLE)
    assert done.returncode == 2
    assert done.stderr.startswith(f"pcapflow: {tmp_path / 'deep.toml'}: expect.'*.pcap': a.a.")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_report_of_check_that_is_too_large_for_its_file_is_status_73(jobs: str) -> None:
    command = f"ulimit -f 1; '{sys.executable}' -m pcapflow check -j {jobs} --no-baseline samples/lossy.pcap samples/shop.pcap"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 73
    assert "internal error" not in done.stdout + done.stderr
    assert done.stdout.count("cannot be written: File too large") == 2


def test_a_check_within_few_addresses_is_done_by_one_process(tmp_path: Path) -> None:
    command = f"ulimit -v 400000; '{sys.executable}' -m pcapflow check -q -j 2 --no-baseline samples/lossy.pcap samples/shop.pcap"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [{}, {"COMP_WORDS": "pcapflow", "COMP_CWORD": "x"}])
def test_completion_that_no_shell_asked_for_is_a_wrong_use(words: dict[str, str]) -> None:
    environment = {**os.environ, "_PCAPFLOW_COMPLETE": "bash_complete", **words}
    done = subprocess.run([Path(sys.executable).with_name("pcapflow")], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "COMP_WORDS" in done.stderr


@pytest.mark.parametrize("args", ["--help", "analyze --help-all", "--version"])
def test_help_whose_reader_left_is_no_error(args: str) -> None:
    command = f"'{sys.executable}' -m pcapflow {args} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_long_path_of_extract_is_read_one_way_or_refused() -> None:
    done = launch_text("extract", "-q", ".".join(["a"] * 65), SAMPLE)
    assert done.returncode == 2
    assert (
        done.stderr == "pcapflow: a path of more than 64 keys: write it with a dot before the first, .a.b, so that no key has a dot in it\n"
    )
    assert launch_text("extract", "-q", "." + ".".join(["a"] * 3000), SAMPLE).returncode == 0
