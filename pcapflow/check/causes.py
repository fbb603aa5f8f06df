"""Why two captures do not say the same: causes, ranked, in words.

Contract: `causes_of` compares the content of a baseline with that of a capture. Outcomes that are equal cancel; of the rest each is paired with the nearest one of the same endpoint, and
what differs in a pair is one cause. What follows from a cause is not told again: a body that lost bytes has another shape and size. Invariant: causes come by rank, then by
endpoint; the same two contents give the same causes. Work is bounded by PAIRS pairs an endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from pcapflow.check.content import Content, Counted, Message, Outcome, Place, Seen, sorting

KINDS = ("lost", "drops", "exchanges", "status", "cut", "json", "type", "shape", "values", "headers", "sizes", "counts", "budget")
"""What a cause is about, most telling first."""
PAIRS = 10_000
"""Of one endpoint that are looked at for the nearest; beyond, outcomes are paired in their order."""
_SLACK = 256
"""Bytes by which a body's size may always differ: counters and times in it grow."""
_SHOWN = 8
"""Paths or fields that one cause names."""


class Cause(NamedTuple):
    """One line of a failure."""

    kind: str
    endpoint: str
    text: str
    place: Place | None = None
    followed: int = 0
    """Differences that follow from it."""
    kinds: tuple[str, ...] = ()
    """Of all that it tells, where that is more than one."""


class _Pair(NamedTuple):
    old: Counted
    new: Counted
    n: int


def causes_of(old: Content, new: Content, seen: Seen, size_tolerance: float, *, everything: bool = False) -> list[Cause]:
    """What differs between a baseline and a capture. size_tolerance: see `Rules`; everything: what follows from a cause is told too."""
    lost = not everything and (old.gaps != new.gaps or old.missing_bytes != new.missing_bytes)
    first = [*_lost(old, new, seen), *_drops(old, new, seen)]
    found: list[Cause] = []
    for endpoint in sorted(old.endpoints.keys() | new.endpoints.keys()):
        before, now = (sorted(one.endpoints.get(endpoint, []), key=sorting) for one in (old, new))
        if not before or not now:
            n = sum(one.count for one in before or now)
            word = "is gone" if before else "is new"
            place = seen.places.get((endpoint, now[0].outcome)) if now else None
            found.append(Cause("exchanges", endpoint, f"{endpoint} {word} ({_exchanges(n)})", place))
            continue
        found += _endpoint(endpoint, before, now, seen, lost=lost, everything=everything)
        found += _sizes(endpoint, before, now, seen, size_tolerance)
    if new.gaps > old.gaps and not everything:
        left = [cause for cause in found if not _follows_from_loss(cause, seen)]
        first[0] = first[0]._replace(followed=len(found) - len(left))
        found = left
    return sorted(
        [*first, *found, *_counts(old, new, size_tolerance, lost=lost)],
        key=lambda cause: (KINDS.index(cause.kind), cause.endpoint, cause.text),
    )


def _follows_from_loss(cause: Cause, seen: Seen) -> bool:
    """Whether a connection lost bytes, and this may be for that: an answer that came is none."""
    return cause.kind != "status" and cause.place is not None and cause.place.connection in seen.holed


def _exchanges(n: int) -> str:
    return f"{n:,} exchange{'s' if n != 1 else ''}"


# --- what was lost


def _lost(old: Content, new: Content, seen: Seen) -> Iterator[Cause]:
    if (old.gaps, old.missing_bytes) == (new.gaps, new.missing_bytes):
        return
    if new.gaps <= old.gaps:
        yield Cause("lost", "", f"{new.gaps:,} gaps of {new.missing_bytes:,} bytes, were {old.gaps:,} of {old.missing_bytes:,}")
        return
    for gap in seen.gaps:
        endpoint = seen.broken.get((gap.connection, gap.stream))
        of = f": a body of {endpoint} is incomplete" if endpoint is not None else ""
        text = f"{gap.bytes:,} bytes are missing from byte {gap.stream_offset:,} of the {gap.stream}'s stream ({gap.cause}){of}"
        yield Cause("lost", endpoint or "", text, Place(gap.connection, gap.packet))


def _drops(old: Content, new: Content, seen: Seen) -> Iterator[Cause]:
    for reason in sorted(old.drops.keys() | new.drops.keys()):
        before, now = old.drops.get(reason, 0), new.drops.get(reason, 0)
        if before != now:
            first = next((drop for drop in seen.drops if drop.reason == reason), None)
            place = Place(first.connection, first.packet) if first is not None and now > before else None
            yield Cause("drops", "", f"{now:,} drops for {reason}, were {before:,}", place)


def _counts(old: Content, new: Content, tolerance: float, *, lost: bool) -> Iterator[Cause]:
    gone, come = sorted(set(old.spoken) - set(new.spoken)), sorted(set(new.spoken) - set(old.spoken))
    for words, names in (("protocol gone", gone), ("new protocol", come)):
        for name in names:
            yield Cause("counts", "", f"{words}: {name}")
    if lost:
        return
    for reason in sorted(old.unread.keys() | new.unread.keys()):
        before, now = old.unread.get(reason, 0), new.unread.get(reason, 0)
        if (before > 0) == (now > 0) and _near(before, now, tolerance):
            continue
        yield Cause("counts", "", f"{now:,} bytes are unread ({reason}), were {before:,}")


# --- outcomes


def _endpoint(endpoint: str, before: list[Counted], now: list[Counted], seen: Seen, *, lost: bool, everything: bool) -> Iterator[Cause]:
    """Outcomes of one endpoint: equal ones cancel, the nearest are paired."""
    left_old, left_new = _rest(before, now), _rest(now, before)
    pairs = list(_paired(left_old, left_new))
    for pair in pairs:
        cause = _changed(endpoint, pair, seen, lost=lost, everything=everything)
        if cause is not None:
            yield cause
    for word, rest in (("gone", left_old), ("new", left_new)):
        for one in rest:
            if one.count:
                place = seen.places.get((endpoint, one.outcome)) if word == "new" else None
                yield Cause(
                    "exchanges",
                    endpoint,
                    f"{endpoint}: {_exchanges(one.count)} with {_status(one.outcome)} {'are' if one.count > 1 else 'is'} {word}",
                    place,
                )


def _status(outcome: Outcome) -> str:
    return f"status {outcome.status}" if outcome.status else "no answer"


def _rest(some: list[Counted], others: list[Counted]) -> list[Counted]:
    """What equal outcomes leave of some."""
    counts = {one.outcome: one.count for one in others}
    found = [Counted(one.count - counts.get(one.outcome, 0), one.outcome, one.request_bytes, one.response_bytes) for one in some]
    return [one for one in found if one.count > 0]


def _paired(old: list[Counted], new: list[Counted]) -> Iterator[_Pair]:
    """The nearest first; counts of those that are paired go down."""
    if len(old) * len(new) <= PAIRS:
        order = sorted((_distance(a.outcome, b.outcome), i, j) for i, a in enumerate(old) for j, b in enumerate(new))
    else:
        order = [(0, i, i) for i in range(min(len(old), len(new)))]
    for _, i, j in order:
        n = min(old[i].count, new[j].count)
        if n > 0:
            old[i].count -= n
            new[j].count -= n
            yield _Pair(old[i], new[j], n)


def _distance(a: Outcome, b: Outcome) -> int:
    d = 16 * (a.status != b.status) + 16 * (a.status // 100 != b.status // 100) + len(set(a.anomalies) ^ set(b.anomalies))
    for one, other in ((a.request, b.request), (a.response, b.response)):
        if one is None or other is None:
            d += 64 * (one is not other)
            continue
        d += (
            8 * (one.type != other.type)
            + 4 * (one.body != other.body)
            + 4 * (one.coding != other.coding)
            + 2 * (one.version != other.version)
        )
        d += min(16, len(set(one.headers) ^ set(other.headers)))
        d += 4 * (one.json != other.json) + min(16, len(set(one.shape or ()) ^ set(other.shape or ())))
    return d


def _changed(endpoint: str, pair: _Pair, seen: Seen, *, lost: bool, everything: bool) -> Cause | None:
    """What differs in a pair: the first that tells most, and how much beside it."""
    old, new = pair.old.outcome, pair.new.outcome
    found: list[tuple[str, str]] = []
    if old.status != new.status:
        found.append(("status" if new.status else "exchanges", f"{_status(new)}, was {_status(old)}"))
    for side, a, b in (("request", old.request, new.request), ("response", old.response, new.response)):
        if a is not None and b is not None:
            found += _message(side, a, b, lost=lost)
    more, less = sorted(set(new.anomalies) - set(old.anomalies)), sorted(set(old.anomalies) - set(new.anomalies))
    if (more or less) and not lost:
        found.append(("json", "; ".join([f"anomaly {name}" for name in more] + [f"no anomaly {name}" for name in less])))
    if not found:
        return None
    found.sort(key=lambda one: KINDS.index(one[0]))
    kind, text = found[0]
    # what comes with another status is another answer: the rest follows from it
    beside = [one for one in found[1:] if everything or KINDS.index(kind) > KINDS.index("json") or one[0] == kind]
    words = "; ".join([text, *(one[1] for one in beside)])
    times = f" ({pair.n:,} times)" if pair.n > 1 else ""
    kinds = tuple(dict.fromkeys((kind, *(one[0] for one in beside))))
    return Cause(kind, endpoint, f"{endpoint}: {words}{times}", seen.places.get((endpoint, new)), len(found) - 1 - len(beside), kinds)


def _message(side: str, a: Message, b: Message, *, lost: bool) -> Iterator[tuple[str, str]]:
    if a.version != b.version:
        yield "status", f"the {side} is HTTP/{b.version}, was HTTP/{a.version}"
    if a.body != b.body:
        if not lost:
            yield "cut", f"the {side}'s body is {b.body}, was {a.body}"
        return
    if a.type != b.type:
        yield "type", f"the {side}'s media type is {b.type or 'none'}, was {a.type or 'none'}"
    if a.coding != b.coding:
        yield "type", f"the {side}'s content coding is {b.coding or 'none'}, was {a.coding or 'none'}"
    if a.json != b.json and not (a.type != b.type and None in (a.json, b.json)):
        if not lost:
            yield "json", f"the {side}'s JSON is {b.json or 'complete'}, was {a.json or 'complete'}"
    elif a.shape != b.shape and a.type == b.type:
        yield "shape", _shape(side, a.shape or (), b.shape or ())
    if a.values != b.values and a.shape == b.shape:
        old, new = (", ".join(sorted(set(one) - set(other))) for one, other in ((a.values, b.values), (b.values, a.values)))
        yield "values", f"the {side} has {new or 'other values'}, had {old or 'others'}"
    if a.headers != b.headers:
        yield from (("headers", text) for text in _headers(side, set(a.headers), set(b.headers)))


def _headers(side: str, old: set[str], new: set[str]) -> Iterator[str]:
    changed = [f"{side} header {name} is new" for name in sorted(new - old)] + [
        f"{side} header {name} is gone" for name in sorted(old - new)
    ]
    yield from changed[:_SHOWN]
    if len(changed) > _SHOWN:
        yield f"and {len(changed) - _SHOWN:,} more {side} headers"


def _shape(side: str, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """Paths that are gone, new, or of other types."""
    before, now = _paths(old), _paths(new)
    gone, come = before.keys() - now.keys(), now.keys() - before.keys()
    others = {path for path in before.keys() & now.keys() if before[path][1] != now[path][1]}
    words = [f"`{path}` is gone" for path in sorted(gone) if not _inside(path, gone | others)]
    words += [f"`{path}` is new ({now[path][1]})" for path in sorted(come) if not _inside(path, come | others)]
    for path in sorted(before.keys() & now.keys()):
        (optional_then, types_then), (optional, types) = before[path], now[path]
        if types != types_then:
            words.append(f"`{path}` is {types}, was {types_then}")
        elif optional != optional_then:
            words.append(f"`{path}` is {'not always' if optional else 'always'} there")
    more = f" and {len(words) - _SHOWN:,} more" if len(words) > _SHOWN else ""
    return ("in the request, " if side == "request" else "") + ", ".join(words[:_SHOWN]) + more


def _paths(lines: tuple[str, ...]) -> dict[str, tuple[bool, str]]:
    """Of a shape: whether a path is optional, and its types. Containers, which have no line where nothing is to be said of them, too."""
    found = dict(map(_line, lines))
    for path in list(found):
        for at in _containers(path):
            found.setdefault(path[:at] or ".", (False, "array" if path.startswith("[]", at) else "object"))
    return found


def _containers(path: str) -> list[int]:
    """Where the paths end of what is around a path."""
    found, quoted = [0] if path != "." else [], False
    for at, c in enumerate(path):
        if c == '"' and path[at - 1 : at] != "\\":
            quoted = not quoted
        elif c in ".[" and not quoted and at:
            found.append(at)
    return found


def _inside(path: str, others: AbstractSet[str]) -> bool:
    """Whether something around a path is one of the others."""
    return any((path[:at] or ".") in others for at in _containers(path))


def _line(line: str) -> tuple[str, tuple[bool, str]]:
    path, _, types = line.rpartition(": ")
    return path.removesuffix("?"), (path.endswith("?"), types)


# --- sizes of what is equal else


def _sizes(endpoint: str, before: list[Counted], now: list[Counted], seen: Seen, tolerance: float) -> Iterator[Cause]:
    known = {one.outcome: one for one in before}
    for one in now:
        other = known.get(one.outcome)
        if other is None:
            continue
        for side in ("request", "response"):
            a, b = getattr(other, f"{side}_bytes"), getattr(one, f"{side}_bytes")
            if a is not None and b is not None and not (_near(a[0], b[0], tolerance) and _near(a[1], b[1], tolerance)):
                text = f"{endpoint}: {side} bodies of {_range(b)} bytes, were {_range(a)} (size-tolerance {tolerance:.0%})"
                yield Cause("sizes", endpoint, text, seen.places.get((endpoint, one.outcome)))


def _near(old: int, new: int, tolerance: float) -> bool:
    return abs(new - old) <= max(_SLACK, int(old * tolerance))


def _range(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]:,}" if sizes[0] == sizes[1] else f"{sizes[0]:,} to {sizes[1]:,}"
