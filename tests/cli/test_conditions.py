"""`--where`: one language for every command; what is asked while a message is under way and what is asked of its record agree."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pcapflow import conditions
from pcapflow.cli import options
from pcapflow.conditions import Conditions
from pcapflow.records import Http
from tests.launcher import launch

SAMPLES = [path for path in sorted((Path(__file__).parents[2] / "samples").glob("*.pcap")) if path.stem != "keepalive"]
WHERE = (
    "method=POST", "status=4xx", "status=200,type=json", "side=request,type=json", "type=image/*", "path=/o*", "host=10.77.0.1", "host=10.77.0.1:8080", "exchange=0", "min-duration=20ms",
    "connection=1", "connection=1,exchange=2", "side=response,status=5xx", "side=raw", "type=html",
)  # fmt: skip


def test_the_command_line_names_the_conditions_that_there_are() -> None:
    assert options.KEYS == conditions.KEYS


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_records_are_chosen_as_the_conditions_say_of_each_record(sample: Path) -> None:
    decode = msgspec.json.Decoder(Http).decode
    lines = launch("analyze", "-q", "--ndjson", "--records", "http", sample).stdout.splitlines()[:-1]
    chosen = 0
    for i, where in enumerate(WHERE):
        meant = Conditions.parse(where)
        expected = [line for line in lines if meant.takes_record(decode(line))]
        for more in ((), ("--workers", "2"))[: 1 + (i % 4 == 0)]:
            found = launch("analyze", "-q", "--ndjson", "--where", where, sample, *more).stdout.splitlines()
            assert found[:-1] == expected, where
            assert json.loads(found[-1])["http"]["requests"] >= len(expected) - sum(
                json.loads(line)["request"] is None for line in expected
            )
        chosen += len(expected)
    assert chosen or not lines


def test_a_har_file_has_the_exchanges_that_are_chosen(tmp_path: Path) -> None:
    sample = next(path for path in SAMPLES if path.stem == "shop")
    assert launch("analyze", "-q", "--har", tmp_path / "x.har", "--where", "status=5xx", sample).returncode == 0
    entries = json.loads((tmp_path / "x.har").read_text())["log"]["entries"]
    assert [entry["response"]["status"] for entry in entries] == [503] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--where requires"),
        (("--ndjson", "--records", "connection"), "--where: --records accepts only http with it"),
    ],
)
def test_conditions_without_records_of_exchanges_are_refused(options: tuple[str, ...], words: str) -> None:
    done = launch("analyze", "-q", "--where", "status=200", *options, SAMPLES[0])
    assert done.returncode == 2
    assert words in done.stderr.decode()


@pytest.mark.parametrize(
    ("media_type", "where", "is_one"),
    [
        ("application/json; charset=utf-8", "json", True),
        ("application/problem+json", "json", True),
        ("application/x-ndjson", "json", False),
        ("application/x-ndjson", "ndjson", True),
        ("text/html", "html", True),
        ("text/html", "text", True),
        ("text/html", "text/*", True),
        ("image/png", "text/*", False),
        (None, "json", False),
        ("IMAGE/PNG", "image/png", True),
    ],
)
def test_a_media_type_is_meant_by_a_word_or_a_pattern(media_type: str | None, where: str, is_one: bool) -> None:
    assert Conditions.parse(f"type={where}").is_type(media_type) is is_one
