"""The JSON Schema of the report: it is valid, it is what the package ships, and every report is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from pcapflow import pipeline, summary
from pcapflow.body_options import Looking
from pcapflow.records import Record
from pcapflow.report.documents import DocumentWriter
from pcapflow.report.schema import SHIPPED, schema
from tests.conftest import strict

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
SCHEMA = schema()
DOCUMENT = jsonschema.Draft202012Validator(strict(SCHEMA))
RECORD = jsonschema.Draft202012Validator({"$ref": "#/$defs/Record", "$defs": strict(SCHEMA)["$defs"]})


def document(path: Path) -> bytes:
    out: list[bytes] = []
    writer = DocumentWriter(out.append, with_records=True)
    result = pipeline.run(
        [str(path)], options=pipeline.Options(looking=Looking(sniff=True, hashes=True, duplicate_keys=True)), write=writer.records
    )
    writer.summary(result.summary)
    return b"".join(out)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_schema_is_that_of_the_types() -> None:
    assert json.loads(SHIPPED.read_text()) == SCHEMA


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_every_sample_s_document_is_what_the_schema_says(path: Path) -> None:
    DOCUMENT.validate(json.loads(document(path)))


def test_the_schema_refuses_what_is_no_report() -> None:
    good = json.loads(document(SAMPLES[0]))
    DOCUMENT.validate(good)
    for broken in (
        {**good, "schema": "pcapflow.report/1"},
        {**good, "advice": None},
        {name: value for name, value in good.items() if name != "tcp"},
        {**good, "records": [{**good["records"][0], "record": "gap"}]},
        {**good, "tcp": {**good["tcp"], "missing_bytes": -1}},
        {**good, "memory": {**good["memory"], "more": 1}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            DOCUMENT.validate(broken)
    connection = next(r for r in good["records"] if r["record"] == "connection")
    RECORD.validate(connection)
    with pytest.raises(jsonschema.ValidationError):
        RECORD.validate({**connection, "end": "somehow"})


def test_every_field_says_what_it_means() -> None:
    mute = [
        f"{name}.{key}"
        for name, d in SCHEMA["$defs"].items()
        for key, field in d.get("properties", {}).items()
        if key != "record" and not field.get("description")
    ]
    assert mute == []


def test_a_report_from_before_a_field_was_there_can_still_be_read() -> None:
    line = json.loads(document(SAMPLES[0]))
    line.pop("worst_streams")
    line.pop("records")
    read = msgspec.json.decode(json.dumps({"record": "summary", **line}), type=Record)
    assert isinstance(read, summary.Summary)
    assert read.worst_streams == []
