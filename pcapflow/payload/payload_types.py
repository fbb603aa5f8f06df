"""Payloads that are not JSON: which media types they are, and what their readers need and give.

Contract: `other_form` names the form of a media type; `opening.open_other` gives what reads a body of it. A payload that has others within it - parts, fields - opens them with `Opening.part`, so each is a
payload of its own. Invariant: readers keep what they keep in the account that they are given, and never raise for what the bytes are.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from pcapflow.budget import Account
from pcapflow.contents import JsonBody, Other
from pcapflow.counting import Inner
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.content import Expansion
from pcapflow.payload.json_formats import form_of
from pcapflow.payload.tap import Tap

_YAML = re.compile(r"(?:application|text)/(?:x-|vnd\.)?yaml|[a-z]+/[a-z0-9.!#$&^_-]+\+yaml")
_TYPES = {"application/x-www-form-urlencoded": "form", "application/graphql": "graphql"}
DEEPEST = 4
"""Multipart bodies around one whose parts are still read."""


ASKING = frozenset(("json", "graphql"))
"""Forms of bodies that may name an operation (`operations`)."""
_MARKS = (b'"query"', b'"method"', b'"operationName"', b"\\u")
"""A body without any of these names none; keys may be written with escapes."""


def may_ask(data: bytes | bytearray) -> bool:
    """Whether a body of JSON may name an operation."""
    return any(mark in data for mark in _MARKS)


def other_form(media_type: str) -> str:
    """Of a media type in small letters, without parameters; empty for one that nobody here reads (RFC 9512, 7578, 2046)."""
    if media_type.startswith("multipart/"):
        return "multipart"
    return _TYPES.get(media_type) or ("yaml" if _YAML.fullmatch(media_type) else "")


def form_within(content_type: str) -> str:
    """The form of a part of that content type."""
    content_type = content_type.lower()
    return form_of(content_type) or other_form(content_type.partition(";")[0].strip())


class PayloadReader(Protocol):
    """Reads one body; see `Text`."""

    @property
    def drop(self) -> Drop | None:
        """Why it was given up."""
        ...

    def feed(self, data: bytes) -> None:
        """The next bytes, content codings undone."""
        ...

    def gap(self) -> bool:
        """Bytes are missing here. Whether it goes on with what comes after them."""
        ...

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | Other | None:
        """whole: all of it came; gapped: bytes are missing. Gives all memory back. None for nothing that is worth a word."""
        ...


class PartReader(Protocol):
    """Reads what is within another body: a `BodyReader`."""

    drop: Drop | None
    found: JsonBody | Other | None
    inner: Inner | None

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def gap(self, n: int) -> None:
        """n bytes are missing here."""
        ...

    def finish(self, *, whole: bool) -> None:
        """It is over. Sets the attributes."""
        ...


class Around(NamedTuple):
    """What a body is within."""

    depth: int = 0
    """Multipart bodies around it."""
    expansion: Expansion | None = None
    """That of the message, where a body around it, or beside it, has one."""
    is_decoded: bool = False
    """It comes out of a decoder."""


NOTHING_AROUND = Around()


class OpensParts(Protocol):
    """Gives what reads a part."""

    def __call__(self, content_type: str, codings: tuple[str, ...], *, counts_alone: bool) -> PartReader:
        """content_type: empty for a part that has none; codings: to be undone; counts_alone: nobody lists it, so its counts suffice."""
        ...


class Opening(NamedTuple):
    """What a reader of a payload needs."""

    limits: Limits
    account: Account
    tap: Tap | None
    """Who wants the events."""
    part: OpensParts
