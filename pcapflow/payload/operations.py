"""What a request asks for within its body: a GraphQL operation, the method of a JSON-RPC call, each of a batch.

Contract: `operations_of` takes a whole body of JSON, or a GraphQL document, and names what it asks for; None where it is neither. `Operations` keeps a body until it is whole. Sources: GraphQL
October 2021 section 2.2 and "GraphQL over HTTP"; JSON-RPC 2.0 section 4. Nothing is raised for what the body is. Invariant: what is kept is at most `operation_max_bytes`, reserved in the `json` account, and time is
linear in it; a document is read for the operations at its top alone.
"""

from __future__ import annotations

import re

import msgspec

from pcapflow.budget import Account
from pcapflow.payload.kept import Kept
from pcapflow.payload.payload_types import may_ask

LISTED = 16
"""Operations of a batch that are named."""
NAME_CHARS = 100
"""Of a name; of a longer one these."""
_ABSENT = msgspec.Raw(b"")
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\\?\Z|""?\Z)|"(?:[^"\\\r\n]|\\.)*+(?:"|\\?(?=[\r\n]|\Z))|#[^\r\n]*+|(?P<name>[_A-Za-z][_0-9A-Za-z]*+)|(?P<mark>\.\.\.|[^\s,\ufeff])',
    re.DOTALL,
)
_KINDS = frozenset(("query", "mutation", "subscription"))


class _Asked(msgspec.Struct):
    """The fields of a call that matter, as they were sent."""

    query: msgspec.Raw = _ABSENT
    operationName: msgspec.Raw = _ABSENT  # noqa: N815 - so it is written
    extensions: msgspec.Raw = _ABSENT
    jsonrpc: msgspec.Raw = _ABSENT
    method: msgspec.Raw = _ABSENT
    params: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT


_asked = msgspec.json.Decoder(_Asked | list[_Asked]).decode
_text = msgspec.json.Decoder(str).decode


def operations_of(data: bytes | bytearray) -> list[str] | None:
    """Of a body of JSON."""
    if not may_ask(data):
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        asked = _asked(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = [_operation(one) for one in (asked if isinstance(asked, list) else [asked])[:LISTED]]
    known = [name[:NAME_CHARS] for name in names if name is not None]
    return known if known and len(known) == len(names) else None


def graphql_of(document: str, chosen: str | None = None) -> str | None:
    """The operation of a GraphQL document that is chosen, or its first: `query Orders`, `mutation`; None for what is no such document."""
    depth = 0
    first: str | None = None
    kind = ""
    """The keyword before the token at hand, at the top."""
    named = ""
    opened = begun = directive = False
    """The token before was the brace that begins a document; some token came; it was the `@` before a directive's name."""
    for token in _TOKEN.finditer(document):
        name, mark = token["name"], token["mark"]
        if opened and not (name or mark == "..."):
            return None
        opened = False
        begins, begun = not begun, begun or bool(name or mark not in (None, "\ufeff"))
        if directive:
            directive = False
            continue
        directive = mark == "@" and not depth
        if depth or not (name or mark):
            depth += (mark in ("{", "(", "[")) - (mark in ("}", ")", "]"))
        elif kind:
            if name and (not named or kind == "fragment"):
                named = named or name
                continue
            if mark not in ("{", "(", "@"):
                return first
            if mark == "@" and kind == "fragment":
                continue
            found = f"{kind} {named}" if named else kind
            if kind in _KINDS and (chosen is None or named == chosen):
                return found
            first = first or (found if kind in _KINDS else None)
            kind, named = "", ""
            depth += mark in ("{", "(")
        elif name in _KINDS or name == "fragment":
            kind, named = name, ""
        elif mark == "{":
            if first is None and begins:
                opened = True
                first = "query"
            depth = 1
        elif mark in ("(", "[", "@"):
            depth += mark != "@"
        elif first is None:
            return None
    return first


def _operation(asked: _Asked) -> str | None:
    """Of one call."""
    query, chosen = _string(asked.query), _string(asked.operationName)
    if query is not None:
        return graphql_of(query, chosen or None)
    if chosen and memoryview(asked.extensions).nbytes and b"persistedQuery" in bytes(asked.extensions):
        return f"persisted {chosen}"
    method = _string(asked.method)
    if method is not None and (memoryview(asked.jsonrpc).nbytes or (memoryview(asked.id).nbytes and memoryview(asked.params).nbytes)):
        return method
    return None


def _string(raw: msgspec.Raw) -> str | None:
    if bytes(memoryview(raw)[:1]) != b'"':
        return None
    try:
        return _text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a raw value is looked at no further than its end


class Operations:
    """One body's."""

    __slots__ = ("_kept", "_plain")

    def __init__(self, account: Account, most: int, *, plain: bool) -> None:
        """most: bytes that are kept; plain: it is a GraphQL document, not JSON."""
        self._plain = plain
        self._kept: Kept | None = Kept(account, most)
        """None where it is too large."""

    def feed(self, data: bytes) -> None:
        """The next bytes of the body, content codings undone."""
        if self._kept is not None and not self._kept.add(data):
            self.close()

    def finish(self) -> list[str] | None:
        """The body is over, and whole. Gives all memory back."""
        if self._kept is None:
            return None
        body, self._kept = self._kept.let_go(), None
        if not self._plain:
            return operations_of(body)
        found = graphql_of(body.decode("utf-8", "replace"))
        return [found[:NAME_CHARS]] if found is not None else None

    def close(self) -> None:
        """Give all memory back."""
        if self._kept is not None:
            self._kept.let_go()
            self._kept = None
