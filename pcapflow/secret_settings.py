"""Secrets in settings: `NAME=value` in a line of its own, among others in a line, or as an argument of a program. Vocabulary.

Contract: `in_settings` gives their places in some bytes. In a line of its own a value goes on to the line's end, whatever is in it; of a form it ends with its field. Invariant: time is linear in the bytes: what stands
beside a line is bounded (`secret_code`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pcapflow.redaction import is_secret_key, may_be_key
from pcapflow.secret_code import BESIDE, is_call, is_code, is_reference, is_sentence, line_before
from pcapflow.secret_kinds import FIELD, HOLDER, WORD, Place, is_key
from pcapflow.secret_lines import QUOTED

_SETTING = re.compile(
    rb"^[ \t]{0,64}+(?:[-+>#;][ \t]{0,8}+)?+[\"']?(?:(?:export|ENV|ARG|set|SET|env)[ \t]++)?([A-Za-z_][A-Za-z0-9_.-]{0,127}+)([ \t]{0,64}+)=(?![=>~][ \t]|={2})[ \t]{0,64}+([^\r\n]++)",
    re.MULTILINE,
)
"""Also of a difference between two files, and of a list."""
_NAMED = re.compile(rb"^[ \t]{0,16}+ENV[ \t]++([A-Za-z_][A-Za-z0-9_]{0,127}+)[ \t]++([^\s=][^\r\n]*+)", re.MULTILINE)
_MESSAGE_BEHIND = re.compile(rb"(?:[A-Z]{3,16} [^ ]{1,2048}+ HTTP/1\.[01]$)|HTTP/1\.[01] [1-5][0-9][0-9](?: |$)")
_FORM = re.compile(rb"[^&=\r\n]*+(?:&[^&=\s]{1,128}+=[^&\r\n]*+)++")
"""The value of a field of a form, and the fields behind it."""
_NEXT = re.compile(
    rb"(?<![ \t])[ \t]++[A-Za-z_][A-Za-z0-9_.-]{0,63}+=(?!=)"
    rb"|;[ \t]*+(?i:server|data ?source|database|initial|user|uid|pwd|port|host|trust|encrypt|persist|integrated|timeout|connect|pooling|ssl|account|endpoint|shared|entity|driver)[A-Za-z ]{0,31}+="
)
"""What ends a value in a line of several settings."""
_COMMENT = re.compile(rb"(?<![ \t])[ \t]++(?:#|;|//)[ \t]")
_LINE_BEHIND = re.compile(rb"[ \t]*+\r?\n[ \t]*+[^\s]")
_CAPITALS = re.compile(rb"[A-Z][A-Z0-9_]*+")
_ASSIGNED = re.compile(
    rb"[ \t(\[{,|](?<!let[ ])(?<!var[ ])(?<!const[ ])([A-Za-z_][A-Za-z0-9_.-]{0,127}+)=(?![=>~])([^\s\"'\\<>`=][^\s\"'\\<>`]*+)"
)
_IN_BRACKETS = re.compile(rb"[^,)}\]]++")
_OPTION = re.compile(rb"(?<![A-Za-z0-9_-])--([A-Za-z][A-Za-z0-9_.-]{0,63}+)(=|[ \t]++(?=[^\s=-]))([^\s\"'\\]++)")
"""An argument of a program."""
_NO_WORD = re.compile(rb"(?=[^0-9]*+[0-9]).{8,}", re.DOTALL)
"""Behind a blank: other words are of a text."""
_NETRC = re.compile(rb"\bmachine\s{1,8}[^\s]{1,256}+\s{1,64}login\s{1,8}[^\s]{1,256}+\s{1,64}password\s{1,8}([^\s\"\\]++)")
_LOGIN = re.compile(rb"(?<=[ \t])-p[ \t]++[\"']?([^\s\"'\\-][^\s\"'\\]*+)")
_LOGS_IN = re.compile(rb"\b(?:docker|podman|buildah|skopeo|helm|oc|az|cf)[ \t]")
_USER = re.compile(
    rb"(?<=[ \t])(?:-[a-zA-Z]{0,8}u|--user|-U|--proxy-user)[ \t=]*+(?:([\"'])[^:\"'\\\r\n]{1,128}+:((?:(?!\1)[^\\\r\n]){1,256}+)(?=\1)|[^\s:\"'\\]{1,128}+:([^\s\"'\\]++))"
)
_FETCHES = re.compile(rb"\bcurl[ \t]")
"""Logins handed to a program."""
_WORD_ENDS = b",;:.)}]|"
_CALLS = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$.]*+[(\[]")
_NAME_OF_CODE = re.compile(rb"[A-Za-z_$][A-Za-z_$.]*+")


def in_settings(text: bytes, *, begins: bool = True) -> Iterator[Place]:
    """The places of secrets. begins: the first byte may be a line's."""
    if b"=" in text or b"--" in text or b"machine" in text:
        for setting in _SETTING.finditer(text):
            if (begins or setting.start()) and _is_secret(setting[1], setting[3]):
                yield from _of_line(text, setting)
        for option in _OPTION.finditer(text):
            if _is_secret(option[1], option[3]) and not is_reference(option[3]) and (option[2] == b"=" or _NO_WORD.fullmatch(option[3])):
                yield *option.span(3), WORD
        for login in _NETRC.finditer(text) if b"machine" in text else ():
            yield *login.span(1), WORD
        yield from _assigned(text)
    yield from _logins(text)
    for setting in _NAMED.finditer(text):
        if _is_secret(setting[1], setting[2]) and not is_reference(setting[2]):
            yield *setting.span(2), FIELD


def _logins(text: bytes) -> Iterator[Place]:
    """Those handed to a program, which stands before them in their line."""
    for login in _LOGIN.finditer(text) if b"login" in text else ():
        before = _command(text, login.start())
        if b"login" in before and _LOGS_IN.search(before) and not is_reference(login[1]):
            yield *login.span(1), WORD
    for login in _USER.finditer(text) if b"curl" in text else ():
        value = 3 if login[2] is None else 2
        if not is_reference(login[value]) and _FETCHES.search(_command(text, login.start())):
            yield *login.span(value), WORD


def _command(text: bytes, at: int) -> bytes:
    """What of a line stands before a place in it."""
    begin = max(0, at - BESIDE)
    return text[max(begin, text.rfind(b"\n", begin, at) + 1) : at]


def _is_secret(name: bytes, value: bytes) -> bool:
    if name.endswith(b".cookie"):  # of a script: the place of all cookies
        return False
    plain = str(name, "latin-1")
    return is_secret_key(plain) or (may_be_key(plain) and is_key(value.strip(b" \t\"'")))


def _of_line(text: bytes, setting: re.Match[bytes]) -> Iterator[Place]:
    """The value of a line, which may be code, in quotes, or followed by other settings."""
    begin, end = setting.span(3)
    value = setting[3].rstrip()
    end = begin + len(value)
    quoted = QUOTED.fullmatch(value)
    if quoted is not None:
        if not is_reference(quoted[2]):
            yield begin + quoted.start(2), begin + quoted.end(2), FIELD
        return
    capitals = _CAPITALS.fullmatch(setting[1]) is not None and not setting[2]
    before = text[setting.start(1) - 1 : setting.start(1)]
    if before in (b'"', b"'") and value.endswith(before):
        value, end = value[:-1], end - 1
    if _is_none(value, setting, capitals=capitals) or (_FORM.fullmatch(value) and not capitals and _is_alone(text, setting.start(), end)):
        return
    following = _NEXT.search(value)
    if following is not None:
        end = begin + following.start()
        value = text[begin:end]
    comment = _COMMENT.search(value)
    if comment is not None:
        yield begin, begin + comment.start(), FIELD
    yield begin, end, FIELD


def _is_none(value: bytes, setting: re.Match[bytes], *, capitals: bool) -> bool:
    """Whether what stands behind a name and `=` is no value: a message, or code. capitals: the name is one as environments have it."""
    if _MESSAGE_BEHIND.search(value):
        return True
    comment = _COMMENT.search(value)
    plain = value if comment is None else value[: comment.start()]
    if capitals:
        return is_reference(plain)
    joined = setting.start(3) == setting.end(2) + 1
    if (joined and (value[:1] == b">" or (value[:1] in b"=~" and setting[2]))) or (value[:1] in b"\"'`" and value.count(value[:1]) > 1):
        return True
    if plain == setting[1].rpartition(b".")[2]:
        return True
    if setting[2] or setting[0][:1] in b" \t":
        return is_code(plain) or is_sentence(value)
    return is_reference(plain) or is_call(plain)


def _is_alone(text: bytes, begin: int, end: int) -> bool:
    """Whether no other line stands beside one: a form is such a line."""
    return not line_before(text, begin).strip() and not _LINE_BEHIND.match(text, end, end + BESIDE)


def _assigned(text: bytes) -> Iterator[Place]:
    """Values behind a name within a line: of logs, of connection strings, of objects as programs print them."""
    for assigned in _ASSIGNED.finditer(text):
        if not _is_secret(assigned[1], assigned[2].rstrip(_WORD_ENDS)):
            continue
        begin, end = assigned.span(2)
        at = assigned.start(1)
        inner = _IN_BRACKETS.match(text, begin, end) if text[at - 1 : at] in b"([{," or text[max(0, at - 2) : at] == b", " else None
        value = inner[0] if inner is not None else assigned[2].rstrip(_WORD_ENDS)
        if not value or is_reference(value) or _CALLS.match(assigned[2]) or (b"." in value and is_code(value)):
            continue
        is_name = _NAME_OF_CODE.fullmatch(value) is not None
        if is_name and is_secret_key(str(value, "latin-1")):
            continue
        yield begin, begin + len(value), HOLDER if is_name and inner is not None else WORD
