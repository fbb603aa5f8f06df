"""What a reader of a body takes before anything is found in it is reserved, whatever is looked for."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader

LOOKING = {
    "nothing more": {},
    "hashes": {"hashes": True},
    "duplicate keys": {"duplicate_keys": True},
    "shapes": {"shapes": True},
    "values": {"values": ("[].a", "b.c")},
    "all": {"hashes": True, "duplicate_keys": True, "shapes": True, "values": ("[].a", "b.c", "d")},
}


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("form", ["sse", ""])
def test_many_readers_take_no_more_than_they_reserve(name: str, form: str) -> None:
    looking = Looking(**LOOKING[name])  # type: ignore[arg-type]
    ledger = Ledger(Limits().with_memory(1 << 30))
    for _ in range(3):  # what is made once
        BodyReader((), form, Limits(), ledger, looking)
    gc.collect()
    before = ledger.used
    tracemalloc.start()
    try:
        readers = [BodyReader((), form, Limits(), ledger, looking) for _ in range(500)]
        for reader in readers:
            reader.feed(b"data: {\n")
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    reserved = ledger.used - before
    # OpenSSL's part of a hash is none of Python's: 250 bytes (measured by the resident memory of 200,000)
    assert taken + (500 * 250 if looking.hashes else 0) <= reserved, (taken / 500, reserved / 500)
