"""The first line of a head (RFC 9112 sections 3 and 4), as the RFC has it and as it occurs.

Contract: `request_line` and `status_line` take a head from its first byte, empty lines before it included, and return what its first line says, or None where it says nothing: what is
odd in it is named. Who looks at bytes of which nobody knows what they are asks `begins_request` and `begins_response`. Time is linear in the line.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from types import ModuleType

import msgspec

from pcapflow.records import text

METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}+"
REQUEST_LINE = re.compile(rb"(?:\r?\n)*+(" + METHOD + rb")[ \t]++([^ \t\r\n]++)[ \t]++HTTP/(1\.[0-9])[ \t]*+\r?\n")
SIMPLE_REQUEST_LINE = re.compile(rb"(?:\r?\n)*+GET[ \t]++(/[^ \t\r\n]*+)[ \t]*+\r?\n")
"""A request of HTTP/0.9 is one line (RFC 1945 section 4.1)."""
STATUS_LINE = re.compile(rb"(?:\r?\n)*+HTTP/(1\.[0-9])[ \t]++([1-9][0-9]{2})(?:[ \t]++([^\r\n]*+))?\r?\n")
_REQUEST = re.compile(rb"(?:\r?\n)*+[A-Z]{3,16}+[ \t][^\n]*+\n")
_RESPONSE = re.compile(rb"(?:\r?\n)*+HTTP/[^\n]*+\n")
"""Lines that may say something though they are odd."""
FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}:")
"""What a field begins with."""
MAY_BEGIN = {
    "client": frozenset(b"!#$%&'*+-.^_`|~\r\n0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "server": frozenset(b"H\r\n"),
}


class FirstLine(msgspec.Struct, gc=False):
    """What a first line says. A request's: method, target; a response's: status, reason."""

    name: bytes
    """Method, or status code."""
    rest: bytes
    """Target, or reason."""
    version: str
    end: int
    """Where the line ends."""
    odd: list[str]


@cache
def _odd() -> ModuleType:
    """Imported where the first odd line comes: few captures have one."""
    return importlib.import_module("pcapflow.protocols.http1.odd_line")


def request_line(head: bytes | bytearray) -> FirstLine | None:
    """A request's first line: any method with a target and a version, or one that is registered with at least one of them."""
    line = REQUEST_LINE.match(head)
    if line is not None:
        return FirstLine(line[1], line[2], text(line[3]), line.end(), [])
    odd = _odd().request(head) if _REQUEST.match(head) else None
    return FirstLine(*odd) if odd is not None else None


def status_line(head: bytes | bytearray) -> FirstLine | None:
    """A response's first line: a version, and digits behind it."""
    line = STATUS_LINE.match(head)
    if line is not None:
        return FirstLine(line[2], (line[3] or b"").rstrip(b" \t"), text(line[1]), line.end(), [])
    odd = _odd().status(head) if _RESPONSE.match(head) else None
    return FirstLine(*odd) if odd is not None else None


def begins_request(first: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes asks over HTTP."""
    return REQUEST_LINE.match(first) is not None or SIMPLE_REQUEST_LINE.match(first) is not None or request_line(first) is not None


def begins_response(first: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes answers over HTTP."""
    return status_line(first) is not None
