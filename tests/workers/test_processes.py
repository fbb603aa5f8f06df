"""Workers as processes: one report of any number of them, whatever stops or kills them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.conditions import Conditions
from pcapflow.errors import OUT_OF_MEMORY, WorkerError
from pcapflow.findings.extract import VALUE, Extraction
from pcapflow.limits import Limits
from pcapflow.processors import cpu_quota, processors
from pcapflow.report.documents import NdjsonWriter
from pcapflow.report.sinks.har import Har
from pcapflow.report.sinks.values import ValueLines
from pcapflow.stream_limits import MIB
from pcapflow.workers.division import divide
from pcapflow.workers.team import Team
from tests.craft import Talk, merge, pcap, request, response
from tests.launcher import launch_text

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
MAY_DIFFER = ("run", "memory", "advice")


def busy(path: Path, connections: int = 30, exchanges: int = 12) -> Path:
    """Connections side by side, each of some exchanges of JSON, some with a hole."""
    talks = []
    for i in range(connections):
        talk = Talk(sport=20_000 + i)
        talk.us, talk.step = i * 7, 100
        talk.open()
        for k in range(exchanges):
            body = json.dumps({"user": i, "items": list(range(k * 20))}).encode()
            talk.send(0, request(f"/u/{k}")).send(1, response(body), keep=(i + k) % 9 != 0)
        talks.append(talk.close())
    path.write_bytes(merge(*talks))
    return path


def report(path: Path, workers: int, **more: Any) -> tuple[list[bytes], Any, pipeline.Result]:
    """Lines, and what of the summary is to be equal."""
    lines: list[bytes] = []
    limits = more.pop("limits", None) or replace(Limits(), block_packets=64)
    options = pipeline.Options(workers=workers, **more.pop("options", {}))
    writer = NdjsonWriter(lines.append)
    result = pipeline.run([str(path)], limits, options, write=writer.records, separator=writer.separator, **more)
    summary = msgspec.to_builtins(result.summary)
    for name in MAY_DIFFER:
        del summary[name]
    return b"".join(lines).splitlines(), summary, result


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, workers: int) -> None:
    path = busy(tmp_path / "x.pcap")
    lines, summary, result = report(path, 1)
    theirs, of_all, shared = report(path, workers)
    assert theirs == lines
    assert of_all == summary
    assert (result.summary.run.workers, shared.summary.run.workers) == (1, workers)
    memory = shared.summary.memory
    assert all(component.at_end_bytes == 0 for component in memory.components.values())
    assert memory.process.peak_rss_bytes > result.summary.memory.process.peak_rss_bytes
    assert not shared.unbalanced


def test_the_command_line_says_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    for sample in ("lossy", "gzip-chunked"):
        said = []
        for workers in (1, 2):
            har, page, tables = tmp_path / f"{workers}.har", tmp_path / f"{workers}.html", tmp_path / f"{workers}"
            done = launch_text(
                "analyze", "-q", "--json", "--workers", workers, "--har", har, "--html", page, "--parquet", tables, SAMPLES / f"{sample}.pcap"
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            document = json.loads(done.stdout)
            assert document["run"]["workers"] == workers
            for name in MAY_DIFFER:
                del document[name]
            rows = re.findall(r'<script[^>]*type="application/json"[^>]*>.*?</script>', page.read_text(), re.DOTALL)
            said.append((document, har.read_bytes(), len(rows), sorted(one.name for one in tables.iterdir())))
        assert said[0] == said[1]


def test_values_come_in_the_same_order_from_any_number_of_workers(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")
    said = []
    for workers in (1, 2, 3):
        lines: list[bytes] = []
        others: list[bytes] = []
        pipeline.run(
            [str(path)], replace(Limits(), block_packets=64), pipeline.Options(workers=workers),
            sinks=[ValueLines(VALUE, lines.extend, others.extend)], listeners=[Extraction("items.item", Conditions(), with_source=True)],
        )  # fmt: skip
        said.append((lines, others))
    assert len(said[0][0]) > 10_000
    assert said[0] == said[1] == said[2]


def test_a_sink_that_wants_exchanges_gets_them_from_workers(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")
    said = []
    for workers in (1, 2):
        parts: list[bytes] = []
        pipeline.run([str(path)], Limits(), pipeline.Options(workers=workers), sinks=[Har(parts.append)])
        said.append(b"".join(parts))
    assert said[0] == said[1]
    assert len(json.loads(said[0])["log"]["entries"]) == 360


def test_little_memory_to_pass_entries_through_makes_workers_wait_and_changes_nothing(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=40)
    limits = replace(Limits().with_memory(20 * MIB), block_packets=64)
    lines, *_ = report(path, 1, limits=limits)
    theirs, _, result = report(path, 2, limits=limits)
    assert theirs == lines
    assert sum(map(len, lines)) > 2 * (20 * MIB // 16)  # more than may wait
    assert result.summary.run.workers == 2


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_is_killed_ends_the_run_and_is_named(tmp_path: Path, number: int) -> None:
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=40)
    before = set(_children())

    def kill(_: pipeline.Progress) -> None:
        for pid in set(_children()) - before:
            os.kill(pid, number)

    with pytest.raises(WorkerError, match=rf"worker 2 of 2 \(process \d+\) was killed by {signal.Signals(number).name}") as error:
        report(path, 2, progress=kill)
    assert error.value.exit_status == OUT_OF_MEMORY
    assert set(_children()) <= before


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_nothing_takes_the_place_of_a_report_whose_worker_was_killed(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap", connections=200, exchanges=60)
    out = tmp_path / "report.json"
    out.write_text("before")
    command = [
        sys.executable,
        "-m",
        "pcapflow",
        "analyze",
        "-q",
        "--ndjson",
        "-o",
        str(out),
        "--workers",
        "2",
        "--block-size",
        "4KiB",
        str(path),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        children: list[str] = []
        while not children and process.poll() is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, said = process.communicate()
    assert process.returncode == 71
    assert re.fullmatch(r"pcapflow: worker 2 of 2 \(process \d+\) was killed by SIGKILL: its connections were not read to the end\n", said)
    assert out.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir() if one.name not in ("x.pcap", "report.json")] == []


@pytest.mark.parametrize("number", [signal.SIGINT])
@pytest.mark.parametrize("at", [1, 5, 20])
def test_workers_that_are_asked_to_stop_end_behind_the_same_packet(tmp_path: Path, number: int, at: int) -> None:
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=40)
    blocks = 0

    def ask(_: pipeline.Progress) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == at:
            os.kill(os.getpid(), number)

    lines, summary, result = report(path, 3, progress=ask)
    assert result.asked_to_stop
    assert result.summary.interrupted
    packets = result.summary.decode.packets
    assert 0 < packets < 9000
    expected, whole, _ = report(path, 1, options={"packets": packets})
    assert lines == expected
    for name in ("interrupted", "captures"):
        del summary[name], whole[name]
    assert summary == whole


def test_an_error_that_a_sink_raises_ends_all_workers(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")

    def fail(_: Any) -> None:
        raise OSError("full")

    before = set(_children())
    with pytest.raises(OSError, match="full"):
        pipeline.run([str(path)], Limits(), pipeline.Options(workers=3), write=fail)
    assert set(_children()) <= before


def test_without_being_asked_a_small_capture_is_read_by_one_process(tmp_path: Path) -> None:
    done = launch_text("analyze", "-q", "--json", "--no-records", SAMPLES / "shop.pcap")
    assert json.loads(done.stdout)["run"]["workers"] == 1


def test_standard_input_is_read_by_one_process_where_nothing_else_is_asked_for() -> None:
    done = launch_text("analyze", "-q", "--json", "--no-records", "-", stdin=(SAMPLES / "lossy.pcap").read_bytes())
    assert json.loads(done.stdout)["run"]["workers"] == 1


def test_workers_share_the_memory_limit_and_are_fewer_where_it_is_small(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")
    for memory, wanted, got in ((64, 8, 8), (64, 4, 4), (20, 8, 2), (8, 8, 1)):
        limits = Limits().with_memory(memory * MIB)
        ledger = Ledger(limits)
        with Trace([str(path)], limits, ledger, Interrupt()) as trace:
            division = divide(limits, pipeline.Options(workers=wanted), trace, ledger, alone=False, takes=True)
            assert division.workers == got, memory
            assert ledger.limit + (got - 1) * division.limits.memory_limit <= memory * MIB
            division.release()


def _groups(root: Path, text: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cpu_cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_the_least_share_of_time_of_the_control_groups_is_what_the_process_has(tmp_path: Path) -> None:
    root = _groups(tmp_path, "0::/a/b\n", a__cpu_max="150000 100000\n", a__b__cpu_max="max 100000\n", cpu_max="800000 100000\n")
    assert cpu_quota(root) == 1.5
    assert cpu_quota(tmp_path / "nowhere") is None
    assert processors() >= 1


def test_the_share_of_time_of_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    root = _groups(tmp_path, "3:cpu,cpuacct:/job\n", cpu__job__cpu_cfs_quota_us="250000\n", cpu__job__cpu_cfs_period_us="100000\n")
    assert cpu_quota(root) == 2.5
    (root / "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(root) is None


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("command", [("analyze", "--ndjson"), ("extract", "--with-source", "items[]")])
def test_a_signal_beside_a_slow_reader_ends_the_run_and_loses_nothing_of_what_is_written(
    tmp_path: Path, workers: int, command: tuple[str, ...]
) -> None:
    """The reader stops until the pipe, and what waits for others, is full; then the run is asked to stop."""
    path = busy(tmp_path / "x.pcap", connections=60, exchanges=60)
    program = [
        sys.executable,
        "-m",
        "pcapflow",
        command[0],
        "-q",
        *command[1:],
        "--workers",
        str(workers),
        "--block-size",
        "64KiB",
        str(path),
    ]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(2)
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.2)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    lines = said.splitlines()
    assert len(lines) > 100
    assert all(json.loads(line) for line in lines)


def test_workers_that_were_done_when_the_run_was_asked_to_stop_count_for_where_it_ends(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")
    blocks = 0

    def ask(_: pipeline.Progress) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == 2:
            time.sleep(2)  # the others come to the end meanwhile
            os.kill(os.getpid(), signal.SIGINT)

    _, summary, _ = report(path, 2, progress=ask)
    _, whole, _ = report(path, 1, options={"packets": summary["decode"]["packets"]})
    assert summary["interrupted"]
    for name in ("interrupted", "captures"):
        del summary[name], whole[name]
    assert summary == whole


def test_two_signals_end_a_run_that_waits_without_a_report(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")

    def ask(_: pipeline.Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = set(_children())
    with pytest.raises(KeyboardInterrupt):
        report(path, 2, progress=ask)
    assert set(_children()) <= before


def test_entries_too_large_for_what_is_shared_are_passed_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    hear = Team._hear

    def heard(self: Team, worker: Any, told: Any) -> None:
        nonlocal most
        hear(self, worker, told)
        most = max(most, *self._merge.held[1:])

    monkeypatch.setattr(Team, "_hear", heard)
    talks = []
    for i in range(8):
        talk = Talk(sport=30_000 + i)
        talk.us, talk.step = i * 1_000_000, 50
        talk.open()
        for k in range(4):
            talk.send(0, request(f"/{k}")).send(1, response(b'{"a":"' + b"x" * 3_000_000 + b'"}'), size=60_000)
        talks.append(talk.close())
    path = tmp_path / "x.pcap"
    path.write_bytes(merge(*talks))
    said = []
    for workers in (1, 2):
        lines: list[bytes] = []
        pipeline.run(
            [str(path)], replace(Limits(), json_scalar_max_bytes=4 * MIB), pipeline.Options(workers=workers),
            sinks=[ValueLines(VALUE, lines.extend, [].extend)], listeners=[Extraction("a", Conditions(), with_source=False)],
        )  # fmt: skip
        said.append([(len(line), line[:20]) for line in lines])
    assert len(said[0]) == 32
    assert said[0] == said[1]
    assert 0 < most < 8_000_000


def test_what_is_done_before_connections_are_told_apart_has_memory_of_its_own() -> None:
    """Whatever a worker's connections hold: all workers decode alike."""
    limits = Limits().with_memory(16 * MIB)
    ledger = Ledger(Limits())
    assert ledger.blocks.reserve(1000)
    assert ledger.output.reserve(5000)
    ledger.leave(limits, 6 * MIB, MIB)
    assert ledger.rings.reserve(ledger.rings.limit)
    assert ledger.json.reserve(2 * MIB) or True
    while ledger.connections.reserve(100_000):
        pass
    assert ledger.pressure
    assert ledger.apart is not None
    assert ledger.blocks.reserve(6 * MIB)
    assert not ledger.blocks.reserve(1)
    assert not ledger.blocks.reserve_or_borrow(200_000)
    ledger.connections.release(1_000_000)
    before = ledger.limit
    assert ledger.blocks.reserve_or_borrow(200_000)  # a reader of a capture, which nobody could do without
    assert ledger.limit == before - 200_000
    assert not ledger.blocks.reserve(1)
    assert ledger.fragments.reserve(MIB)
    assert not ledger.fragments.has_room(1)
    assert ledger.used + ledger.apart.used <= 16 * MIB + 6000


def test_several_captures_of_which_one_is_compressed_are_one_processs(tmp_path: Path) -> None:
    """Each would undo the compression, with memory of its share alone."""
    import lzma

    data = busy(tmp_path / "a.pcap").read_bytes()
    (tmp_path / "b.pcap.xz").write_bytes(lzma.compress(data))
    result = pipeline.run([str(tmp_path)], options=pipeline.Options(workers=3))
    assert result.summary.run.workers == 1
    assert result.summary.decode.packets == 2 * pipeline.run([str(tmp_path / "a.pcap")]).summary.decode.packets


def test_many_captures_side_by_side_are_read_by_any_number_of_workers(tmp_path: Path) -> None:
    """What their readers take is more than a share has for one."""
    talks = []
    for i in range(1500):
        talk = Talk(sport=20_000 + i)
        talk.us = i * 50
        talks.append(talk.open().send(0, request(f"/{i}")).send(1, response(b"[" + b"1," * 600 + b"1]")).close())
    frames = sorted((frame for talk in talks for frame in talk.frames), key=lambda frame: frame[0])
    for i in range(24):
        (tmp_path / f"{i:02}.pcap").write_bytes(pcap(frames[i::24]))
    limits = Limits().with_memory(24 * MIB)
    one, two = (pipeline.run([str(tmp_path)], limits, pipeline.Options(workers=n)).summary for n in (1, 2))
    assert (one.run.workers, two.run.workers) == (1, 2)
    assert one.decode == two.decode


@pytest.mark.parametrize("how", ["standard input", "a notebook's cell", "a thread"])
def test_workers_start_wherever_python_runs(tmp_path: Path, how: str) -> None:
    """Where there is no program that a process could import again: nobody tries to."""
    path = busy(tmp_path / "x.pcap")
    code = (
        "from pcapflow import pipeline\n"
        f"run = lambda: print(pipeline.run([{str(path)!r}], options=pipeline.Options(workers=2)).summary.run.workers)\n"
        + {"a thread": "import threading\nt = threading.Thread(target=run); t.start(); t.join()\n"}.get(how, "run()\n")
    )
    if how == "a notebook's cell":  # as IPython does: text, in the name space of a __main__ that is no file
        code = f"import types, sys; sys.modules['__main__'] = m = types.ModuleType('__main__'); exec(compile({code!r}, '<ipython-input-1>', 'exec'), m.__dict__)"
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
