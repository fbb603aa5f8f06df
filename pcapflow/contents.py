"""What was in a message body, by what it is: JSON, YAML, a form, a multipart body. Values, as the report has them.

Contract and invariant are those of `records`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pcapflow.fields import REASONS, counts, says, says_or_null
from pcapflow.json_problems import JsonProblem

_JSON = ("complete", "invalid", "partial", "truncated", "gapped", "dropped")


class JsonError(msgspec.Struct):
    """Where a JSON text broke."""

    message: Annotated[str, says("What was expected and what was found.")]
    offset: Annotated[int, counts("Byte offset from the start of the document.")]
    path: Annotated[
        str,
        says(
            "Path to the error in jq syntax, the same for every element of an array: `items[].address`; long paths keep their last 1,024 characters."
        ),
    ]
    location: Annotated[
        str, says("Path with array positions, in jq syntax: `items[412].address`; long paths keep their last 1,024 characters.")
    ]
    document: Annotated[int, counts("Number of the document in the body, from 0.")]
    kind: Annotated[str, says("Kind of error; empty in reports of earlier versions.", *(problem.value for problem in JsonProblem), "")] = ""


DOCUMENTS = counts("Complete JSON documents.")
EVENTS = counts("Parser events, as counted by ijson's `basic_parse`.")
KEYS = counts("Object keys.")
DEPTH = counts("Maximum nesting depth; 0 for a scalar.")
TOP = says_or_null(
    "Type of the top-level values; null if there are none.", "object", "array", "string", "number", "boolean", "null", "mixed"
)
JSON_BYTES = counts("Bytes after content codings are undone.")
JSON_STATUS = says(
    "`invalid`: the JSON is broken or unfinished, and no byte before the error is missing; `partial`: the same in a 206 response; `truncated`: the body was cut; `gapped`: the body has a gap, and was not "
    "invalid before it.",
    *_JSON,
)
ENCODING = says("Character encoding, as sent.", "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be")
BOM = says("Whether the text starts with a byte order mark.")
PREFIX = says("Anti-hijacking prefix before the text.")
BROKEN = counts("Documents given up while others could still be read (NDJSON, JSON text sequences, server-sent events).")
PASSED = counts("Events or texts that are not JSON.")
DUPLICATES = msgspec.Meta(description="Duplicate keys within an object; null unless counted (`--duplicate-keys`).")
ERROR = says("The first error.")
VALUES = says("Values at the paths that `check` compares; null if not requested.")
SHAPE = says(
    "Paths and their types, such as `items[].id: integer`; null if not requested (`--shapes`) or if the body is incomplete ([format](json.md))."
)
JSON_DROP = says_or_null("Why the contents were dropped.", *REASONS)


class JsonValues(msgspec.Struct):
    """Values at a path of a body."""

    path: Annotated[str, says("The requested path.")]
    values: Annotated[list[str], says("The first values, as the text that was sent.")]


class JsonBody(msgspec.Struct):
    """Contents of a JSON body."""

    documents: Annotated[int, DOCUMENTS]
    events: Annotated[int, EVENTS]
    keys: Annotated[int, KEYS]
    max_depth: Annotated[int, DEPTH]
    top_level: Annotated[str | None, TOP]
    bytes: Annotated[int, JSON_BYTES]
    status: Annotated[str, JSON_STATUS]
    encoding: Annotated[str, ENCODING] = "utf-8"
    bom: Annotated[bool, BOM] = False
    prefix: Annotated[str | None, PREFIX] = None
    broken: Annotated[int, BROKEN] = 0
    skipped: Annotated[int, PASSED] = 0
    duplicate_keys: Annotated[int | None, DUPLICATES] = None
    error: Annotated[JsonError | None, ERROR] = None
    drop_reason: Annotated[str | None, JSON_DROP] = None
    shape: Annotated[list[str] | None, SHAPE] = None
    values: Annotated[list[JsonValues] | None, VALUES] = None


class YamlError(msgspec.Struct):
    """Where a YAML stream broke."""

    message: Annotated[str, says("libyaml's error message.")]
    line: Annotated[int, counts("Line in the body, from 1; after a gap, in what follows the gap.")]
    column: Annotated[int, counts("Column, from 1.")]
    path: Annotated[str, says("Path to the error, as in `JsonError`.")]
    location: Annotated[str, says("Path with array positions, as in `JsonError`.")]
    document: Annotated[int, counts("Number of the document in the body, from 0.")]


class YamlBody(msgspec.Struct, tag="yaml", tag_field="format"):
    """Contents of a YAML body. Aliases are not followed, and no objects are constructed."""

    documents: Annotated[int, counts("Complete documents.")]
    events: Annotated[int, counts("YAML serialization events: documents, collections, scalars and aliases.")]
    keys: Annotated[int, counts("Mapping keys.")]
    aliases: Annotated[int, counts("Aliases, `*name`.")]
    max_depth: Annotated[int, DEPTH]
    top_level: Annotated[
        str | None, says_or_null("Type of the top-level values; null if there are none.", "mapping", "sequence", "scalar", "alias", "mixed")
    ]
    bytes: Annotated[int, counts("Bytes after content codings are undone.")]
    status: Annotated[str, says("As for JSON; `not_read` if `pcapflow[yaml]` is not installed.", *_JSON, "not_read")]
    encoding: Annotated[str, says("Character encoding, as sent.", "utf-8", "utf-16le", "utf-16be")] = "utf-8"
    broken: Annotated[int, counts("Documents given up because of gaps.")] = 0
    duplicate_keys: Annotated[int | None, DUPLICATES] = None
    error: Annotated[YamlError | None, says("Where the YAML broke.")] = None
    drop_reason: Annotated[str | None, JSON_DROP] = None
    shape: Annotated[list[str] | None, SHAPE] = None
    values: Annotated[list[JsonValues] | None, VALUES] = None


class FormField(msgspec.Struct):
    """A field of a form. Its value is not recorded."""

    name: Annotated[str, says("Decoded field name; long names keep their first 100 characters.")]
    bytes: Annotated[int, counts("Size of the decoded value.")]
    json: Annotated[JsonBody | None, says("Contents, if JSON.")] = None


class FormBody(msgspec.Struct, tag="form", tag_field="format"):
    """Contents of a form, `application/x-www-form-urlencoded`."""

    fields: Annotated[int, counts("Number of fields.")]
    bytes: Annotated[int, counts("Bytes after content codings are undone.")]
    status: Annotated[
        str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", "complete", "gapped", "truncated", "dropped")
    ]
    listed: Annotated[list[FormField], says("The first entries, at most 32.")]
    drop_reason: Annotated[str | None, JSON_DROP] = None


class Part(msgspec.Struct):
    """A part of a multipart body."""

    number: Annotated[str, says("Position of the part, from 1: `2`; nested parts are numbered `2.1`.")]
    name: Annotated[str | None, says("The name in Content-Disposition.")]
    filename: Annotated[str | None, says("The file name in Content-Disposition.")]
    content_type: Annotated[str | None, says("Content-Type of the part.")]
    bytes: Annotated[int, counts("Size of the content, as sent.")]
    status: Annotated[
        str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", "complete", "gapped", "truncated", "dropped")
    ]
    json: Annotated[JsonBody | None, says("Contents, if JSON.")] = None
    payload: Annotated[YamlBody | FormBody | None, says("Contents, if of another supported format.")] = None


class MultipartError(msgspec.Struct):
    """Why a multipart body is invalid."""

    message: Annotated[str, says("The error found.")]
    part: Annotated[int, counts("Parts read before the error.")]


class MultipartBody(msgspec.Struct, tag="multipart", tag_field="format"):
    """Contents of a multipart body (RFC 2046 section 5.1, RFC 7578)."""

    parts: Annotated[int, counts("Number of parts, including nested parts.")]
    files: Annotated[int, counts("Parts with a file name.")]
    bytes: Annotated[int, counts("Bytes after content codings are undone.")]
    status: Annotated[str, says("As for JSON; `invalid` if the first or last boundary is missing.", *_JSON)]
    listed: Annotated[list[Part], says("The first entries, at most 32.")]
    error: Annotated[MultipartError | None, says("The error found.")] = None
    drop_reason: Annotated[str | None, JSON_DROP] = None


Other = YamlBody | FormBody | MultipartBody
"""What bodies hold that is not JSON: `format` is one of `FORMATS`."""
Problem = JsonError | YamlError | MultipartError
"""What is wrong with a body that came whole."""


FORMATS = ("yaml", "form", "multipart")


def format_of(body: Other) -> str:
    """`yaml`, `form` or `multipart`."""
    return "yaml" if isinstance(body, YamlBody) else "form" if isinstance(body, FormBody) else "multipart"


def is_broken(json: JsonBody) -> bool:
    """Whether its sender sent what is no JSON."""
    return json.error is not None and (json.status == "invalid" or json.broken > 0)


def broken(body: JsonBody | Other) -> list[tuple[str, Problem]]:
    """What its sender sent that is not what it says: the kind of problem, and what is wrong. Of a multipart body that of its first such part too."""
    if isinstance(body, JsonBody):
        return [("broken_json", body.error)] if body.error is not None and is_broken(body) else []
    if isinstance(body, FormBody):
        return []
    found: list[tuple[str, Problem]] = (
        [(f"broken_{format_of(body)}", body.error)] if body.error is not None and body.status == "invalid" else []
    )
    if isinstance(body, MultipartBody):
        inner = [wrong for part in body.listed for one in (part.json, part.payload) if one is not None for wrong in broken(one)]
        found += inner[:1]
    return found


def detail_of(problem: Problem) -> str:
    """What is wrong, in words, and where: the same for every body that is broken alike."""
    where = f", at {problem.path or 'the top'}" if not isinstance(problem, MultipartError) else ""
    return f"{problem.message}{where}"


def invalid_json(error: JsonError) -> str:
    """What is wrong with a text of JSON, and where."""
    return f"invalid JSON at byte {error.offset:,}{f', {error.location}' if error.location else ''}: {error.message}"


def broken_at(problem: Problem) -> str:
    """Where one body is broken."""
    if isinstance(problem, MultipartError):
        return f"behind part {problem.part}"
    at = f"byte {problem.offset}" if isinstance(problem, JsonError) else f"line {problem.line}, column {problem.column}"
    return f"{problem.location or 'the top'}, {at}"
