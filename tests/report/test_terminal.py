"""The summary for a terminal: what it says, at either width, with and without colour, and that a capture cannot write to the terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.report.terminal import render
from pcapflow.report.terminal_tables import shortened
from pcapflow.summary import Summary
from tests.conftest import Run
from tests.craft import Talk, merge, request, response

SAMPLES = Path(__file__).parents[2] / "samples"
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def summary(name: str, **limits: int) -> Summary:
    return pipeline.run([str(SAMPLES / name)], Limits(**limits)).summary


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.pcap")))
def test_no_line_is_wider_than_the_terminal_and_colour_changes_nothing_else(name: str, width: int) -> None:
    plain = render(summary(name), width=width, color=False)
    assert max(map(len, plain.splitlines())) <= width
    assert "\x1b" not in plain
    coloured = render(summary(name), width=width, color=True)
    assert "\x1b[" in coloured
    without = [line.rstrip() for line in _ESCAPE.sub("", coloured).splitlines()]
    volatile = re.compile(r"^  process .*")
    assert [volatile.sub("", line) for line in without] == [volatile.sub("", line) for line in plain.splitlines()]


def test_colours_are_the_terminal_s_own_so_that_light_and_dark_both_read() -> None:
    codes = {code for found in _ESCAPE.findall(render(summary("lossy.pcap"), width=80, color=True)) for code in found.split(";") if code}
    assert codes <= {"0", "1", "2", "22", "30", "31", "32", "33", "34", "35", "36", "37", "39"}


def test_it_says_what_was_held_recovered_lost_and_reached() -> None:
    s = summary("lossy.pcap")
    text = render(s, width=120, color=False)
    for part in ("Recovered", "Lost", "Streams with the most missing bytes", "Memory high-water marks", "Advice"):
        assert f"\n{part}\n" in text
    worst = s.worst_streams[0]
    assert f"connection {worst.connection}" in text
    assert "204.0 kB  missing, 10.77.0.1:8080 to 10.77.0.2:51560" in text
    assert f"of {s.memory.limit_bytes >> 20}.0 MiB" in text
    assert "\nLost\n  nothing\n" in render(summary("keepalive.pcap"), width=80, color=False)


def test_a_bar_is_full_where_its_limit_was_reached() -> None:
    s = summary("lossy.pcap", rings_total=64 << 10)
    assert s.memory.components["rings"].peak_bytes > 0.75 * (64 << 10)
    rings = next(line for line in render(s, width=80, color=False).splitlines() if line.startswith("  rings"))
    assert rings.count("\N{BLACK SQUARE}") >= 16


def test_what_a_capture_says_cannot_write_to_the_terminal() -> None:
    s = summary("statuses.pcap")
    s.http.by_method = {"GET\x1b]0;owned\x07\x1b[2J\u202e": 3}
    s.captures[0].path = "a\x1b[31m[bold]b[/bold]\r\n.pcap"
    text = render(s, width=80, color=True)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert "[bold]b[/bold]" in text


def on_a_terminal(env: dict[str, str]) -> bytes:
    """What the command writes to a terminal of its own."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pcapflow", "analyze", str(SAMPLES / "lossy.pcap")],
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **env},
    )
    os.close(child)
    found = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:  # the terminal is gone with its last writer
            break
        if not data:
            break
        found += data
    os.close(parent)
    assert process.wait(60) == 0
    return found


def test_a_terminal_gets_colour_unless_no_color_says_otherwise() -> None:
    assert b"\x1b[3" in on_a_terminal({"NO_COLOR": ""})
    assert b"\x1b[3" not in on_a_terminal({"NO_COLOR": "1"})


def test_a_selection_that_leaves_everything_out_says_so() -> None:
    s = pipeline.run([str(SAMPLES / "lossy.pcap")], options=pipeline.Options(filter="port 4")).summary
    assert "of which 500 excluded by --filter, --from, --to" in render(s, width=80, color=False)


def test_a_long_reason_is_there_whole() -> None:
    s = summary("lossy.pcap")
    from pcapflow.summary import DropCount

    s.drops.by_reason = {"http_header_line_too_long": DropCount(1, 5)}
    assert "http_header_line_too_long" in render(s, width=80, color=False)
    assert max(map(len, render(s, width=80, color=False).splitlines())) <= 80


def test_a_long_endpoint_has_a_line_of_its_own_with_both_its_ends(run: Run) -> None:
    long = "/v2/organizations/acme/projects/{}/environments/staging/deployments/latest/status"
    talks = []
    for i, target in enumerate(("/short", long.format("one"), long.format("one" * 20))):
        t = Talk(sport=5000 + i).open().send(0, request(target)).send(1, response(b"{}", status="500 Oops")).acknowledge(0)
        talks.append(t.send(0, request(target)).close())
    text = render(run(merge(*talks)).summary, width=80, color=False)
    lines = text[text.index("Slowest endpoints") : text.index("\nRecovered")].splitlines()
    assert max(map(len, lines)) <= 80
    with_numbers = [line for line in lines if line.endswith("%")]
    assert len(with_numbers) == 3
    assert len({re.search(r"\b2 ", line).start() for line in with_numbers}) == 1  # type: ignore[union-attr]
    assert [line for line in with_numbers if line.startswith("  GET example/short ")]
    assert [line for line in lines if line.startswith("  GET example/v2/organizations/") and line.endswith("/latest/status")]
    assert any("..." in line for line in lines)
    assert sum("1 without response" in line for line in lines) == 3
    assert not [line for line in with_numbers if "packet" in line]  # a packet number beside counts reads as one of them


@pytest.mark.parametrize("width", [20, 30, 50, 80, 200])
def test_a_text_that_is_shortened_is_no_wider_than_asked_and_keeps_its_ends(width: int) -> None:
    text = "GET host/" + "\N{HIRAGANA LETTER A}" * 30 + "/end"
    found = shortened(text, width)
    assert cell_len(found) <= width
    assert found == text if cell_len(text) <= width else found.startswith("GET host") and found.endswith("/end") and "..." in found
