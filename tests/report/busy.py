"""A capture with one of each: what a page has to show."""

from __future__ import annotations

from tests.craft import Talk, merge, request, response

BROKEN = b'{"user": "a", "password": tru}'


def busy() -> bytes:
    """Connections by client port: 40001 two fast answers, 40002 a slow 500, 40003 a broken text of JSON sent, 40004 a 404, 40005 an answer with a hole, 40006 no answer."""
    talks = []

    def talk(port: int) -> Talk:
        one = Talk(sport=port)
        one.us = (port - 40000) * 1_000_000
        talks.append(one.open())
        return one

    fast = talk(40001)
    for target in ("/api/fast", "/other"):
        fast.send(0, request(target)).idle(2_000).send(1, response(b'{"a": 1}', fields="Server: craft\r\n"))
    fast.close()
    talk(40002).send(0, request("/api/slow")).idle(700_000).send(1, response(b"[]", status="500 Internal Server Error")).close()
    broken = request("/api/login", method="POST", body=BROKEN, fields="Content-Type: application/json\r\n")
    talk(40003).send(0, broken).idle(30_000).send(1, response(b"[]")).close()
    talk(40004).send(0, request("/missing")).idle(5_000).send(1, response(b"[]", status="404 Not Found")).close()
    holed = talk(40005).send(0, request("/api/holed"))
    answer = response(b"[" + b"1," * 4000 + b"1]")
    holed.send(1, answer[:1000]).send(1, answer[1000:3000], keep=False).send(1, answer[3000:]).acknowledge(0).idle(50_000).close()
    talk(40006).send(0, request("/api/silent")).acknowledge(1)
    return merge(*talks)
