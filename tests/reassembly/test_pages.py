"""Pages of rings: what is given back is not resident any more, and no two who have pages have the same one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.reassembly.pages import PAGE, WARM, Page, Pages


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_pages_that_are_given_back_go_to_the_system_though_others_between_them_stay() -> None:
    pages = Pages()
    taken = [pages.take() for _ in range(8192)]
    for page in taken:
        page.put(0, b"x" * PAGE)
    full = resident()
    for page in taken[::2]:
        pages.give(page)
    assert pages.taken == 4096
    assert full - resident() > (4096 - WARM - 64) * PAGE


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=600))
def test_what_is_written_to_a_page_stays_until_it_is_given_back(steps: list[int | None]) -> None:
    pages = Pages()
    held: list[tuple[Page, bytes]] = []
    for number, step in enumerate(steps):
        if step is None or not held:
            page, said = pages.take(), number.to_bytes(4, "big") * (PAGE // 4)
            page.put(0, said)
            held.append((page, said))
        else:
            pages.give(held.pop(step % len(held))[0])
        assert pages.taken == len(held)
    assert all(page.get(0, PAGE) == said for page, said in held)
