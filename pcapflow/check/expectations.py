"""What a project expects of a report: bounds on its fields, by path, and kinds of findings that fail a check.

Contract: `Expectation.parse` takes a path as jq has it (`drops.streams`, `.http.by_status."500"`, `captures[0].packets`, `records[].duration`) and a bound, and
raises `UsageError` where the report has no such field or the bound does not fit it: a misspelt path is an error, never a bound that
always holds. `violations` takes the report's values. A key that a map does not have counts as 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pcapflow.check.report_paths import Kind, kinds_of, steps_of
from pcapflow.errors import UsageError
from pcapflow.paths import Step
from pcapflow.sizes import duration, size
from pcapflow.suggestions import did_you_mean

_BIGGEST = 1 << 63
_RELATIVE = re.compile(r"baseline(?:\+([0-9]{1,6})%)?")
_TIMES = ("p50", "p95", "max")
"""Of an endpoint, for short: those of its `duration`."""
_BOUNDS = ("min", "max", "equals", "one_of")


@dataclass(frozen=True)
class Violation:
    """A value that is not within its bound; record: the record it is from, where the path is into `records[]`."""

    path: str
    value: Any
    bound: str
    record: dict[str, Any] | None = None


@dataclass(frozen=True)
class Expectation:
    """One bound on one path."""

    path: str
    steps: tuple[Step, ...]
    """Of `endpoints.'GET /users'.p95` those behind the name."""
    least: float | None = None
    most: float | None = None
    one_of: tuple[Any, ...] | None = None
    endpoint: str | None = None
    """The endpoint that it is about, by its name with the host or without."""
    relative: float | None = None
    """By what part it may be more than it was in the baseline; None for a bound that is a value."""

    @classmethod
    def parse(cls, path: str, bound: Any) -> Expectation:
        """path: as jq has it, the leading dot may be missing; bound: a value, or `{min, max, equals, one_of}`."""
        steps = steps_of(path)
        endpoint = None
        if steps[0] == "endpoints" and len(steps) > 1 and isinstance(steps[1], str):
            endpoint, steps = steps[1], (("duration",) if steps[2:] and steps[2] in _TIMES else ()) + steps[2:]
            kinds = kinds_of(path, ("endpoints", None, *steps))
        else:
            kinds = kinds_of(path, steps)
        shown = path.removeprefix(".")
        if not isinstance(bound, dict):
            return cls(shown, steps, one_of=(_value(path, bound, kinds),), endpoint=endpoint)
        if not bound or not bound.keys() <= set(_BOUNDS):
            raise UsageError(f"{path}: write a value, or a table of {', '.join(_BOUNDS)}; not {', '.join(bound) or 'an empty one'}")
        relative = _RELATIVE.fullmatch(str(bound.get("max", "")))
        if relative is not None:
            if len(bound) > 1 or steps[0] == "records":
                raise UsageError(f"{path}: a bound relative to the baseline stands alone, and is for a single value")
            return cls(shown, steps, endpoint=endpoint, relative=int(relative[1] or 0) / 100)
        least, most = (_number(path, bound[name], kinds) if name in bound else None for name in ("min", "max"))
        one_of = None
        if "equals" in bound and "one_of" in bound:
            raise UsageError(f"{path}: equals and one_of exclude each other")
        if "equals" in bound:
            one_of = (_value(path, bound["equals"], kinds),)
        elif "one_of" in bound:
            if not isinstance(bound["one_of"], list):
                raise UsageError(f"{path}: one_of takes a list")
            one_of = tuple(_value(path, value, kinds) for value in bound["one_of"])
        return cls(shown, steps, least, most, one_of, endpoint)

    @property
    def into_records(self) -> bool:
        """Whether it is about every record, not about the summary."""
        return self.endpoint is None and self.steps[0] == "records"

    @property
    def _by_position(self) -> bool:
        return any(isinstance(step, int) for step in self.steps)

    @property
    def bound(self) -> str:
        """The bound in words."""
        parts = [
            f"at least {_shown(self.least)}" if self.least is not None else "",
            f"at most {_shown(self.most)}" if self.most is not None else "",
        ]
        if self.one_of is not None:
            parts.append(" or ".join(_shown(value) for value in self.one_of))
        return ", ".join(filter(None, parts))

    def violations(self, report: dict[str, Any]) -> list[Violation]:
        """In the summary's values; for a path into `records[]`, in one record's. A relative bound has none here."""
        if self.relative is not None:
            return []
        if self.endpoint is not None:
            found = self._endpoints(report)
            if not found:
                return [
                    Violation(
                        self.path,
                        None,
                        f"{self.bound}: there is no such endpoint{did_you_mean(self.endpoint, map(_without_host, (one['name'] for one in report['endpoints'])))}",
                    )
                ]
            values = [value for one in found for value in _reached(one, self.steps)]
            return [Violation(self.path, value, self.bound) for value in values if not self._holds(value)]
        start = 2 if self.into_records else 0
        values = _reached(report, self.steps[start:], of_record=self.into_records)
        return [
            Violation(self.path, value, self.bound, report if self.into_records else None) for value in values if not self._holds(value)
        ]

    def _endpoints(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Those of the summary that it is about."""
        return [one for one in report["endpoints"] if self.endpoint in (one["name"], _without_host(one["name"]))]

    def measured(self, report: dict[str, Any]) -> float | None:
        """The greatest of its numbers in the summary's values; None where there is none."""
        values = [value for one in ([report] if self.endpoint is None else self._endpoints(report)) for value in _reached(one, self.steps)]
        return max((value for value in values if isinstance(value, int | float)), default=None)

    def over(self, value: float, before: float) -> str | None:
        """What to say of a value that is more than the baseline's by more than it may be."""
        assert self.relative is not None
        most = before * (1 + self.relative)
        return (
            f"{self.path} is {value:.6g}, expected at most {most:.6g}: {before:.6g} in the baseline, and {self.relative:.0%}"
            if value > most
            else None
        )

    def _holds(self, value: Any) -> bool:
        if self.one_of is not None and not any(_same(value, wanted) for wanted in self.one_of):
            return False
        if self.least is None and self.most is None:
            return True
        if not isinstance(value, int | float) or isinstance(value, bool):
            return (
                value is None and not self._by_position
            )  # null is no number: nothing to bound; a position that is not there is nothing at all
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def _without_host(name: str) -> str:
    """`GET shop/users/{id}` as `GET /users/{id}`."""
    method, _, rest = name.partition(" ")
    return f"{method} {rest[rest.find('/') :]}" if "/" in rest else name


def _same(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _shown(value: Any) -> str:
    return (
        repr(value)
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else repr(value)
        if isinstance(value, str)
        else str(value)
    )


def _number(path: str, value: Any, kinds: list[Kind]) -> float:
    found = _value(path, value, kinds)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UsageError(f"{path}: {value!r} is not a number")
    return found


def _value(path: str, value: Any, kinds: list[Kind]) -> Any:
    """A bound's value for a field: `8MiB` where the field holds an integer, `500ms` where it holds seconds."""
    types = {str(name) for kind in kinds for name in ([kind["type"]] if isinstance(kind.get("type"), str) else [])}
    if isinstance(value, str) and "string" not in types:
        try:
            return size(value) if "integer" in types else duration(value) / 1e9
        except ValueError as e:
            raise UsageError(f"{path}: {e}") from None
    if isinstance(value, int) and abs(value) > _BIGGEST:
        raise UsageError(f"{path}: the bound is larger than any value of a report")
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int),
        "number": isinstance(value, int | float),
    }
    if not any(fits.get(name, False) for name in types) or (isinstance(value, bool) and "boolean" not in types):
        raise UsageError(f"{path}: {value!r} is not of the field's type, {' or '.join(sorted(types))}")
    return value


def _reached(value: Any, steps: tuple[Step, ...], *, of_record: bool = False) -> list[Any]:
    """The values that a path leads to. of_record: value is a record, of a type that may not have the field."""
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if not isinstance(value, dict):
            return []
        if step not in value:
            return [] if of_record else [0]  # a map's missing key counts nothing
        return _reached(value[step], rest)
    if not isinstance(value, list):
        return []
    if step is not None and step >= len(value):
        return [None]
    chosen = value if step is None else [value[step]]
    return [found for one in chosen for found in _reached(one, rest)]
