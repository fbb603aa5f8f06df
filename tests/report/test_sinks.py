"""What a run writes beside its report says the same as the report, in bounded memory, or says in one line why it is not there."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.drops import DropReason, GapCause
from pcapflow.fields import instant_or_null
from pcapflow.limits import Limits
from pcapflow.records import Conflict, Connection, Drop, Gap, Http, Json
from pcapflow.report.sinks import parquet
from pcapflow.report.sinks.har import Har
from pcapflow.report.sinks.html import Page
from pcapflow.report.sinks.parquet import ParquetTables
from pcapflow.report.sinks.parquet_columns import read_rows, table_schema, text_schema
from pcapflow.report.sinks.prometheus import Prometheus
from pcapflow.report.timeline import BUCKETS, Timeline
from pcapflow.summary import Summary
from tests.launcher import launch_text
from tests.report.conversation import capture, run

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
NAMED = {path.name: path for path in SAMPLES}


# --- Parquet


class Folder:
    """Files in memory, by name."""

    def __init__(self) -> None:
        self.files: dict[str, BytesIO] = {}

    def create(self, name: str) -> BytesIO:
        self.files[name] = BytesIO()
        self.files[name].close = lambda: None  # type: ignore[method-assign]
        return self.files[name]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [
            row
            for file in sorted(self.files)
            if file.split(".")[0] == name
            for row in pq.read_table(BytesIO(self.files[file].getvalue())).to_pylist()
        ]


def without_others(value: Any, *, within: bool = False) -> Any:
    """A row in which a payload has the fields of its own format alone: a column has those of all. within: it is a part of one."""
    if isinstance(value, list):
        return [without_others(one, within=within) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: without_others(one, within=within or key == "payload") for key, one in value.items() if one is not None or not within}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_the_tables_hold_every_record_field_by_field(path: Path) -> None:
    folder = Folder()
    records, result = run(path, ParquetTables(folder.create))
    for name in ("connection", "http", "json", "gap", "conflict", "drop"):
        assert [without_others(row) for row in folder.rows(name)] == [
            without_others({key: value for key, value in as_typed(record).items() if key != "record"})
            for record in records
            if record["record"] == name
        ], name
    (summary,) = folder.rows("summary")
    assert [one["first_ts"] for one in summary["captures"]] == [moment(one.first_ts) for one in result.summary.captures]
    assert dict(summary["memory"]["components"])["blocks"]["peak_at"]["ts"] == moment(result.summary.memory.components["blocks"].peak_at.ts)
    assert summary["tcp"]["missing_bytes"] == result.summary.tcp.missing_bytes
    assert dict(summary["tcp"]["gaps_by_cause"]) == result.summary.tcp.gaps_by_cause
    assert dict(summary["http"]["by_status"]) == result.summary.http.by_status


def moment(ts: float | None) -> datetime | None:
    """The microsecond that a record's time says."""
    return None if ts is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(ts * 1_000_000))


def as_typed(value: Any) -> Any:
    """A record with its points in time as what typed tables have."""
    if isinstance(value, list):
        return [as_typed(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: moment(one) if key == "ts" or key.endswith("_ts") else as_typed(one) for key, one in value.items()}


def test_every_point_in_time_is_a_utc_timestamp_and_nothing_else_is() -> None:
    def fields(kind: pa.DataType | pa.Schema) -> Iterator[pa.Field]:
        for field in kind:
            yield field
            inner = field.type
            while pa.types.is_list(inner) or pa.types.is_map(inner):
                inner = inner.value_type if pa.types.is_list(inner) else inner.item_type
            if pa.types.is_struct(inner):
                yield from fields(inner)

    for kind in (Connection, Http, Json, Gap, Conflict, Drop, Summary):
        for field in fields(table_schema(kind)):
            assert (field.type == pa.timestamp("us", tz="UTC")) == (field.name == "ts" or field.name.endswith("_ts")), (kind, field)


class Place(msgspec.Struct):
    ts: Annotated[float | None, instant_or_null("")]
    n: int


class Row(msgspec.Struct):
    one: Place | None
    some: list[Place | None]


@given(
    st.lists(
        st.none() | st.fixed_dictionaries({"ts": st.none() | st.integers(0, 2**52).map(lambda us: us / 1_000_000), "n": st.integers(0, 9)})
    )
)
def test_instants_within_lists_and_structs_come_as_they_were_said(places: list[dict[str, Any] | None]) -> None:
    rows = [{"one": place, "some": places[:i]} for i, place in enumerate(places)]
    if rows:
        text = b"\n".join(map(msgspec.json.encode, rows))
        assert read_rows(text, text_schema(Row), table_schema(Row)).to_pylist() == as_typed(rows)


def test_rows_are_written_in_bounded_groups_and_go_on_in_the_next_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 20_000)
    monkeypatch.setattr(parquet, "ROW_GROUPS", 10)
    folder = Folder()
    records, _ = run(NAMED["keepalive.pcap"], ParquetTables(folder.create))
    names = [name for name in folder.files if name.startswith("http.")]
    assert names[:3] == ["http.parquet", "http.1.parquet", "http.2.parquet"]
    assert pq.ParquetFile(BytesIO(folder.files["http.parquet"].getvalue())).num_row_groups == 10
    found = [
        n for name in names for n in pq.read_table(BytesIO(folder.files[name].getvalue()), columns=["exchange"])["exchange"].to_pylist()
    ]
    assert found == [record["exchange"] for record in records if record["record"] == "http"]


def test_with_little_room_row_groups_are_smaller_and_nothing_is_lost() -> None:
    folder = Folder()
    limits = Limits(output_total=700_000)
    records, result = run(NAMED["keepalive.pcap"], ParquetTables(folder.create), limits=limits)
    assert result.summary.memory.components["output"].peak_bytes <= 700_000
    assert not result.summary.memory.pressure
    assert len(folder.rows("http")) == sum(record["record"] == "http" for record in records)
    assert pq.ParquetFile(BytesIO(folder.files["http.parquet"].getvalue())).num_row_groups > 1


# --- Prometheus


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_the_metrics_are_the_summary_s_numbers_under_names_as_the_convention_has_them(path: Path) -> None:
    out: list[bytes] = []
    _, result = run(path, Prometheus(out.append))
    families = {family.name: family for family in text_string_to_metric_families(b"".join(out).decode())}
    value = {(sample.name, *sample.labels.values()): sample.value for family in families.values() for sample in family.samples}
    s = result.summary
    assert value["pcapflow_missing_bytes_total",] == s.tcp.missing_bytes
    assert value["pcapflow_packets_total", "tcp"] == s.decode.tcp
    assert (
        sum(v for (name, *_), v in value.items() if name == "pcapflow_payload_bytes_total")
        == value["pcapflow_payload_captured_bytes_total",]
        == s.tcp.payload_bytes.captured
    )
    for cause in GapCause:
        assert value["pcapflow_gaps_total", cause.value] == s.tcp.gaps_by_cause.get(cause.value, 0)
    for reason in DropReason:
        assert value["pcapflow_drops_total", reason.value] == (
            s.drops.by_reason[reason.value].count if reason.value in s.drops.by_reason else 0
        )
    for code, n in s.http.by_status.items():
        assert value["pcapflow_http_responses_total", code] == n
    for name, component in s.memory.components.items():
        assert value["pcapflow_memory_account_peak_bytes", name] == component.peak_bytes
    for family in families.values():
        assert family.documentation
        assert family.name.startswith("pcapflow_")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert sample.timestamp is None  # the textfile collector refuses them


# --- the timeline


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.one_of(st.integers(0, 10**7), st.integers(0, 2**62 - 1), st.integers(10**18, 10**18 + 10**10)), st.integers(0, 70_000)
            ),
            min_size=1,
            max_size=8,
        ),
        max_size=8,
    )
)
def test_the_timeline_keeps_every_packet_in_its_bucket_whatever_the_times(blocks: list[list[tuple[int, int]]]) -> None:
    timeline = Timeline()
    for block in blocks:
        timeline.packets(np.array([ts for ts, _ in block]), np.array([n for _, n in block]))
    value = timeline.value()
    packets = [one for block in blocks for one in block]
    assert sum(value["packets"]) == len(packets)
    assert sum(value["bytes"]) == sum(n for _, n in packets)
    assert len(value["packets"]) <= BUCKETS
    if packets:
        width = round(value["width"] * 1e9)
        first = min(ts for ts, _ in packets) // width
        want: dict[int, int] = {}
        for ts, n in packets:
            want[ts // width - first] = want.get(ts // width - first, 0) + n
        assert {i: n for i, n in enumerate(value["bytes"]) if n} == {i: n for i, n in want.items() if n}


def test_memory_in_the_timeline_is_the_highest_of_its_bucket() -> None:
    ledger = Ledger(Limits())
    timeline = Timeline()
    for ts, used in ((0, 5), (1, 9), (2, 3)):
        ledger.http.reserve(used)
        timeline.memory(ts, ledger)
        ledger.http.release(used)
    assert timeline.value()["memory"] == {"http": [9]}
    timeline.packets(np.array([10**15]), np.array([1]))
    assert timeline.value()["memory"]["http"][0] == 9
    assert set(timeline.value()["memory"]["http"][1:]) == {0}


def test_between_two_looks_memory_is_what_the_later_one_found() -> None:
    ledger = Ledger(Limits())
    timeline = Timeline()
    for ts, used in ((0, 5), (4_000_000, 9)):
        ledger.http.reserve(used)
        timeline.memory(ts, ledger)
        ledger.http.release(used)
    assert timeline.value()["memory"] == {"http": [5, 9, 9, 9, 9]}


# --- the page (its behaviour in a browser: test_page.py)


def test_the_page_keeps_the_rows_that_lost_most_and_counts_the_others() -> None:
    out: list[bytes] = []
    limits = Limits(page_rows=3)
    records, _ = run(NAMED["lossy.pcap"], Page(out.append, limits), limits=limits)
    data = page_data(b"".join(out))
    losses = data["tables"]["losses"]
    gaps = [record for record in records if record["record"] == "gap"]
    assert losses["total"] == len(gaps)
    assert [row["bytes"] for row in losses["rows"]] == [
        gap["bytes"] for gap in gaps if gap["bytes"] in sorted(g["bytes"] for g in gaps)[-3:]
    ]
    assert sum(data["timeline"]["gaps"]) == len(gaps)
    assert sum(data["timeline"]["missing_bytes"]) == sum(gap["bytes"] for gap in gaps)
    assert data["tables"]["connections"]["total"] == sum(record["record"] == "connection" for record in records)


def test_the_page_s_rows_stay_within_the_output_account() -> None:
    out: list[bytes] = []
    limits = Limits(output_total=300_000)
    _, result = run(NAMED["keepalive.pcap"], Page(out.append, limits), limits=limits)
    assert result.summary.memory.components["output"].peak_bytes <= 300_000
    exchanges = page_data(b"".join(out))["tables"]["exchanges"]
    assert 0 < len(exchanges["rows"]) < exchanges["total"]


def page_data(page: bytes) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(page.partition(b'id="data">')[2].partition(b"</script>")[0])
    return data


def test_a_payload_cannot_leave_the_page_s_data(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(
        capture(
            b"GET /</script><script>alert(1)</script><!-- HTTP/1.1\r\nHost: {{SCRIPT}}{{DATA}}\r\n\r\n", b"HTTP/1.1 204 </script>\r\n\r\n"
        )
    )
    out: list[bytes] = []
    run(path, Page(out.append, Limits()))
    page = b"".join(out)
    assert page.count(b"</script>") == 2
    assert page.count(b"<script") == 2
    assert page_data(page)["tables"]["exchanges"]["rows"][0]["request"]["target"] == "/</script><script>alert(1)</script><!--"


# --- files


OPTIONS: dict[str, Callable[[Path], list[str]]] = {
    "html": lambda folder: ["--html", str(folder / "out.html")],
    "har": lambda folder: ["--har", str(folder / "out.har")],
    "prometheus": lambda folder: ["--prometheus", str(folder / "out.prom")],
    "parquet": lambda folder: ["--parquet", str(folder / "tables")],
}


def pcapflow(*args: str, most: int | None = None, without: str = "") -> subprocess.CompletedProcess[str]:
    if most is None and not without:
        return launch_text(*args)

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    absent = (
        f"import importlib.util as u; find = u.find_spec; u.find_spec = lambda name, *a: None if name == {without!r} else find(name, *a); "
    )
    code = absent + "import sys, pcapflow.cli; sys.argv[0] = 'pcapflow'; pcapflow.cli.main()"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, timeout=120, preexec_fn=limit)


@pytest.mark.parametrize("sink", OPTIONS)
def test_a_full_disk_is_one_line_status_73_and_what_was_there_stays(tmp_path: Path, sink: str) -> None:
    options = OPTIONS[sink](tmp_path)
    assert pcapflow("analyze", "-q", "--json", *options, str(NAMED["statuses.pcap"])).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before
    ran = pcapflow("analyze", "-q", "--json", *options, str(NAMED["keepalive.pcap"]), most=4096)
    assert ran.returncode == 73, ran
    assert ran.stderr.count("\n") == 1
    assert "cannot be written: File too large" in ran.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("sink", OPTIONS)
def test_a_place_that_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path, sink: str) -> None:
    (tmp_path / "file").write_text("")
    ran = pcapflow("analyze", "-q", "--json", *OPTIONS[sink](tmp_path / "file" / "deeper"), str(NAMED["statuses.pcap"]))
    assert ran.returncode == 73
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(("sink", "module"), [("parquet", "pyarrow"), ("prometheus", "prometheus_client")])
def test_an_extra_that_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path: Path, sink: str, module: str) -> None:
    ran = pcapflow("analyze", "-q", *OPTIONS[sink](tmp_path), str(NAMED["statuses.pcap"]), without=module)
    assert ran.returncode == 2
    assert f"pip install 'pcapflow[{sink}]'" in ran.stderr
    assert not list(tmp_path.iterdir())


def test_files_of_an_earlier_run_go_when_the_new_ones_are_there(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "http.1.parquet").write_text("PAR1 old")
    (tmp_path / "tables" / "notes.txt").write_text("mine")
    assert pcapflow("analyze", "-q", "--json", "--parquet", str(tmp_path / "tables"), str(NAMED["statuses.pcap"])).returncode == 0
    assert sorted(os.listdir(tmp_path / "tables")) == [
        "conflict.parquet", "connection.parquet", "drop.parquet", "gap.parquet", "http.parquet", "json.parquet", "notes.txt", "summary.parquet"
    ]  # fmt: skip


def test_all_of_them_come_from_one_run_beside_its_report(tmp_path: Path) -> None:
    options = [option for make in OPTIONS.values() for option in make(tmp_path)]
    ran = pcapflow("analyze", "-q", "--ndjson", *options, str(NAMED["lossy.pcap"]))
    assert ran.returncode == 0
    assert json.loads(ran.stdout.splitlines()[-1])["record"] == "summary"
    assert {path.name for path in tmp_path.iterdir()} == {"out.html", "out.har", "out.prom", "tables"}
    alone = pcapflow("analyze", "-q", "--ndjson", str(NAMED["lossy.pcap"]))
    assert ran.stdout.splitlines()[:-1] == alone.stdout.splitlines()[:-1]


# --- what reviewers found


def test_row_groups_stay_large_whatever_else_is_kept_in_the_account(tmp_path: Path) -> None:
    """Pipelined exchanges wait in the sorter for their block's end; each was a row group of its own once."""
    from tests.craft import Talk

    talk = Talk().open()
    for begin in range(0, 6000, 20):
        talk.send(0, b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(begin, begin + 20)))
        talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 20)
    folder = Folder()
    out: list[bytes] = []
    sink = Har(out.append)
    lines: list[bytes] = []
    pipeline.run(
        [talk.save(tmp_path / "pipe.pcap")],
        sinks=[ParquetTables(folder.create), Page(lambda _: None, Limits()), sink],
        write=lines.extend,
    )
    assert len(folder.rows("http")) == 6000
    assert pq.ParquetFile(BytesIO(folder.files["http.parquet"].getvalue())).num_row_groups <= 4


def test_other_files_in_a_folder_are_not_ours_to_take_away(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "http.backup.parquet").write_text("mine")
    (folder / "http.1.parquet").mkdir()
    assert pcapflow("analyze", "-q", "--json", "--parquet", str(folder), str(NAMED["statuses.pcap"])).returncode == 0
    assert (folder / "http.backup.parquet").read_text() == "mine"
    blocked = tmp_path / "b"
    (blocked / "json.parquet").mkdir(parents=True)
    (blocked / "connection.parquet").write_text("old")
    ran = pcapflow("analyze", "-q", "--json", "--parquet", str(blocked), str(NAMED["statuses.pcap"]))
    assert ran.returncode == 73
    assert (blocked / "connection.parquet").read_text() == "old"


def test_two_outputs_in_one_place_are_refused(tmp_path: Path) -> None:
    for args in (
        ["--har", "-"],
        ["--har", str(tmp_path / "a"), "--html", str(tmp_path / "a")],
        ["-o", str(tmp_path / "a"), "--prometheus", str(tmp_path / "." / "a")],
    ):
        ran = pcapflow("analyze", "-q", "--ndjson", *args, str(NAMED["statuses.pcap"]))
        assert ran.returncode == 2, args
        assert "goes there already" in ran.stderr
        assert ("write the report to one (-o FILE)" in ran.stderr) == ("-" in args)
        assert not list(tmp_path.iterdir())


def test_the_report_stays_on_standard_output_beside_a_page_and_the_page_goes_there_if_the_report_goes_to_a_file(tmp_path: Path) -> None:
    ran = pcapflow("analyze", "-q", "--html", str(tmp_path / "a.html"), str(NAMED["statuses.pcap"]))
    assert "Problems" in ran.stdout
    ran = pcapflow("analyze", "-q", "--html", "-", "-o", str(tmp_path / "report"), str(NAMED["statuses.pcap"]))
    assert ran.stdout.startswith("<!doctype html>")
    assert "Problems" in (tmp_path / "report").read_text()


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_the_run_with_the_report_of_what_was_read(tmp_path: Path, name: str, status: int) -> None:
    import signal

    capture = NAMED["statuses.pcap"].read_bytes()
    command = [
        sys.executable,
        "-m",
        "pcapflow",
        "analyze",
        "-q",
        "--ndjson",
        "-o",
        str(tmp_path / "a.ndjson"),
        "--har",
        str(tmp_path / "a.har"),
        "-",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(capture)
        process.stdin.flush()
        _wait_until_it_has_read(process.stdin)
        process.send_signal(getattr(signal, name))
        assert process.wait(20) == status
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    summary = json.loads((tmp_path / "a.ndjson").read_bytes().splitlines()[-1])
    assert summary["interrupted"] is True
    assert summary["http"]["responses"] > 0
    assert len(json.loads((tmp_path / "a.har").read_bytes())["log"]["entries"]) == summary["http"]["requests"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.har", "a.ndjson"]


def _wait_until_it_has_read(pipe: IO[bytes]) -> None:
    """The process has taken all of its standard input, and had time to look at it."""
    import fcntl
    import struct
    import termios
    import time

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (left,) = struct.unpack("i", fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)))
        if not left:
            time.sleep(0.7)
            return
        time.sleep(0.05)
    raise AssertionError("it never waited")
