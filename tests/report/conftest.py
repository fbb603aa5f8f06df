"""The page of `--html` in a real browser, with what the report says of the same capture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.report.sinks.html import Page
from tests.report.browser import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    # of a module: while it is open, its thread has a running event loop, which others may not want
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page of a capture, in the browser, and what the report says of it."""

    def __init__(
        self,
        browser: Any,
        folder: Path,
        captures: list[Path],
        limits: Limits | None = None,
        options: pipeline.Options = pipeline.Options(),
        width: int = 1280,
        **context: Any,
    ) -> None:
        lines: list[bytes] = []
        out: list[bytes] = []
        limits = limits or Limits()
        self.result = pipeline.run([str(one) for one in captures], limits, options, write=lines.extend, sinks=[Page(out.append, limits)])
        self.records = [json.loads(line) for line in lines]
        path = folder / "page.html"
        path.write_bytes(b"".join(out))
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **context)
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
        return self.page.locator(f"#{table} tbody tr td:nth-child({heads.index(name) + 1})").all_text_contents()

    def sort(self, table: str, name: str) -> None:
        self.page.click(f"#{table} thead button:text-is('{name}')")

    def show_all(self, table: str) -> None:
        if self.page.locator(f"#{table} button.all").count():
            self.page.click(f"#{table} button.all")

    def filter(self, table: str, text: str) -> int:
        """How many rows the filter leaves."""
        self.page.fill(f"#{table}-filter", text)
        self.show_all(table)
        return self.page.locator(f"#{table} tbody tr").count()

    def open_row(self, table: str, text: str) -> str:
        """Open the first row that has the text; what the drawer says."""
        self.page.locator(f"#{table} tbody tr", has_text=text).first.locator("button.open").click()
        return self.drawer()

    def drawer(self) -> str:
        return self.page.inner_text("#drawer[open]")


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    pages: list[Opened] = []

    def open_one(path: Path | list[Path], limits: Limits | None = None, **more: Any) -> Opened:
        pages.append(Opened(chromium, tmp_path, path if isinstance(path, list) else [path], limits, **more))
        return pages[-1]

    yield open_one
    for one in pages:
        assert one.trouble == []
        assert len(one.asked) == 1
        one.page.close()
