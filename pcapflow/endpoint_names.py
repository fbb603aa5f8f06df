"""What an HTTP request asks for, without what tells one call from the next: `GET shop/users/{id}`.

Contract: `endpoint_of` is a pure function of method, host and target; docs/report.md prints RULES. Time is linear in the target, of which `LONGEST` characters count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 200
"""Characters of a name; those that begin alike are one endpoint beyond that."""
OPERATIONS = 3
"""Of a batch that an endpoint names."""
RULES = (
    ("digits", "`/users/17`"),
    ("a UUID", "`/jobs/0d9f9c2e-58c1-4a7e-9d5a-3f1c0f7a1b22`"),
    ("16 hexadecimal digits or more, a digit among them", "`/blobs/9f86d081884c7d65`"),
    ("20 letters and digits or more, `-` and `_` too, with a capital, a small letter and a digit", "`/share/dQw4w9WgXcQ7pLmN2vRt`"),
)
_ID = re.compile(
    r"(?:[0-9]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[a-fA-F]*+[0-9])[0-9a-fA-F]{16,}"
    r"|(?=[^0-9/]*+[0-9])(?=[^a-z/]*+[a-z])(?=[^A-Z/]*+[A-Z])[A-Za-z0-9_-]{20,})(?P<kind>\.[A-Za-z][A-Za-z0-9]{0,4})?"
)
_HTTP = 80
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def folded(path: str) -> str:
    """A path whose ids are `{id}`; an ending such as `.json` stays."""
    return "/".join([_segment(one) if any(c in "0123456789" for c in one) else one for one in path.split("/")])


def _segment(segment: str) -> str:
    found = _ID.fullmatch(segment)
    return "{id}" + (found["kind"] or "") if found is not None else segment


def endpoint_of(method: str, host: str | None, target: str) -> str:
    """Of a request; target: in any of its four forms (RFC 9112 section 3.2)."""
    target = target[: 4 * LONGEST]
    if method == "CONNECT":
        return f"{method} {target}"[:LONGEST]
    origin = _ORIGIN.match(target)
    if origin is not None:
        host, target = origin[1].rpartition("@")[2], target[origin.end() :] or "/"
    path = target.partition("?")[0].partition("#")[0]
    name = f"{method} {(host or '').lower()}{folded(path)}"
    return name if len(name) <= LONGEST else name[:LONGEST] + "..."


def with_operations(endpoint: str, operations: Sequence[str] | None) -> str:
    """An endpoint with what is asked for by GraphQL or JSON-RPC: `POST shop/graphql query Orders`; of a batch OPERATIONS names, sorted."""
    if not operations:
        return endpoint
    names = sorted(set(operations))
    return f"{endpoint} {', '.join(names[:OPERATIONS])}{', ...' if len(names) > OPERATIONS else ''}"


def url_of(host: str | None, target: str) -> str:
    """What was asked for, as somebody would type it."""
    if host is None or _ORIGIN.match(target) is not None or not target.startswith("/"):
        return target[: 2 * LONGEST]
    return f"http://{host}{target}"[: 2 * LONGEST]


def absolute_url(method: str, target: str, host: str | None, server: str, port: int) -> str:
    """The same as an absolute URL (RFC 3986 section 4.3): without a host, of the server's address."""
    if _ORIGIN.match(target):
        return target
    if method == "CONNECT":
        return f"http://{target}/"
    address = f"[{server}]" if ":" in server else server
    where = host or (address if port == _HTTP else f"{address}:{port}")
    path = "/" if target == "*" else target
    return f"http://{where}{'' if path.startswith('/') else '/'}{path}"


def whole_url(method: str, target: str, host: str | None) -> str:
    """What a request asks for, of a target in any of the four forms (RFC 9112 section 3.2)."""
    if method == "CONNECT" or host is None or _ORIGIN.match(target):
        return target
    return f"http://{host}/" if target == "*" else f"http://{host}{target}"
