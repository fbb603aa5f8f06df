"""What a project leaves out of a comparison, and what more it compares.

Contract: `Rules.parse` takes the settings and raises `UsageError` for what is no rule. A rule is `GET /uuid` (an endpoint, with `*` for any), `GET /uuid body` (its bodies), `GET /uuid count` (how often), `headers.date` or `GET /x headers.etag`
(a field, by name), or a path into JSON bodies: `.items[].id`, `..ts` (the key wherever it is). `used` has the rules that left something out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from pcapflow.errors import UsageError
from pcapflow.path_syntax import parse_path
from pcapflow.paths import show_path

_ENDPOINT = re.compile(r"(?P<endpoint>[A-Z][A-Z-]{0,19} \S{1,400})(?: (?P<what>body|count|headers\.(?P<name>[A-Za-z0-9_-]{1,100})))?")
_HEADER = re.compile(r"\.?headers\.(?P<name>[A-Za-z0-9_-]{1,100})")
_ANYWHERE = re.compile(r"\.\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)")
_POSITION = re.compile(r"\[[0-9]+\]")
_WILD = re.compile(r"[A-Za-z0-9_.*\[\]-]{1,200}")
"""A path with `*`, as a shape writes the keys of a map."""
_KEYS = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|([^.\[\]]+)')
_LINE = re.compile(r"(?P<path>.*?)\??: [a-z.|]+", re.DOTALL)


@dataclass
class Rules:
    """A project's. Names of endpoints are as the report has them, without the host."""

    header_values: frozenset[str] = frozenset()
    """Fields whose values are compared too, small letters."""
    values: tuple[str, ...] = ()
    """Paths in JSON bodies whose values are compared too."""
    size_tolerance: float = 0.5
    """By how much sizes of bodies may differ, as a part of what they were."""
    endpoints: dict[str, str] = field(default_factory=dict)
    """To the rule that says so; likewise below."""
    bodies: dict[str, str] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    """Endpoints of which it does not matter how often an outcome came."""
    headers: dict[tuple[str, str], str] = field(default_factory=dict)
    """By endpoint, or nothing for all, and name."""
    paths: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, ignore: list[str], header_values: list[str], values: list[str], size_tolerance: float = 0.5) -> Rules:
        """The settings `ignore`, `header-values`, `values` and `size-tolerance`."""
        for text in values:
            try:
                parse_path(text)
            except ValueError as e:
                raise UsageError(f"values: {e}") from None
        rules = cls(frozenset(name.lower() for name in header_values), tuple(values), size_tolerance)
        for text in ignore:
            rules._add(text)
        rules.used = dict.fromkeys(ignore, 0)
        return rules

    def fresh(self) -> Rules:
        """The same, of which nothing was used yet: for one more capture."""
        return replace(self, used=dict.fromkeys(self.used, 0))

    def _add(self, text: str) -> None:
        endpoint = _ENDPOINT.fullmatch(text)
        header = _HEADER.fullmatch(text)
        anywhere = _ANYWHERE.fullmatch(text)
        if endpoint is not None:
            name = endpoint["endpoint"]
            if endpoint["what"] is None:
                self.endpoints[name] = text
            elif endpoint["what"] == "count":
                self.counts[name] = text
            elif endpoint["name"] is None:
                self.bodies[name] = text
            else:
                self.headers[name, endpoint["name"].lower()] = text
        elif header is not None:
            self.headers["", header["name"].lower()] = text
        elif anywhere is not None:
            self.keys[anywhere["name"]] = text
        else:
            try:
                self.paths[show_path(parse_path(text))] = text
            except ValueError:
                if "*" in text and _WILD.fullmatch(text):
                    self.paths[text.removeprefix(".")] = text
                    return
                raise UsageError(
                    f"ignore: {text!r} is not a rule: write `GET /path`, `GET /path body`, `GET /path count`, `headers.name`, `.path.in.bodies` or `..key`"
                ) from None

    def _uses(self, rule: str | None) -> bool:
        if rule is None:
            return False
        self.used[rule] = self.used.get(rule, 0) + 1
        return True

    def hides_endpoint(self, endpoint: str) -> bool:
        """Whether exchanges of an endpoint are left out."""
        found = self.endpoints.get(endpoint)
        if found is None:
            found = next((rule for name, rule in self.endpoints.items() if "*" in name and fnmatchcase(endpoint, name)), None)
        return self._uses(found)

    def hides_count(self, endpoint: str) -> bool:
        """Whether it does not matter how often its outcomes came."""
        return self._uses(self.counts.get(endpoint))

    def hides_body(self, endpoint: str) -> bool:
        """Whether its bodies are."""
        return self._uses(self.bodies.get(endpoint))

    def hides_header(self, endpoint: str, name: str) -> bool:
        """Whether a field is."""
        name = name.lower()
        return self._uses(self.headers.get(("", name), self.headers.get((endpoint, name))))

    def hides_change(self, path: str) -> bool:
        """Whether what differs at a path of a report is left out, in exact mode."""
        return self.hides_path(_POSITION.sub("[]", path.removeprefix(".")))

    def shape(self, lines: list[str]) -> list[str]:
        """A shape without what is left out of it."""
        return [line for line in lines if not self._hides_line(line)] if self.paths or self.keys else lines

    def _hides_line(self, line: str) -> bool:
        match = _LINE.fullmatch(line)
        return self.hides_path(match["path"] if match is not None else line)

    def hides_path(self, path: str) -> bool:
        """Whether a path is, or lies within one that is."""
        for begin, rule in self.paths.items():
            if path == begin or path.startswith((f"{begin}.", f"{begin}[")):
                return self._uses(rule)
        for quoted, plain in _KEYS.findall(path) if self.keys else ():
            if (plain or quoted) in self.keys:
                return self._uses(self.keys[plain or quoted])
        return False
