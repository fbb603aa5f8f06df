"""The report's tables: which endpoint is slow and why, what failed, and who sent what is broken. Each against a model that keeps everything."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapflow.cli.values import SECTIONS as NAMES
from pcapflow.endpoint_names import LONGEST, RULES, endpoint_of, url_of
from pcapflow.findings.answers import ENDPOINT_BYTES, _Endpoint
from pcapflow.findings.bounded import Bounded
from pcapflow.findings.histogram import ERROR, HISTOGRAM_BYTES, MOST, Histogram
from pcapflow.limits import Limits
from pcapflow.report.terminal import SECTIONS, Shown, render
from pcapflow.tables import PROBLEMS
from tests.conftest import Run
from tests.craft import Talk, merge, request, response

BLOCKS = pytest.mark.parametrize("packets", [1, 7, 8192])

# --- names


@pytest.mark.parametrize(
    ("method", "host", "target", "name"),
    [
        ("GET", "shop", "/users/17", "GET shop/users/{id}"),
        ("GET", "Shop:80", "/users/17/orders/3?page=2#x", "GET shop:80/users/{id}/orders/{id}"),
        ("GET", "h", "/jobs/0d9f9c2e-58c1-4a7e-9d5a-3f1c0f7a1b22", "GET h/jobs/{id}"),
        ("GET", "h", "/blobs/9f86d081884c7d65", "GET h/blobs/{id}"),
        ("GET", "h", "/share/dQw4w9WgXcQ7pLmN2vRt", "GET h/share/{id}"),
        ("GET", "h", "/files/42.json", "GET h/files/{id}.json"),
        ("GET", "h", "/v2/users", "GET h/v2/users"),
        ("GET", "h", "/application-settings-page-2", "GET h/application-settings-page-2"),
        ("GET", "h", "/deadbeefdeadbeef", "GET h/deadbeefdeadbeef"),
        ("GET", "h", "/12a", "GET h/12a"),
        ("GET", None, "/", "GET /"),
        ("GET", "other", "http://user:pass@shop/a/7", "GET shop/a/{id}"),
        ("CONNECT", "h", "shop:443", "CONNECT shop:443"),
        ("OPTIONS", "h", "*", "OPTIONS h*"),
        ("GET", "h", "/" + "x" * 500, "GET h/" + "x" * (LONGEST - 6) + "..."),
    ],
)
def test_ids_in_paths_are_folded_and_queries_left_out(method: str, host: str | None, target: str, name: str) -> None:
    assert endpoint_of(method, host, target) == name


def test_each_rule_s_example_is_folded() -> None:
    for _, example in RULES:
        assert endpoint_of("GET", None, example.strip("`")).endswith("/{id}")


@given(st.text(alphabet="0aF/-_.Z?", max_size=300))
def test_a_name_is_a_function_of_the_path_and_folding_it_again_changes_nothing(target: str) -> None:
    name = endpoint_of("GET", None, "/" + target)
    assert len(name) <= LONGEST + 3
    if not name.endswith("..."):
        assert endpoint_of("GET", None, name.removeprefix("GET ")) == name


def test_a_url_is_as_somebody_would_type_it() -> None:
    assert url_of("h:8080", "/a?b=1") == "http://h:8080/a?b=1"
    assert url_of("h", "http://other/") == "http://other/"
    assert url_of(None, "/a") == "/a"


# --- times


@given(st.lists(st.integers(0, 1 << 50), min_size=1, max_size=80), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_within_the_error_of_the_value_that_has_its_rank(times: list[int], part: float) -> None:
    histogram = Histogram()
    for ns in times:
        histogram.add(ns)
    rank = max(1, -(-len(times) * round(part * 1000) // 1000))
    exact = sorted(times)[rank - 1]
    found = histogram.quantile(part)
    assert abs(found - exact) <= ERROR * exact or (exact >= MOST and found >= MOST * (1 - ERROR))
    assert histogram.most == max(times)


@given(st.lists(st.integers(0, 1 << 45), max_size=60), st.integers(0, 60))
def test_histograms_add_up(times: list[int], cut: int) -> None:
    parts = [Histogram(), Histogram(), Histogram()]
    for i, ns in enumerate(times):
        parts[0].add(ns)
        parts[1 + (i < cut)].add(ns)
    parts[1].merge(parts[2])
    assert [parts[0].quantile(q / 20) for q in range(1, 20)] == [parts[1].quantile(q / 20) for q in range(1, 20)]
    assert (parts[0].count, parts[0].most) == (parts[1].count, parts[1].most)


class Count:
    def __init__(self) -> None:
        self.n = 0

    def merge(self, other: Count) -> None:
        self.n += other.n


@given(st.lists(st.sampled_from([f"name {i}" for i in range(30)]), max_size=200), st.integers(0, 12), st.randoms())
def test_a_bounded_table_keeps_the_same_names_with_all_that_is_theirs_whatever_the_order(
    names: list[str], most: int, rng: random.Random
) -> None:
    exact = Counter(names)
    tables = []
    for _ in range(2):
        rng.shuffle(names)
        table: Bounded[Count] = Bounded(most, Count)
        for name in names:
            table.of(name).n += 1
        kept = {name: count.n for name, count in table.items()}
        assert len(kept) == min(most, len(exact))
        assert kept.items() <= exact.items()
        assert sum(kept.values()) + (table.rest.n if table.rest is not None else 0) == len(names)
        tables.append(kept)
    assert tables[0] == tables[1]


def test_an_endpoint_costs_no_more_than_is_reserved() -> None:
    tracemalloc.start()
    try:
        made = []
        for i in range(200):
            one = _Endpoint()
            one.exchanges = one.bytes = one.timed = (1 << 40) + i
            one.parts = [(1 << 50) + i + k for k in range(4)]
            one.times.add((1 << 40) + i)
            made.append((one, f"GET {'h' * 190} {i}"))
        traced = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert HISTOGRAM_BYTES < traced / len(made) < ENDPOINT_BYTES


# --- whole runs


def calls(n: int, seed: int = 1) -> tuple[list[Talk], list[dict[str, Any]]]:
    """So many exchanges on connections of their own, and what is known of each."""
    rng = random.Random(seed)
    talks, known = [], []
    for i in range(n):
        path, status = rng.choice(("/users/%d", "/slow/%d", "/static")), rng.choice((200, 200, 200, 404, 503))
        path = path % i if "%" in path else path
        wait = rng.randrange(50, 2_000_000)
        t = Talk(sport=20_000 + i)
        t.us = i * 500
        t.open().send(0, request(path)).idle(wait).send(1, response(b"{}", status=f"{status} R")).acknowledge(0).close()
        talks.append(t)
        known.append({"name": "GET example" + path.replace(f"/{i}", "/{id}"), "status": status, "wait": (wait + 10) / 1e6, "path": path})
    return talks, known


@BLOCKS
def test_endpoints_have_their_counts_times_and_the_slowest_exchange(run: Run, packets: int) -> None:
    talks, known = calls(60)
    ran = run(merge(*talks), replace(Limits(), block_packets=packets))
    rows = {row.name: row for row in ran.summary.endpoints}
    exchanges = {record["request"]["target"]: record for record in ran.of("http")}
    assert set(rows) == {one["name"] for one in known}
    for name, row in rows.items():
        its = [one for one in known if one["name"] == name]
        assert row.exchanges == len(its)
        assert row.server_errors == sum(one["status"] == 503 for one in its)
        assert row.client_errors == sum(one["status"] == 404 for one in its)
        assert row.response_bytes == 2 * len(its)
        slowest = max(its, key=lambda one: one["wait"])
        assert row.duration is not None
        assert row.duration.max == slowest["wait"]
        assert row.slowest is not None
        assert row.slowest.url == f"http://example{slowest['path']}" or name.endswith("static")
        record = exchanges[slowest["path"]] if not name.endswith("static") else None
        assert record is None or (row.slowest.packet, row.slowest.connection) == (record["request"]["packet"], record["connection"])
        assert row.parts is not None
        assert row.parts.exchanges == len(its)
        assert row.parts.server == pytest.approx(sum(one["wait"] - 1e-5 for one in its), abs=1e-6)
        assert row.parts.network == pytest.approx(1e-5 * len(its), abs=1e-6)
    order = [row.duration.p95 for row in ran.summary.endpoints if row.duration is not None]
    assert order == sorted(order, reverse=True)


def test_tables_do_not_depend_on_blocks(run: Run) -> None:
    talks, _ = calls(40, seed=3)
    tables = []
    for packets in (1, 3, 50, 8192):
        summary = run(merge(*talks), replace(Limits(), block_packets=packets, table_rows=2)).summary
        tables.append(msgspec.json.encode((summary.endpoints, summary.problems, summary.network)))
    assert len(set(tables)) == 1


def test_what_is_not_told_apart_is_in_the_last_row(run: Run) -> None:
    talks = [
        Talk(sport=5000 + i)
        .open()
        .send(0, request(f"/only/{'abcdefghij'[i]}"))
        .send(1, response(b"x", status="500 E", kind="text/plain"))
        .close()
        for i in range(10)
    ]
    summary = run(merge(*talks), replace(Limits(), table_rows=3)).summary
    assert [row.name for row in summary.endpoints][-1] == "..."
    assert [row.exchanges for row in summary.endpoints] == [1, 1, 1, 7]
    assert [(row.kind, row.count) for row in summary.problems] == [("server_error", 1)] * 3 + [("other", 7)]


def test_every_kind_of_problem_is_named_with_its_first_exchange(run: Run) -> None:
    bad = request("/in", method="POST", body=b'{"a":nul}', fields="Content-Type: application/json\r\n")
    large = response(b'["' + b"x" * 200_000 + b'"]')
    torn = Talk(sport=7).open().send(0, request("/torn")).acknowledge(1)
    torn.send(1, response(b"[" + b"1," * 1000 + b"1]")[:900]).send(1, b"", keep=False)
    gap = Talk(sport=8).open().send(0, request("/gap")).acknowledge(1)
    answer = response(b"x" * 3000, kind="text/plain")
    gap.send(1, answer[:1000]).send(1, answer[1000:2000], keep=False).send(1, answer[2000:]).acknowledge(0).close()
    talks = [
        Talk(sport=1).open().send(0, request("/a/1")).send(1, response(b"{}", status="500 Oh")).acknowledge(0),
        Talk(sport=2).open().send(0, request("/b")).send(1, response(b"{}", status="404 No")).acknowledge(0),
        Talk(sport=3).open().send(0, bad).send(1, response(b"[1}")).acknowledge(0),
        Talk(sport=4).open().send(0, request("/never")).acknowledge(1),
        Talk(sport=5).open().send(0, request("/large")).acknowledge(1).send(1, large).acknowledge(0),
        torn,
        gap,
        Talk(sport=9).open().send(0, request("/y")).send(1, response(b"a: [1", kind="text/yaml")).acknowledge(0),
        Talk(sport=11).open().send(0, request("/cut")).send(1, response(b"{}")[:30]).acknowledge(0),
        Talk(sport=10).open().send(0, request("/m")).send(1, response(b"no parts", kind="multipart/mixed; boundary=x")).acknowledge(0),
    ]
    for i, t in enumerate(talks):
        for j, (us, frame) in enumerate(t.frames):
            t.frames[j] = (us + i * 1_000_000, frame)
    ran = run(merge(*talks), replace(Limits(), json_scalar_max_bytes=70_000))
    found = ran.summary.problems
    assert {row.kind for row in found} == set(PROBLEMS) - {"other"}
    assert [PROBLEMS.index(row.kind) for row in found] == sorted(PROBLEMS.index(row.kind) for row in found)
    records = {(record["connection"], record["exchange"]): record for record in ran.of("http")}
    for row in found:
        assert row.first is not None
        record = records[row.first.connection, row.first.exchange]
        assert row.first.packet == record["request"]["packet"]
        assert row.first.url == f"http://example{record['request']['target']}"
    broken = {(row.sender, row.ip, row.detail) for row in found if row.kind == "broken_json"}
    assert broken == {
        ("client", "10.0.0.1", "the literal is not true, false or null, at a"),
        ("server", "10.0.0.2", next(row.detail for row in found if row.kind == "broken_json" and row.sender == "server")),
    }
    assert {row.place for row in found if row.kind == "broken_json"} == {"a, byte 5", "[0], byte 2"}
    assert [(row.detail, row.place) for row in found if row.kind in ("broken_yaml", "broken_multipart")] == [
        ("while parsing a flow sequence: did not find expected ',' or ']', at a[]", "a[0], line 2, column 1"),
        ("no boundary line was found", "behind part 0"),
    ]
    assert [(row.detail, row.endpoint) for row in found if row.kind.endswith("error")] == [
        ("500 Oh", "GET example/a/{id}"),
        ("404 No", "GET example/b"),
    ]


def test_the_first_screen_names_them_and_the_sections_can_be_chosen(run: Run) -> None:
    talks, _ = calls(60)
    summary = run(merge(*talks)).summary
    assert tuple(SECTIONS) == NAMES
    text = render(summary, width=80, color=False)
    for part in ("Problems", "503 R  GET example/slow/{id}", "first: http://example/", "Slowest endpoints, by p95", "server 100%"):
        assert part in text
    assert text.index("\nProblems\n") < text.index("\nSlowest endpoints, by p95\n") < text.index("\nRecovered\n") < text.index("\nMemory")
    only = render(summary, width=80, color=False, shown=Shown(sections=("endpoints",), top=1))
    assert only.startswith("Slowest endpoints, by p95\n")
    assert "Problems" not in only
    assert "and 2 faster endpoints (--top 3)" in only
    assert "\n  http " not in text
    assert "\n  http " in render(summary, width=80, color=False, shown=Shown(memory=True))


@pytest.mark.parametrize(
    ("upload", "wait", "transfer", "part"),
    [(2_000_000, 10, 10, "sending the requests"), (10, 2_000_000, 10, "the server"), (10, 10, 2_000_000, "sending the responses")],
)
def test_the_advice_says_whose_time_it_was(run: Run, upload: int, wait: int, transfer: int, part: str) -> None:
    asked, answer = request(method="POST", body=b"x" * 100), response(b"x" * 100)
    t = Talk().open().send(0, asked[:50]).idle(upload).send(0, asked[50:]).idle(wait)
    t.send(1, answer[:50]).idle(transfer).send(1, answer[50:]).acknowledge(0).close()
    advice = run(t.bytes()).summary.advice
    (line,) = (line for line in advice if "of the time of POST example/" in line)
    assert part in line
    assert line.endswith("--connection 1)")
    assert line.startswith("100% ")
