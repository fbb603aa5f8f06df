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

    message: Annotated[str, says("What was expected and what was found, in words.")]
    offset: Annotated[int, counts("Bytes from the beginning of its document.")]
    path: Annotated[
        str,
        says(
            "The path to it, the same for every element of an array: `items[].address`, as jq says it; of a long one the last 1,024 characters."
        ),
    ]
    location: Annotated[str, says("The path as jq would say it: `items[412].address`; of a long one the last 1,024 characters.")]
    document: Annotated[int, counts("Which document of the body, from 0.")]
    kind: Annotated[str, says("What is wrong; empty in reports of earlier versions.", *(problem.value for problem in JsonProblem), "")] = ""


DOCUMENTS = counts("JSON documents that came whole.")
EVENTS = counts("Events as ijson's `basic_parse` counts them.")
KEYS = counts("Keys of objects.")
DEPTH = counts("Deepest nesting; a scalar's is 0.")
TOP = says_or_null("What the documents are; null where there is none.", "object", "array", "string", "number", "boolean", "null", "mixed")
JSON_BYTES = counts("Bytes, content codings undone.")
JSON_STATUS = says(
    "Body whole and JSON unfinished is `invalid`, or `partial` where the answer says that it is a part (206); body cut is `truncated`; body gapped is `gapped`, unless it was "
    "invalid before.",
    *_JSON,
)
ENCODING = says("As it was sent.", "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be")
BOM = says("A byte order mark came first.")
PREFIX = says("What stood before the text against hijacking.")
BROKEN = counts("Documents given up while others could be read (NDJSON, JSON text sequences, server-sent events).")
PASSED = counts("Events or texts that are no JSON.")
DUPLICATES = msgspec.Meta(description="Keys that their object had already; null where nobody counted (`--duplicate-keys`).")
ERROR = says("The first error.")
VALUES = says("Values at the paths that `check` is to compare; null where nobody asked.")
SHAPE = says(
    "The paths in it and their types, `items[].id: integer`; null where nobody asked (`--shapes`), and where not all of it is there ([how it is written](json.md))."
)
JSON_DROP = says_or_null("Why it was dropped.", *REASONS)


class JsonValues(msgspec.Struct):
    """Values at a path of a body."""

    path: Annotated[str, says("The path that was asked for.")]
    values: Annotated[list[str], says("The first of them, as the text that was sent.")]


class JsonBody(msgspec.Struct):
    """What was found in a body of JSON."""

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

    message: Annotated[str, says("What libyaml expected and found, in its words.")]
    line: Annotated[int, counts("From 1, in the body; behind a gap, in what follows it.")]
    column: Annotated[int, counts("From 1.")]
    path: Annotated[str, says("The path to it, as in `JsonError`.")]
    location: Annotated[str, says("The path with positions, as in `JsonError`.")]
    document: Annotated[int, counts("Which document of the body, from 0.")]


class YamlBody(msgspec.Struct, tag="yaml", tag_field="format"):
    """What was found in a body of YAML. Aliases are not followed, and nothing is constructed."""

    documents: Annotated[int, counts("Documents that came whole.")]
    events: Annotated[int, counts("Events of YAML's serialization: of documents, collections, scalars and aliases.")]
    keys: Annotated[int, counts("Keys of mappings.")]
    aliases: Annotated[int, counts("Aliases, `*name`.")]
    max_depth: Annotated[int, DEPTH]
    top_level: Annotated[
        str | None, says_or_null("What the documents are; null where there is none.", "mapping", "sequence", "scalar", "alias", "mixed")
    ]
    bytes: Annotated[int, counts("Bytes, content codings undone.")]
    status: Annotated[str, says("As of JSON; `not_read` where `pcapflow[yaml]` is not installed.", *_JSON, "not_read")]
    encoding: Annotated[str, says("As it was sent.", "utf-8", "utf-16le", "utf-16be")] = "utf-8"
    broken: Annotated[int, counts("Documents given up at gaps.")] = 0
    duplicate_keys: Annotated[int | None, DUPLICATES] = None
    error: Annotated[YamlError | None, says("Where it broke.")] = None
    drop_reason: Annotated[str | None, JSON_DROP] = None
    shape: Annotated[list[str] | None, SHAPE] = None
    values: Annotated[list[JsonValues] | None, VALUES] = None


class FormField(msgspec.Struct):
    """A field of a form. Its value is not recorded."""

    name: Annotated[str, says("Its name, decoded; of a long one the first 100 characters.")]
    bytes: Annotated[int, counts("Of its value, decoded.")]
    json: Annotated[JsonBody | None, says("What was in it, where it is JSON.")] = None


class FormBody(msgspec.Struct, tag="form", tag_field="format"):
    """What was found in a form, `application/x-www-form-urlencoded`."""

    fields: Annotated[int, counts("All fields.")]
    bytes: Annotated[int, counts("Bytes, content codings undone.")]
    status: Annotated[
        str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", "complete", "gapped", "truncated", "dropped")
    ]
    listed: Annotated[list[FormField], says("The first of them, 32 at the most.")]
    drop_reason: Annotated[str | None, JSON_DROP] = None


class Part(msgspec.Struct):
    """A part of a multipart body."""

    number: Annotated[str, says("Its place, from 1: `2`; of a part of a multipart part `2.1`.")]
    name: Annotated[str | None, says("The name in its Content-Disposition.")]
    filename: Annotated[str | None, says("The file name there.")]
    content_type: Annotated[str | None, says("Its Content-Type.")]
    bytes: Annotated[int, counts("Of its content, as it was sent.")]
    status: Annotated[
        str, says("The first that applies: `dropped`, `gapped`, `truncated`, `complete`.", "complete", "gapped", "truncated", "dropped")
    ]
    json: Annotated[JsonBody | None, says("What was in it, where it is JSON.")] = None
    payload: Annotated[YamlBody | FormBody | None, says("What was in it, where that is read and is not JSON.")] = None


class MultipartError(msgspec.Struct):
    """Why a body is no multipart body."""

    message: Annotated[str, says("What is wrong.")]
    part: Annotated[int, counts("Parts that were read before.")]


class MultipartBody(msgspec.Struct, tag="multipart", tag_field="format"):
    """What was found in a multipart body (RFC 2046 section 5.1, RFC 7578)."""

    parts: Annotated[int, counts("All parts, those within parts too.")]
    files: Annotated[int, counts("Of these, those with a file name.")]
    bytes: Annotated[int, counts("Bytes, content codings undone.")]
    status: Annotated[str, says("As of JSON; `invalid` without a first or a last boundary.", *_JSON)]
    listed: Annotated[list[Part], says("The first of them, 32 at the most.")]
    error: Annotated[MultipartError | None, says("What is wrong.")] = None
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


def broken_at(problem: Problem) -> str:
    """Where one body is broken."""
    if isinstance(problem, MultipartError):
        return f"behind part {problem.part}"
    at = f"byte {problem.offset}" if isinstance(problem, JsonError) else f"line {problem.line}, column {problem.column}"
    return f"{problem.location or 'the top'}, {at}"
