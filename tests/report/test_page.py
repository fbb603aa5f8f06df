"""The page of `--html` in a real browser: it opens without a network, sorts, filters, and its numbers are the report's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.report.sinks.html import Page
from tests.craft import ACK, FIN, PSH, SYN, pcap, tcp_frame
from tests.report.browser import CHROMIUM, FLAGS
from tests.report.conversation import capture

SAMPLES = Path(__file__).parents[2] / "samples"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Opened:
    """A page of a capture, in the browser, and what the report says of it."""

    def __init__(self, browser: Any, folder: Path, capture: Path, limits: Limits | None = None, scheme: str = "light") -> None:
        lines: list[bytes] = []
        out: list[bytes] = []
        limits = limits or Limits()
        self.result = pipeline.run([str(capture)], limits, write=lines.extend, sinks=[Page(out.append, limits)])
        self.records = [json.loads(line) for line in lines]
        path = folder / "page.html"
        path.write_bytes(b"".join(out))
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(color_scheme=scheme)
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["record"] == kind]

    def number(self, name: str) -> int:
        return int(self.page.text_content(f"#n-{name}").replace(",", ""))

    def column(self, table: str, name: str) -> list[str]:
        heads = self.page.locator(f"#{table} thead th").all_text_contents()
        index = heads.index(name) + 1
        return self.page.locator(f"#{table} tbody tr td:nth-child({index})").all_text_contents()

    def click(self, table: str, name: str) -> None:
        self.page.click(f"#{table} thead button:text-is('{name}')")


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    pages: list[Opened] = []

    def open_one(path: Path, limits: Limits | None = None, **more: Any) -> Opened:
        pages.append(Opened(browser, tmp_path, path, limits, **more))
        return pages[-1]

    yield open_one
    for one in pages:
        assert one.trouble == []
        assert len(one.asked) == 1
        one.page.close()


@pytest.mark.parametrize("name", ["lossy.pcap", "json-api.pcap", "statuses.pcap"])
def test_its_numbers_are_the_report_s(opened: Any, name: str) -> None:
    one = opened(SAMPLES / name)
    s = one.result.summary
    assert one.number("packets") == s.decode.packets
    assert one.number("connections") == s.tcp.connections
    assert one.number("captured") == s.tcp.payload_bytes.captured
    assert one.number("missing") == s.tcp.missing_bytes
    assert one.number("gaps") == s.tcp.gaps
    assert one.number("drops") == sum(count.count for count in s.drops.by_reason.values())
    assert one.number("requests") == s.http.requests
    assert one.number("invalid") == s.json.invalid
    assert one.number("peak") == s.memory.peak_bytes
    assert [int(n) for n in one.column("connections", "connection")] == [r["connection"] for r in one.of("connection")]
    assert [int(n.replace(",", "")) for n in one.column("losses", "bytes")] == [
        r["bytes"] for r in one.records if r["record"] in ("gap", "drop")
    ]
    assert [n for n in one.column("exchanges", "status") if n] == [str(r["response"]["status"]) for r in one.of("http") if r["response"]]
    assert one.page.locator("#advice li").all_text_contents() == s.advice


def test_a_click_sorts_a_second_click_turns_it_round(opened: Any) -> None:
    one = opened(SAMPLES / "lossy.pcap")
    want = sorted(r["bytes"] for r in one.of("gap"))
    one.click("losses", "bytes")
    assert [int(n.replace(",", "")) for n in one.column("losses", "bytes")] == want
    assert one.page.get_attribute("#losses th[aria-sort]", "aria-sort") == "ascending"
    one.click("losses", "bytes")
    assert [int(n.replace(",", "")) for n in one.column("losses", "bytes")] == want[::-1]
    one.click("exchanges", "milliseconds")
    shown = [float(n) for n in one.column("exchanges", "milliseconds") if n]
    assert shown == sorted(shown)
    assert one.column("exchanges", "milliseconds")[-1] == ""


def test_the_filter_shows_the_rows_that_have_the_text_and_counts_them(opened: Any) -> None:
    one = opened(SAMPLES / "statuses.pcap")
    one.page.fill("#exchanges-filter", "/MISSING")
    assert one.column("exchanges", "target") == ["/missing"]
    assert one.page.text_content("#exchanges-note") == f"1 of {len(one.of('http')):,} rows"
    one.page.fill("#exchanges-filter", "no such thing")
    assert one.column("exchanges", "target") == []


def test_a_loss_opens_its_evidence(opened: Any) -> None:
    one = opened(SAMPLES / "lossy.pcap")
    gap = one.of("gap")[0]
    first = one.page.locator("#losses details").first
    first.locator("summary").click()
    text = first.inner_text()
    assert f"frame.number == {gap['packet']}" in text
    assert f"{gap['sequence']} to {gap['last_sequence']}" in text
    assert "The receiver acknowledged the bytes" in text


def test_what_the_capture_says_stays_text(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    evil = b"/</script><script>document.title='owned'</script><img/src=x/onerror=document.title='owned'>"
    path.write_bytes(capture(b"GET " + evil + b" HTTP/1.1\r\nHost: <b>h</b>\r\n\r\n", b"HTTP/1.1 404 <i>\r\nContent-Length: 0\r\n\r\n"))
    one = opened(path)
    assert one.column("exchanges", "target") == [evil.decode()]
    assert one.page.locator("#exchanges tbody b, #exchanges tbody img, #exchanges tbody i").count() == 0
    assert one.page.title() == "pcapflow: one.pcap"


def test_a_capture_with_100_000_connections_opens_and_says_what_it_leaves_out(opened: Any, tmp_path: Path) -> None:
    frames = []
    for n in range(100_000):
        client, port = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1024 + n % 60_000
        frames.append((n * 100, tcp_frame(client, port, "10.9.9.9", 80, 1, 0, SYN)))
        frames.append((n * 100 + 10, tcp_frame("10.9.9.9", 80, client, port, 9, 2, SYN | ACK)))
        frames.append((n * 100 + 20, tcp_frame(client, port, "10.9.9.9", 80, 2, 10, PSH | ACK | FIN, b"x" * (n % 50))))
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(frames))
    one = opened(path)
    assert one.number("connections") == 100_000
    assert one.page.locator("#connections tbody tr").count() == 1000
    assert (
        one.page.text_content("#connections-note")
        == "1,000 of 1,000 rows; the page holds 1,000 of 100,000, those that lost, failed or took most"
    )
    assert (tmp_path / "page.html").stat().st_size < 2 << 20
    one.click("connections", "captured")
    assert one.column("connections", "captured")[0] == "49"


def test_it_has_a_dark_scheme_and_fits_a_narrow_window(opened: Any) -> None:
    light = opened(SAMPLES / "lossy.pcap")
    dark = opened(SAMPLES / "lossy.pcap", scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert light.page.evaluate(colour) == "rgb(255, 255, 255)"
    assert re.fullmatch(r"rgb\((\d|1\d|2\d), .*", dark.page.evaluate(colour))
    dark.page.set_viewport_size({"width": 600, "height": 800})
    assert dark.page.evaluate("document.querySelector('main').scrollWidth <= innerWidth")
