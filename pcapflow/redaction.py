"""What of messages is a secret: `[32 bytes]` stands for one of that length. Vocabulary.

Contract: `value_shown` and `target_shown` return what may be written down. A field is secret by its name, a part of a query by the name of its parameter; what else carries a secret nobody can tell.
Time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps

from pcapflow.header_options import Headers

_PART = re.compile(r"([?&;#])([^=&;#?]{1,128})=([^&;#]*)")
_PATH_PART = re.compile(r"(;)([^=;/]{1,128})=([^;/]*)")
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]+)@")
_URLS = frozenset(("referer", "location", "content-location", "refresh", "link", "origin"))
"""Fields whose values are, or have, URLs."""


def hidden(secret: str) -> str:
    """What stands for a secret."""
    return f"[{len(secret.encode('utf-8', 'replace'))} bytes]"


def target_shown(target: str) -> str:
    """A request target, or a URL, without the secrets in its query and before its host."""
    if "@" in target:
        target = _USER.sub(lambda user: f"{user[1]}{hidden(user[2])}@", target)
    if "=" not in target:
        return target
    path, mark, query = target.partition("?")
    return (_PATH_PART.sub(_part, path) if ";" in path else path) + _PART.sub(_part, mark + query)


def _part(part: re.Match[str]) -> str:
    return f"{part[1]}{part[2]}={hidden(part[3])}" if part[3] and is_secret_parameter(part[2]) else part[0]


_KNOWN = 512
"""Names whose answer is kept, of each question; those of at most _NAME_CHARS characters, so that no capture says what that takes."""
_NAME_CHARS = 64


def _remembered(ask: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same question, with the answers for some short names kept."""
    known = lru_cache(_KNOWN)(ask)

    @wraps(ask)
    def answer(name: str) -> bool:
        return known(name) if len(name) <= _NAME_CHARS else ask(name)

    return answer


@_remembered
def is_secret_field(name: str) -> bool:
    """Whether a field of that name carries a secret."""
    from pcapflow.secret_words import ANY_KEY, FIELD, LINK, NOT  # noqa: PLC0415 - see there

    return (FIELD.search(name) is not None or ANY_KEY.search(name) is not None) and not NOT.match(name) and not LINK.match(name)


@_remembered
def is_secret_parameter(name: str) -> bool:
    """Whether a part of a query with that name does."""
    if "%" in name:
        from urllib.parse import unquote  # noqa: PLC0415 - few names need it

        name = unquote(name)
    from pcapflow.secret_words import FIELD, NOT, PARAMETER  # noqa: PLC0415 - see there

    found = PARAMETER.search(name) is not None or (FIELD.search(name) is not None and not name.lower().endswith(("cookie", "cookies")))
    return found and not NOT.match(name)


_LABELS = frozenset(("key", "code", "pin", "signature", "ticket"))
"""What parts of queries are secrets by, and keys of JSON often are not."""


@_remembered
def is_secret_key(name: str) -> bool:
    """Whether a member of JSON with that key does."""
    from pcapflow.secret_words import LINK  # noqa: PLC0415 - see there

    return is_secret_field(name) or (name.lower() not in _LABELS and is_secret_parameter(name) and not LINK.match(name))


@_remembered
def may_be_key(name: str) -> bool:
    """Whether something with that name does if it looks like no word."""
    from pcapflow.secret_words import MAY_BE_KEY, NO_KEY, NOT  # noqa: PLC0415 - see there

    return MAY_BE_KEY.search(name) is not None and not NO_KEY.search(name) and not NOT.match(name)


def value_shown(name: str, value: str) -> str:
    """A field's value."""
    if is_secret_field(name):
        return hidden(value)
    return target_shown(value) if name.lower() in _URLS else value


def chosen(headers: Headers, fields: list[tuple[str, str]]) -> list[tuple[str, str | None]]:
    """Of a message's fields those that are recorded, as they are."""
    return [
        (name, (value if headers.secrets else value_shown(name, value)) if headers.values else None)
        for name, value in fields
        if headers.names is None or name.lower() in headers.names
    ]
