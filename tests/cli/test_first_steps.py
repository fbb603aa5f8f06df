"""What a first command line gets: a capture in the place of a command, times of day, unreadable files, other systems."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pcapflow.sizes import TimeOfDay, moment, size
from tests.craft import T0, Talk, pcap, request, response
from tests.launcher import launch_text

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "json-api.pcap"
MIDNIGHT = T0 - T0 % 86_400


def pcapflow(*args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return launch_text(*args, cwd=ROOT, **more)


@pytest.mark.parametrize("name", ["samples/json-api.pcap", "samples", "-"])
def test_a_capture_in_the_place_of_a_command_is_told_which_is_meant(name: str) -> None:
    done = pcapflow(name)
    assert done.returncode == 2
    assert f"pcapflow analyze {name}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_neither_is_no_command() -> None:
    done = pcapflow("nothing.pcap")
    assert (done.returncode, "No such command" in done.stderr) == (2, True)


_MAY_NOT_READ = """
import os, sys
real = os.open
def may_not(path, *args, **kwargs):
    if str(path).endswith("a.pcap"):
        raise PermissionError(13, "Permission denied", str(path))
    return real(path, *args, **kwargs)
os.open = may_not
sys.argv = ["pcapflow", *sys.argv[1:]]
from pcapflow.cli import main
main()
"""
"""Root may read everything, and tests run as root in containers."""


@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize("command", [("analyze",), ("extract", "a"), ("check", "--jobs", "1")])
def test_an_unreadable_file_is_status_3_and_named(tmp_path: Path, where: str, command: tuple[str, ...]) -> None:
    capture = tmp_path / "a.pcap"
    for path in (capture, tmp_path / "b.pcap"):
        path.write_bytes(SAMPLE.read_bytes())
    capture.chmod(0)
    args = [*command, str(capture if where == "file" else tmp_path)]
    done = subprocess.run([sys.executable, "-c", _MAY_NOT_READ, *args], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 3, done.stderr
    assert f"{capture}: cannot be opened: Permission denied" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


# --- times


def test_a_time_of_day_is_of_the_only_day_that_the_capture_has(tmp_path: Path) -> None:
    talk = Talk().open()
    for i in range(4):
        talk.us = i * 1_000_000
        talk.send(0, request(f"/{i}")).send(1, response(b"{}"))
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.close().bytes())
    second = T0 % 86_400 + 2
    text = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    for option, expected in (("--from", 2), ("--to", 2)):
        of_day = json.loads(pcapflow("analyze", "-q", "--json", "--no-records", option, text, str(path)).stdout)
        absolute = json.loads(pcapflow("analyze", "-q", "--json", "--no-records", option, str(T0 + 2), str(path)).stdout)
        assert of_day["http"]["requests"] == expected
        assert (of_day["decode"], of_day["tcp"]) == (absolute["decode"], absolute["tcp"])


def test_a_time_of_day_of_a_capture_of_several_days_is_refused_with_what_to_write(tmp_path: Path) -> None:
    talk = Talk().open()
    talk.idle(86_400_000_000).send(0, b"x")
    path = tmp_path / "x.pcap"
    path.write_bytes(talk.bytes())
    done = pcapflow("analyze", "-q", "--from", "13:10:32", "-o", str(tmp_path / "out"), str(path))
    assert done.returncode == 2
    assert (
        "--from 13:10:32 says no day, and the capture has packets of several (2023-11-14, 2023-11-15); write 2023-11-14T13:10:32Z"
        in done.stderr
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["2023", "1999", "202311", "20231114"])
def test_digits_that_may_be_a_date_are_never_1970(text: str) -> None:
    with pytest.raises(ValueError, match="may be a date"):
        moment(text)
    assert moment(text + ".0") == int(text) * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("13:10:32", 47_432_000_000_000),
        ("00:00", 0),
        ("23:59:59.5", 86_399_500_000_000),
        ("5", 5 * 10**9),
        ("9999", 9999 * 10**9),
        ("20239999", 20_239_999 * 10**9),
    ],
)
def test_times_of_day_and_seconds_are_told_apart(text: str, ns: int) -> None:
    found = moment(text)
    assert (int(found), isinstance(found, TimeOfDay)) == (ns, ":" in text)


# --- other systems

_WITHOUT = """
import builtins, os, sys
for name in ("O_CLOEXEC", "O_BINARY", "pread", "preadv", "readv", "sched_getaffinity", "geteuid", "getuid", "fork", "mkfifo", "set_blocking"):
    if hasattr(os, name):
        delattr(os, name)
real = builtins.__import__
def without(name, *args, **kwargs):
    if name in ("resource", "fcntl", "pwd", "grp", "termios"):
        raise ImportError(name)
    return real(name, *args, **kwargs)
builtins.__import__ = without
sys.argv = ["pcapflow", *sys.argv[1:]]
import pcapflow.capture.source as source
source._ASKS = False  # select() takes sockets alone on Windows
from pcapflow.cli import main
main()
"""


@pytest.mark.parametrize("stdin", [False, True])
def test_it_runs_without_what_other_systems_lack(stdin: bool) -> None:
    here = pcapflow("analyze", "-q", "--ndjson", str(SAMPLE)).stdout.splitlines()[:-1]
    with SAMPLE.open("rb") as capture:
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT, "analyze", "-q", "--ndjson", "-" if stdin else str(SAMPLE)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            stdin=capture,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:-1] == here
    assert len(here) > 5


def test_records_beyond_memory_are_put_in_order_without_pread(tmp_path: Path) -> None:
    talks = []
    for i in range(400):
        talk = Talk(sport=1000 + i)
        talk.us = i % 7
        talks.append(talk.open().send(0, request(f"/{'x' * 3000}{i}")).send(1, response(b"{}")).close())
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(sorted((frame for talk in talks for frame in talk.frames), key=lambda f: f[0])))
    args = ["analyze", "-q", "--ndjson", "--memory-limit", "9MiB", str(path)]
    here = pcapflow(*args).stdout.splitlines()[:-1]
    done = subprocess.run([sys.executable, "-c", _WITHOUT, *args], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[:-1] == here
    assert len(here) >= 800


@pytest.mark.parametrize(
    ("text", "n"),
    [("64", 64), ("64KiB", 1 << 16), ("0.5GiB", 1 << 29), ("64MB", 64_000_000), ("1.5 kb", 1500), ("2M", 2 << 20), ("0.3B", None), ("1.5.2M", None), ("-1", None), ("1TB", None)],
)  # fmt: skip
def test_sizes_are_written_in_powers_of_1024_or_1000(text: str, n: int | None) -> None:
    if n is not None:
        assert size(text) == n
        return
    with pytest.raises(ValueError, match="size"):
        size(text)
