"""Shards as values: done in any order, anywhere, their merge is the report of one process."""

from __future__ import annotations

import io
import json
import pickle
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pcapflow
from pcapflow import pipeline
from pcapflow.cluster import kept as kept_module
from pcapflow.cluster import tasks as tasks_module
from pcapflow.cluster.executing import analyze_on
from pcapflow.cluster.kept import Keeper, Kept, frames
from pcapflow.cluster.tasks import ShardResult
from pcapflow.entries import Entry
from pcapflow.errors import CaptureError, OutputError, ReportError, UsageError, WorkerError
from pcapflow.limits import Limits
from pcapflow.report.documents import NdjsonWriter
from pcapflow.report.sinks.har import Har
from tests.workers.test_processes import busy

SAMPLES = Path(__file__).parents[2] / "samples"
MAY_DIFFER = ("run", "memory", "advice")


def by_one(paths: list[str], limits: Limits | None = None) -> tuple[list[bytes], Any]:
    out = io.BytesIO()
    writer = NdjsonWriter(out.write)
    result = pipeline.run(paths, limits, write=writer.records, separator=writer.separator)
    return out.getvalue().splitlines(), said(result.summary)


def said(summary: Any) -> Any:
    found = msgspec.to_builtins(summary)
    for name in MAY_DIFFER:
        del found[name]
    return found


def crossed(value: Any) -> Any:
    """As another process gets it."""
    return pickle.loads(pickle.dumps(value))


def by_tasks(paths: list[str], n: int, **more: Any) -> tuple[list[bytes], Any]:
    results = [crossed(pcapflow.analyze_shard(crossed(task))) for task in pcapflow.shards(paths, n, **more)]
    random.Random(n).shuffle(results)
    out = io.BytesIO()
    summary = pcapflow.merge(results, ndjson=out)
    lines = out.getvalue().splitlines()
    assert said(msgspec.json.decode(lines.pop(), type=type(summary))) == said(summary)
    return lines, said(summary)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_the_report_is_that_of_one_process(path: Path, n: int) -> None:
    assert by_tasks([str(path)], n) == by_one([str(path)])


@pytest.mark.filterwarnings("ignore::pcapflow.CaptureWarning")  # what is no capture there
def test_several_captures_and_folders_are_one_trace() -> None:
    folder = str(SAMPLES)
    assert by_tasks([folder], 3) == by_one([folder])


def test_a_task_done_again_gives_the_same_bytes(tmp_path: Path) -> None:
    for task in pcapflow.shards(busy(tmp_path / "x.pcap"), 3):
        one, other = pcapflow.analyze_shard(task), pcapflow.analyze_shard(task)
        assert one.kept == other.kept
        assert pickle.dumps(one.partial.totals) == pickle.dumps(other.partial.totals)


def test_results_are_as_they_were_when_they_are_merged() -> None:
    results = [pcapflow.analyze_shard(task) for task in pcapflow.shards(SAMPLES / "lossy.pcap", 3)]
    assert said(pcapflow.merge(results)) == said(pcapflow.merge(results))


def test_no_records_are_kept_where_nobody_wants_any() -> None:
    results = [pcapflow.analyze_shard(task) for task in pcapflow.shards(SAMPLES / "lossy.pcap", 2, records=False)]
    assert [one.kept for one in results] == [Kept(b"")] * 2
    assert said(pcapflow.merge(results)) == said(pcapflow.analyze(SAMPLES / "lossy.pcap"))


def test_only_records_of_some_types_are_kept() -> None:
    path = str(SAMPLES / "lossy.pcap")
    lines, _ = by_tasks([path], 2, kinds=["gap", "drop"])
    assert lines == [line for line in by_one([path])[0] if json.loads(line)["record"] in ("gap", "drop")]


def results_of(tmp_path: Path, n: int = 3) -> list[ShardResult]:
    return [pcapflow.analyze_shard(task) for task in pcapflow.shards(busy(tmp_path / "x.pcap", connections=6, exchanges=2), n)]


def test_results_that_are_not_all_of_one_run_are_refused(tmp_path: Path) -> None:
    results, others = results_of(tmp_path), results_of(tmp_path)
    for wrong, problem in (
        ([], "no results"),
        (results[:2], "shard 3 of 3 is missing"),
        (results[1:], "shard 1 of 3 is missing"),
        ([*results, results[0]], "4 results were given of 3 shards"),
        ([*results[:2], others[2]], "several runs"),
        ([*results[:2], results[2]._replace(version="0.0.1")], "shard 3 of 3 was analyzed by pcapflow 0.0.1"),
    ):
        with pytest.raises(WorkerError, match=problem):
            pcapflow.merge(wrong)


def test_a_capture_that_changes_between_two_shards_is_named(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap", connections=6, exchanges=2)
    tasks = pcapflow.shards(path, 2)
    first = pcapflow.analyze_shard(tasks[0])
    busy(path, connections=7, exchanges=2)
    with pytest.raises(WorkerError, match=r"x\.pcap: changed between two shards") as raised:
        pcapflow.merge([first, pcapflow.analyze_shard(tasks[1])])
    assert raised.value.exit_status == 3


def test_captures_that_come_meanwhile_are_said(tmp_path: Path) -> None:
    busy(tmp_path / "a.pcap", connections=6, exchanges=2)
    tasks = pcapflow.shards(tmp_path, 2)
    first = pcapflow.analyze_shard(tasks[0])
    busy(tmp_path / "b.pcap", connections=7, exchanges=2)
    with pytest.raises(WorkerError, match=r"captures came or went|changed between"):
        pcapflow.merge([first, pcapflow.analyze_shard(tasks[1])])


def test_what_cannot_be_planned_is_said_before() -> None:
    with pytest.raises(UsageError, match="give 1 to 1024"):
        pcapflow.shards(SAMPLES / "lossy.pcap", 0)
    with pytest.raises(CaptureError, match=r"nothing\.pcap: cannot be opened"):
        pcapflow.shards(SAMPLES / "nothing.pcap", 2)


# --- records that are kept


def test_records_too_many_for_results_go_to_a_place_or_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = busy(tmp_path / "x.pcap")
    monkeypatch.setattr(tasks_module, "RESULT_BYTES", 3000)
    with pytest.raises(WorkerError, match="give --spill URL"):
        pcapflow.analyze_shard(pcapflow.shards(path, 2)[0])
    spill = tmp_path / "spill"
    monkeypatch.setattr(kept_module, "PIECE", 5000)
    tasks = pcapflow.shards(path, 2, spill=f"{spill}/")
    results = [pcapflow.analyze_shard(task) for task in tasks]
    assert sorted(p.name for p in spill.iterdir()) == sorted(f"{tasks[0].run}-{i}-of-2.entries" for i in (1, 2))
    assert all(one.kept.data == b"" and one.kept.size > 3000 for one in results)
    out = io.BytesIO()
    pcapflow.merge(results, ndjson=out)
    assert out.getvalue().splitlines()[:-1] == by_one([str(path)])[0]


def test_what_was_put_down_is_removed_behind_a_run_and_behind_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "RESULT_BYTES", 3000)
    path, spill = busy(tmp_path / "x.pcap"), tmp_path / "spill"
    lines: list[bytes] = []
    writer = NdjsonWriter(lines.append)
    with ThreadPoolExecutor(1) as executor:
        analyze_on(executor, [str(path)], 2, write=writer.records, separator=writer.separator, spill=str(spill))
        assert b"".join(lines).splitlines() == by_one([str(path)])[0]
        assert list(spill.iterdir()) == []
        monkeypatch.setattr(tasks_module, "__version__", "9.9.9", raising=True)
        real = tasks_module.analyze_shard

        def second_fails(task: Any) -> ShardResult:
            result = real(task)
            if task.job.part.number:
                raise OSError("lost")
            return result

        monkeypatch.setattr("pcapflow.cluster.executing.analyze_shard", second_fails)
        with pytest.raises(WorkerError, match="shard 2 of 2: OSError: lost"):
            analyze_on(executor, [str(path)], 2, write=writer.records, separator=writer.separator, spill=str(spill))
    assert list(spill.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "RESULT_BYTES", 3000)
    (tmp_path / "file").write_text("")
    task = pcapflow.shards(busy(tmp_path / "x.pcap"), 2, spill=str(tmp_path / "file"))[0]
    with pytest.raises(OutputError, match="cannot be written"):
        pcapflow.analyze_shard(task)


@pytest.mark.parametrize("cut", [0, 3, 8, 9, 200, -1])
def test_what_was_put_down_and_is_cut_short_or_gone_is_said(tmp_path: Path, cut: int) -> None:
    keeper = Keeper(b"\n", 0, str(tmp_path / "x.entries"))
    keeper.take([Entry(i, 1, 0, 0, i, "http", b'{"record":"http"}') for i in range(500)])
    kept = keeper.kept()
    keeper.close()
    assert sum(len(frame.place) for frame in frames(kept)) == 500
    place = Path(kept.url)
    place.write_bytes(place.read_bytes()[:cut])
    with pytest.raises(ReportError, match="cannot be read behind byte 0"):
        list(frames(kept))
    place.unlink()
    with pytest.raises(ReportError, match="cannot be opened"):
        list(frames(kept))


# --- executors


def test_a_pool_of_processes_is_an_executor(tmp_path: Path) -> None:
    path = busy(tmp_path / "x.pcap")
    lines: list[bytes] = []
    writer = NdjsonWriter(lines.append)
    steps: list[tuple[int, int]] = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        result = analyze_on(
            pool, [str(path)], 3, write=writer.records, separator=writer.separator, progress=lambda *done: steps.append(done)
        )
    expected, summary = by_one([str(path)])
    assert b"".join(lines).splitlines() == expected
    assert said(result.summary) == summary
    assert result.summary.run.workers == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_sinks_get_the_same_as_from_one_process(tmp_path: Path) -> None:
    path = str(busy(tmp_path / "x.pcap"))
    found = []
    for shards in (0, 3):
        out: list[bytes] = []
        if shards:
            with ThreadPoolExecutor(1) as executor:
                analyze_on(executor, [path], shards, sinks=[Har(out.append)])
        else:
            pipeline.run([path], sinks=[Har(out.append)])
        found.append(b"".join(out))
    assert found[0] == found[1]


def test_a_failure_names_the_shard_and_keeps_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(task: Any) -> ShardResult:
        raise CaptureError("s3://b/x.pcap", "changed while it was read", unreadable=True)

    monkeypatch.setattr("pcapflow.cluster.executing.analyze_shard", fails)
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(WorkerError, match=r"shard 1 of 2: s3://b/x\.pcap: changed while it was read") as raised,
    ):
        analyze_on(executor, [str(SAMPLES / "lossy.pcap")], 2)
    assert raised.value.exit_status == 3


def test_errors_cross_a_process() -> None:
    for problem in (CaptureError("a", "is b", unreadable=True), WorkerError("gone", 3), UsageError("wrong"), OutputError("full")):
        other = crossed(problem)
        assert (type(other), str(other), other.exit_status, vars(other)) == (
            type(problem),
            str(problem),
            problem.exit_status,
            vars(problem),
        )


def test_small_blocks_and_limits_change_nothing(tmp_path: Path) -> None:
    path = str(busy(tmp_path / "x.pcap"))
    limits = replace(Limits(), block_packets=64)
    assert by_tasks([path], 3, limits=limits) == by_one([path], limits)


def test_a_task_is_small(tmp_path: Path) -> None:
    """It is sent to a scheduler, which warns of large ones."""
    tasks = pcapflow.shards(busy(tmp_path / "x.pcap", connections=100, exchanges=2), 64)
    assert max(len(pickle.dumps(task)) for task in tasks) < 20_000


@pytest.mark.parametrize("name", ["sp[1]", "sp::x", "sp*"])
def test_any_name_of_a_place_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tasks_module, "RESULT_BYTES", 1000)
    path, lines = busy(tmp_path / "x.pcap"), []
    writer = NdjsonWriter(lambda line: lines.append(line))
    with ThreadPoolExecutor(1) as executor:
        analyze_on(executor, [str(path)], 2, write=writer.records, separator=writer.separator, spill=str(tmp_path / name))
    assert b"".join(lines).splitlines() == by_one([str(path)])[0]
    assert list((tmp_path / name).iterdir()) == []


def test_arguments_that_are_none_are_said() -> None:
    with pytest.raises(UsageError, match="no captures"):
        pcapflow.shards([], 2)
    with pytest.raises(UsageError, match="'nope' is not a record type"):
        pcapflow.shards(SAMPLES / "lossy.pcap", 2, kinds=["nope"])
    with pytest.raises(UsageError, match="'nope' is not a record type"):
        list(pcapflow.iter_records(SAMPLES / "lossy.pcap", kinds="nope"))
    assert len(pcapflow.shards(SAMPLES / "lossy.pcap", 2, kinds="gap")) == 2
