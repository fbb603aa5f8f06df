"""Reports are read back as they were written, however they are laid out, and compared as a model without a window would."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow import pipeline
from pcapflow.check import baseline, comparing
from pcapflow.check.changes import Changes
from pcapflow.check.comparing import compare
from pcapflow.check.reports import read_report
from pcapflow.check.schema_1 import NOW
from pcapflow.check.walk_records import key_of
from pcapflow.errors import ReportError
from pcapflow.records import Connection, Gap, Http, Record
from pcapflow.report.documents import DocumentWriter, NdjsonWriter
from pcapflow.summary import SCHEMA, Summary

SAMPLES = Path(__file__).parents[2] / "samples"


def written(form: str, sample: str = "statuses.pcap") -> bytes:
    out: list[bytes] = []
    if form == "ndjson":
        lines = NdjsonWriter(out.append)
        result = pipeline.run([str(SAMPLES / sample)], write=lines.records)
        lines.records([msgspec.json.encode(result.summary)])
    else:
        writer: Any = baseline.Baseline(out.append) if form == "baseline" else DocumentWriter(out.append, with_records=form != "no-records")
        result = pipeline.run([str(SAMPLES / sample)], write=writer.records if form != "no-records" else None)
        writer.summary(result.summary)
    data = b"".join(out)
    if form == "pretty":
        return json.dumps(json.loads(data), indent=2).encode()
    return json.dumps(json.loads(data)).encode() if form == "one line" else data


def read(tmp_path: Path, data: bytes) -> list[Record]:
    path = tmp_path / "report"
    path.write_bytes(data)
    return list(read_report(path))


LAYOUTS = ["ndjson", "json", "baseline", "pretty", "one line"]


@pytest.mark.parametrize("form", LAYOUTS)
def test_a_report_is_read_back_however_it_is_laid_out(tmp_path: Path, form: str) -> None:
    want = [json.loads(line) for line in written("ndjson").splitlines()]
    found = read(tmp_path, written(form))
    assert [json.loads(msgspec.json.encode(record)) for record in found[:-1]] == want[:-1]
    assert isinstance(found[-1], Summary)
    assert compare(iter(found), iter(read(tmp_path, written("json")))).same


def test_a_document_without_records_is_read_too(tmp_path: Path) -> None:
    (only,) = read(tmp_path, written("no-records"))
    assert isinstance(only, Summary)


@pytest.mark.parametrize("form", LAYOUTS)
def test_a_report_that_is_cut_anywhere_is_refused_in_one_line(tmp_path: Path, form: str) -> None:
    data = written(form, "midstream.pcap")
    step = max(1, len(data) // 211)
    cuts = {
        0,
        1,
        2,
        len(data) - 2,
        len(data) - 5,
        *range(3, len(data) - 3, step),
        *(at for at, byte in enumerate(data) if byte == 10 and at < len(data) - 2),
    }
    for cut in sorted(cuts)[:600]:
        with pytest.raises(ReportError) as caught:
            read(tmp_path, data[:cut])
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n\n", b"[]", b"{}", b"17", b'"a"', b"\xff\xfe\x00", b'{"record": 5}', b'{"record":"gap"}\n', b'{"record":"nothing"}\n', b'{"schema":"pcapflow.report/9","tcp":{}}',
        b'{"schema":"pcapflow.report/2","records":[\n]', b'{"schema":"pcapflow.report/2","records":17}', b'{"schema":"pcapflow.report/2","records":[\n{}]}', b"\xd4\xc3\xb2\xa1" + b"\0" * 40,
        b'{"schema":"pcapflow.report/2","memory":5,"json":[],"tcp":1}', b"{" * 100_000, b'{"records":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ReportError) as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_a_report_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"schema 'pcapflow\.report/3'"):
        read(tmp_path, written("json").replace(b"pcapflow.report/2", b"pcapflow.report/3"))
    with pytest.raises(ReportError, match="schema"):
        read(tmp_path, written("ndjson").replace(b"pcapflow.report/2", b"pcapflow.report/3"))


def gap(connection: int, offset: int, n: int) -> Gap:
    return Gap(connection, "client", offset, n, "end", 0.0, 1, offset, 0, 0, 0, None, None)


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    last = read(tmp_path_factory.mktemp("s"), written("json", "midstream.pcap"))[-1]
    assert isinstance(last, Summary)
    return last


def model(old: list[Record], new: list[Record]) -> tuple[int, int, int]:
    """new, gone and changed with all records at hand: those of one key are paired in their order."""
    olds: dict[Any, list[Record]] = {}
    for record in old:
        olds.setdefault(key_of(record), []).append(record)
    came = changed = 0
    for record in new:
        waiting = olds.get(key_of(record))
        if not waiting:
            came += 1
        else:
            changed += waiting.pop(0) != record
    return came, sum(map(len, olds.values())), changed


LISTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 2)), max_size=40)


@given(LISTS, LISTS)
def test_records_are_paired_as_with_all_of_them_at_hand(
    summary: Summary, a: list[tuple[int, int, int]], b: list[tuple[int, int, int]]
) -> None:
    old: list[Record] = [gap(*each) for each in a]
    new: list[Record] = [gap(*each) for each in b]
    found = compare(iter([*old, summary]), iter([*new, summary]))
    came, gone, changed = model(old, new)
    assert (found.new - found.gone) == (came - gone)
    keys = Counter(map(key_of, old)), Counter(map(key_of, new))
    if max([0, *keys[0].values(), *keys[1].values()]) == 1:
        assert (found.new, found.gone, found.changed) == (came, gone, changed)
    assert found.same == (old == new or (came, gone, changed) == (0, 0, 0))


@given(LISTS, st.integers(1, 6))
def test_what_differs_is_never_called_equal_however_small_the_window(summary: Summary, a: list[tuple[int, int, int]], window: int) -> None:
    unique: list[Record] = [gap(index, *each[1:]) for index, each in enumerate(a)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "WINDOW", window)
        assert compare(iter([*unique, summary]), iter([*unique, summary])).same
        other: list[Record] = [*unique, gap(999, 0, 1)]
        found = compare(iter([*unique, summary]), iter([*other[::-1], summary]))
        assert not found.same
        assert found.new - found.gone == 1


def test_only_a_window_of_records_is_held(summary: Summary) -> None:
    def many(first: int) -> Any:
        for number in range(60_000):
            yield gap(first + number, 0, 1)
        yield summary

    import tracemalloc

    tracemalloc.start()
    found = compare(many(0), many(1_000_000), most=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.new, found.gone, len(found.records)) == (60_000, 60_000, 10)
    assert peak < 24 << 20


def test_endpoints_that_changed_are_told_with_both_counts(tmp_path: Path) -> None:
    old = read(tmp_path, written("json"))
    data = written("json").replace(b'"/missing"', b'"/found"', 1)
    found = compare(iter(old), iter(read(tmp_path, data)))
    assert [(change.name.split("/")[-1], change.old is None, change.new is None) for change in found.endpoints] == [
        ("found", True, False),
        ("missing", False, True),
    ]


@given(
    st.sampled_from(LAYOUTS),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=0, max_size=6), st.integers(0, 4)), min_size=1, max_size=4),
)
def test_a_spoiled_report_is_read_or_refused_and_nothing_else(form: str, edits: list[tuple[int, bytes, int]]) -> None:
    import tempfile

    data = WHOLE.setdefault(form, written(form, "midstream.pcap"))
    for at, new, gone in edits:
        at %= len(data)
        data = data[:at] + new + data[at + gone :]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            records = list(read_report(file.name))
        except ReportError as e:
            assert "\n" not in str(e)
        else:
            assert isinstance(records[-1], Summary)
            compare(iter(records), iter(records))


WHOLE: dict[str, bytes] = {}


def test_of_long_values_the_part_is_kept_where_they_begin_to_differ() -> None:
    changes = Changes(10)
    changes("a", "x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000)
    changes("b", None, ["z" * 5000])
    changes("c", "short", "x" * 1024)
    first, second, third = changes.found
    assert first.old.startswith("..." + "x" * 40 + "oldyyy")
    assert first.new.startswith("..." + "x" * 40 + "newyyy")
    assert first.new.endswith("y... (10,003 characters)")
    assert (second.old, second.new[:10]) == (None, '["zzzzzzzz')
    assert second.new.endswith("... (5,004 characters)")
    assert (third.old, third.new) == ("short", "x" * 1024)
    assert max(len(change.new) for change in changes.found) < 1100


# --- reports of the schema before

REPORT_1 = Path(__file__).parent / "report-1"


@pytest.mark.parametrize("name", ["statuses", "json-api"])
@pytest.mark.parametrize("layout", ["json", "ndjson", "laid out anew"])
def test_a_report_of_schema_1_says_the_same_as_one_of_today(tmp_path: Path, name: str, layout: str) -> None:
    old = REPORT_1 / f"{name}.{'ndjson' if layout == 'ndjson' else 'json'}"
    if layout == "laid out anew":
        (tmp_path / "old.json").write_text(json.dumps(json.loads(old.read_text()), indent=2))
        old = tmp_path / "old.json"
    records = list(read_report(old))
    assert isinstance(records[-1], Summary)
    assert records[-1].schema == SCHEMA
    new = tmp_path / "new.json"
    new.write_bytes(written("json", f"{name}.pcap"))
    result = compare(iter(records), read_report(new))
    assert [
        c.path for c in result.summary if not c.path.startswith((".memory.", ".limits.", ".tcp.spoken", ".json.partial", ".json.invalid"))
    ] == []
    parts = [change.new for record in result.records for change in record.changes if change.path.endswith("status")]
    assert parts == ["partial"] * len(result.records)  # an answer with a part of a text (206) was called invalid


def test_what_schema_1_counted_is_read_under_its_name_of_today(tmp_path: Path) -> None:
    text = (REPORT_1 / "statuses.json").read_text()
    for then in NOW:
        inside, _, old = then.rpartition(".")
        assert f'"{old}":' in text or inside == "tcp.examples", then
    for old, value in (("left_out", 3), ("unanswered_connections", 4), ("one_sided_connections", 5), ("streams_reading_differently", 6)):
        text = re.sub(rf'"{old}":\d+', f'"{old}":{value}', text)
    text = text.replace('"examples":{}', '"examples":{"one_sided":[7]}').replace(
        '"reads_differently":[]', '"reads_differently":["last"]', 1
    )
    (tmp_path / "old.json").write_text(text)
    *records, last = read_report(tmp_path / "old.json")
    assert isinstance(last, Summary)
    tcp = last.tcp
    assert (last.decode.filtered_out, tcp.half_open_connections, tcp.one_directional_connections, tcp.ambiguous_streams) == (3, 4, 5, 6)
    assert tcp.examples == {"one_directional": [7]}
    assert last.limits["max_half_open"] == 16_384
    connections = [record for record in records if isinstance(record, Connection)]
    assert connections[0].streams.client.ambiguous_under == ["last"]
    assert [record.exchange for record in records if isinstance(record, Http)][:2] == [0, 1]
