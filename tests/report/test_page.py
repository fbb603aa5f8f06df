"""The page of `--html` in a real browser: it opens without a network, shows what is worst first, sorts, filters, and its numbers are the report's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcapflow.anomalies import NoResponse
from pcapflow.limits import Limits
from pcapflow.report.problem_words import SENTENCES, UNANSWERED
from pcapflow.report.sinks import html
from tests.craft import ACK, FIN, PSH, SYN, Talk, merge, pcap, request, response, tcp_frame
from tests.report.busy import busy
from tests.report.conversation import capture

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def shown(opened: Any, tmp_path: Path) -> Any:
    path = tmp_path / "busy.pcap"
    path.write_bytes(busy())
    return opened(path)


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
    assert one.number("unread") == s.tcp.payload_bytes.delivered - s.tcp.read_bytes
    assert one.number("invalid") == s.json.invalid
    assert one.number("peak") == s.memory.peak_bytes
    for table in ("connections", "exchanges", "losses"):
        one.show_all(table)
    assert sorted(int(n[1:]) for n in one.column("connections", "connection")) == sorted(r["connection"] for r in one.of("connection"))
    losses = [r["bytes"] for r in one.records if r["record"] in ("gap", "drop")]
    assert [int(n.replace(",", "")) for n in (one.column("losses", "bytes") if losses else [])] == sorted(losses, reverse=True)
    statuses = [str(r["response"]["status"]) if r["response"] else "none" for r in one.of("http")]
    assert sorted(one.column("exchanges", "status")) == sorted(statuses)
    assert one.page.locator("#advice li").all_text_contents() == s.advice


def test_the_cards_say_how_it_went(shown: Any) -> None:
    s = shown.result.summary
    text = {name: shown.page.text_content(f"#card-{name}") for name in ("exchanges", "errors", "p95", "loss", "unread")}
    assert text == {
        "exchanges": "7",
        "errors": "3",
        "p95": "700 ms",
        "loss": "2.0 kB",
        "unread": f"{s.tcp.payload_bytes.delivered - s.tcp.read_bytes} B",
    }
    cards = shown.page.inner_text("#cards")
    assert "7 requests, 6 responses" in cards
    assert "1 5xx, 1 4xx" in cards
    assert "1 no response" in cards
    assert "in 1 gap; 0 drops" in cards
    assert shown.page.locator(".card.bad").count() == 2


def test_what_went_wrong_comes_first_in_the_words_of_the_terminal(shown: Any) -> None:
    order = shown.page.locator("main > section[id]").evaluate_all("all => all.map((one) => one.id)")
    assert order == ["problems", "advice", "endpoints", "exchanges", "connections", "losses", "timeline", "memory"]
    problems = shown.column("problems", "problem")
    assert problems[:2] == ["500 Internal Server Error", "404 Not Found"]
    assert f"{SENTENCES['broken_json']} from client 10.0.0.1" in problems
    assert UNANSWERED[NoResponse.OPEN] in problems
    assert f"{SENTENCES['gapped_body']} in the response" in problems
    assert problems[-1].startswith("gap: 2,000 bytes are missing from the streams")
    assert shown.column("endpoints", "endpoint")[0] == "GET example/api/slow"
    assert shown.column("endpoints", "p95")[0] == "700 ms"


def test_the_worst_exchanges_are_the_first_rows(shown: Any) -> None:
    rows = list(zip(shown.column("exchanges", "request"), shown.column("exchanges", "problem"), strict=True))
    assert rows[:5] == [
        ("GET /api/slow", "500 Internal Server Error"),
        ("GET /api/silent", "no response yet, connection still open"),
        ("POST /api/login", "invalid JSON in the request"),
        ("GET /api/holed", "gapped body in the response"),
        ("GET /missing", "404 Not Found"),
    ]
    assert {row[1] for row in rows[5:]} == {""}
    assert shown.column("connections", "status")[0] == "gapped"


def test_broken_json_of_a_request_is_shown_with_its_place(shown: Any) -> None:
    detail = shown.column("problems", "detail")[shown.column("problems", "problem").index("invalid JSON from client 10.0.0.1")]
    assert "password" in detail
    assert "byte" in detail
    drawer = shown.open_row("exchanges", "/api/login")
    assert "invalid JSON in the request" in drawer
    error = shown.of("http")[0:]
    (found,) = [one["request"]["body"]["json"]["error"] for one in error if one["request"]["body"]["json"]]
    assert f"{found['message']}, at {found['location']}, byte {found['offset']}" in drawer


def test_the_first_click_shows_the_highest_numbers_and_the_second_turns_it_round(opened: Any) -> None:
    one = opened(SAMPLES / "lossy.pcap")
    want = sorted(r["bytes"] for r in one.of("gap"))
    one.sort("losses", "bytes")
    assert [int(n.replace(",", "")) for n in one.column("losses", "bytes")] == want[::-1]
    assert one.page.get_attribute("#losses th[aria-sort]", "aria-sort") == "descending"
    one.sort("losses", "bytes")
    assert [int(n.replace(",", "")) for n in one.column("losses", "bytes")] == want
    assert one.page.get_attribute("#losses th[aria-sort]", "aria-sort") == "ascending"
    one.sort("exchanges", "duration")
    assert one.column("exchanges", "duration")[:2] == ["943 \u00b5s", "709 \u00b5s"]
    assert one.column("exchanges", "duration")[-1] == ""
    one.sort("exchanges", "duration")
    assert one.column("exchanges", "duration")[:2] == ["709 \u00b5s", "943 \u00b5s"]
    assert one.column("exchanges", "duration")[-1] == ""


def test_words_are_sorted_from_a_at_first_and_what_was_worst_comes_back(shown: Any) -> None:
    worst = shown.column("exchanges", "request")
    shown.sort("exchanges", "request")
    assert shown.column("exchanges", "request") == sorted(worst)
    assert shown.page.get_attribute("#exchanges th[aria-sort]", "aria-sort") == "ascending"
    shown.page.click("#exchanges button.again")
    assert shown.column("exchanges", "request") == worst
    assert shown.page.locator("#exchanges th[aria-sort]").count() == 0


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("/API", 5), ("/api slow", 1), ("slow /api", 1), ("/api missing", 0), ("status:5xx", 1), ("STATUS:5XX", 1), ("status:404", 1),
        ("status:2xx", 4), ("status:none", 1), ("path:/api", 5), ("path:/api status:2xx", 3), ("method:POST", 1), (">500ms", 1), (">0.5s", 1), ("<10ms", 4),
        (">1s", 0), (">20ms <1s", 2), ("internal error", 1), ("700 ms", 1), (">fast", 0), ("colour:red", 0), ("status:9xx", 0), ("no such thing", 0), ("", 7),
    ],
)  # fmt: skip
def test_a_filter_matches_what_is_shown(shown: Any, text: str, rows: int) -> None:
    assert shown.filter("exchanges", text) == rows
    note = shown.page.text_content("#exchanges-note")
    assert note == ("7 rows" if rows == 7 else f"{rows} of 7 rows match")


def test_each_table_has_a_filter_of_its_own(shown: Any) -> None:
    assert shown.filter("connections", "status:gapped") == 1
    assert shown.filter("connections", "40002 http") == 1
    assert shown.filter("connections", ">500ms") == 1
    assert shown.filter("endpoints", ">500ms") == 1
    assert shown.filter("problems", "invalid login") == 1
    assert shown.filter("losses", "kind:gap acknowledged") == 1
    assert shown.filter("losses", "kind:drop") == 0
    assert shown.page.locator("#exchanges tbody tr").count() == 7


def test_what_the_capture_says_stays_text(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    evil = b"/</script><script>document.title='owned'</script><img/src=x/onerror=document.title='owned'>"
    path.write_bytes(capture(b"GET " + evil + b" HTTP/1.1\r\nHost: <b>h</b>\r\n\r\n", b"HTTP/1.1 404 <i>\r\nContent-Length: 0\r\n\r\n"))
    one = opened(path)
    assert one.column("exchanges", "request") == [f"GET {evil.decode()}"]
    assert evil.decode() in one.open_row("exchanges", "script")
    assert one.page.locator("main b, main img, main i, dialog b, dialog img, dialog i").count() == 0
    assert one.page.title() == "pcapflow: one.pcap"


def test_text_that_turns_its_direction_is_shown_as_it_was_sent(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(capture(request("/a\u202egnp.exe"), response(b"[]")))
    assert opened(path).column("exchanges", "request") == ["GET /a\ufffdgnp.exe"]


def test_a_capture_with_40_000_connections_opens_and_says_what_it_leaves_out(opened: Any, tmp_path: Path) -> None:
    frames = []
    for n in range(40_000):
        client, port = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1024 + n % 60_000
        frames.append((n * 100, tcp_frame(client, port, "10.9.9.9", 80, 1, 0, SYN)))
        frames.append((n * 100 + 10, tcp_frame("10.9.9.9", 80, client, port, 9, 2, SYN | ACK)))
        frames.append((n * 100 + 20, tcp_frame(client, port, "10.9.9.9", 80, 2, 10, PSH | ACK | FIN, b"x" * (n % 50))))
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(frames))
    one = opened(path)
    assert one.number("connections") == 40_000
    assert one.page.locator("#connections tbody tr").count() == 25
    assert one.page.text_content("#connections-note") == "1,000 rows, 25 shown; the page holds the worst 1,000 of 40,000"
    one.show_all("connections")
    assert one.page.locator("#connections tbody tr").count() == 1000
    assert one.page.text_content("#connections-note") == "1,000 rows; the page holds the worst 1,000 of 40,000"
    assert (tmp_path / "page.html").stat().st_size < 2 << 20
    one.sort("connections", "captured")
    assert one.column("connections", "captured")[0] == "49 B"


def test_connections_of_the_worst_exchanges_are_kept_with_them(opened: Any, tmp_path: Path) -> None:
    talks = []
    for n in range(60):
        talk = Talk(sport=40000 + n)
        talk.us = n * 10_000
        status = "500 Internal Server Error" if n % 20 == 7 else "200 OK"
        body = b"[]" if n % 20 == 7 else b'"' + b"x" * 300 + b'"'
        talks.append(talk.open().send(0, request(f"/{n}")).idle(100).send(1, response(body, status=status)).close())
    path = tmp_path / "some.pcap"
    path.write_bytes(merge(*talks))
    one = opened(path, Limits(page_rows=3))
    assert one.page.text_content("#exchanges-note") == "3 rows; the page holds the worst 3 of 60"
    assert set(one.column("exchanges", "status")) == {"500"}
    assert sorted(one.column("connections", "connection")) == sorted(one.column("exchanges", "connection"))


def test_an_exchange_that_the_page_does_not_hold_has_its_commands_all_the_same(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "busy.pcap"
    path.write_bytes(busy())
    one = opened(path, Limits(page_rows=1))
    drawer = one.open_row("endpoints", "/other")
    place = next(row.slowest for row in one.result.summary.endpoints if row.name.endswith("/other"))
    assert "The page holds the worst 1 of 7 exchanges. This one is not among them." in drawer
    assert f"--where connection={place.connection},exchange={place.exchange}" in drawer


def test_the_script_makes_no_markup_of_text_and_its_files_are_short() -> None:
    parts = Path(html.__file__).with_name("page")
    assert {path.name for path in parts.glob("*.js")} == set(html._SCRIPTS)
    for path in parts.iterdir():
        text = path.read_text()
        assert text.count("\n") < 400
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch(", "http:", "https:"):
            assert word not in text.replace("http://www.w3.org/2000/svg", ""), f"{path.name}: {word}"
