"""What `pcapflow follow` shows to a person: who speaks, in colors at a terminal, and what can be printed of it.

Contract: `View` takes the bytes of streams, `MessageView` - a `Sink` - messages with chunking and codings undone. Nothing that a terminal would obey comes out of the wire's bytes.
"""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING

from pcapflow.entries import Entry
from pcapflow.findings.decoding import BYTES, GAP, HEAD, MESSAGE, UNREAD, Said
from pcapflow.report.sinks.base import Sink
from pcapflow.terminal_text import counted, plain_lines

if TYPE_CHECKING:
    from pcapflow.cli.output import Output
    from pcapflow.protocols.follower import Part

_AT_ONCE = 64 << 10
"""Bytes that are written at one time; what is made of them takes many times as much."""
_COLUMNS = 16
_ENDS = {"fin": "ends with FIN", "rst": "ends with RST", "cut": "still open"}
_COLORS = {"client": b"\x1b[31m", "server": b"\x1b[34m"}
"""Red and blue, as Wireshark has them."""
_PLAIN = b"\x1b[0m"
_PREVIEW = 64
"""Bytes of a binary body that are shown."""
_PRINTABLE = bytes(c if 0x20 <= c < 0x7F else 0x2E for c in range(256))


class _Speakers:
    """Writes what two sides say, with a line where the other one begins."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._speaker = ""
        self._line_open = False
        self._colors = _COLORS if out.is_terminal and "NO_COLOR" not in os.environ else {}
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"client": make("replace"), "server": make("replace")}

    def _say(self, text: str) -> None:
        self._out.write((b"\n" if self._line_open else b"") + b"--- " + plain_lines(text).encode() + b"\n")
        self._line_open = False

    def _write(self, name: str, data: bytes) -> None:
        color = self._colors.get(name)
        self._out.write(data if color is None or not data else color + data + _PLAIN)

    def _text(self, name: str, data: bytes) -> bytes:
        text = plain_lines(self._decoders[name].decode(data).replace("\r", ""))
        self._line_open = not text.endswith("\n") if text else self._line_open
        return text.encode()


class View(_Speakers):
    """The bytes of streams."""

    def __init__(self, out: Output, *, as_hex: bool) -> None:
        super().__init__(out)
        self._as_hex = as_hex

    def part(self, name: str, part: Part) -> None:
        """Write it."""
        if part.end is not None:
            self._say(f"{name}, {_ENDS[part.end]} at byte {part.offset}, packet {part.packet}")
            return
        if part.gap is not None:
            gap = part.gap
            size = counted(gap.length, "byte")
            self._say(f"{name}, gap of {size} from byte {gap.start} ({gap.cause.value}), known at packet {part.packet}")
            self._speaker = ""
            return
        if name != self._speaker:
            self._say(f"{name}, from byte {part.offset}, packet {part.packet}")
            self._speaker = name
        for at in range(0, len(part.data), _AT_ONCE):
            data = part.data[at : at + _AT_ONCE]
            self._write(name, hexadecimal(part.offset + at, data) if self._as_hex else self._text(name, data))


class MessageView(_Speakers, Sink):
    """Messages, as `findings.decoding` finds them."""

    kinds = frozenset()
    own = MESSAGE

    def __init__(self, out: Output, only: str | None, *, as_hex: bool) -> None:
        """only: the side that is shown; None for both."""
        super().__init__(out)
        self._only = only
        self._as_hex = as_hex
        self.heads = 0
        """Messages that were shown."""
        self._offsets = {"client": 0, "server": 0}
        """Bytes of the body at hand that came."""
        self._left_out = {"client": -1, "server": -1}
        """Of a binary body, bytes that are not shown; -1 for text."""
        self.missing = 0
        """Bytes that are missing in bodies, and were shown to be."""
        self._unread: dict[str, dict[str, int]] = {"client": {}, "server": {}}
        """Bytes that are of no message, behind the last one that was shown: by their reason."""

    def entries(self, some: list[Entry]) -> None:
        """See `Sink`."""
        for entry in some:
            said = Said.unpacked(entry.line)
            name = "server" if said.server else "client"
            if self._only in (None, name):
                self._said(name, said)

    def finish(self) -> None:
        """See `Sink`."""
        for name in ("client", "server"):
            self._end_binary(name)
            if self.heads:
                self._end_unread(name)

    def _said(self, name: str, said: Said) -> None:
        if said.kind == UNREAD:
            reason = str(said.data, "ascii")
            self._unread[name][reason] = self._unread[name].get(reason, 0) + said.number
            return
        if said.kind == HEAD:
            self._end_binary(name)
            self._end_unread(name)
            self.heads += 1
            self._offsets[name] = 0
            self._say(f"{name}, packet {said.packet}")
            self._speaker = name
            self._write(name, self._text(name, said.data))
            return
        if said.kind == BYTES:
            self._bytes(name, said)
            return
        self._end_binary(name)
        self.missing += said.number if said.kind == GAP else 0
        self._say(
            f"{name}, gap of {counted(said.number, 'byte')}, known at packet {said.packet}"
            if said.kind == GAP
            else f"{name}: {str(said.data, 'utf-8', 'replace')}"
        )
        self._speaker = ""

    def _bytes(self, name: str, said: Said) -> None:
        data, offset = said.data, self._offsets[name]
        if not offset:
            self._left_out[name] = 0 if is_binary(data) and not self._as_hex else -1
        self._offsets[name] += len(data)
        if self._left_out[name] >= 0:
            shown = data[: max(0, _PREVIEW - offset)]
            self._left_out[name] += len(data) - len(shown)
            if shown:
                self._speak(name, said)
                self._write(name, hexadecimal(offset, shown))
                self._line_open = False
            return
        self._speak(name, said)
        self._write(name, hexadecimal(offset, data) if self._as_hex else self._text(name, data))

    def _speak(self, name: str, said: Said) -> None:
        if name != self._speaker:
            self._say(f"{name} goes on, packet {said.packet}")
            self._speaker = name

    def _end_binary(self, name: str) -> None:
        if self._left_out[name] > 0:
            self._say(f"{name}: {counted(self._left_out[name], 'more byte')} of binary data; --hex shows them")
        self._left_out[name] = -1

    def _end_unread(self, name: str) -> None:
        for reason, n in self._unread[name].items():
            self._say(f"{name}: {counted(n, 'byte')} in no message ({reason}); follow without --decode shows them")
            self._speaker = ""
        self._unread[name].clear()


def is_binary(begins: bytes) -> bool:
    """Whether what begins so is no text: control characters, or what is no UTF-8."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(begins)
    except UnicodeDecodeError:
        return True
    return any(c < " " and c not in "\t\r\n\f" for c in text)


def hexadecimal(offset: int, data: bytes) -> bytes:
    """Lines of offsets, bytes in hexadecimal, and what can be printed of them."""
    lines = []
    for at in range(0, len(data), _COLUMNS):
        some = data[at : at + _COLUMNS]
        lines.append(b"%08x  %-47s  %s\n" % (offset + at, some.hex(" ").encode(), some.translate(_PRINTABLE)))
    return b"".join(lines)
