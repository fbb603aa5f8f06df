"""What shards count comes to what one counts: every field is added, in any order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pcapflow.counting import add_json, add_payloads
from pcapflow.findings import adding
from pcapflow.findings.network import NetworkCounts
from pcapflow.reassembly.sizing import Needs
from pcapflow.reassembly.skews import Skews
from pcapflow.summary import Drops, HttpSummary, JsonSummary, PayloadSummary, Tcp

THE_WHOLE_RUNS = {"segments", "syn", "fin", "rst", "clock_skew", "backend", "by_method", "by_status", "codings_missing"}
"""Of the first shard alone, or made at the end."""


def filled(kind: type[Any], n: int) -> Any:
    """A value with n in every counter."""
    made = kind()
    for field in msgspec.structs.fields(kind):
        value = getattr(made, field.name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int):
            setattr(made, field.name, n)
        elif isinstance(value, msgspec.Struct):
            setattr(made, field.name, filled(type(value), n))
    return made


def _add_payload(total: PayloadSummary, other: PayloadSummary) -> None:
    add_payloads({"yaml": total}, {"yaml": other})


@pytest.mark.parametrize(
    ("kind", "add"),
    [
        (Tcp, adding.add_tcp),
        (HttpSummary, adding.add_http),
        (JsonSummary, add_json),
        (PayloadSummary, _add_payload),
        (Drops, adding.add_drops),
    ],
)
def test_no_counter_is_left_out(kind: type[Any], add: Any) -> None:
    total, other = filled(kind, 3), filled(kind, 4)
    add(total, other)

    def look(value: Any, path: str) -> None:
        for field in msgspec.structs.fields(type(value)):
            inner = getattr(value, field.name)
            if isinstance(inner, msgspec.Struct):
                look(inner, f"{path}.{field.name}")
            elif isinstance(inner, int) and not isinstance(inner, bool):
                assert inner == (3 if field.name in THE_WHOLE_RUNS else 7), f"{path}.{field.name}"

    look(total, kind.__name__)
    assert filled(Tcp, 1).payload_bytes.balanced


def test_no_counter_of_the_network_or_of_needs_is_left_out() -> None:
    for kind, add in ((NetworkCounts, "merge"), (Needs, "add")):
        one, other = kind(), kind()
        names = [n for n in (getattr(kind, "__slots__", None) or vars(one)) if type(getattr(one, n)) is int and n != "now"]
        for name in names:
            setattr(one, name, 3)
            setattr(other, name, 4)
        getattr(one, add)(other)
        assert {getattr(one, name) for name in names} <= {7, 4}, kind
        assert len(names) >= 8


def test_a_difference_of_clocks_is_the_same_whichever_shards_saw_it() -> None:
    delays = [5_000_000, 5_100_000, 5_200_000, 9_000_000_000]
    whole = Skews()
    for delay in delays:
        whole.add(delay)
    for cut in range(5):
        one, other = Skews(), Skews()
        for i, delay in enumerate(delays):
            (one if i < cut else other).add(delay)
        other.merge(one)
        assert other.seconds() == whole.seconds() == 0.0052
