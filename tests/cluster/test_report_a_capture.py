"""One report a capture: each that of `analyze`, whole or not there; what is wrong with one is said, and the others go on."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pcapflow.files import is_temporary
from tests.cluster.conftest import ROOT, Bucket, until
from tests.cluster.test_tasks import MAY_DIFFER
from tests.launcher import launch_text as launch

SAMPLES = ROOT / "samples"


def said(text: str) -> list[Any]:
    records = [json.loads(line) for line in text.splitlines()]
    for name in MAY_DIFFER:
        del records[-1][name]
    return records


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in ("lossy.pcap", "json-api.pcap", "shop.pcap"):
        shutil.copy(SAMPLES / name, folder)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_each_report_is_that_of_analyze(captures: Path, tmp_path: Path, workers: int) -> None:
    out, tables = tmp_path / "a" / "reports", tmp_path / "tables"
    done = launch("analyze", "--separate", "--workers", workers, "-o", out, "--parquet", tables, captures)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"ok      {captures}/json-api.pcap: 201 packets, 3 connections, 6 requests, 0 drops",
        f"ok      {captures}/lossy.pcap: 500 packets, 9 connections, 9 requests, 0 drops",
        f"ok      {captures}/shop.pcap: 752 packets, 21 connections, 30 requests, 0 drops",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["json-api.pcap.ndjson", "lossy.pcap.ndjson", "shop.pcap.ndjson"]
    for path in captures.iterdir():
        alone = launch("analyze", "-q", "--ndjson", path).stdout
        assert said((out / f"{path.name}.ndjson").read_text()) == said(alone)
        assert {table.name for table in (tables / path.name).iterdir()} >= {"http.parquet", "connection.parquet", "summary.parquet"}


def test_only_some_records_and_options_of_a_run_are_for_each(captures: Path, tmp_path: Path) -> None:
    done = launch("analyze", "--separate", "--records", "gap,drop", "--packets", 50, "-o", tmp_path / "r", captures)
    assert done.returncode == 0
    for path in (tmp_path / "r").iterdir():
        *records, summary = said(path.read_text())
        assert summary["decode"]["packets"] == 50
        assert all(record["record"] in ("gap", "drop") for record in records)


def test_what_is_wrong_with_one_is_said_and_the_others_go_on(captures: Path, tmp_path: Path) -> None:
    (captures / "damaged.pcap").write_bytes((SAMPLES / "lossy.pcap").read_bytes()[:3000] + bytes(5000))
    none = tmp_path / "none.pcap"
    none.write_bytes(b"nothing of a capture")
    out = tmp_path / "r"
    done = launch("analyze", "--separate", "--workers", 2, "-o", out, none, captures, tmp_path / "gone.pcap")
    assert done.returncode == 3
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["damaged", "ok", "ok", "ok"]
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"pcapflow: {none}: is not a capture")
    assert lines[1].startswith(f"pcapflow: warning: {captures}/damaged.pcap: damaged at byte")
    assert lines[2] == f"pcapflow: {tmp_path}/gone.pcap: cannot be opened: No such file or directory"
    assert len(lines) == 3
    assert sorted(path.name for path in out.iterdir()) == [f"{n}.pcap.ndjson" for n in ("damaged", "json-api", "lossy", "shop")]


def test_reports_that_would_be_in_one_place_are_refused_and_so_is_what_goes_to_nobody(captures: Path, tmp_path: Path) -> None:
    for args, problem in (
        (("-o", tmp_path / "r", captures, SAMPLES / "lossy.pcap"), "its report would overwrite the report of"),
        ((captures,), "--separate needs a place for the reports"),
        (("-o", tmp_path / "r", "--json", captures), "--json cannot be used with --separate"),
        (("-o", tmp_path / "r", "--html", "x.html", captures), "--html cannot be used with --separate"),
        (("-o", tmp_path / "r", "--sqlite", "x.db", captures), "--sqlite cannot be used with --separate"),
        (("-o", tmp_path / "r", "--postgres", "dbname=x", captures), "--postgres cannot be used with --separate"),
        (("-o", tmp_path / "r", "-"), "has no name for a report of its own"),
    ):
        done = launch("analyze", "--separate", *args)
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_a_report_that_cannot_be_written_is_said_and_nothing_of_it_is_there(captures: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    (out / "lossy.pcap.ndjson").mkdir(parents=True)
    done = launch("analyze", "--separate", "-o", out, captures)
    assert done.returncode == 73
    assert done.stderr == f"pcapflow: {out}/lossy.pcap.ndjson: is a directory\n"
    assert not any(is_temporary(path.name) for path in out.iterdir())
    (tmp_path / "file").write_text("")
    done = launch("analyze", "--separate", "-o", tmp_path / "file", captures)
    assert (done.returncode, done.stderr) == (73, f"pcapflow: {tmp_path}/file: cannot be written: File exists\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_was_under_way_is_removed_when_it_ends(tmp_path: Path, number: int) -> None:
    pipes = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for pipe in pipes:
        os.mkfifo(pipe)
    keeps = [os.open(pipe, os.O_RDWR) for pipe in pipes]
    for fd in keeps:
        os.write(fd, (SAMPLES / "lossy.pcap").read_bytes()[:4000])
    out = tmp_path / "r"
    started = subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", "--separate", "--workers", "2", "-o", out, *pipes],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: out.exists() and sum(is_temporary(path.name) for path in out.iterdir()) == 2)
        time.sleep(0.2)
        started.send_signal(number)
        _, err = started.communicate(timeout=30)
        assert err.strip() == b""
        until(lambda: list(out.iterdir()) == [])
    finally:
        started.kill()
        for fd in keeps:
            os.close(fd)


def test_captures_and_reports_may_both_be_on_a_server(bucket: Bucket, captures: Path, tmp_path: Path) -> None:
    for path in captures.iterdir():
        bucket.put(f"day/{path.name}", path.read_bytes())
    done = launch("analyze", "--separate", "-o", f"{bucket.url}/reports", "--parquet", f"{bucket.url}/tables", f"{bucket.url}/day/")
    assert (done.returncode, done.stderr) == (0, "")
    found = {one["Key"] for one in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]}
    assert {"reports/lossy.pcap.ndjson", "reports/shop.pcap.ndjson", "tables/lossy.pcap/http.parquet"} <= found
    text = bucket.client.get_object(Bucket=bucket.name, Key="reports/lossy.pcap.ndjson")["Body"].read().decode()
    ours, theirs = said(text), said(launch("analyze", "-q", "--ndjson", captures / "lossy.pcap").stdout)
    ours[-1]["captures"][0]["path"] = theirs[-1]["captures"][0]["path"]
    assert ours == theirs


def test_each_is_a_task_of_a_cluster(cluster: tuple[str, Any], captures: Path, tmp_path: Path) -> None:
    address, _ = cluster
    (captures / "damaged.pcap").write_bytes((SAMPLES / "lossy.pcap").read_bytes()[:3000] + bytes(5000))
    out = tmp_path / "r"
    args = [sys.executable, "-m", "pcapflow", "analyze", "--separate", "--cluster", address, "-o", out, captures]
    done = subprocess.run(args, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode == 4
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["damaged", "ok", "ok", "ok"]
    assert said((out / "lossy.pcap.ndjson").read_text()) == said(launch("analyze", "-q", "--ndjson", captures / "lossy.pcap").stdout)


def test_a_report_for_a_url_is_there_whole_or_the_one_before_it_stays(tmp_path: Path, bucket: Bucket) -> None:
    from pcapflow.cluster.whole_file import upload

    class Ends(io.BytesIO):
        """Interrupted behind its first piece."""

        def read(self, n: int | None = -1) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(n)

    before, large = b"the one before", bytes(20 << 20)
    (tmp_path / "x").write_bytes(before)
    bucket.put("x", before)
    for url in (f"file://{tmp_path}/x", f"{bucket.url}/x"):
        with pytest.raises(KeyboardInterrupt):
            upload(Ends(large), url)
    assert (tmp_path / "x").read_bytes() == before
    assert bucket.client.get_object(Bucket=bucket.name, Key="x")["Body"].read() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]
    for url in (f"file://{tmp_path}/x", f"{bucket.url}/x", f"{bucket.url}/new"):
        upload(io.BytesIO(large), url)
    assert (tmp_path / "x").stat().st_size == len(large)
    assert bucket.client.head_object(Bucket=bucket.name, Key="new")["ContentLength"] == len(large)


@pytest.mark.parametrize("args", [("-o", ""), ("-o", "-"), ("--parquet", ""), ("-o", "r", "--parquet", "-")])
def test_no_place_and_standard_output_are_no_place_for_reports(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = launch("analyze", "--separate", *args, SAMPLES / "lossy.pcap", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_each_task_is_one_process_and_a_filter_that_is_none_is_said_once(captures: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    assert launch("analyze", "--separate", "--workers", 3, "-o", out, captures).returncode == 0
    assert {json.loads(path.read_text().splitlines()[-1])["run"]["workers"] for path in out.iterdir()} == {1}
    done = launch("analyze", "--separate", "--filter", "bad (", "-o", tmp_path / "other", captures)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_tables_of_an_earlier_larger_run_go_and_a_capture_that_is_none_leaves_no_folder(captures: Path, tmp_path: Path) -> None:
    tables = tmp_path / "t"
    (tables / "lossy.pcap").mkdir(parents=True)
    for name in ("http.1.parquet", "http.12.parquet", "mine.1.parquet", "notes.txt"):
        (tables / "lossy.pcap" / name).write_text("old")
    (tmp_path / "bad.pcap").write_text("nothing")
    assert launch("analyze", "--separate", "--parquet", tables, captures, tmp_path / "bad.pcap").returncode == 3
    names = {path.name for path in (tables / "lossy.pcap").iterdir()}
    assert {"http.parquet", "mine.1.parquet", "notes.txt"} <= names
    assert not names & {"http.1.parquet", "http.12.parquet"}
    assert not (tables / "bad.pcap").exists()


def test_a_defect_at_one_capture_is_its_own(monkeypatch: pytest.MonkeyPatch, captures: Path, tmp_path: Path) -> None:
    from pcapflow.cluster import report_a_capture
    from pcapflow.limits import Limits
    from pcapflow.options import Options

    tasks = report_a_capture.plan([str(captures)], Limits(), Options(), None, str(tmp_path / "r"), "")
    monkeypatch.setattr("pcapflow.pipeline.run", lambda *a, **k: 1 / 0)
    outcome = report_a_capture.analyze_one(tasks[0])
    assert outcome.status == 70
    assert "internal error: ZeroDivisionError" in outcome.said
    assert list((tmp_path / "r").iterdir()) == []


def test_the_query_of_a_url_is_not_in_a_reports_name() -> None:
    from pcapflow.cluster import report_a_capture
    from pcapflow.limits import Limits
    from pcapflow.options import Options

    (task,) = report_a_capture.plan(["https://h/x.pcap?X-Amz-Signature=secret"], Limits(), Options(), None, "memory://r", "")
    assert task.ndjson == "memory://r/x.pcap.ndjson"


def test_a_task_that_a_cluster_could_not_do_is_said_as_it_is_and_the_others_go_on(captures: Path, tmp_path: Path) -> None:
    """Not every failure is a process that was killed."""
    from concurrent.futures import ThreadPoolExecutor

    from pcapflow.cluster import report_a_capture
    from pcapflow.cluster.executing import done
    from pcapflow.limits import Limits
    from pcapflow.options import Options

    def analyze(task: report_a_capture.Separate) -> report_a_capture.Outcome:
        if task.path.endswith("lossy.pcap"):
            raise ModuleNotFoundError("No module named 'pcapflow'")
        return report_a_capture.analyze_one(task)

    tasks = report_a_capture.plan([str(captures)], Limits(), Options(), None, str(tmp_path / "r"), "")
    with ThreadPoolExecutor(1) as executor:
        found = dict(done(executor, analyze, tasks, lambda task: task.path, report_a_capture.failed))
    assert [found[place].status for place in range(3)] == [0, 71, 0]
    assert found[1].said == f"{captures}/lossy.pcap: ModuleNotFoundError: No module named 'pcapflow'"


def test_a_capture_of_a_link_type_that_is_not_supported_is_not_called_damaged(tmp_path: Path) -> None:
    data = bytearray((SAMPLES / "lossy.pcap").read_bytes())
    data[20:24] = (250).to_bytes(4, "little" if data[:1] == b"\xd4" or data[:1] == b"\x4d" else "big")
    (tmp_path / "x.pcap").write_bytes(data)
    done = launch("analyze", "--separate", "-o", tmp_path / "r", tmp_path / "x.pcap")
    assert done.returncode == 3
    assert done.stdout.startswith(f"unread  {tmp_path}/x.pcap: 500 packets")
    assert "is not supported" in done.stderr
