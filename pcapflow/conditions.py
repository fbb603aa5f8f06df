"""Which exchanges and bodies a user means: `method=POST,path=/v1/*,status=5xx`, one language for every command. Vocabulary.

Contract: `Conditions.parse` reads it and raises `UsageError`; all conditions must hold. A message under way is asked as far as is known (`takes`), the rest when its exchange
is over (`takes_exchange`); `needs_end` says whether there is a rest. An `http` record is asked at once (`takes_record`). Invariant: the two ways agree.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from pcapflow.errors import UsageError
from pcapflow.records import Http
from pcapflow.sizes import duration
from pcapflow.suggestions import did_you_mean

_NUMBER = re.compile(r"[0-9]{1,18}")
_VALUES = {
    "status": (re.compile(r"[1-9](?:[0-9]{2}|[0-9]?x{1,2})"), "write 404, 40x or 4xx"),
    "side": (re.compile(r"request|response|raw"), "write request, response or raw"),
    "connection": (_NUMBER, "write the number of its first packet, as `connection` in the records"),
    "exchange": (_NUMBER, "write its number on the connection, from 0, as `exchange` in the records"),
}
_WORDS = re.compile(r"[^a-z0-9]+")
KEYS = ("method", "host", "path", "status", "type", "side", "connection", "exchange", "min-duration")
"""As they are written; `source` is `side` as earlier versions had it."""
_MEANT = {"verb": "method", "url": "path", "uri": "path", "target": "path", "code": "status", "media-type": "type", "content-type": "type", "mime": "type",
          "stream": "connection", "direction": "side", "duration": "min-duration", "slower": "min-duration", "server": "host", "domain": "host"}  # fmt: skip
"""What other tools call them."""


class Asked(Protocol):
    """A request's head."""

    @property
    def method(self) -> str:
        """Its method."""
        ...

    @property
    def target(self) -> str:
        """Its target, as it was sent."""
        ...

    @property
    def host(self) -> str | None:
        """Its host."""
        ...


class Conditions(NamedTuple):
    """All that are said must hold; None for one that is not."""

    method: str | None = None
    host: str | None = None
    path: str | None = None
    status: str | None = None
    type: str | None = None
    side: str | None = None
    connection: int | None = None
    exchange: int | None = None
    min_duration: int | None = None
    """Nanoseconds."""

    @classmethod
    def parse(cls, text: str) -> Conditions:
        """`method=POST,host=api.example,status=2xx,path=/v1/*`; raises `UsageError`."""
        found: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            key, equals, value = part.partition("=")
            key = "side" if key == "source" else key
            if key not in KEYS or not equals or not value:
                near = f"; did you mean {_MEANT[key]}?" if key in _MEANT else did_you_mean(key, KEYS) if key not in KEYS else ""
                what = "has no key" if not equals and key not in KEYS else "has no value" if key in KEYS else "has an unknown key"
                raise UsageError(
                    f"--where: {part!r} {what}: write KEY=VALUE, separated by commas, with {', '.join(f'{k}=' for k in KEYS)}{near}"
                )
            if key in found:
                raise UsageError(f"--where: {key}= is given twice, but all conditions must match; run the command once for each value")
            found[key] = value
        _check(found)
        number, least, get = found.get("connection"), found.get("min-duration"), found.get
        index, method, host, media_type = get("exchange"), get("method"), get("host"), get("type")
        return cls(
            method=method.upper() if method else None,
            host=host.lower() if host else None,
            path=get("path"),
            status=get("status"),
            type=media_type.lower() if media_type else None,
            side=get("side"),
            connection=int(number) if number else None,
            exchange=int(index) if index else None,
            min_duration=duration(least) if least else None,
        )

    @property
    def needs_end(self) -> bool:
        """Whether some condition is about an exchange that is over."""
        return self.status is not None or self.min_duration is not None

    @property
    def of_exchanges(self) -> bool:
        """Whether some condition is about exchanges, and not of connections alone."""
        return any(value is not None for value in self._replace(connection=None))

    def takes(self, connection: int, index: int | None, side: str, request: Asked | None, content_type: str | None) -> bool:
        """Whether a body under way is one of those, as far as is known. index: of its exchange, None for none; side: `request`, `response` or `raw`; request: what it is of, or
        answers.
        """
        if (self.side or side) != side or self.connection not in (None, connection) or self.exchange not in (None, index):
            return False
        if side == "raw":
            return not (self.needs_end or self._asks or self.type is not None)
        return self._takes_request(request) and self.is_type(content_type)

    def takes_exchange(self, status: str, took: int | None) -> bool:
        """The rest, of one that is over; status: its digits, empty for none; took: nanoseconds, None where a side is missing."""
        return self.status_is(status) and (self.min_duration is None or (took is not None and took >= self.min_duration))

    def takes_record(self, record: Http) -> bool:
        """Whether an `http` record is of such an exchange, one side of it at least."""
        request, response = record.request, record.response
        sides = [(name, message) for name, message in (("request", request), ("response", response)) if message is not None]
        took = round(record.duration * 10**9) if record.duration is not None else None
        return (
            self.connection in (None, record.connection)
            and self.exchange in (None, record.exchange)
            and self.takes_exchange(str(response.status) if response is not None else "", took)
            and self._takes_request(request)
            and any((self.side or name) == name and self.is_type(message.body.content_type) for name, message in sides)
        )

    @property
    def _asks(self) -> bool:
        return (self.method, self.host, self.path) != (None, None, None)

    def _takes_request(self, request: Asked | None) -> bool:
        if request is None:
            return not self._asks
        return (
            (self.method is None or request.method == self.method)
            and (self.host is None or _is_host(self.host, request.host or ""))
            and (self.path is None or fnmatchcase(path_of(request.target), self.path))
        )

    def status_is(self, status: str) -> bool:
        """Whether a status is the one that is asked for."""
        return self.status is None or (bool(status) and all(want in ("x", have) for want, have in zip(self.status, status, strict=False)))

    def is_type(self, content_type: str | None) -> bool:
        """Whether a media type is the one that is asked for: `json` is any whose name has that word, `image/*` a pattern."""
        if self.type is None:
            return True
        media = (content_type or "").partition(";")[0].strip().lower()
        return fnmatchcase(media, self.type) if "/" in self.type else self.type in _WORDS.split(media)


def _check(found: dict[str, str]) -> None:
    """Raises `UsageError` for a value that is none."""
    for key, (pattern, how) in _VALUES.items():
        if key in found and not pattern.fullmatch(found[key]):
            raise UsageError(f"--where: {key}={found[key]}: {how}")
    if "min-duration" in found:
        try:
            duration(found["min-duration"])
        except ValueError as e:
            raise UsageError(f"--where: min-duration: {e}") from None


def _is_host(wanted: str, host: str) -> bool:
    host = host.lower()
    return host == wanted or (":" not in wanted and host.partition(":")[0] == wanted)


def path_of(target: str) -> str:
    """A request target's path, without authority, query and fragment."""
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target.partition("?")[0].partition("#")[0]
