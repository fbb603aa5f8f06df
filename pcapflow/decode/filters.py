"""Which segments are looked at: a part of the language of pcap-filter(7), evaluated on the columns.

Contract: `compile_filter` takes an expression and returns a function from `SegmentColumns` to bool (n,); it raises `UsageError` with one clear
sentence. Addresses and ports are the innermost ones, those of the connection. Invariant: an expression is at most LONGEST characters and DEEPEST
parentheses deep. Read by precedence: not, then and, then or.

    expression = term { ("or" | "||") term }
    term       = factor { ("and" | "&&") factor }
    factor     = ("not" | "!") factor | "(" expression ")" | primitive
    primitive  = "tcp" | "ip" | "ip6" | "vlan" [number]
               | ["tcp"] ["src" | "dst"] ("host" address | "net" network | "port" number | "portrange" number "-" number)
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from pcapflow.decode.segments import IPV6_TAG, SegmentColumns
from pcapflow.errors import UsageError

LONGEST = 4096
DEEPEST = 32
_TOKEN = re.compile(r"\s*(\(|\)|!|&&|\|\||[^\s()!&|]+)")
_WORD = 0xFFFF_FFFF_FFFF_FFFF

_Bools = npt.NDArray[np.bool_]
Filter = Callable[[SegmentColumns], _Bools]


def compile_filter(text: str) -> Filter:
    """The function of an expression."""
    if len(text) > LONGEST:
        raise UsageError(f"--filter: an expression of {len(text)} characters is longer than {LONGEST}")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                self._fail(f"{text[at:].strip()[:20]!r} is not understood")
            self._words.append(match[1])
            at = match.end()
        self._at = 0

    def _fail(self, why: str) -> NoReturn:
        raise UsageError(f"--filter {self._text!r}: {why}")

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self, wanted: str) -> str:
        word = self._peek()
        if not word:
            self._fail(f"ends where {wanted} is expected")
        self._at += 1
        return word

    def whole(self) -> Filter:
        found = self._any(0)
        if self._peek():
            self._fail(f"{self._peek()!r} is not expected")
        return found

    def _any(self, depth: int) -> Filter:
        found = self._all(depth)
        while self._peek() in ("or", "||"):
            self._at += 1
            found = _either(found, self._all(depth))
        return found

    def _all(self, depth: int) -> Filter:
        found = self._one(depth)
        while self._peek() in ("and", "&&"):
            self._at += 1
            found = _both(found, self._one(depth))
        return found

    def _one(self, depth: int) -> Filter:
        if depth > DEEPEST:
            self._fail(f"nests deeper than {DEEPEST}")
        word = self._next("an expression")
        if word in ("not", "!"):
            inner = self._one(depth + 1)
            return lambda s: ~inner(s)
        if word == "(":
            inner = self._any(depth + 1)
            if self._next("a closing parenthesis") != ")":
                self._fail("a closing parenthesis is expected")
            return inner
        return self._primitive(word)

    def _primitive(self, word: str) -> Filter:
        if word == "tcp":
            if self._peek() not in ("src", "dst", "port", "portrange", "host", "net"):
                return lambda s: np.ones(len(s), dtype=bool)
            word = self._next("a primitive")
        if word in ("ip", "ip6"):
            return lambda s: ((s.tag & np.uint64(IPV6_TAG)) != 0) == (word == "ip6")
        if word == "vlan":
            return self._vlan()
        if word in ("udp", "icmp", "icmp6", "arp", "sctp"):
            self._fail(f"only TCP is read; {word} is not supported")
        side = word if word in ("src", "dst") else ""
        if side:
            word = self._next("host, net, port or portrange")
        if word == "host":
            return _address(self._network(self._next("an address"), host=True), side)
        if word == "net":
            return _address(self._network(self._next("a network"), host=False), side)
        if word == "port":
            port = self._number(self._next("a port"), 65_535)
            return _port(port, port, side)
        if word != "portrange":
            self._fail(f"{word!r} is not supported; use tcp, ip, ip6, vlan, [src|dst] host, net, port, portrange, and, or, not, ( )")
        low, dash, high = self._next("a range of ports").partition("-")
        if not dash:
            self._fail(f"{low!r} is no range of ports: write 8000-8999")
        return _port(self._number(low, 65_535), self._number(high, 65_535), side)

    def _vlan(self) -> Filter:
        if not self._peek().isdecimal():
            return lambda s: s.tag >> np.uint64(1) != 0
        number = np.uint64(self._number(self._next("a VLAN"), 4095) | 0x1000)
        return lambda s: ((s.tag >> np.uint64(1) & np.uint64(0x1FFF)) == number) | ((s.tag >> np.uint64(14) & np.uint64(0x1FFF)) == number)

    def _number(self, text: str, most: int) -> int:
        if not text.isdecimal() or len(text) > 5 or int(text) > most:
            self._fail(f"{text!r} is not a number up to {most}")
        return int(text)

    def _network(self, text: str, *, host: bool) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            self._fail(f"{text!r} is not an address{'' if host else ' or network'}; names are not looked up")
        if host and "/" in text:
            self._fail(f"{text!r} is a network: write net {text}")
        return network


def _either(a: Filter, b: Filter) -> Filter:
    return lambda s: a(s) | b(s)


def _both(a: Filter, b: Filter) -> Filter:
    return lambda s: a(s) & b(s)


def _sided(side: str, source: Filter, destination: Filter) -> Filter:
    return source if side == "src" else destination if side == "dst" else _either(source, destination)


def _port(low: int, high: int, side: str) -> Filter:
    return _sided(side, lambda s: (s.sport >= low) & (s.sport <= high), lambda s: (s.dport >= low) & (s.dport <= high))


def _address(network: ipaddress.IPv4Network | ipaddress.IPv6Network, side: str) -> Filter:
    is_ipv6 = network.version == 6
    mask, value = int(network.netmask), int(network.network_address)
    masks, values = ([np.uint64(n >> shift & _WORD) for shift in (64, 0)] for n in (mask, value))

    def within(s: SegmentColumns, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> _Bools:
        found: _Bools = ((s.tag & np.uint64(IPV6_TAG)) != 0) == is_ipv6
        found &= (high & masks[0] == values[0]) & (low & masks[1] == values[1])
        return found

    return _sided(side, lambda s: within(s, s.src_hi, s.src_lo), lambda s: within(s, s.dst_hi, s.dst_lo))
