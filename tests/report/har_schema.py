"""HAR 1.2 as JSON Schema, written from the specification (http://www.softwareishard.com/blog/har-12-spec): what must be there, and of which type."""

from __future__ import annotations

from typing import Any

STRING: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
INTEGER: dict[str, Any] = {"type": "integer"}
MOMENT: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+Z$"}
TIME: dict[str, Any] = {"type": "number", "minimum": 0}


def an_object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {}), "comment": STRING},
        "patternProperties": {"^_": {}},  # fields of applications
        "additionalProperties": False,
    }


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


PAIR = an_object({"name": STRING, "value": STRING})
COOKIE = an_object(
    {"name": STRING, "value": STRING},
    {"path": STRING, "domain": STRING, "expires": STRING, "httpOnly": {"type": "boolean"}, "secure": {"type": "boolean"}},
)
SIZES = {"headersSize": {"type": "integer", "minimum": -1}, "bodySize": {"type": "integer", "minimum": -1}}
REQUEST = an_object(
    {
        "method": STRING,
        "url": STRING,
        "httpVersion": STRING,
        "cookies": list_of(COOKIE),
        "headers": list_of(PAIR),
        "queryString": list_of(PAIR),
        **SIZES,
    },
    {"postData": an_object({"mimeType": STRING, "params": list_of(PAIR), "text": STRING})},
)
CONTENT = an_object({"size": INTEGER, "mimeType": STRING}, {"compression": INTEGER, "text": STRING, "encoding": {"enum": ["base64"]}})
RESPONSE = an_object(
    {
        "status": INTEGER,
        "statusText": STRING,
        "httpVersion": STRING,
        "cookies": list_of(COOKIE),
        "headers": list_of(PAIR),
        "content": CONTENT,
        "redirectURL": STRING,
        **SIZES,
    }
)
ENTRY = an_object(
    {
        "startedDateTime": MOMENT,
        "time": TIME,
        "request": REQUEST,
        "response": RESPONSE,
        "cache": an_object({}),
        "timings": an_object({"send": TIME, "wait": TIME, "receive": TIME}),
    },
    {"connection": STRING, "serverIPAddress": STRING, "pageref": STRING},
)
PAGE = an_object(
    {
        "startedDateTime": MOMENT,
        "id": STRING,
        "title": STRING,
        "pageTimings": an_object({}, {"onContentLoad": NUMBER, "onLoad": NUMBER}),
    }
)
HAR = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **an_object(
        {
            "log": an_object(
                {"version": {"const": "1.2"}, "creator": an_object({"name": STRING, "version": STRING}), "entries": list_of(ENTRY)},
                {"pages": list_of(PAGE)},
            )
        }
    ),
}
