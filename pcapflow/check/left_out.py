"""A baseline without what a project leaves out by now.

Contract: `without` gives the content that the same capture would have under today's rules, so that a rule that is new hides nothing from one side alone. What today's rules compare
beside, and the baseline does not have, cannot be given: that differs until the baseline is updated. Invariant: with the rules that the content was made under it is the same.
"""

from __future__ import annotations

import msgspec

from pcapflow.check.content import Content, Counted, Message, Outcome, in_order
from pcapflow.check.ignoring import Rules


def without(content: Content, rules: Rules) -> Content:
    """The content, and nothing in it that the rules leave out."""
    endpoints: dict[str, list[Counted]] = {}
    for endpoint, outcomes in content.endpoints.items():
        if rules.hides_endpoint(endpoint):
            continue
        found: dict[Outcome, Counted] = {}
        for one in outcomes:
            _merge(found, _outcome(endpoint, one.outcome, rules), one, sized=endpoint not in rules.bodies)
        endpoints[endpoint] = in_order(endpoint, found, rules)
    return msgspec.structs.replace(content, endpoints=endpoints)


def _merge(found: dict[Outcome, Counted], outcome: Outcome, one: Counted, *, sized: bool) -> None:
    known = found.setdefault(outcome, Counted(0, outcome))
    known.count += one.count
    if sized:
        known.request_bytes = _span(known.request_bytes, one.request_bytes)
        known.response_bytes = _span(known.response_bytes, one.response_bytes)


def _span(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _outcome(endpoint: str, outcome: Outcome, rules: Rules) -> Outcome:
    request, response = (_message(endpoint, message, rules) for message in (outcome.request, outcome.response))
    return msgspec.structs.replace(outcome, request=request, response=response)


def _message(endpoint: str, message: Message | None, rules: Rules) -> Message | None:
    if message is None:
        return None
    headers = set()
    for field in message.headers:
        name = field.partition(": ")[0]
        if not rules.hides_header(endpoint, name):
            headers.add(field if name in rules.header_values else name)
    names = tuple(sorted(headers))
    if rules.hides_body(endpoint):
        return Message(message.version, names)
    shape = tuple(rules.shape(list(message.shape))) if message.shape is not None else None
    values = tuple(value for value in message.values if not rules.hides_path(value.partition(": ")[0].removeprefix(".")))
    return msgspec.structs.replace(message, headers=names, shape=shape, values=values)
