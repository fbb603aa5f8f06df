r"""A body of YAML, perhaps with holes, in any encoding that YAML has; or one that says so and is JSON.

Contract: a `Text`. A body that begins as JSON does is kept up to `json_whole_max_bytes` and is JSON where it is valid, which YAML 1.1 would not always let it be (`"\ud83d\ude00"`); one that is larger is read as
JSON from its first byte on. Behind a hole reading goes on at the next line `---`: nothing else tells where a document begins. Invariant: kept are the first bytes until they tell the encoding, a body
that may be JSON, the beginning of a line behind a hole, and what the parser keeps; the second is reserved in the `json` account.
"""

from __future__ import annotations

import re

import msgspec

from pcapflow.budget import Account
from pcapflow.contents import JsonBody, YamlBody
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.json_encoding import MARKS, NULS, AsUtf8
from pcapflow.payload.json_formats import open_text, seems_json
from pcapflow.payload.json_texts import Text
from pcapflow.payload.kept import Kept
from pcapflow.payload.tap import Tap
from pcapflow.payload.yaml_parser import YamlParser

_SEEMS = 128
"""Bytes that tell whether it begins as JSON does."""
_BEGINS = re.compile(rb"[\r\n](?=---[ \t\r\n])")
_UNDEFINED = "while parsing a node: found undefined tag handle"
"""Which directives may define that stood behind a gap, before the `---` at which it goes on."""
_CARRY = 4
"""Bytes of a line that may be what `_BEGINS` finds."""
_is_json = msgspec.json.Decoder(msgspec.Raw).decode


class YamlText:
    """One body."""

    __slots__ = (
        "_account",
        "_begin",
        "_bytes",
        "_carry",
        "_decoder",
        "_found",
        "_gapped",
        "_json",
        "_kept",
        "_limits",
        "_parser",
        "_tap",
        "drop",
    )

    def __init__(self, limits: Limits, account: Account, tap: Tap | None = None) -> None:
        self._limits, self._account, self._tap = limits, account, tap
        self._found = YamlBody(0, 0, 0, 0, 0, None, 0, "complete")
        self._bytes = 0
        self._begin: bytes | None = b""
        """The first bytes, until they tell what it is."""
        self._decoder: AsUtf8 | None = None
        """Where it is not UTF-8."""
        self._kept: Kept | None = None
        """All of it, while it may be JSON."""
        self._json: Text | None = None
        self._parser: YamlParser | None = None
        self._carry: bytes | None = None
        """Behind a hole, the last bytes, until a document begins."""
        self._gapped = False
        self.drop: Drop | None = None

    def feed(self, data: bytes) -> None:
        """See `Text`."""
        self._bytes += len(data)
        if self._json is not None:
            self._json.feed(data)
        elif self._kept is not None:
            self._keep(data)
        elif self._begin is not None:
            self._begin += data
            if len(self._begin) >= _SEEMS:
                self._open()
        else:
            self._read(self._utf8(data))

    def gap(self) -> bool:
        """See `Text`."""
        if self._begin is not None:
            self._open()
        if self._kept is not None:
            self._as_json()
        if self._json is not None:
            return self._json.gap()
        if self._decoder is not None:
            self._end(whole=False, gapped=True)
            return False
        if self._found.error is None and self.drop is None:
            self._end(whole=False, gapped=True)
            self._carry = b""
            self._gapped = True
        return self.drop is None

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | YamlBody | None:
        """See `Text`."""
        if self._begin is not None:
            self._open()
        if self._kept is not None:
            kept = bytes(self._let_go())
            if not whole or _valid(kept):
                self._as_json(kept)
            else:
                self._read(kept)
        if self._json is not None:
            return self._json.finish(whole=whole, gapped=gapped)
        if self._decoder is not None:
            self._read(self._utf8(b"", final=whole))
        self._end(whole=whole)
        found = self._found
        found.bytes = self._bytes
        if self.drop is not None:
            found.status, found.drop_reason = "dropped", self.drop.reason.value
        elif found.error is not None and not (self._gapped and found.error.message == _UNDEFINED):
            found.status = "invalid"
        elif gapped or not whole:
            found.error = None
            found.status = "gapped" if gapped else "truncated"
        return found

    # --- what it is

    def _open(self) -> None:
        """The first bytes tell what it is."""
        begin, self._begin = self._begin, None
        assert begin is not None
        encoding = next((name for mark, name in MARKS if begin.startswith(mark)), None)
        if encoding is None:
            encoding = next((name for pattern, name in NULS if pattern.match(begin)), "utf-8")
        if encoding != "utf-8":
            self._found.encoding = encoding
            self._decoder = AsUtf8(encoding)
        elif seems_json(begin):
            self._kept = Kept(self._account, self._limits.json_whole_max_bytes)
            self._keep(begin)
            return
        self._read(self._utf8(begin))

    def _keep(self, data: bytes) -> None:
        """It may be JSON."""
        assert self._kept is not None
        if not self._kept.add(data):
            self._as_json()
            assert self._json is not None
            self._json.feed(data)

    def _let_go(self) -> bytes | bytearray:
        """Nothing is kept any more: what was."""
        kept, self._kept = self._kept, None
        assert kept is not None
        return kept.let_go()

    def _as_json(self, kept: bytes | None = None) -> None:
        """It is read as JSON."""
        kept = bytes(self._let_go()) if kept is None else kept
        self._json = open_text("json", self._limits, self._account, self._tap)
        self._json.feed(kept)

    def _utf8(self, data: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return data
        return self._decoder.decode(data, final=final)

    # --- YAML

    def _read(self, data: bytes) -> None:
        """The next bytes, as UTF-8."""
        if self._carry is not None:
            data = self._carry + data
            found = _BEGINS.search(data)
            if found is None:
                self._carry = data[-_CARRY:]
                return
            self._carry, data = None, data[found.end() :]
        if self._found.error is not None or self.drop is not None:
            return
        if self._parser is None:
            self._parser = YamlParser(self._found, self._limits, self._account, self._tap)
        self._parser.feed(data)
        self.drop = self._parser.drop

    def _end(self, *, whole: bool, gapped: bool = False) -> None:
        """No more bytes come of what is being read."""
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.finish(whole=whole)
            self.drop = parser.drop
            self._found.broken += gapped and parser.in_document and self.drop is None and self._found.error is None


def _valid(text: bytes) -> bool:
    """Whether it is one text of JSON."""
    try:
        _is_json(text)
        text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
