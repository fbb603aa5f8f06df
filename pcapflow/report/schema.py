"""The JSON Schema of the report, from the record types.

Contract: `schema` returns JSON Schema 2020-12 as a value: the document of `--json` at its root, each record of `--ndjson` under `$defs`. What it
returns is shipped as `schema.json` beside this file (docs/generate.py writes it, a test holds it), so that an editor, or another language, can take it from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pcapflow.records import Plugin, Record
from pcapflow.summary import SCHEMA

SHIPPED = Path(__file__).with_name("schema.json")
"""The same, written."""


def schema() -> dict[str, Any]:
    """JSON Schema of a document, of a record (`$defs/Record`), and of each type."""
    (record, plugin), types = msgspec.json.schema_components([Record, Plugin], ref_template="#/$defs/{name}")
    for definition in types.values():
        # a key is never missing: defaults are for reports from before a field was there
        definition["required"] = list(definition["properties"])
        for field in definition["properties"].values():
            field.pop("default", None)
        if "format" in definition["properties"]:
            definition["properties"]["format"]["description"] = "What it is."
    summary = types["Summary"]
    fields = {name: field for name, field in summary["properties"].items() if name != "record"}
    fields["schema"] = {**fields["schema"], "const": SCHEMA}
    records = {
        "description": "Every other record, in the order of the packets that completed them; without it under `--no-records`.",
        "type": "array",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "The document of `pcapflow analyze --json`. A line of `--ndjson` is a `$defs/Record`.",
        "type": "object",
        "properties": {**fields, "records": {**records, "items": {"$ref": "#/$defs/Record"}}},
        "required": list(fields),
        "$defs": {"Record": {"description": "A record.", **record, "anyOf": [*record["anyOf"], plugin]}, **types},
    }
