"""Secrets in objects and lists of JSON of which one member names another. Vocabulary.

Contract: `in_pairs` gives the places of values whose name, type, path or neighbours say that they are secrets. Invariant: time is linear in the bytes: an object that is looked at has no other in it, and ends at MOST bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pcapflow.redaction import is_secret_field, is_secret_key, may_be_key
from pcapflow.secret_kinds import STRING, Place, is_key

_STRING = rb"\"((?:[^\"\\]|\\.)++(?:\\\Z)?)"
_BLANK = rb"[ \t\r\n]{0,64}"
_PAIR = re.compile(
    rb"\"(?:[nN]ame|[kK]ey|header|ParameterKey)\"%(blank)s:%(blank)s\"([^\"\\]{1,128}+)\",%(blank)s\"(?:[vV]alue|ParameterValue)\"%(blank)s:%(blank)s(?:\{%(blank)s\"[A-Za-z_]{1,32}\"%(blank)s:%(blank)s)?+%(string)s"
    rb"|\[%(blank)s\"((?i:(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{1,64}))\",%(blank)s%(string)s"
    % {b"blank": _BLANK, b"string": _STRING},
    re.DOTALL,
)
"""Members, or a list, of which one has the name of the other; the value may be an object with a member for its type."""
_LISTED = re.compile(rb"\[%s\"([^\"\\]{1,64}+)\"%s,%s\"([^\"\\]++)\"%s\]" % (_BLANK, _BLANK, _BLANK, _BLANK))
_ARGUMENT = re.compile(rb"\"--?([A-Za-z][A-Za-z0-9_.-]{0,64}+)\"%s,%s\"(?!-)((?:[^\"\\]|\\.)++)" % (_BLANK, _BLANK), re.DOTALL)
_OBJECT = re.compile(rb"\{((?:[^{}\"\\]|\"(?:[^\"\\]|\\.)*+\"){1,512}+)\}", re.DOTALL)
_MEMBER = re.compile(rb"\"([^\"\\]{1,64}+)\"%s:%s%s" % (_BLANK, _BLANK, _STRING), re.DOTALL)
_VALUES = frozenset((b"value", b"Value"))
_NAMES = frozenset((b"name", b"Name", b"key", b"Key", b"header", b"variable"))
_TYPES = frozenset((b"secret", b"securestring", b"password", b"secure"))
_OF_LOGINS = frozenset(
    (
        b"client_secret",
        b"clientSecret",
        b"grant_type",
        b"grantType",
        b"code_verifier",
        b"codeVerifier",
        b"redirect_uri",
        b"redirectUri",
        b"state",
        b"session_state",
    )
)
"""What stands beside the code of a login."""
_OF_PEOPLE = frozenset((b"email", b"phone", b"phone_number", b"phoneNumber", b"username", b"login", b"user"))
"""What stands beside a code that somebody was sent."""
_ERRORS = frozenset((b"message", b"error", b"msg", b"description", b"detail", b"title", b"name"))
_CODE = re.compile(rb"[0-9]{4,8}")
_PIN = re.compile(rb"[0-9]{4,12}")
_ENCODED_LEAST = 20


def in_pairs(text: bytes) -> Iterator[Place]:
    """The places of secrets."""
    for pair in _PAIR.finditer(text):
        if pair[1] is not None and is_secret_key(str(pair[1], "latin-1")):
            yield *pair.span(2), STRING
        elif pair[3] is not None and is_secret_field(str(pair[3], "latin-1")):
            yield *pair.span(4), STRING
    for pair in _LISTED.finditer(text):
        if _is_named(pair[1]) and is_no_word(pair[2]):
            yield *pair.span(2), STRING
    if b'"-' in text:
        for argument in _ARGUMENT.finditer(text):
            if _is_named(argument[1]):
                yield *argument.span(2), STRING
    if b'alue"' in text or b'"code"' in text or b'"pin"' in text or b'"encoded"' in text:
        for found in _OBJECT.finditer(text):
            yield from _of_object(text, *found.span(1))


def is_no_word(value: bytes) -> bool:
    """Whether a value has digits, and no blank: a list of names has none."""
    return any(map(value.__contains__, b"0123456789")) and b" " not in value


def _is_named(name: bytes) -> bool:
    return is_secret_key(str(name, "latin-1"))


def _of_object(text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The values of one whose other members say what they are."""
    members = {member[1]: member for member in _MEMBER.finditer(text, begin, end)}
    named = any(_is_named(members[name][2]) for name in _NAMES if name in members)
    typed = any(members[name][2].lower() in _TYPES for name in (b"type", b"Type") if name in members)
    path = members.get(b"path")
    patched = path is not None and b"op" in members and _is_named(path[2].rpartition(b"/")[2])
    if named or typed or patched:
        for name in _VALUES:
            if name in members:
                yield *members[name].span(2), STRING
    code, pin, encoded = (members.get(name) for name in (b"code", b"pin", b"encoded"))
    if code is not None and _is_code_of_login(code[2], frozenset(members)):
        yield *code.span(2), STRING
    if pin is not None and _PIN.fullmatch(pin[2]):
        yield *pin.span(2), STRING
    if encoded is not None and len(encoded[2]) >= _ENCODED_LEAST and any(map(_is_named, members)):
        yield *encoded.span(2), STRING


def _is_code_of_login(value: bytes, names: frozenset[bytes]) -> bool:
    if names & _ERRORS:
        return False
    if names & _OF_LOGINS:
        return is_no_word(value) or len(value) >= _ENCODED_LEAST
    return _CODE.fullmatch(value) is not None and (len(names) == 1 or bool(names & _OF_PEOPLE) or any(map(_is_named, names)))


def is_secret_member(name: str, value: bytes) -> bool:
    """Whether a member of JSON is a secret by its key alone, or by its key and what it looks like."""
    return is_secret_key(name) or (may_be_key(name) and is_key(value))
