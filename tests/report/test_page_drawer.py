"""The drawer of the page: what it says of an exchange, a connection, a gap, and how one leads to the others."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from pcapflow.header_options import Headers
from pcapflow.options import Options
from tests.craft import ACK, PSH, Talk, request, response
from tests.launcher import launch_text
from tests.report.busy import busy

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "what it's.pcap"
    found.write_bytes(busy())
    return found


def test_a_row_shows_the_instants_of_its_exchange_as_a_waterfall(opened: Any, path: Path) -> None:
    one = opened(path)
    drawer = one.open_row("exchanges", "/api/slow")
    (exchange,) = [r for r in one.of("http") if r["request"]["target"] == "/api/slow"]
    assert one.page.locator("#drawer .lane > span:first-child").all_text_contents() == ["request sent", "wait", "response received"]
    assert one.page.locator("#drawer .lane .number").all_text_contents() == ["0 s", "700 ms", "0 s"]
    bars = one.page.locator("#drawer .lane rect:nth-child(2)").evaluate_all("all => all.map((one) => one.getAttribute('width'))")
    assert [float(width.rstrip("%")) for width in bars] == [0.6, 100, 0.6]
    assert f"packet {exchange['request']['packet']}" in drawer
    assert "22:13:22.000040" in drawer
    assert "+700 ms" in drawer
    assert one.page.locator("#drawer h2").text_content() == "GET /api/slow"


def test_headers_are_shown_where_they_are_recorded(opened: Any, path: Path) -> None:
    without = opened(path).open_row("exchanges", "/api/fast")
    assert "Headers are not recorded: run analyze with --headers all." in without
    drawer = opened(path, options=Options(headers=Headers("all"))).open_row("exchanges", "/api/fast")
    assert "Server\ncraft" in drawer
    assert "not recorded" not in drawer


def test_loss_within_an_exchange_is_told_and_leads_to_its_evidence_and_back(opened: Any, path: Path) -> None:
    one = opened(path)
    (gap,) = one.of("gap")
    drawer = one.open_row("exchanges", "/api/holed")
    assert "2,000 bytes of the response's body are missing." in drawer
    one.page.click("#drawer button:text-is('gap of 2,000 bytes')")
    evidence = one.drawer()
    assert "Gap of 2,000 bytes" in evidence
    assert f"frame.number == {gap['packet']}" in evidence
    assert f"{gap['sequence']} to {gap['last_sequence']}" in evidence
    assert "The receiver acknowledged the bytes" in evidence
    one.page.click("#drawer button:text-is('GET /api/holed')")
    assert one.page.locator("#drawer h2").text_content() == "GET /api/holed"
    one.page.click("#drawer-back")
    one.page.click(f"#drawer button:text-is('#{gap['connection']}')")
    connection = one.drawer()
    assert f"Connection {gap['connection']}" in connection
    assert "GET /api/holed" in connection
    assert "gap of 2,000 bytes" in connection
    one.page.click("#drawer-close")
    assert "No gap and no drop in its time and direction." in one.open_row("exchanges", "/api/fast")


def test_what_the_network_lost_is_told_where_an_exchange_waited_for_it(opened: Any, tmp_path: Path) -> None:
    answer = response(b"[" + b"1," * 2000 + b"1]")
    talk = Talk().open().send(0, request("/slow")).send(1, answer[:1000])
    hole = talk.seq[1]
    talk.send(1, answer[1000:2000], keep=False).send(1, answer[2000:]).idle(300_000)
    talk.packet(1, PSH | ACK, answer[1000:2000], seq=hole)
    path = tmp_path / "slow.pcap"
    path.write_bytes(talk.acknowledge(0).close().bytes())
    one = opened(path)
    (exchange,) = one.of("http")
    assert exchange["stalled"] > 0.3
    drawer = one.open_row("exchanges", "/slow")
    assert "waited 300 ms for network loss" in drawer
    assert (
        "The network lost segments: bytes waited 300 ms for them. See connection #1, which has 1 hole by network loss and 1 segment sent again."
        in drawer
    )
    assert one.column("connections", "stalled") == ["300 ms"]


def test_what_is_lost_behind_an_answer_is_no_part_of_it(opened: Any) -> None:
    one = opened(SAMPLES / "lossy.pcap")
    (whole,) = [r for r in one.of("http") if r["response"] and r["response"]["body"]["status"] == "complete"]
    (gap,) = [r for r in one.of("gap") if r["connection"] == whole["connection"]]
    drawer = one.open_row("exchanges", "157.4 kB")
    assert "No gap and no drop in its time and direction." in drawer
    assert "1 other gap or drop on this connection." in drawer
    one.page.click("#drawer section:last-of-type li button")
    assert f"gap of {gap['bytes']:,} bytes" in one.drawer()


def test_the_commands_can_be_copied_and_do_what_they_say(opened: Any, path: Path, tmp_path: Path) -> None:
    one = opened(path)
    one.open_row("exchanges", "/api/login")
    commands = one.page.locator("#drawer code").all_text_contents()
    (exchange,) = [r for r in one.of("http") if r["request"]["target"] == "/api/login"]
    n = exchange["connection"]
    quoted = shlex.quote(str(path)).replace("'\"'\"'", "'\\''")
    assert commands == [
        f"pcapflow follow {quoted} --connection {n}",
        f"pcapflow bodies {quoted} --where connection={n},exchange=0",
        f"pcapflow slice {quoted} --connection {n} -o connection-{n}.pcap",
    ]
    for command in commands:
        _, *words = shlex.split(command)
        done = launch_text(*(str(tmp_path / word) if word.startswith("connection-") else word for word in words), "-q")
        assert done.returncode == 0, done.stderr
        assert "password" in done.stdout or words[0] == "slice"
    assert (tmp_path / f"connection-{n}.pcap").stat().st_size > 500
    one.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.page.locator("#drawer button.copy").nth(1).click()
    one.page.locator("#told", has_text="Copied").wait_for(state="attached")
    assert one.page.evaluate("navigator.clipboard.readText()") == commands[1]


def test_everything_can_be_done_with_the_keyboard(opened: Any, path: Path) -> None:
    one = opened(path)
    page = one.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the problems"
    seen = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.closest('section')?.id || ''")
        seen.add(where)
        if page.evaluate("document.activeElement.matches('#exchanges tbody button.open')"):
            break
    assert {"problems", "endpoints", "exchanges"} <= seen
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        assert page.locator("#drawer[open] h2").text_content() == "GET /api/slow"
        assert page.evaluate("document.getElementById('drawer').contains(document.activeElement)")
        page.keyboard.press("Escape")
        assert page.locator("#drawer[open]").count() == 0
        assert page.evaluate("document.activeElement.textContent") == "GET /api/slow"
    page.focus("#exchanges thead button:text-is('duration')")
    page.keyboard.press("Enter")
    assert page.get_attribute("#exchanges th[aria-sort]", "aria-sort") == "descending"


def test_the_focus_comes_back_after_links_within_the_drawer(opened: Any, path: Path) -> None:
    one = opened(path)
    one.page.focus("#losses tbody button.open")
    one.page.keyboard.press("Enter")
    one.page.locator("#drawer button.link").first.click()
    one.page.locator("#drawer button.link").first.click()
    assert one.page.evaluate("document.getElementById('drawer').contains(document.activeElement)")
    one.page.keyboard.press("Escape")
    assert one.page.evaluate("document.activeElement.matches('#losses tbody button.open')")


def test_a_click_beside_the_text_opens_the_row_and_one_beside_the_drawer_closes_it(opened: Any, path: Path) -> None:
    one = opened(path)
    one.page.locator("#exchanges tbody tr", has_text="/missing").locator("td").nth(2).click()
    assert one.page.locator("#drawer[open] h2").text_content() == "GET /missing"
    one.page.mouse.click(100, 400)
    assert one.page.locator("#drawer[open]").count() == 0


def test_several_captures_are_all_named_and_frames_are_those_of_their_file(opened: Any, path: Path) -> None:
    one = opened([path, SAMPLES / "lossy.pcap"])
    drawer = one.open_row("losses", "203,979")
    (gap,) = [r for r in one.of("gap") if r["bytes"] == 203_979]
    assert f"frame {gap['frame']} of {gap['file']}" in drawer
    assert f"frame.number == {gap['frame']}" in drawer
    assert one.page.locator("#drawer code").nth(1).text_content().count(".pcap") == 2
