"""How the page looks: contrast in both schemes, 390 pixels, motion, and charts that say what they show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pcapflow.limits import Limits
from tests.craft import Talk
from tests.report.busy import busy

SAMPLES = Path(__file__).parents[2] / "samples"
EVERY = sorted(path.name for path in SAMPLES.glob("*.pcap"))

CONTRAST = """(root) => {
  const channel = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const light = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const behind = (node) => {
    const layers = [];
    for (let one = node; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const found = [];
  const check = (node, colour, text, least) => {
    const background = behind(node);
    const [a, b] = [light(over(parse(colour), background)), light(background)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push({ text, ratio, least, ok: ratio >= least });
  };
  for (const node of document.querySelector(root).querySelectorAll('*')) {
    const box = node.getBoundingClientRect();
    const style = getComputedStyle(node);
    if (!box.width || !box.height || style.visibility !== 'visible' || (root === 'body' && node.closest('dialog'))) continue;
    if (node.matches('rect:not(.track)')) check(node.closest('svg').parentElement, style.fill, 'rect ' + node.getAttribute('class'), 3);
    if (node.matches('polyline')) check(node.closest('svg').parentElement, style.stroke, 'line', 3);
    if (node.matches('input')) { check(node, getComputedStyle(node, '::placeholder').color, node.placeholder, 4.5); check(node.parentElement, style.borderTopColor, 'edge', 3); }
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join('');
    if (!text || node.matches('title, script, style')) continue;
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    check(node.namespaceURI.endsWith('svg') ? node.closest('svg').parentElement : node, node.namespaceURI.endsWith('svg') ? style.fill : style.color, text.slice(0, 40), large ? 3 : 4.5);
    const before = getComputedStyle(node, '::before');
    if (before.content.startsWith('"') && before.content.length > 2) check(node, before.color, before.content, 4.5);
  }
  return found;
}"""


def contrast(page: Any, root: str) -> list[str]:
    """What is too faint; there is something to see."""
    found = page.evaluate(CONTRAST, root)
    assert len(found) > 8
    return [f"{one['text']}: {one['ratio']:.2f} of {one['least']}" for one in found if not one["ok"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "busy.pcap"
    found.write_bytes(busy())
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["lossy.pcap", "shop.pcap", "busy"])
def test_text_and_charts_have_the_contrast_of_wcag_aa(opened: Any, path: Path, name: str, width: int, scheme: str) -> None:
    one = opened(path if name == "busy" else SAMPLES / name, width=width, color_scheme=scheme, reduced_motion="reduce")
    one.page.click("main details > summary")
    assert contrast(one.page, "body") == []
    for table in ("exchanges", "connections", "losses", "problems"):
        opener = one.page.locator(f"#{table} tbody button.open")
        if opener.count():
            opener.first.click()
            assert contrast(one.page, "dialog") == []
            one.page.keyboard.press("Escape")


def test_the_two_schemes_differ(opened: Any, path: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    assert opened(path, color_scheme="light").page.evaluate(colour) == "rgb(255, 255, 255)"
    assert re.fullmatch(r"rgb\((\d|1\d|2\d), .*", opened(path, color_scheme="dark").page.evaluate(colour))


@pytest.mark.parametrize("name", [*EVERY, "busy", "long"])
def test_nothing_goes_sideways_at_390_pixels(opened: Any, path: Path, tmp_path: Path, name: str) -> None:
    if name == "long":
        path = tmp_path / "long.pcap"
        long = b"x" * 3000
        talk = Talk().open().send(0, b"GET /" + long + b" HTTP/1.1\r\nHost: " + long + b"\r\nX-" + long + b": 1\r\n\r\n")
        path.write_bytes(talk.send(1, b"HTTP/1.1 500 " + long + b"\r\nContent-Length: 0\r\n\r\n").close().bytes())
    one = opened(path if name in ("busy", "long") else SAMPLES / name, width=390, reduced_motion="reduce")
    fits = "document.documentElement.scrollWidth <= innerWidth"
    within = "[...document.querySelectorAll('main *, dialog[open] *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.skip, .told')).map((one) => one.outerHTML.slice(0, 80))"
    assert one.page.evaluate(fits)
    assert one.page.evaluate(within) == []
    assert one.page.evaluate("[...document.querySelectorAll('main td[data-label]')].every((one) => one.childNodes.length <= 1)")
    for table in ("exchanges", "connections", "losses"):
        opener = one.page.locator(f"#{table} tbody button.open")
        if opener.count():
            opener.first.click()
            assert one.page.evaluate(fits + " && document.querySelector('dialog').scrollWidth <= innerWidth")
            assert one.page.evaluate(within) == []
            one.page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [390, 700, 1280])
@pytest.mark.parametrize("days", [1, 1000])
def test_the_page_fits_windows_of_other_widths(opened: Any, path: Path, width: int, days: int) -> None:
    one = opened([SAMPLES / "lossy.pcap", *([path] if days > 1 else [])], width=width)
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert one.page.evaluate("[...document.querySelectorAll('main > section .scroll')].every((one) => one.scrollWidth <= one.clientWidth)")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_who_asks_for_less_motion_sees_none(opened: Any, path: Path, motion: str) -> None:
    one = opened(path, reduced_motion=motion)
    one.page.locator("#exchanges tbody button.open").first.click()
    moving = """[document.documentElement, ...document.querySelectorAll('*')].filter((one) => {
      const style = getComputedStyle(one);
      return style.animationName !== 'none' || style.transitionDuration !== '0s' || style.scrollBehavior !== 'auto';
    }).length"""
    assert (one.page.evaluate(moving) == 0) == (motion == "reduce")


def test_charts_have_axes_with_units_and_the_time_zone_and_say_what_they_show(opened: Any, path: Path) -> None:
    one = opened(path)
    charts = one.page.locator("#charts figure")
    assert charts.locator("h3").all_text_contents() == [
        "Latency, by the time of the request",
        "Status",
        "Throughput, all packets",
        "Missing bytes",
        "Gaps",
    ]
    for text, unit in zip(
        charts.locator("svg[role=img]").evaluate_all(
            "all => all.map((one) => [...one.querySelectorAll('text')].map((t) => t.textContent))"
        ),
        ("ms", "exchanges", "kB/s", "kB", "gaps"),
        strict=True,
    ):
        assert f"{unit}, each bar" in " ".join(text)
        assert "capture time, UTC, 2023-11-14" in text
        assert sum(re.fullmatch(r"22:13:\d\d(\.\d)?", one) is not None for one in text) >= 3
        assert "0" in text
    labels = charts.locator("svg[role=img]").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    assert "p95 of all exchanges: 700 ms" in labels[0]
    assert "4 2xx, 1 4xx, 1 5xx, 1 no response" in labels[1]
    assert "2.0 kB in all" in labels[3]


def test_a_chart_in_which_nothing_would_be_drawn_is_left_out(opened: Any, tmp_path: Path) -> None:
    one = opened(SAMPLES / "redis.pcap")
    assert one.page.locator("#charts h3").all_text_contents() == ["Throughput, all packets"]
    assert one.page.inner_text("#card-p95") == "-"
    assert "The capture has no HTTP exchanges." in one.page.inner_text("#exchanges")
    assert one.page.locator("#exchanges table, #losses table").count() == 0
    path = tmp_path / "nothing.pcap"
    path.write_bytes(Talk().bytes())
    empty = opened(path)
    assert empty.page.locator("#charts svg").count() == 0
    assert "There is nothing to draw." in empty.page.inner_text("#charts")
    assert "None: no error" in empty.page.inner_text("#problems")


def test_tables_and_landmarks_have_their_names(opened: Any, path: Path) -> None:
    one = opened(path)
    page = one.page
    assert page.locator("header, nav[aria-label], main").count() == 3
    assert page.locator("h1").count() == 1
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("section:not([aria-labelledby]):not([aria-label])").count() == 0
    named = "[...document.querySelectorAll('[aria-labelledby], [aria-describedby]')].filter((one) => one.id !== 'drawer').every((one) => document.getElementById(one.getAttribute('aria-labelledby') || one.getAttribute('aria-describedby')))"
    assert page.evaluate(named)
    assert page.locator("input").evaluate_all("all => all.every((one) => one.labels.length === 1)")
    for link in page.locator("nav a").evaluate_all("all => all.map((one) => one.getAttribute('href'))"):
        assert page.locator(link).count() == 1


def test_the_timeline_is_the_same_whatever_comes_together(tmp_path: Path, path: Path) -> None:
    from pcapflow import pipeline
    from pcapflow.report.sinks.html import Page

    said = []
    for size in (7, 8192):
        out: list[bytes] = []
        limits = Limits(block_packets=size)
        pipeline.run([str(path)], limits, sinks=[Page(out.append, limits)])
        data = json.loads(b"".join(out).partition(b'id="data">')[2].partition(b"</script>")[0])
        del data["timeline"]["memory"], data["summary"]["memory"], data["summary"]["run"], data["summary"]["limits"]
        said.append(data)
    assert said[0] == said[1]
    timeline = said[0]["timeline"]
    assert sum(map(sum, timeline["status"].values())) == 7
    assert max(one for one in timeline["longest"] if one is not None) == said[0]["latency"]["max"] == 0.70001
    assert said[0]["latency"]["count"] == 6
