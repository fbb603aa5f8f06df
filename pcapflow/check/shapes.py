"""The shape of a body, for comparing: the paths in it and their types, whatever its format.

Contract: `shape_of` gives the lines of JSON and of YAML as they are; of a form, and of a multipart body that came whole, a line for each name with what is behind it, `form.payload.user.id: integer`,
`parts.photo: image/png`. None where not all of it is known.
"""

from __future__ import annotations

from pcapflow.contents import FormBody, MultipartBody, Part, YamlBody
from pcapflow.messages import Body
from pcapflow.paths import show_path


def shape_of(body: Body) -> list[str] | None:
    """Of a body."""
    payload = body.payload
    if body.json is not None:
        return body.json.shape
    if isinstance(payload, YamlBody):
        return payload.shape
    if isinstance(payload, FormBody) and payload.status == "complete":
        lines = [
            line
            for one in payload.listed
            for line in _behind(show_path(("form", one.name)), one.json.shape if one.json is not None else None, "string")
        ]
        return sorted({*lines, *(["form: ..."] if payload.fields > len(payload.listed) else [])})
    if isinstance(payload, MultipartBody) and payload.status == "complete":
        lines = [
            line
            for one in payload.listed
            for line in _behind(show_path(("parts", one.name or one.number)), _shape(one), one.content_type or "string")
        ]
        return sorted({*lines, *(["parts: ..."] if payload.parts > len(payload.listed) else [])})
    return None


def _shape(part: Part) -> list[str] | None:
    if part.json is not None:
        return part.json.shape
    return part.payload.shape if isinstance(part.payload, YamlBody) else None


def _behind(path: str, shape: list[str] | None, otherwise: str) -> list[str]:
    """Lines of a value at a path, or what it is."""
    if shape is None:
        return [f"{path}: {otherwise.partition(';')[0].strip().lower()}"]
    return [path + _joined(line) for line in shape]


def _joined(line: str) -> str:
    """A line of a shape, behind a path; one of the top is `.: object`, or `.?`."""
    return line[1:] if line.startswith((".:", ".?")) else line if line.startswith("[") else "." + line
