"""HTTP/1 framing against h11 and httptools (llhttp): the same bytes, cut in every way, and what each makes of malformed ones.

The verdicts of h11 and llhttp are computed here, never written down. `python -m tests.protocols.test_against_peers` prints where
pcapflow differs from either as the table of the docs.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.protocols.http.flow import Flow
from tests.conftest import CASES, Run
from tests.craft import Talk, merge
from tests.work import ends


class Message(NamedTuple):
    """A message as one parser has it. what: method, target and version, or status and version. over: it has ended; a body that
    lasts until the connection closes never has.
    """

    what: tuple[str, ...]
    body: bytes
    over: bool


# --- what h11 and llhttp say


def by_h11(client: bool, data: bytes, methods: list[str], most: int = 99) -> list[Message]:
    """Every message of one direction. methods: those of the requests that the responses answer. Each message has a connection of its
    own, since h11 would not go on after HTTP/1.0. Raises h11.RemoteProtocolError.
    """
    found: list[Message] = []
    asked = iter(methods)
    while data and len(found) < most:
        peer = h11.Connection(h11.SERVER if client else h11.CLIENT)
        if not client:
            method = next(asked)
            peer.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            peer.send(h11.EndOfMessage())
        peer.receive_data(data)
        what: tuple[str, ...] = ()
        body, over = b"", False
        while not over and (event := peer.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                what = (event.method.decode("latin-1"), event.target.decode("latin-1"), event.http_version.decode())
            elif isinstance(event, h11.Response):
                what = (str(event.status_code), event.http_version.decode())
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                over = isinstance(event, h11.EndOfMessage)
        if what:
            found.append(Message(what, body, over))
        if not over:
            break
        data = peer.trailing_data[0]
    return found


class _Llhttp:
    def __init__(self, client: bool, *, tolerant: bool) -> None:
        self.found: list[Message] = []
        self.target = b""
        self.parser: Any = httptools.HttpRequestParser(self) if client else httptools.HttpResponseParser(self)
        self.client = client
        if tolerant:
            self.parser.set_dangerous_leniencies(lenient_keep_alive=True)

    def on_message_begin(self) -> None:
        self.target = b""

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if self.client:
            self.found.append(Message((self.parser.get_method().decode(), self.target.decode("latin-1"), version), b"", False))
        else:
            self.found.append(Message((str(self.parser.get_status_code()), version), b"", False))

    def on_body(self, data: bytes) -> None:
        last = self.found[-1]
        self.found[-1] = last._replace(body=last.body + data)

    def on_message_complete(self) -> None:
        self.found[-1] = self.found[-1]._replace(over=True)
        if self.found[-1].what[0].startswith("1") and not self.client:
            self.found.pop()


def by_llhttp(client: bool, data: bytes, *, tolerant: bool = True) -> list[Message]:
    """The same by llhttp. tolerant: other messages may follow one after which the connection should have been closed. Raises
    httptools.HttpParserError where the first message is refused.
    """
    peer = _Llhttp(client, tolerant=tolerant)
    try:
        peer.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        if tolerant or not peer.found or not peer.found[0].over:
            raise
    return peer.found


# --- what pcapflow says


@contextmanager
def seeing_bodies(patch: pytest.MonkeyPatch) -> Iterator[dict[tuple[int, str], list[bytes]]]:
    """The bytes of bodies by connection and side, as the framers hand them over; the content type has to be JSON."""
    seen: dict[tuple[int, str], list[bytes]] = defaultdict(list)
    begins, more, whole = Flow.body_begins, Flow.body_bytes, Flow.body_whole

    def of(flow: Any, side: int) -> list[bytes]:
        return seen[flow._conversation.number, "server" if side else "client"]

    def body_begins(self: Any, side: int, *args: Any) -> None:
        of(self, side).append(b"")
        begins(self, side, *args)

    def body_bytes(self: Any, side: int, n: int, data: bytes, *args: Any) -> None:
        assert n == len(data)
        of(self, side)[-1] += data
        more(self, side, n, data, *args)

    def body_whole(self: Any, side: int, message: Any, data: bytes, *args: Any) -> None:
        of(self, side).append(data)
        whole(self, side, message, data, *args)

    with patch.context() as p:
        p.setattr(Flow, "body_begins", body_begins)
        p.setattr(Flow, "body_bytes", body_bytes)
        p.setattr(Flow, "body_whole", body_whole)
        yield seen


Pieces = list[bytes]


def one_talk(i: int, client: Pieces, server: Pieces) -> Talk:
    """The i-th connection of a capture: every request, then every response."""
    t = Talk(sport=10000 + i).open()
    for side, pieces in enumerate((client, server)):
        for piece in pieces:
            t.send(side, piece)
        t.acknowledge(1 - side)
    return t.close()


def analysed(run: Run, patch: pytest.MonkeyPatch, talks: list[tuple[Pieces, Pieces]]) -> list[tuple[list[Message], list[Message]]]:
    """What pcapflow finds in each of several connections: the requests and the responses, in order. A framer sees the segments of a
    block of packets joined. The connections' packets alternate, and blocks are smaller than there are connections: each cut is seen.
    """
    block = max(1, len(talks) * 3 // 4)
    with seeing_bodies(patch) as seen:
        ran = run(merge(*(one_talk(i, client, server) for i, (client, server) in enumerate(talks))), replace(Limits(), block_packets=block))
    assert ran.of("drop") == []
    found: list[tuple[list[Message], list[Message]]] = [([], []) for _ in talks]
    for record in sorted(ran.of("http"), key=lambda r: r["exchange"]):
        assert record["anomalies"] in ([], ["head_cut"])
        assert not record["resynchronised"]
        number = record["connection"]
        for side, name in enumerate(("request", "response")):
            message = record[name]
            if message is None:
                continue
            body = message["body"]
            if record["anomalies"] and body["framing"] == "none":
                continue  # the peers wait for the head's end
            what = (message["method"], message["target"]) if side == 0 else (str(message["status"]),)
            data = seen[number, ("client", "server")[side]].pop(0) if body["framing"] != "none" else b""
            assert body["bytes"] == len(data)
            assert body["status"] in ("complete", "truncated")
            over = body["status"] == "complete" and body["framing"] != "close"
            found[number - 1][side].append(Message((*what, message["version"]), data, over))
    assert not any(seen.values())
    return found


def pieces_of(data: bytes, sizes: list[int]) -> Pieces:
    """data in pieces of these sizes, again and again."""
    out, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return out
        out.append(data[at : at + size])
        at += size
    raise AssertionError


def all_cuts(data: bytes, sizes: list[int], at_once: int = 12) -> list[Pieces]:
    """Ways to cut data: not at all; segments of these sizes and then the rest; bytes one by one between the rest, in turn for all of them."""
    sized = pieces_of(data, sizes)
    cuts = [[data], [*sized[:at_once], *([b"".join(sized[at_once:])] if len(sized) > at_once else [])]]
    for at in range(0, len(data), at_once):
        single = [data[i : i + 1] for i in range(at, min(at + at_once, len(data)))]
        cuts.append([piece for piece in (data[:at], *single, data[at + at_once :]) if piece])
    return cuts


# --- streams that are as they should be

TOKEN = "!#$%&'*+-.^_`|~0aZ"
KNOWN_TO_LLHTTP = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH", "TRACE"]
JSON = b"Content-Type: application/json\r\n"
odd_fields = st.lists(
    st.tuples(
        st.text(TOKEN, max_size=6).map(lambda s: b"X" + s.encode()),
        st.sampled_from([b"", b" ", b"\t", b" \t "]),
        st.sampled_from(
            [
                b"",
                b"v",
                b"a:b",
                b'"q\\"r"',
                b"a\tb",
                b"caf\xc3\xa9",
                b"\xff\x80",
                b"HTTP/1.1 200 OK",
                b"Content-Length: 3",
                b"," * 9,
                b"x" * 99,
            ]
        ),
        st.sampled_from([b"", b" ", b"\t "]),
    ).map(lambda parts: parts[0] + b":" + b"".join(parts[1:]) + b"\r\n"),
    max_size=3,
).map(b"".join)
bodies = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"", b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 300])
)
path = st.text("abz019-._~%2F!$&'()*+,;=:@/", max_size=8)
targets = st.one_of(
    st.tuples(path, st.sampled_from(["", "?", "?a=b&c=%20", "?/?"])).map(lambda p: "/" + "".join(p)),
    st.tuples(st.sampled_from(["http://a", "http://a:8080", "https://[::1]:1"]), path).map("/".join),
)
lengths = st.tuples(
    st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]),
    st.sampled_from([b":", b": ", b":\t "]),
    st.sampled_from([b"", b"0", b"000"]),
)


@st.composite
def chunked_bodies(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in chunks: sizes in any case and with leading zeros, extensions, trailers."""
    out = []
    extensions = st.sampled_from([b"", b"", b";a", b";a=b", b';a="b c"', b";a=1;b=2"])
    while body:
        size = draw(st.integers(1, len(body)))
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x", b"000%X"])) % size
        out.append(digits + draw(extensions) + b"\r\n" + body[:size] + b"\r\n")
        body = body[size:]
    return b"".join(out) + draw(st.sampled_from([b"0", b"00", b"0000"])) + draw(extensions) + b"\r\n" + draw(odd_fields) + b"\r\n"


@st.composite
def framed(draw: st.DrawFn, kind: str) -> tuple[bytes, bytes, bytes]:
    """Fields, the body on the wire and the body itself."""
    fields = [draw(odd_fields), JSON]
    body = draw(bodies) if kind != "none" else b""
    wire = body
    if kind == "length":
        name, colon, zeros = draw(lengths)
        fields.append(b"%b%b%b%d\r\n" % (name, colon, zeros, len(body)))
    elif kind == "chunked":
        fields.append(draw(st.sampled_from([b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:Chunked \r\n"])))
        wire = draw(chunked_bodies(body))
    return b"".join(draw(st.permutations(fields))), wire, body


@st.composite
def requests(draw: st.DrawFn, *, last: bool = False) -> tuple[bytes, Message]:
    method = draw(st.sampled_from([*KNOWN_TO_LLHTTP, "HEAD", *(["CONNECT"] if last else [])]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    target = draw(targets)
    if method == "OPTIONS" and draw(st.booleans()):
        target = "*"
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if method == "CONNECT":
        target, kind = draw(st.sampled_from(["a:443", "10.0.0.1:80", "[::1]:8443"])), "none"
    if kind == "chunked" and version == "1.0":
        kind = "length"
    fields, wire, body = draw(framed(kind))
    host = draw(st.sampled_from(["Host: a\r\n", "host:a:80\r\n", "Host:\r\n"]))
    return f"{method} {target} HTTP/{version}\r\n{host}".encode() + fields + b"\r\n" + wire, Message((method, target, version), body, True)


@st.composite
def responses(draw: st.DrawFn, method: str, *, last: bool = False) -> tuple[bytes, Message]:
    out = []
    for status in draw(st.lists(st.sampled_from(["100 Continue", "102 Processing", "103 Early Hints"]), max_size=3)):
        out.append(f"HTTP/1.1 {status}\r\n".encode() + draw(odd_fields) + b"\r\n")
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    kind = draw(st.sampled_from(["none", "length", "length", "chunked", *(["close"] if last else [])]))
    if kind == "chunked" and version == "1.0":
        kind = "length"
    code = draw(st.sampled_from(["204", "304"] if kind == "none" else ["200", "201", "404", "500", "599"]))
    if method == "CONNECT" and code < "300":
        code, kind = ("403", "length") if kind == "none" else ("403", kind)
    reason = draw(st.sampled_from(["", " ", " OK", " Not what\tyou think: 200"]))
    fields, wire, body = draw(framed(kind))
    if code == "304" and version == "1.1" and draw(st.booleans()):  # in HTTP/1.0, llhttp keeps the length for the next message
        fields += b"Content-Length: 77\r\n"
    over = kind != "close"
    if method == "HEAD":
        wire, body, over = b"", b"", True
    out.append(f"HTTP/{version} {code}{reason}\r\n".encode() + fields + b"\r\n" + wire)
    return b"".join(out), Message((code, version), body, over)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[tuple[bytes, Message]], list[tuple[bytes, Message]]]:
    """Requests that are pipelined, and their responses."""
    count = draw(st.integers(1, 5))
    asked = [draw(requests(last=i == count - 1)) for i in range(count)]
    answered = [draw(responses(ask[1].what[0], last=i == count - 1)) for i, ask in enumerate(asked)]
    return asked, answered


def responses_by_llhttp(parts: list[tuple[bytes, Message]], methods: list[str]) -> list[Message]:
    """httptools cannot be told that a request was HEAD: such an answer goes alone, to a parser that sees no more of it."""
    found: list[Message] = []
    for is_head, group in itertools.groupby(zip(parts, methods, strict=True), lambda pair: pair[1] == "HEAD"):
        for data in [part[0] for part, _ in group] if is_head else [b"".join(part[0] for part, _ in group)]:
            messages = by_llhttp(False, data)
            found += [m._replace(over=True) for m in messages] if is_head else messages
    return found


segments = st.lists(st.integers(1, 80), min_size=1, max_size=5)


@settings(max_examples=40 * CASES)
@given(conversations(), segments, segments)
def test_conversations_are_what_h11_and_llhttp_say_however_they_are_cut(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    talk: tuple[list[tuple[bytes, Message]], list[tuple[bytes, Message]]],
    mine: list[int],
    theirs: list[int],
) -> None:
    asked, answered = talk
    client, server = b"".join(data for data, _ in asked), b"".join(data for data, _ in answered)
    truth = [m for _, m in asked], [m for _, m in answered]
    methods = [m.what[0] for m in truth[0]]
    assert by_h11(True, client, []) == truth[0]
    assert by_llhttp(True, client) == truth[0]
    assert by_h11(False, server, methods) == truth[1]
    assert responses_by_llhttp(answered, methods) == truth[1]
    several, others = all_cuts(client, mine), all_cuts(server, theirs)
    talks = [(several[i % len(several)], others[i % len(others)]) for i in range(max(len(several), len(others)))]
    for found in analysed(run, monkeypatch, talks):
        assert found == truth


@settings(max_examples=40 * CASES)
@given(conversations(), st.booleans(), st.floats(0, 1), segments)
def test_a_stream_that_breaks_off_has_the_messages_and_the_bytes_that_h11_and_llhttp_have(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    talk: tuple[list[tuple[bytes, Message]], list[tuple[bytes, Message]]],
    client: bool,
    part: float,
    sizes: list[int],
) -> None:
    asked, answered = talk
    data = b"".join(d for d, _ in (asked if client else answered))
    data = data[: max(1, int(len(data) * part))]
    methods = ["HEAD" if m.what[0] == "HEAD" else "GET" for _, m in asked]
    cuts = all_cuts(data, sizes)
    if client:
        expected = by_h11(True, data, [])
        assert by_llhttp(True, data) == expected
        talks = [(pieces, []) for pieces in cuts]
    else:
        plain = b"".join(b"%b / HTTP/1.1\r\nHost: a\r\n\r\n" % method.encode() for method in methods)
        expected = by_h11(False, data, methods)
        kept, left = [], len(data)
        for wire, message in answered:
            kept.append((wire[:left], message))
            left = max(0, left - len(wire))
        assert responses_by_llhttp(kept, methods) == expected
        talks = [([plain], pieces) for pieces in cuts]
    for found in analysed(run, monkeypatch, talks):
        assert found[0 if client else 1] == expected


REPRESENTATIVE: list[tuple[list[bytes], list[bytes]]] = [
    (
        [
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,2]\r\n",
            b"PUT /b?c HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            b'3;a="b;c"\r\n\r\n0\r\n00A\r\n0123456789\r\n00\r\nX-T: v\r\n\r\n',
            b"OPTIONS * HTTP/1.0\r\nX!#: \xff\r\n\r\n",
        ],
        [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
            b"HTTP/1.1 200\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\nb;x\r\nHTTP/1.1 20\r\n0\r\n\r\n",
            b"HTTP/1.0 404 No\r\nContent-Type: application/json\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ],
    ),
    (
        [
            b"HEAD http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"DELETE /c HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",
            b"HTTP/1.1 304 Same\r\nContent-Length: 60\r\n\r\n",
            b"HTTP/1.1 204 None\r\n\r\n",
            b"HTTP/1.1 407 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        ],
    ),
]


@pytest.mark.parametrize(("client", "server"), REPRESENTATIVE)
def test_every_cut_in_two_gives_what_h11_and_llhttp_say(
    run: Run, monkeypatch: pytest.MonkeyPatch, client: list[bytes], server: list[bytes]
) -> None:
    ask, answer = b"".join(client), b"".join(server)
    asked = by_h11(True, ask, [])
    methods = [m.what[0] for m in asked]
    answered = by_h11(False, answer, methods)
    assert len(asked) == len(answered) == len(server)
    assert by_llhttp(True, ask) == asked
    assert responses_by_llhttp([(data, asked[0]) for data in server], methods) == answered
    talks: list[tuple[Pieces, Pieces]] = [([ask], [answer])]
    talks += [([ask[:i], ask[i:]], [answer]) for i in range(1, len(ask))]
    talks += [([ask], [answer[:i], answer[i:]]) for i in range(1, len(answer))]
    for i, found in enumerate(analysed(run, monkeypatch, talks)):
        assert found == (asked, answered), talks[i]


# --- heads and chunks that are malformed or ambiguous

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 202 Next\r\nContent-Length: 0\r\n\r\n"
AMBIGUOUS = "http_ambiguous_length"
"""The reason of a refusal; a name of DropReason once it is there."""
MALFORMED_HEAD, MALFORMED_CHUNK = DropReason.HTTP_MALFORMED_HEAD.value, DropReason.HTTP_MALFORMED_CHUNK.value


class Row(NamedTuple):
    """One case. outcome: the framing and the bytes of the body (`length 5`, `chunked 5`, `none`, `close`), or the reason of a drop.
    anomalies: those that must be named, `?` before those that may be. why: in a phrase, where pcapflow differs from h11 or llhttp.
    """

    name: str
    side: int
    data: bytes
    outcome: str
    anomalies: str
    why: str

    @property
    def title(self) -> str:
        return f"{self.name} ({('request', 'response')[self.side]})"

    @property
    def refused(self) -> bool:
        return self.outcome.startswith("http_")

    @property
    def until_close(self) -> bytes:
        """What a body until close is: everything behind the head."""
        return (self.data + NEXT[self.side]).partition(b"\r\n\r\n")[2]

    @property
    def verdict(self) -> str:
        """pcapflow's, in the words for the others."""
        if self.refused:
            return "refuses"
        if self.outcome == "close":
            return f"{len(self.until_close)} bytes, open"
        return f"{self.outcome.partition(' ')[2] or 0} bytes"


START = b"POST /row HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 200 OK\r\n"


def ask(name: str, fields: bytes, outcome: str, anomalies: str = "", why: str = "", *, body: bytes = b"", start: bytes = START[0]) -> Row:
    return Row(name, 0, start + fields + b"\r\n" + body, outcome, anomalies, why)


def answer(
    name: str, fields: bytes, outcome: str, anomalies: str = "", why: str = "", *, body: bytes = b"", start: bytes = START[1]
) -> Row:
    return Row(name, 1, start + fields + b"\r\n" + body, outcome, anomalies, why)


def both(name: str, fields: bytes, outcome: str, anomalies: str = "", why: str = "", *, body: bytes = b"") -> list[Row]:
    return [ask(name, fields, outcome, anomalies, why, body=body), answer(name, fields, outcome, anomalies, why, body=body)]


def of_length(name: str, fields: bytes, outcome: str, anomalies: str = "", why: str = "") -> list[Row]:
    """Requests and responses with a body of five bytes."""
    if outcome == AMBIGUOUS:
        return [
            ask(name, fields, outcome, anomalies, why, body=b"hello"),
            answer(name, fields, "close", anomalies, why or UNTIL_CLOSE, body=b"hello"),
        ]
    return both(name, fields, outcome, anomalies, why, body=b"hello")


def of_chunks(name: str, body: bytes, outcome: str, anomalies: str = "", why: str = "") -> list[Row]:
    return both(name, b"Transfer-Encoding: chunked\r\n", outcome, anomalies, why, body=body)


UNTIL_CLOSE = "an endpoint rejects it; an observer reports the bytes, which can only belong to this response"
ODD_LINE = "an endpoint may reject this; an observer reports what was sent"
PRECEDES = "RFC 9112 section 6.3: Transfer-Encoding decides; an endpoint may reject the message, an observer reports what was framed"
ONE_READING = "there is one reading; it is reported as an anomaly"
LINE_FEED = "RFC 9112 section 2.2 allows a recipient to take a bare LF"
SAID = "framing does not depend on it; it is reported as an anomaly"
NO_NAME = "a name that is not a token is not a field name; the line is skipped"
CHUNK_LF = "the line's end is certain; it is reported as an anomaly"
NOT_LAST = "RFC 9112 section 6.3, rule 4: until close where chunked is not last in a response"
CODINGS = "framing needs the last coding only"
LENIENT_START = "RFC 9112 sections 3 and 4 allow a recipient to part the words at any white space"
MESSAGE_GIVEN = "an endpoint may refuse what an observer only reports"

ROWS: list[Row] = [
    # lengths
    *of_length("Content-Length: 5", b"Content-Length: 5\r\n", "length 5"),
    *of_length("Content-Length between tabs", b"Content-Length:\t5\t\r\n", "length 5"),
    *of_length("leading zeros in a length", b"Content-Length: 0005\r\n", "length 5"),
    *both(
        "Content-Length and Transfer-Encoding",
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "chunked 5",
        "length_and_chunked",
        PRECEDES,
        body=CHUNKS,
    ),
    *both(
        "Transfer-Encoding and Content-Length",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "chunked 5",
        "length_and_chunked",
        PRECEDES,
        body=CHUNKS,
    ),
    *of_length(
        "equal lengths",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        "length 5",
        "repeated_length",
        "RFC 9112 section 6.3, rule 5: equal values are one",
    ),
    *of_length("unequal lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", AMBIGUOUS, "conflicting_lengths ?repeated_length"),
    *of_length(
        "list of equal lengths",
        b"Content-Length: 5, 5\r\n",
        "length 5",
        "repeated_length",
        "RFC 9112 section 6.3, rule 5: equal values are one",
    ),
    *of_length("list of unequal lengths", b"Content-Length: 5,6\r\n", AMBIGUOUS, "conflicting_lengths ?repeated_length"),
    *of_length(
        "list of lengths with an empty member",
        b"Content-Length: 5,\r\n",
        AMBIGUOUS,
        "?conflicting_lengths ?malformed_length ?repeated_length",
    ),
    *of_length("length +5", b"Content-Length: +5\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length -5", b"Content-Length: -5\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length 0x5", b"Content-Length: 0x5\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length 5 5", b"Content-Length: 5 5\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("empty length", b"Content-Length:\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length 5abc", b"Content-Length: 5abc\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length 5.0", b"Content-Length: 5.0\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length 1_0", b"Content-Length: 1_0\r\n", AMBIGUOUS, "malformed_length"),
    *of_length(
        "length of 20 digits",
        b"Content-Length: 10000000000000000000\r\n",
        AMBIGUOUS,
        "malformed_length",
        "no body is that long: more than 18 digits",
    ),
    *of_length("length of 30 digits", b"Content-Length: " + b"9" * 30 + b"\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("length with a vertical tab", b"Content-Length: \x0b5\r\n", AMBIGUOUS, "malformed_length control_character"),
    *of_length("length with a non-ASCII digit", b"Content-Length: \xd9\xa5\r\n", AMBIGUOUS, "malformed_length"),
    *of_length("space before the colon of a length", b"Content-Length : 5\r\n", "length 5", "space_before_colon", ONE_READING),
    *of_length("tab before the colon of a length", b"Content-Length\t: 5\r\n", "length 5", "space_before_colon", ONE_READING),
    *of_length("folded length", b"Content-Length:\r\n 5\r\n", "length 5", "obsolete_folding", "RFC 9112 section 5.2: a fold is a space"),
    ask(
        "length as first field, after a space",
        b" Content-Length: 5\r\n",
        "none",
        "space_before_first_field",
        "RFC 9112 section 2.2: such lines are skipped",
        start=b"POST /row HTTP/1.0\r\n",
    ),
    ask(
        "length folded onto a field",
        b"X: a\r\n\tContent-Length: 5\r\n",
        "none",
        "obsolete_folding",
        "RFC 9112 section 5.2: a fold is a space",
    ),
    ask("vertical tab before a length's name", b"\x0bContent-Length: 5\r\n", "none", "malformed_field_name", NO_NAME),
    ask("vertical tab after a length's name", b"Content-Length\x0b: 5\r\n", "none", "malformed_field_name", NO_NAME),
    ask("NUL after a length's name", b"Content-Length\0: 5\r\n", "none", "malformed_field_name", NO_NAME),
    # transfer codings
    *both("Chunked", b"Transfer-Encoding: Chunked\r\n", "chunked 5", body=CHUNKS),
    *both(
        "CHUNKED between tabs",
        b"TRANSFER-ENCODING:\tCHUNKED\t\r\n",
        "chunked 5",
        "",
        "RFC 9110 section 5.5: white space around a value is no part of it",
        body=CHUNKS,
    ),
    ask("xchunked", b"Transfer-Encoding: xchunked\r\n", AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    answer("xchunked", b"Transfer-Encoding: xchunked\r\n", "close", "unknown_transfer_encoding", NOT_LAST, body=CHUNKS),
    ask(
        "vertical tab before chunked",
        b"Transfer-Encoding: \x0bchunked\r\n",
        AMBIGUOUS,
        "unknown_transfer_encoding control_character",
        body=CHUNKS,
    ),
    answer(
        "vertical tab before chunked",
        b"Transfer-Encoding: \x0bchunked\r\n",
        "close",
        "unknown_transfer_encoding control_character",
        NOT_LAST,
        body=CHUNKS,
    ),
    ask("chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    answer("chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", "close", "unknown_transfer_encoding", NOT_LAST, body=CHUNKS),
    ask("identity", b"Transfer-Encoding: identity\r\n", AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    answer("identity", b"Transfer-Encoding: identity\r\n", "close", "unknown_transfer_encoding", NOT_LAST, body=CHUNKS),
    ask(
        "identity and a length",
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        AMBIGUOUS,
        "unknown_transfer_encoding length_and_chunked",
        body=b"hello",
    ),
    answer(
        "identity and a length",
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "close",
        "unknown_transfer_encoding length_and_chunked",
        NOT_LAST,
        body=b"hello",
    ),
    ask("empty Transfer-Encoding", b"Transfer-Encoding:\r\n", AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    ask("chunked;q=1", b"Transfer-Encoding: chunked;q=1\r\n", AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    ask("chunked in quotes", b'Transfer-Encoding: "chunked"\r\n', AMBIGUOUS, "unknown_transfer_encoding", body=CHUNKS),
    *both("gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", "chunked 5", "", CODINGS, body=CHUNKS),
    *both(
        "gzip and chunked in two fields",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "chunked 5",
        "",
        CODINGS,
        body=CHUNKS,
    ),
    ask(
        "chunked and identity in two fields",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        AMBIGUOUS,
        "unknown_transfer_encoding",
        body=CHUNKS,
    ),
    *both(
        "chunked, chunked",
        b"Transfer-Encoding: chunked, chunked\r\n",
        "chunked 5",
        "repeated_chunked",
        "no sender chunks twice: it is undone once and named",
        body=CHUNKS,
    ),
    *both(
        "chunked in two fields",
        b"Transfer-Encoding: chunked\r\n" * 2,
        "chunked 5",
        "repeated_chunked",
        "no sender chunks twice: it is undone once and named",
        body=CHUNKS,
    ),
    *both(
        "folded chunked",
        b"Transfer-Encoding:\r\n chunked\r\n",
        "chunked 5",
        "obsolete_folding",
        "RFC 9112 section 5.2: a fold is a space",
        body=CHUNKS,
    ),
    *both(
        "space before the colon of chunked", b"Transfer-Encoding : chunked\r\n", "chunked 5", "space_before_colon", ONE_READING, body=CHUNKS
    ),
    ask(
        "chunked in HTTP/1.0",
        b"Transfer-Encoding: chunked\r\n",
        "chunked 5",
        "transfer_encoding_in_http_1_0",
        body=CHUNKS,
        start=b"POST /row HTTP/1.0\r\n",
    ),
    answer(
        "chunked in HTTP/1.0",
        b"Transfer-Encoding: chunked\r\n",
        "chunked 5",
        "transfer_encoding_in_http_1_0",
        body=CHUNKS,
        start=b"HTTP/1.0 200 OK\r\n",
    ),
    # line ends
    Row("bare LF everywhere", 0, b"POST /row HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", "length 5", "bare_lf", LINE_FEED),
    Row("bare LF everywhere", 1, b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "length 5", "bare_lf", LINE_FEED),
    *of_length("bare LF after one field", b"X: a\nContent-Length: 5\r\n", "length 5", "bare_lf", LINE_FEED),
    ask(
        "bare LF after the request line",
        b"Host: a\r\nContent-Length: 5\r\n",
        "length 5",
        "bare_lf",
        LINE_FEED,
        body=b"hello",
        start=b"POST /row HTTP/1.1\n",
    ),
    answer(
        "bare LF after the status line",
        b"Content-Length: 5\r\n",
        "length 5",
        "bare_lf",
        LINE_FEED,
        body=b"hello",
        start=b"HTTP/1.1 200 OK\n",
    ),
    Row("bare LF as the empty line", 0, b"POST /row HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\nhello", "length 5", "bare_lf", LINE_FEED),
    *of_length("bare CR in a value", b"X: a\rb\r\nContent-Length: 5\r\n", "length 5", "bare_cr ?control_character", SAID),
    *of_length("CR CR LF", b"X: a\r\r\nContent-Length: 5\r\n", "length 5", "bare_cr ?control_character", SAID),
    *of_length("bare CR in a length", b"Content-Length: 5\r6\r\n", AMBIGUOUS, "malformed_length bare_cr ?control_character"),
    ask("bare CR between two fields", b"X: a\rContent-Length: 5\r\n", "none", "bare_cr ?control_character", "a line ends with LF"),
    ask(
        "bare CR after the request line",
        b"Host: a\r\n",
        "none",
        "bare_cr malformed_version missing_host",
        ODD_LINE,
        start=b"POST /row HTTP/1.1\r",
    ),
    ask("CR CR LF after the request line", b"Host: a\r\n", "none", "bare_cr", ODD_LINE, start=b"POST /row HTTP/1.1\r\r\n"),
    answer(
        "bare CR after the status line", b"Content-Length: 5\r\n", "close", "bare_cr", ODD_LINE, body=b"hello", start=b"HTTP/1.1 200 OK\r"
    ),
    # fields
    *of_length("NUL in a name", b"X\0Y: a\r\nContent-Length: 5\r\n", "length 5", "malformed_field_name", NO_NAME),
    *of_length("NUL in a value", b"X: a\0b\r\nContent-Length: 5\r\n", "length 5", "control_character", SAID),
    *of_length("control character in a value", b"X: a\x01b\r\nContent-Length: 5\r\n", "length 5", "control_character", SAID),
    *of_length("DEL in a value", b"X: a\x7fb\r\nContent-Length: 5\r\n", "length 5", "control_character", SAID),
    *of_length("bytes above 127 in a value", b"X: \x80\xff\r\nContent-Length: 5\r\n", "length 5"),
    *of_length("bytes above 127 in a name", b"X\xe9: a\r\nContent-Length: 5\r\n", "length 5", "malformed_field_name", NO_NAME),
    *of_length("line without a colon", b"nonsense\r\nContent-Length: 5\r\n", "length 5", "line_without_colon", SAID),
    *of_length("empty name", b": a\r\nContent-Length: 5\r\n", "length 5", "malformed_field_name", NO_NAME),
    *of_length("parentheses in a name", b"X(Y): a\r\nContent-Length: 5\r\n", "length 5", "malformed_field_name", NO_NAME),
    *of_length("space in a name", b"X Y: a\r\nContent-Length: 5\r\n", "length 5", "malformed_field_name", NO_NAME),
    *of_length(
        "folding",
        b"X: a\r\n b: c\r\n\td\r\nContent-Length: 5\r\n",
        "length 5",
        "obsolete_folding",
        "RFC 9112 section 5.2: a fold is a space",
    ),
    *of_length(
        "line of one space",
        b"X: a\r\n \r\nContent-Length: 5\r\n",
        "length 5",
        "obsolete_folding",
        "RFC 9112 section 5.2: a fold is a space",
    ),
    Row(
        "space before the first field",
        0,
        b"POST /row HTTP/1.1\r\n X: a\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "length 5",
        "space_before_first_field",
        "RFC 9112 section 2.2: such lines are skipped",
    ),
    answer(
        "space before the first field",
        b"\tX: a\r\nContent-Length: 5\r\n",
        "length 5",
        "space_before_first_field",
        "RFC 9112 section 2.2: such lines are skipped",
        body=b"hello",
    ),
    ask(
        "no Host in HTTP/1.1",
        b"Content-Length: 5\r\n",
        "length 5",
        "missing_host",
        MESSAGE_GIVEN,
        body=b"hello",
        start=b"POST /row HTTP/1.1\r\n",
    ),
    ask("no Host in HTTP/1.0", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"POST /row HTTP/1.0\r\n"),
    ask("two Hosts", b"Host: b\r\nContent-Length: 5\r\n", "length 5", "repeated_host", MESSAGE_GIVEN, body=b"hello"),
    ask("the same Host twice", b"Host: a\r\nContent-Length: 5\r\n", "length 5", "repeated_host", MESSAGE_GIVEN, body=b"hello"),
    # first lines
    ask(
        "empty lines before a request",
        b"",
        "none",
        "",
        "RFC 9112 section 2.2: empty lines are skipped",
        start=b"\r\n\r\nGET /row HTTP/1.1\r\nHost: a\r\n",
    ),
    answer(
        "empty lines before a response",
        b"Content-Length: 5\r\n",
        "length 5",
        "",
        "RFC 9112 section 2.2, for both sides",
        body=b"hello",
        start=b"\r\n\r\nHTTP/1.1 200 OK\r\n",
    ),
    ask(
        "bare LF before a request",
        b"",
        "none",
        "?bare_lf",
        "RFC 9112 section 2.2: empty lines are skipped",
        start=b"\n\nGET /row HTTP/1.1\r\nHost: a\r\n",
    ),
    ask("method in lower case", b"", "none", "", "a method is any token", start=b"get /row HTTP/1.1\r\nHost: a\r\n"),
    ask("unknown method", b"", "none", "", "a method is any token", start=b"BREW /row HTTP/1.1\r\nHost: a\r\n"),
    ask("method that is no token", b"", MALFORMED_HEAD, start=b"G@T /row HTTP/1.1\r\nHost: a\r\n"),
    ask("request line with two spaces", b"", "none", "", LENIENT_START, start=b"GET  /row  HTTP/1.1\r\nHost: a\r\n"),
    ask("request line with tabs", b"", "none", "", LENIENT_START, start=b"GET\t/row\tHTTP/1.1\r\nHost: a\r\n"),
    ask("space after the version", b"", "none", "", LENIENT_START, start=b"GET /row HTTP/1.1 \r\nHost: a\r\n"),
    ask("space in the target", b"", "none", "space_in_target", ODD_LINE, start=b"GET /row a HTTP/1.1\r\nHost: a\r\n"),
    ask("no target", b"", "none", "missing_target", ODD_LINE, start=b"GET HTTP/1.1\r\nHost: a\r\n"),
    ask("bytes above 127 in the target", b"", "none", "", "clients send them", start=b"GET /row\xc3\xa9 HTTP/1.1\r\nHost: a\r\n"),
    ask(
        "no version, not as the first request",
        b"",
        "none",
        "malformed_version",
        ODD_LINE,
        start=b"GET /row\r\nHost: a\r\n",
    ),
    ask("HTTP/2.0 in a request", b"", "none", "malformed_version", ODD_LINE, start=b"GET /row HTTP/2.0\r\nHost: a\r\n"),
    ask(
        "HTTP/1.9 in a request",
        b"",
        "none",
        "",
        "RFC 9110 section 2.5: the highest minor version known is taken",
        start=b"GET /row HTTP/1.9\r\nHost: a\r\n",
    ),
    ask("HTTP/1.10 in a request", b"", "none", "malformed_version", ODD_LINE, start=b"GET /row HTTP/1.10\r\nHost: a\r\n"),
    ask("no digit behind the point", b"", "none", "malformed_version", ODD_LINE, start=b"GET /row HTTP/1.\r\nHost: a\r\n"),
    ask("http/1.1 in lower case", b"", "none", "malformed_version", ODD_LINE, start=b"GET /row http/1.1\r\nHost: a\r\n"),
    answer("no reason", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"HTTP/1.1 200\r\n"),
    answer("empty reason", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"HTTP/1.1 200 \r\n"),
    answer("bytes above 127 in the reason", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"HTTP/1.1 200 \xc3\xa9\r\n"),
    answer("status of two digits", b"Content-Length: 5\r\n", MALFORMED_HEAD, body=b"hello", start=b"HTTP/1.1 20 OK\r\n"),
    answer(
        "status of four digits",
        b"Content-Length: 5\r\n",
        "length 5",
        "malformed_status",
        ODD_LINE,
        body=b"hello",
        start=b"HTTP/1.1 2000 OK\r\n",
    ),
    answer(
        "NUL in the status line",
        b"Content-Length: 5\r\n",
        "length 5",
        "control_character",
        ODD_LINE,
        body=b"hello",
        start=b"HTTP/1.1\x00200 OK\r\n",
    ),
    answer(
        "HTTP/1.10 in a response",
        b"Content-Length: 5\r\n",
        "length 5",
        "malformed_version",
        ODD_LINE,
        body=b"hello",
        start=b"HTTP/1.10 200 OK\r\n",
    ),
    answer("status of letters", b"Content-Length: 5\r\n", MALFORMED_HEAD, body=b"hello", start=b"HTTP/1.1 OK OK\r\n"),
    answer(
        "status 099",
        b"Content-Length: 5\r\n",
        "length 5",
        "malformed_status",
        ODD_LINE,
        body=b"hello",
        start=b"HTTP/1.1 099 Low\r\n",
    ),
    answer("status 999", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"HTTP/1.1 999 High\r\n"),
    answer(
        "status line with two spaces",
        b"Content-Length: 5\r\n",
        "length 5",
        "",
        LENIENT_START,
        body=b"hello",
        start=b"HTTP/1.1  200  OK\r\n",
    ),
    answer("status line with tabs", b"Content-Length: 5\r\n", "length 5", "", LENIENT_START, body=b"hello", start=b"HTTP/1.1\t200\tOK\r\n"),
    answer(
        "HTTP/2.0 in a response",
        b"Content-Length: 5\r\n",
        "length 5",
        "malformed_version",
        ODD_LINE,
        body=b"hello",
        start=b"HTTP/2.0 200 OK\r\n",
    ),
    answer(
        "HTTP/1.9 in a response",
        b"Content-Length: 5\r\n",
        "length 5",
        "",
        "RFC 9110 section 2.5: the highest minor version known is taken",
        body=b"hello",
        start=b"HTTP/1.9 200 OK\r\n",
    ),
    answer("ICY 200 OK", b"Content-Length: 5\r\n", MALFORMED_HEAD, body=b"hello", start=b"ICY 200 OK\r\n"),
    answer("204 with a length", b"Content-Length: 5\r\n", "none", "framing_in_bodiless", start=b"HTTP/1.1 204 No\r\n"),
    answer("204 with chunked", b"Transfer-Encoding: chunked\r\n", "none", "framing_in_bodiless", start=b"HTTP/1.1 204 No\r\n"),
    answer("204 with length 0", b"Content-Length: 0\r\n", "none", start=b"HTTP/1.1 204 No\r\n"),
    answer("304 with a length", b"Content-Length: 5\r\n", "none", start=b"HTTP/1.1 304 Same\r\n"),
    answer("304 with chunked", b"Transfer-Encoding: chunked\r\n", "none", start=b"HTTP/1.1 304 Same\r\n"),
    answer("205 with a length", b"Content-Length: 5\r\n", "length 5", body=b"hello", start=b"HTTP/1.1 205 Reset\r\n"),
    Row(
        "103 with a length",
        1,
        b"HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "length 5",
        "?framing_in_bodiless",
        "",
    ),
    # chunks
    *of_chunks("last chunk 00", b"5\r\nhello\r\n00\r\n\r\n", "chunked 5"),
    *of_chunks("leading zeros in a chunk's size", b"00000000000000000005\r\nhello\r\n0\r\n\r\n", "chunked 5"),
    *of_chunks(
        "forty leading zeros in a chunk's size", b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n", "chunked 5", "", "leading zeros are no size"
    ),
    *of_chunks("chunk's size in upper case", b"A\r\nhellohello\r\n0\r\n\r\n", "chunked 10"),
    *of_chunks("chunk of three digits", b"10e\r\n" + b"hello" * 54 + b"\r\n0\r\n\r\n", "chunked 270"),
    *of_chunks("space after a chunk's size", b"5 \r\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_space", "servers pad sizes with blanks"),
    *of_chunks("tab after a chunk's size", b"5\t\r\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_space", "servers pad sizes with blanks"),
    *of_chunks(
        "space after the last chunk's size", b"5\r\nhello\r\n0   \r\n\r\n", "chunked 5", "chunk_space", "servers pad sizes with blanks"
    ),
    *of_chunks("space before a chunk's size", b" 5\r\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_space", "servers pad sizes with blanks"),
    *of_chunks(
        "space before an extension", b"5 ;a\r\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_space", "RFC 9112 section 7.1.1 has blanks there"
    ),
    *of_chunks("chunk's size +5", b"+5\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size -5", b"-5\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size 0x5", b"0x5\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size 5_0", b"5_0\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size 5 5", b"5 5\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size with a vertical tab", b"5\x0b\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("chunk's size with NUL", b"5\0\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("empty chunk's size", b"\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("extension without a size", b";a\r\nhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks(
        "chunk's size of 17 digits",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        MALFORMED_CHUNK,
        "",
        "no chunk is that long: more than 15 digits",
    ),
    *of_chunks(
        "chunk's size of 16 digits",
        b"1000000000000005\r\nhello\r\n0\r\n\r\n",
        MALFORMED_CHUNK,
        "",
        "no chunk is that long: more than 15 digits",
    ),
    *of_chunks("extension", b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n", "chunked 5"),
    *of_chunks("extension in quotes", b'5;a="b;c\\"d"\r\nhello\r\n0\r\n\r\n', "chunked 5"),
    *of_chunks("extension with an open quote", b'5;a="b\r\nhello\r\n0\r\n\r\n', "chunked 5", "", "an extension ends with its line"),
    *of_chunks("empty extension", b"5;\r\nhello\r\n0\r\n\r\n", "chunked 5", "", "extensions are skipped"),
    *of_chunks("blanks in an extension", b"5; a = b\r\nhello\r\n0\r\n\r\n", "chunked 5", "", "extensions are skipped"),
    *of_chunks("extension that ends with a bare LF", b"5;a\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_bare_lf", CHUNK_LF),
    *of_chunks("bare LF in an extension in quotes", b'5;a="\nhello\r\n0\r\n\r\n', "chunked 5", "chunk_bare_lf", CHUNK_LF),
    *of_chunks("bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_bare_cr", "a line ends with LF"),
    *of_chunks("bare CR after a chunk's size", b"5\rhello\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("data without a line break", b"5\r\nhello0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("data that is longer than its size", b"5\r\nhello!\r\n0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("bare CR after data", b"5\r\nhello\r0\r\n\r\n", MALFORMED_CHUNK),
    *of_chunks("bare LF after a chunk's size", b"5\nhello\r\n0\r\n\r\n", "chunked 5", "chunk_bare_lf", CHUNK_LF),
    *of_chunks("bare LF after data", b"5\r\nhello\n0\r\n\r\n", "chunked 5", "chunk_bare_lf", CHUNK_LF),
    *of_chunks("bare LF after the last chunk's size", b"5\r\nhello\r\n0\n\r\n", "chunked 5", "chunk_bare_lf", CHUNK_LF),
    *of_chunks("bare LF as the last line", b"5\r\nhello\r\n0\r\n\n", "chunked 5", "?chunk_bare_lf ?bare_lf", CHUNK_LF),
    *of_chunks("bare LF everywhere in chunks", b"5\nhello\n0\n\n", "chunked 5", "chunk_bare_lf ?bare_lf", CHUNK_LF),
    # trailers
    *of_chunks("trailer", b"5\r\nhello\r\n0\r\nX: a\r\n\r\n", "chunked 5"),
    *of_chunks(
        "Content-Length in a trailer",
        b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "chunked 5",
        "framing_in_trailer",
        "RFC 9110 section 6.5.1: no framing in trailers",
    ),
    *of_chunks(
        "Transfer-Encoding in a trailer",
        b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        "chunked 5",
        "framing_in_trailer",
        "RFC 9110 section 6.5.1: no framing in trailers",
    ),
]


def peers_say(row: Row) -> tuple[str, str]:
    """What h11 and llhttp make of the row's message: `refuses`, or the bytes of its body."""
    data = row.data + NEXT[row.side]
    client = row.side == 0
    by: tuple[Callable[[], list[Message]], ...] = (
        lambda: by_h11(client, data, ["GET"], 1),
        lambda: by_llhttp(client, data, tolerant=False),
    )
    said = []
    for peer in by:
        try:
            found = peer()
        except (h11.RemoteProtocolError, httptools.HttpParserError):
            said.append("refuses")
            continue
        said.append(f"{len(found[0].body)} bytes{'' if found[0].over else ', open'}" if found else "waits")
    return said[0], said[1]


def differing() -> list[tuple[Row, str, str]]:
    """The rows in which pcapflow is not what both of the others are."""
    return [(row, *said) for row in ROWS if {*(said := peers_say(row))} != {row.verdict}]


def table_for_docs() -> str:
    """The differences in Markdown; a request and its twin among the responses share a line."""
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row, strict, lenient in differing():
        lines[row.name, strict, lenient, row.verdict, ", ".join(a for a in row.anomalies.split() if a[0] != "?"), row.why].append(
            ("request", "response")[row.side]
        )
    out = ["| case | side | h11 | llhttp | pcapflow | anomalies | why |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for (name, strict, lenient, ours, anomalies, why), sides in lines.items():
        out.append(f"| {name} | {', '.join(sides)} | {strict} | {lenient} | {ours} | {anomalies} | {why} |")
    return "\n".join(out)


def row_talk(i: int, row: Row, pieces: Pieces, *, first: bool) -> Talk:
    """An ordinary exchange unless the row's is the first, the row's, and another ordinary one."""
    t = Talk(sport=10000 + i).open()
    before: tuple[Pieces, Pieces] = [b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"], [b"HTTP/1.1 201 First\r\nContent-Length: 0\r\n\r\n"]
    this: tuple[Pieces, Pieces] = (pieces, []) if row.side == 0 else ([b"GET /row HTTP/1.1\r\nHost: a\r\n\r\n"], pieces)
    for exchange in (this, ([NEXT[0]], [NEXT[1]])) if first else (before, this, ([NEXT[0]], [NEXT[1]])):
        for side, parts in enumerate(exchange):
            for part in parts:
                t.send(side, part)
            t.acknowledge(1 - side)
    return t.close()


def check_row(row: Row, records: list[dict[str, Any]], drops: list[str]) -> None:
    name = ("request", "response")[row.side]
    messages = [(r, r[name]) for r in sorted(records, key=lambda r: r["exchange"]) if r[name] is not None]
    mark = "target" if row.side == 0 else "status"
    this = [(r, m) for r, m in messages if m[mark] not in ("/first", "/next", 201, 202)]
    after = [(r, m) for r, m in messages if m[mark] in ("/next", 202)]
    assert drops == [row.outcome] * row.refused
    if row.outcome == MALFORMED_HEAD:
        assert this == []
    else:
        ((record, message),) = this
        must = {a for a in row.anomalies.split() if a[0] != "?"}
        may = {a[1:] for a in row.anomalies.split() if a[0] == "?"}
        assert must <= set(record["anomalies"]) <= must | may
        body = message["body"]
        framing, _, n = row.outcome.partition(" ")
        if row.outcome == AMBIGUOUS:
            assert (body["framing"], body["bytes"], body["status"], body["drop_reason"]) == ("none", 0, "dropped", AMBIGUOUS)
        elif row.outcome == MALFORMED_CHUNK:
            assert (body["framing"], body["status"], body["drop_reason"]) == ("chunked", "dropped", MALFORMED_CHUNK)
        else:
            size = len(row.until_close) if framing == "close" else int(n or 0)
            assert (body["framing"], body["bytes"], body["status"], body["drop_reason"]) == (framing, size, "complete", None)
    if row.outcome == "close":
        assert after == []
    else:
        ((record, _),) = after
        assert record["request"]["method"] == "GET"
        assert (record["anomalies"], record["resynchronised"]) == ([], row.refused)


def talks_of(row: Row) -> list[tuple[Pieces, bool]]:
    """How the row's message is sent: whole, in small segments, in two; in the middle of a connection and first, unless that makes it
    another protocol.
    """
    two = range(1, len(row.data)) if CASES > 1 else [len(row.data) - 1]
    cuts = [*all_cuts(row.data, [7], 6), *([row.data[:i], row.data[i:]] for i in two)]
    if row.side == 0 and (row.outcome == MALFORMED_HEAD or row.name.startswith("no version")):
        return [(pieces, False) for pieces in cuts]
    return [(pieces, first) for i, pieces in enumerate(cuts) for first in ((False, True) if i < 2 or CASES > 1 else (i % 2 == 0,))]


Found = list[tuple[list[dict[str, Any]], list[str]]]
_FOUND: dict[str, Found] = {}
"""What each of a row's connections has, by the row's title: exchanges, and reasons of drops."""


def analyse_rows(run: Run, rows: list[Row]) -> None:
    """Fills in `_FOUND`. Rows share a capture since blocks of packets cost more than packets."""
    talks = [(row, *talk) for row in rows for talk in talks_of(row)]
    ran = run(
        merge(*(row_talk(i, row, pieces, first=first) for i, (row, pieces, first) in enumerate(talks))),
        replace(Limits(), block_packets=len(talks) * 3 // 4),
    )
    found: Found = [([], []) for _ in talks]
    for record in ran.of("http"):
        found[record["connection"] - 1][0].append(record)
    for drop in ran.of("drop"):
        found[drop["connection"] - 1][1].append(drop["reason"])
    for (row, *_), one in zip(talks, found, strict=True):
        _FOUND.setdefault(row.title, []).append(one)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.title) for row in ROWS])
def test_a_malformed_or_ambiguous_message_is_framed_or_refused_as_the_table_says(run: Run, row: Row) -> None:
    if row.title not in _FOUND:
        at = ROWS.index(row) // 16 * 16
        try:
            analyse_rows(run, ROWS[at : at + 16])
        except Exception:
            analyse_rows(run, [row])  # if it is another row's fault, this one is as it should be
    assert len(_FOUND[row.title]) == len(talks_of(row))
    for records, drops in _FOUND[row.title]:
        check_row(row, records, drops)


def test_where_h11_or_llhttp_has_it_otherwise_there_is_a_reason() -> None:
    assert len(ROWS) >= 60
    assert len({row.title for row in ROWS}) == len(ROWS)
    assert [row.title for row, *_ in differing() if not row.why] == []


def test_what_h11_and_llhttp_accept_alike_is_refused_only_beyond_a_bound() -> None:
    refused = {row.name for row, strict, lenient in differing() if strict == lenient != "refuses"}
    assert refused <= {"length of 20 digits", "chunk's size of 16 digits", "HTTP/2.0 in a request", "HTTP/2.0 in a response"}


OLD = b"just text\r\nand more\r\n", b"\r\n\r\n", b"<p>HTTP/1.1 200 OK\r\n\r\n</p>"


@pytest.mark.parametrize("answer", OLD)
def test_a_first_line_without_a_version_is_http_0_9_and_its_answer_is_all_there_is(run: Run, answer: bytes) -> None:
    question = b"GET /old\r\n"
    talks: list[tuple[Pieces, Pieces]] = [([question], [answer])]
    talks += [([question[:i], question[i:]], [answer]) for i in range(1, len(question))]
    talks += [([question], [answer[:i], answer[i:]]) for i in range(1, len(answer))]
    found = run(merge(*(one_talk(i, *talk) for i, talk in enumerate(talks))), replace(Limits(), block_packets=len(talks) * 3 // 4)).of(
        "http"
    )
    assert len(found) == len(talks)
    for record in found:
        assert (record["request"]["method"], record["request"]["target"], record["request"]["version"]) == ("GET", "/old", "0.9")
        response = record["response"]
        assert (response["status"], response["version"]) == (0, "0.9")
        assert (response["body"]["framing"], response["body"]["bytes"], response["body"]["status"]) == ("close", len(answer), "complete")


@pytest.mark.parametrize("look", ["http1.head import parse_response as look", "registry import forms; look = forms().classify"])
@pytest.mark.parametrize("begin", ["HTTP/1.1 200", "GET"])
def test_blanks_before_a_bare_cr_cost_no_more_than_other_bytes(look: str, begin: str) -> None:
    """A million blanks: a pattern that goes back over them would never end."""
    ends(f"from pcapflow.protocols.{look}\nlook(b'{begin}' + b' ' * 1_000_000 + b'\\rX\\r\\n\\r\\n')")


def page() -> str:
    """docs/http-peers.md."""
    return f"""# HTTP/1: where h11, llhttp and pcapflow differ

h11 and llhttp are parsers for clients and servers, which may reject a message; pcapflow observes and reports what was sent. Each row is a message that
the three do not parse in the same way. `5 bytes`: the length of the body. `open`: the body has not ended when the data ends. `refuses`: the parser raises an error, or pcapflow drops the body.
`tests/protocols/test_against_peers.py` tests each message split at every position, and prints this page.

{table_for_docs()}
"""


PAGE = Path(__file__).parents[2] / "docs" / "http-peers.md"


def test_the_page_says_what_the_table_does() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    PAGE.write_text(page())
