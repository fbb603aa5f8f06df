"""`--har`: valid HAR 1.2 with every exchange, read by a library and by Chromium's developer tools as it is meant."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from haralyzer import HarParser

from pcapflow import pipeline
from pcapflow.endpoint_names import absolute_url
from pcapflow.header_options import Headers
from pcapflow.limits import Limits
from pcapflow.report.sinks.har import Har
from tests.craft import Talk, request, response
from tests.launcher import launch, launch_text
from tests.report.browser import CHROMIUM, FIREFOX, FLAGS, Firefox
from tests.report.conversation import capture, run
from tests.report.har_schema import HAR

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
NAMED = {path.name: path for path in SAMPLES}


def har(path: Path, **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]], pipeline.Result]:
    out: list[bytes] = []
    records, result = run(path, Har(out.append), **more)
    return json.loads(b"".join(out)), records, result


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_a_har_file_is_har_1_2_and_has_every_exchange(path: Path) -> None:
    found, records, _ = har(path)
    jsonschema.Draft202012Validator(HAR).validate(found)
    want = [record for record in records if record["record"] == "http"]
    entries = found["log"]["entries"]
    assert len(entries) == len(want)
    for entry, record in zip(entries, want, strict=True):
        assert entry["_connectionId"] == str(record["connection"])
        assert (entry["serverIPAddress"], entry["connection"]) == (record["server"]["ip"], str(record["server"]["port"]))
        assert entry["response"]["status"] == (record["response"]["status"] if record["response"] else 0)
        assert entry["request"]["method"] == (record["request"]["method"] if record["request"] else "")
        assert entry["time"] == pytest.approx((record["duration"] or 0) * 1000, abs=0.002)
        assert sum(entry["timings"][name] for name in ("send", "wait", "receive")) == pytest.approx(entry["time"], abs=0.002)
    assert len({json.dumps(har(path, limits=Limits(block_packets=n))[0]) for n in (1, 7, 8192)}) == 1


def test_asking_for_har_changes_nothing_in_the_report() -> None:
    for path in SAMPLES:
        plain, one = run(path)
        _, records, two = har(path)
        assert records == plain
        assert two.summary.http == one.summary.http
        assert two.summary.json == one.summary.json
        assert two.summary.tcp == one.summary.tcp


def test_bodies_are_there_decoded_and_cut_at_the_limit() -> None:
    found, _, _ = har(NAMED["gzip-chunked.pcap"], limits=Limits(har_body_max_bytes=1 << 20))
    contents = [entry["response"]["content"] for entry in found["log"]["entries"]]
    coded = [content for content in contents if "compression" in content and "text" in content]
    assert coded
    for content in coded:
        assert json.loads(content["text"]) is not None
        assert len(content["text"].encode()) == content["size"]
    cut, _, _ = har(NAMED["gzip-chunked.pcap"], limits=Limits(har_body_max_bytes=100))
    for content in (entry["response"]["content"] for entry in cut["log"]["entries"]):
        if content["size"] > 100:
            assert len(content["text"].encode()) <= 100
            assert content["comment"] == f"the first 100 of {content['size']} bytes"


def test_what_is_no_text_is_base64_and_request_bodies_cookies_and_queries_are_there(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    body = b'{"a": "\xc3\xa4"}'
    path.write_bytes(
        capture(
            b"POST /p?x=1&y=%%20z&empty= HTTP/1.1\r\nHost: h\r\nCookie: a=1; b=2\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body,
            b"HTTP/1.1 302 Found\r\nLocation: /q\r\nSet-Cookie: s=9; Path=/\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
            % len(gzip.compress(b"\xff\x00"))
            + gzip.compress(b"\xff\x00"),
        )
    )
    found, _, _ = har(path, options=pipeline.Options(headers=Headers(secrets=True)))
    (entry,) = found["log"]["entries"]
    request, response = entry["request"], entry["response"]
    assert request["url"] == "http://h/p?x=1&y=%20z&empty="
    assert request["queryString"] == [{"name": "x", "value": "1"}, {"name": "y", "value": " z"}, {"name": "empty", "value": ""}]
    assert request["cookies"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    assert request["postData"]["text"] == body.decode()
    assert response["cookies"] == [{"name": "s", "value": "9"}]
    assert response["redirectURL"] == "/q"
    assert response["content"]["text"] == "/wA="
    assert response["content"]["encoding"] == "base64"
    assert response["content"]["size"] == 2


def test_losses_are_in_the_comments_and_memory_that_is_short_costs_the_text_alone() -> None:
    found, _, _ = har(NAMED["lossy.pcap"])
    comments = [entry.get("comment", "") + entry["response"]["content"].get("comment", "") for entry in found["log"]["entries"]]
    assert any("the response is not in the capture" in comment for comment in comments)
    assert any("truncated" in comment for comment in comments)
    short, records, _ = har(NAMED["keepalive.pcap"], limits=Limits(output_total=1))
    assert len(short["log"]["entries"]) == sum(record["record"] == "http" for record in records)
    assert any("memory was short" in entry["response"]["content"].get("comment", "") for entry in short["log"]["entries"])


def test_a_cut_coded_body_keeps_the_text_that_came(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    coded = gzip.compress(json.dumps([{"n": n * n} for n in range(200)]).encode())
    path.write_bytes(
        capture(
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
            + coded[:-20],
        )
    )
    (entry,) = har(path)[0]["log"]["entries"]
    content = entry["response"]["content"]
    assert content["text"].startswith('[{"n": 0}, {"n": 1}')
    assert content["size"] == len(content["text"])
    assert "compression" not in content
    assert content["comment"].startswith("truncated")


def test_a_body_in_an_unknown_coding_is_given_as_it_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(
        capture(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: foo\r\nContent-Length: 5\r\n\r\nhello")
    )
    (entry,) = har(path)[0]["log"]["entries"]
    assert entry["response"]["content"] == {
        "size": 5,
        "mimeType": "",
        "text": "hello",
        "comment": "content coding foo: these are the bytes as they were sent",
    }


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (b"GET /r?u=http://evil/x", "http://h/r?u=http://evil/x"),
        (b"GET http://other/y", "http://other/y"),
        (b"CONNECT h:443", "http://h:443/"),
        (b"GET x", "http://h/x"),
        (b"OPTIONS *", "http://h/"),
    ],
)
def test_a_target_in_each_of_its_forms_is_the_right_url(tmp_path: Path, line: bytes, url: str) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(capture(line + b" HTTP/1.1\r\nHost: h\r\nX-A: a\r\n b:c\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"))
    (entry,) = har(path)[0]["log"]["entries"]
    assert entry["request"]["url"] == url
    assert {"name": "X-A", "value": "a b:c"} in entry["request"]["headers"]


def test_control_characters_are_base64_and_so_an_entry_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(capture(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"\x01" * 60000))
    found, _, _ = har(path)
    assert found["log"]["entries"][0]["response"]["content"]["encoding"] == "base64"
    assert len(json.dumps(found)) < 100_000


def test_heads_that_wait_are_reserved(tmp_path: Path) -> None:
    """Answers of a server alone, each with a large head: they wait for requests that never come."""
    talk = Talk()
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(40)) + b"Content-Length: 0\r\n\r\n"
    for _ in range(60):
        talk.send(1, head)
    path = Path(talk.save(tmp_path / "heads.pcap"))
    found, _, result = har(path)
    assert len(found["log"]["entries"]) == 60
    assert result.summary.memory.components["http"].peak_bytes >= 30 * len(head)


# --- the instants, the addresses, the page


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_the_timings_are_the_four_instants_of_the_record(path: Path) -> None:
    found, records, _ = har(path)
    for entry, record in zip(found["log"]["entries"], [r for r in records if r["record"] == "http"], strict=True):
        asked, answered = record["request"], record["response"]
        if asked is None or answered is None:
            assert entry["timings"] == {"send": 0, "wait": 0, "receive": 0}
            continue
        begun = asked["ts"]
        for name, ts in (("send", asked["end_ts"]), ("wait", answered["ts"]), ("receive", answered["end_ts"])):
            assert entry["timings"][name] == pytest.approx(max(0.0, ts - begun) * 1000, abs=0.002), name
            begun = max(begun, ts)


def test_an_upload_that_takes_long_is_sent_and_an_early_answer_waits_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    talk = Talk().open().send(0, request("/u", method="POST", body=b"x" * 9)[:-4])
    talk.us += 400_000
    talk.send(0, b"xxxx")
    talk.us += 30_000
    talk.send(1, response(b"{}")).close().save(path)
    (entry,) = har(path)[0]["log"]["entries"]
    assert [round(entry["timings"][name]) for name in ("send", "wait", "receive")] == [400, 30, 0]
    talk = Talk().open().send(0, request("/u", method="POST", body=b"x" * 9)[:-4]).send(1, response(b"{}"))
    talk.us += 400_000
    talk.send(0, b"xxxx").close().save(path)
    (entry,) = har(path)[0]["log"]["entries"]
    assert [round(entry["timings"][name]) for name in ("send", "wait", "receive")] == [400, 0, 0]


@pytest.mark.parametrize(
    ("host", "server", "port", "url"),
    [
        (None, "10.0.0.1", 80, "http://10.0.0.1/a?b"),
        (None, "10.0.0.1", 8080, "http://10.0.0.1:8080/a?b"),
        ("", "10.0.0.1", 8080, "http://10.0.0.1:8080/a?b"),
        (None, "fe80::1", 8080, "http://[fe80::1]:8080/a?b"),
        ("shop:81", "fe80::1", 8080, "http://shop:81/a?b"),
    ],
)
def test_without_a_host_a_url_has_the_server_s_address(host: str | None, server: str, port: int, url: str) -> None:
    assert absolute_url("GET", "/a?b", host, server, port) == url


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_every_url_is_absolute_and_every_entry_is_on_the_page_of_the_capture(path: Path) -> None:
    log = har(path)[0]["log"]
    (page,) = log["pages"]
    assert page["title"] == str(path)
    for entry in log["entries"]:
        assert entry["request"]["url"].startswith(("http://", "https://"))
        assert entry["pageref"] == page["id"]
        assert entry["startedDateTime"] >= page["startedDateTime"]


def test_a_page_of_many_captures_names_the_first_of_them(tmp_path: Path) -> None:
    paths = [str(NAMED[name]) for name in ("gzip-chunked.pcap", "keepalive.pcap", "lossy.pcap", "shop.pcap")]
    assert launch("analyze", "-q", "--no-records", "--json", "--har", tmp_path / "x.har", *paths).returncode == 0
    (page,) = json.loads((tmp_path / "x.har").read_text())["log"]["pages"]
    assert page["title"].endswith(" and 1 more")
    assert page["title"].count(".pcap") == 3


def test_the_option_says_how_much_of_a_body_is_written(tmp_path: Path) -> None:
    out = tmp_path / "x.har"
    for size in (100, 50_000):
        launch_text("analyze", "-q", "--har", out, "--har-body-max", str(size), NAMED["lossy.pcap"])
        texts = [entry["response"]["content"].get("text", "") for entry in json.loads(out.read_text())["log"]["entries"]]
        assert size - 3 <= max(len(text.encode()) for text in texts) <= size


# --- who reads it


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_a_har_library_reads_every_entry_of_the_page(path: Path) -> None:
    found, records, _ = har(path)
    parser = HarParser(found)
    (page,) = parser.pages
    exchanges = [record for record in records if record["record"] == "http"]
    assert len(page.entries) == len(exchanges)
    statuses = [record["response"]["status"] if record["response"] else 0 for record in exchanges]
    assert sorted(entry.status for entry in page.entries) == sorted(statuses), "it has them by time"
    assert page.get_load_time(request_type=".*") >= 0


@pytest.fixture(scope="module")
def devtools() -> Iterator[Any]:
    """The network panel of Chromium's developer tools, as they come with it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page()
        page.goto("devtools://devtools/bundled/devtools_app.html")
        page.wait_for_selector("text=Network")
        yield page
        chromium.close()


LOAD = """async text => {
    const base = "devtools://devtools/bundled/";
    const UI = await import(base + "ui/legacy/legacy.js");
    await UI.ViewManager.ViewManager.instance().showView("network");
    const panel = (await import(base + "panels/network/network.js")).NetworkPanel.NetworkPanel.instance();
    await panel.networkLogView.onLoadFromFile(new File([text], "x.har"));
    const {HARRoot} = (await import(base + "models/har/har.js")).HARFormat;
    const {Importer} = (await import(base + "models/har/har.js")).Importer;
    const content = async one => {const data = await one.requestContentData(); return data.isTextContent ? data.text : null};
    const requests = Importer.requestsFromHARLog(new HARRoot(JSON.parse(text)).log);
    return Promise.all(requests.map(async one => ({
        url: one.url(), method: one.requestMethod, status: one.statusCode, type: one.resourceType().name(), address: one.remoteAddress(),
        connection: one.connectionId, text: await content(one) ?? null,
    })));
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_chromium_s_developer_tools_load_it(devtools: Any, path: Path) -> None:
    found, records, _ = har(path)
    exchanges = [record for record in records if record["record"] == "http"]
    shown = devtools.evaluate(LOAD, json.dumps(found))
    expected = [
        {
            "url": entry["request"]["url"].partition("#")[0],
            "method": record["request"]["method"] if record["request"] else "",
            "status": record["response"]["status"] if record["response"] else 0,
            "type": "fetch",
            "address": f"{record['server']['ip']}:{record['server']['port']}",
            "connection": str(record["connection"]),
        }
        for entry, record in zip(found["log"]["entries"], exchanges, strict=True)
    ]
    assert sorted(json.dumps({**one, "text": 0}) for one in expected) == sorted(json.dumps({**one, "text": 0}) for one in shown)
    texts = [
        entry["response"]["content"].get("text") for entry in found["log"]["entries"] if "encoding" not in entry["response"]["content"]
    ]
    assert {text for text in texts if text} <= {one["text"] for one in shown}


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()


IMPORT = """
    const {require} = ChromeUtils.importESModule("resource://devtools/shared/loader/Loader.sys.mjs");
    const {HarImporter} = require("resource://devtools/client/netmonitor/src/har/har-importer.js");
    const told = [];
    new HarImporter(new Proxy({}, {get: (_, name) => (...values) => {told.push([name, values]);}})).import(arguments[0]);
    return told.filter(([name]) => name !== "clearRequests").map(([name, values]) => [name, values[1]]);
"""


@pytest.mark.skipif(FIREFOX is None, reason="no Firefox is installed")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_firefox_s_developer_tools_load_it(firefox: Firefox, path: Path) -> None:
    found, _, _ = har(path)
    entries = found["log"]["entries"]
    told = firefox.run(IMPORT, json.dumps(found))
    assert isinstance(told, list), told
    added = [value for name, value in told if name == "addRequest"]
    updated = [value for name, value in told if name == "updateRequest"]
    assert sorted(one["url"] for one in added) == sorted(entry["request"]["url"] for entry in entries)
    assert sorted((one["remoteAddress"], one["remotePort"], one["status"], round(one["totalTime"], 3)) for one in updated) == sorted(
        (entry["serverIPAddress"], entry["connection"], entry["response"]["status"], entry["time"]) for entry in entries
    )
