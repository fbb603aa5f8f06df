"""Bodies that are made to break a parser of YAML, multipart, forms or operations, by kind and size. Standard library only.

They are kinds of tests/adversarial.py, which writes them; a size is what the writer's docstring says.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.wire import MIB, Kind, Wire, ok_head, repeated

YAML = b"Content-Type: application/yaml"
FORM = b"application/x-www-form-urlencoded"
MIXED = b"multipart/form-data; boundary=b"


def _yaml(w: Wire, *pieces: bytes | Iterator[bytes]) -> None:
    """A YAML body that ends with its connection."""
    w.answer(1, _joined(ok_head(YAML), pieces))


def _post(w: Wire, media: bytes, length: int, *pieces: bytes | Iterator[bytes]) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (media, length)
    w.ask(1, _joined(head, pieces))


def _joined(head: bytes, pieces: tuple[bytes | Iterator[bytes], ...]) -> Iterator[bytes]:
    yield head
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from piece


def yaml_aliases(w: Wire, size: int) -> None:
    """A list of nine aliases of the one before, so many times: written out, 9 to that power."""
    lines = (b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, size))
    _yaml(w, b"a0: &a0 lol\n", lines)


def yaml_deep(w: Wire, size: int) -> None:
    """Sequences so many deep."""
    _yaml(w, b"a: ", repeated(b"[", size), repeated(b"]", size))


def yaml_scalar(w: Wire, size: int) -> None:
    """One plain scalar of so many bytes, over many lines."""
    _yaml(w, b"a: b\n", repeated(b"  abcdef\n", size))


def yaml_comment(w: Wire, size: int) -> None:
    """One comment of so many bytes."""
    _yaml(w, b"a: b\n#", repeated(b" comment", size))


def yaml_directives(w: Wire, size: int) -> None:
    """So many directives before the first document."""
    _yaml(w, (b"%%TAG !%d! tag:a,2000:\n" % i for i in range(size)), b"--- a\n")


def yaml_documents(w: Wire, size: int) -> None:
    """So many documents."""
    _yaml(w, repeated(b"--- {a: 1}\n", size * 11))


def yaml_keys(w: Wire, size: int) -> None:
    """So many keys of one mapping, no two alike."""
    _yaml(w, (b"key%d: 1\n" % i for i in range(size)))


def many_parts(w: Wire, size: int) -> None:
    """So many parts."""
    part = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nvalue\r\n'
    _post(w, MIXED, size * len(part) + 7, repeated(part, size * len(part)), b"--b--\r\n")


def endless_boundary(w: Wire, size: int) -> None:
    """A part of so many bytes, lines that begin as the boundary does and are none."""
    head = b"--b\r\n\r\n"
    _post(w, MIXED, size + len(head), head, repeated(b"\r\n--a\r\n-", size))


def part_head(w: Wire, size: int) -> None:
    """A part with a head of so many bytes."""
    _post(w, MIXED, size + 9, b"--b\r\nX: ", repeated(b"y", size))


def nested_parts(w: Wire, size: int) -> None:
    """A part in a part in a part: so many."""
    _post(w, MIXED, size * len(_opens(0)), (_opens(i) for i in range(size)))


def _opens(i: int) -> bytes:
    name, inner = (b"b", b"c") if i % 2 == 0 else (b"c", b"b")
    return b"--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n" % (name, inner)


def many_fields(w: Wire, size: int) -> None:
    """A form of so many fields."""
    _post(w, FORM, 7 * size, repeated(b"f=%7Ba&", 7 * size))


def big_field(w: Wire, size: int) -> None:
    """A form of one field of so many bytes, a character in three."""
    _post(w, FORM, size + 2, b"f=", repeated(b"%7B", size))


def many_calls(w: Wire, size: int) -> None:
    """A JSON-RPC batch of so many calls."""
    call = b'{"jsonrpc":"2.0","id":1,"method":"m"},'
    _post(w, b"application/json", size * len(call) + 3, b"[", repeated(call, size * len(call)), b"0]")


def big_query(w: Wire, size: int) -> None:
    """A GraphQL query of so many bytes, all of it strings."""
    _post(w, b"application/json", size + 12, b'{"query":"{', repeated(b'a(b:\\"c\\")', size), b'"')


PAYLOADS: dict[str, Kind] = {
    "yaml_aliases": (yaml_aliases, 1_000, 500_000),
    "yaml_deep": (yaml_deep, 1_000_000, 50_000_000),
    "yaml_scalar": (yaml_scalar, 8 * MIB, 200_000_000),
    "yaml_comment": (yaml_comment, 8 * MIB, 200_000_000),
    "yaml_directives": (yaml_directives, 200_000, 5_000_000),
    "yaml_documents": (yaml_documents, 20_000, 1_000_000),
    "yaml_keys": (yaml_keys, 50_000, 1_000_000),
    "many_parts": (many_parts, 20_000, 1_000_000),
    "endless_boundary": (endless_boundary, 8 * MIB, 200_000_000),
    "part_head": (part_head, 8 * MIB, 200_000_000),
    "nested_parts": (nested_parts, 100_000, 1_000_000),
    "many_fields": (many_fields, 100_000, 1_000_000),
    "big_field": (big_field, 8 * MIB, 200_000_000),
    "many_calls": (many_calls, 50_000, 1_000_000),
    "big_query": (big_query, 8 * MIB, 200_000_000),
}
"""Kinds of tests/adversarial.py."""
