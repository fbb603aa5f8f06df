"""Bounds on a report's fields by path, and the settings they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.check.config import Config, find, load, matches
from pcapflow.check.expectations import Expectation
from pcapflow.errors import UsageError

REPORT: dict[str, Any] = {
    "record": "summary",
    "interrupted": False,
    "captures": [{"packets": 5, "path": "a.pcap", "damaged_at": None}, {"packets": 9, "path": "b.pcap", "damaged_at": 7}],
    "http": {"by_status": {"200": 3, "500": 1}},
    "drops": {"streams": 0, "by_reason": {"json_too_deep": {"count": 2, "bytes": 10}}},
    "memory": {"peak_bytes": 9 << 20},
}


@pytest.mark.parametrize(
    ("path", "bound", "values"),
    [
        ("drops.streams", 0, []),
        (".drops.streams", 0, []),
        ("drops.streams", 1, [0]),
        ("memory.peak_bytes", {"max": "8MiB"}, [9 << 20]),
        ("memory.peak_bytes", {"max": "16MiB", "min": "1MiB"}, []),
        ("http.by_status.500", {"max": 0}, [1]),
        ('http.by_status."500"', {"max": 0}, [1]),
        ("http.by_status.404", {"max": 0}, []),
        ("http.by_status.404", {"min": 1}, [0]),
        ("drops.by_reason.json_too_deep.count", 2, []),
        ("drops.by_reason.json_memory.count", {"min": 1}, [0]),
        ("captures[1].packets", {"max": 8}, [9]),
        ("captures[].packets", {"max": 4}, [5, 9]),
        ("captures[7].packets", 1, [None]),
        ("captures[7].packets", {"min": 1}, [None]),
        ("captures[].path", {"one_of": ["a.pcap", "c.pcap"]}, ["b.pcap"]),
        ("captures[].damaged_at", {"max": 6}, [7]),
        ("interrupted", False, []),
        ("interrupted", {"equals": True}, [False]),
    ],
)
def test_a_bound_holds_or_names_the_values_that_are_outside(path: str, bound: Any, values: list[Any]) -> None:
    assert [violation.value for violation in Expectation.parse(path, bound).violations(REPORT)] == values


@pytest.mark.parametrize(
    ("path", "bound", "said"),
    [
        ("drops.stream", 0, "did you mean streams"),
        ("drop.streams", 0, "did you mean drops"),
        ("", 0, "empty"),
        ("a b", 0, "is not a path"),
        ("drops", 0, "not a single value"),
        ("drops.by_reason", 0, "not a single value"),
        ("captures", 0, "not a single value"),
        ("captures[0]", 0, "not a single value"),
        ("records", 0, "records\\[\\]"),
        ("records[3].ts", 0, "records\\[\\]"),
        ("records[].tss", 0, "no such field"),
        ("tcp.gaps", "many", "is not a size"),
        ("tcp.gaps", 1.5, "not of the field's type"),
        ("tcp.gaps", True, "not of the field's type"),
        ("tcp.gaps", [1], "not of the field's type"),
        ("interrupted", 0, "not of the field's type"),
        ("interrupted", {"max": True}, "is not a number"),
        ("captures[].path", {"max": "z"}, "is not a number"),
        ("tcp.gaps", {}, "empty"),
        ("tcp.gaps", {"most": 1}, "min, max"),
        ("tcp.gaps", {"one_of": 1}, "takes a list"),
        ("run.seconds", {"max": "5 parsecs"}, "is not a duration"),
        ("http.by_status[0]", 1, "no such field"),
    ],
)
def test_what_cannot_hold_for_any_report_is_an_error_that_says_why(path: str, bound: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Expectation.parse(path, bound)


def test_a_path_into_records_is_held_against_each_that_has_the_field() -> None:
    slow = Expectation.parse("records[].duration", {"max": "500ms"})
    assert slow.into_records
    assert slow.violations({"record": "gap", "bytes": 5}) == []
    assert slow.violations({"record": "http", "duration": None}) == []
    assert slow.violations({"record": "http", "duration": 0.4}) == []
    (violation,) = slow.violations({"record": "http", "duration": 0.6})
    assert (violation.value, violation.bound) == (0.6, "at most 0.5")
    assert Expectation.parse("records[].response.status", {"max": 399}).violations({"record": "http", "response": None}) == []
    assert Expectation.parse("records[].anomalies[]", "none").violations({"record": "http", "anomalies": ["bare_lf"]})[0].value == "bare_lf"


@given(st.text(max_size=30))
def test_no_path_makes_the_parser_fail_otherwise(path: str) -> None:
    try:
        Expectation.parse(path, 0)
    except UsageError as e:
        assert str(e)


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.pcap", "a.pcap", True),
        ("*.pcap", "x/y/a.pcap", True),
        ("x/*.pcap", "x/a.pcap", True),
        ("x/*.pcap", "x/y/a.pcap", False),
        ("x/**/*.pcap", "x/a.pcap", True),
        ("x/**/*.pcap", "x/y/z/a.pcap", True),
        ("**/a.pcap", "a.pcap", True),
        ("x/**", "x/y/a.pcap", True),
        ("/a.pcap", "a.pcap", True),
        ("/a.pcap", "x/a.pcap", False),
        ("y/*.pcap", "x/a.pcap", False),
    ],
)
def test_globs_are_those_of_gitignore(tmp_path: Path, glob: str, path: str, fits: bool) -> None:
    assert matches(glob, str(tmp_path / path), tmp_path) is fits


def config(tmp_path: Path, text: str, name: str = "pcapflow.toml") -> Config:
    (tmp_path / name).write_text(text)
    return load(tmp_path / name)


def test_settings_are_read_from_either_file(tmp_path: Path) -> None:
    text = '[{0}options]\nmemory-limit = "32MiB"\n[{0}check]\nfail-on = ["gap"]\nbaselines = false\n[{0}expect."*.pcap"]\n"drops.streams" = 0\ntcp.gaps = {{max = 3}}\n'
    for name, table in (("pcapflow.toml", ""), ("pyproject.toml", "tool.pcapflow.")):
        found = config(tmp_path, text.format(table), name)
        assert found.options == {"memory-limit": "32MiB"}
        assert (found.fail_on, found.baselines) == (("gap",), False)
        assert [e.path for e in found.expectations(str(tmp_path / "a.pcap"))] == ["drops.streams", "tcp.gaps"]
        assert found.expectations(str(tmp_path / "a.txt")) == ()
    assert find(tmp_path) == tmp_path / "pcapflow.toml"
    (tmp_path / "pcapflow.toml").unlink()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert find(tmp_path / "deep" / "er") == tmp_path / "pyproject.toml"


def test_a_later_glob_takes_the_place_of_an_earlier_one_for_the_same_path(tmp_path: Path) -> None:
    found = config(tmp_path, '[expect."*.pcap"]\n"tcp.gaps" = 0\n[expect."lossy*"]\n"tcp.gaps" = {max = 9}\n')
    assert [e.bound for e in found.expectations(str(tmp_path / "lossy.pcap"))] == ["at most 9"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[expects]\n", "did you mean expect"),
        ("[check]\nfailon = []\n", "did you mean fail-on"),
        ('[check]\nfail-on = "gap"\n', "write a list"),
        ('[check]\nfail-on = ["gaps"]\n', "write a list of gap"),
        ("[check]\nbaselines = 1\n", "true or false"),
        ("check = 1\n", "is not a table"),
        ("[expect]\na = 1\n", "a table for each glob"),
        ('[expect."*"]\n"tcp.gap" = 0\n', "did you mean gaps"),
        ("a = [\n", "pcapflow.toml"),
    ],
)
def test_a_setting_that_is_not_what_it_should_be_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        config(tmp_path, text)
    assert "pcapflow.toml" in str(caught.value)


def test_without_settings_there_are_the_defaults() -> None:
    assert load(None).baselines
    with pytest.raises(UsageError, match="cannot be opened"):
        load(Path("/nowhere/pcapflow.toml"))
