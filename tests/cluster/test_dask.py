"""A real scheduler and real workers: the report of one process, also when a worker is killed on the way; what fails is one line that names the shard."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import pcapflow
from pcapflow.cluster import executing
from pcapflow.cluster import tasks as tasks_module
from pcapflow.cluster.executing import dask_executor, done
from pcapflow.cluster.tasks import ShardResult, Task
from pcapflow.errors import WorkerError
from tests.cluster import slow
from tests.cluster.conftest import ROOT, Bucket, Scheduler, until
from tests.cluster.test_tasks import by_one
from tests.workers.test_processes import busy

SAMPLES = ROOT / "samples"


def run(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pcapflow", *map(str, args)], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )


def name(task: Task) -> str:
    return task.name


def test_the_command_line_gives_the_report_of_one_process(cluster: tuple[str, Any], tmp_path: Path, bucket: Bucket) -> None:
    """Workers have no environment of S3's here: captures lie on a path that all share."""
    address, _ = cluster
    path = busy(tmp_path / "x.pcap")
    ran = run("analyze", "-q", "--ndjson", "--cluster", address, "--shards", 5, path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.encode().splitlines()[:-1] == by_one([str(path)])[0]
    ran = run("analyze", "-q", "--cluster", address, path)
    assert ran.returncode == 0
    assert "connections" in ran.stdout
    # sinks, and a folder that all share for records that are too many
    har, other = tmp_path / "a.har", tmp_path / "b.har"
    assert run("analyze", "-q", "--cluster", address, "--har", har, "--spill", tmp_path / "spill", path).returncode == 0
    assert run("analyze", "-q", "--har", other, path).returncode == 0
    assert har.read_bytes() == other.read_bytes()
    assert list((tmp_path / "spill").glob("*")) == []
    ran = run("analyze", "-q", "--cluster", address, tmp_path / "nothing.pcap")
    assert (ran.returncode, ran.stderr) == (3, f"pcapflow: {tmp_path / 'nothing.pcap'}: cannot be opened: No such file or directory\n")
    ran = run("analyze", "-q", "--cluster", address, "--memory-limit", "2GiB", path)
    assert ran.returncode == 71
    assert "its worker may take 1GiB, and a shard takes up to" in ran.stderr.replace("1024MiB", "1GiB")
    assert ran.stderr.startswith("pcapflow: shard ")
    assert ran.stderr.count("\n") == 1


def test_a_worker_that_is_killed_on_the_way_changes_nothing(cluster: tuple[str, Any], tmp_path: Path) -> None:
    address, client = cluster
    path = busy(tmp_path / "x.pcap")
    pids: dict[str, int] = client.run(os.getpid)

    def kill_one() -> None:
        until(lambda: all(client.processing().values()))
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with dask_executor(address) as workers:
        results = [result for _, result in done(workers.executor, slow.analyze_shard, pcapflow.shards(path, 4), name)]
    killer.join()
    assert len(client.nthreads()) == 1
    out = io.BytesIO()
    pcapflow.merge(results, ndjson=out)
    assert out.getvalue().splitlines()[:-1] == by_one([str(path)])[0]


def test_a_task_that_kills_its_workers_is_an_error_that_names_its_shard(scheduler: Scheduler, tmp_path: Path) -> None:
    """And takes no longer than two workers."""
    for _ in range(2):
        scheduler.start_worker("--memory-limit", "300MB")
    from distributed import Client

    tasks = pcapflow.shards(busy(tmp_path / "x.pcap", connections=6, exchanges=2), 2)
    with Client(scheduler.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    with dask_executor(scheduler.address) as workers, pytest.raises(WorkerError) as raised:
        list(done(workers.executor, slow.fill_memory, tasks[1:], name))
    assert (
        str(raised.value)
        == "shard 2 of 2: the worker was killed at it, and so was each that tried it again, most likely because memory ran short"
    )


def test_a_result_leaves_the_cluster_when_it_is_done(cluster: tuple[str, Any], tmp_path: Path) -> None:
    address, client = cluster
    tasks = pcapflow.shards(busy(tmp_path / "x.pcap"), 6)
    held: list[int] = []
    with dask_executor(address) as workers:
        for n, _ in enumerate(done(workers.executor, pcapflow.analyze_shard, tasks, name), 1):
            until(lambda n=n: len(client.run_on_scheduler(_tasks_of)) <= len(tasks) - n)  # type: ignore[misc]
            held.append(n)
        until(lambda: not client.run_on_scheduler(_tasks_of))
    assert held == [1, 2, 3, 4, 5, 6]


def _tasks_of(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks]


def test_no_scheduler_and_no_workers_are_one_line(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("analyze", "-q", "--cluster", scheduler.address, SAMPLES / "lossy.pcap")
    assert ran.returncode == 71
    assert (
        ran.stderr
        == f"pcapflow: --cluster {scheduler.address}: the scheduler has no workers: start some (dask worker {scheduler.address} --nthreads 1)\n"
    )
    monkeypatch.setattr(executing, "_ANSWERS", 1)
    with (
        pytest.raises(WorkerError, match=r"--cluster tcp://127\.0\.0\.1:1: no scheduler answers there: ") as raised,
        dask_executor("tcp://127.0.0.1:1"),
    ):
        pass
    assert (raised.value.exit_status, str(raised.value).count("\n")) == (71, 0)


def test_ctrl_c_ends_it_at_once(cluster: tuple[str, Any], tmp_path: Path) -> None:
    address, client = cluster
    path = busy(tmp_path / "x.pcap", connections=300, exchanges=60)
    started = subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", "-q", "--cluster", address, "--shards", "40", path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until(lambda: any(client.processing().values()))
    started.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err.strip()) == (130, b"", b"")
    assert time.monotonic() - began < 30
    until(lambda: not any(client.processing().values()))


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--shards", "2"), "--shards requires --cluster"),
        (("--spill", "s3://x"), "--spill requires --cluster"),
        (
            ("--cluster", "tcp://x:1", "--html", "x.html"),
            "--html cannot be used with --cluster: the page shows packets, which only the workers see",
        ),
        (("--cluster", "tcp://x:1", "--workers", "2"), "--workers is for this machine; with --cluster it is --shards"),
    ],
)
def test_options_that_do_not_go_together_are_refused(args: tuple[str, ...], problem: str) -> None:
    ran = run("analyze", *args, SAMPLES / "lossy.pcap")
    assert (ran.returncode, ran.stderr) == (2, f"pcapflow: {problem}\n")


def test_a_worker_with_too_little_memory_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    class Manager:
        memory_limit = 64 << 20

    class State:
        nthreads = 1

    class Worker:
        memory_manager = Manager()
        state = State()

    monkeypatch.setattr(distributed, "get_worker", Worker)
    with pytest.raises(WorkerError, match="its worker may take 64MiB, and a shard takes up to 128MiB"):
        tasks_module.analyze_shard(pcapflow.shards(SAMPLES / "lossy.pcap", 1)[0])


def test_results_are_values(tmp_path: Path) -> None:
    result = pcapflow.analyze_shard(pcapflow.shards(SAMPLES / "lossy.pcap", 1)[0])
    assert isinstance(result, ShardResult)
    assert isinstance(result, tuple)
