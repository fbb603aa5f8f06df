"""Prints the reference pages that come from the code's own tables, or checks that the files are as printed.

python docs/generate.py            rewrites them in docs/, and pcapflow/report/schema.json
python docs/generate.py --check    status 1 where one of them differs
"""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from pcapflow import __version__, cli
from pcapflow.anomalies import Anomaly, NoResponse
from pcapflow.capture import compression, formats, linktypes
from pcapflow.cli import help as help_groups
from pcapflow.decode import columns, dpkt_path, tunnels
from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.overlap import owners
from pcapflow.report.schema import SHIPPED, schema
from pcapflow.unread import UnreadReason

HERE = Path(__file__).parent


def value(n: int, unit: str) -> str:
    """A default for a person."""
    if unit == "bytes":
        for name, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if n >= size and n % size == 0:
                return f"{n // size} {name}"
    if unit == "nanoseconds":
        return f"{n / 1e9:g} s" if n >= 10**9 else f"{n / 1e6:g} ms"
    return f"{n:,} {unit}" if unit != "bytes" else f"{n} bytes"


def limits() -> str:
    """docs/limits.md."""
    lines = [
        "# Limits",
        "",
        "This page lists every limit. The report lists them under `limits`. Python can set each of them (`Limits(ring_size=...)`); the",
        "command line can set those with an option (`pcapflow analyze --help-all`). A limit is greater than zero. `docs/generate.py` writes this page",
        "from `pcapflow/limits.py` and `pcapflow/stream_limits.py`.",
        "",
        "| limit | default | what it bounds, and the reason for the default | what happens when it is reached |",
        "|---|---|---|---|",
    ]
    defaults = Limits().as_dict()
    lines.extend(
        f"| `{f.name}` | {value(defaults[f.name], f.metadata['unit'])} | {f.metadata['reason']} | {f.metadata['reached']} |"
        for f in fields(Limits)
    )
    return "\n".join(lines) + "\n"


def overlaps() -> str:
    """docs/overlaps.md."""
    lines = [
        "# Overlapping segments",
        "",
        "Two copies of the same bytes that differ are an attack or a broken middlebox: an intrusion detection system and the receiver may",
        "read different streams. `tcp.conflicts` counts such segments, `payload_bytes.conflicting` their bytes; each has a record of its own:",
        "",
        "```sh",
        "pcapflow analyze --ndjson trace.pcap | jq -c 'select(.record == \"conflict\")'",
        "```",
        "",
        "`segment` and `original` are the two ranges, as stream offsets. `bytes` is the number of bytes that differ. `kept` says whose copy is",
        "delivered: `original`, `new`, or `both`, in parts. A stream's `ambiguous_under` names the policies that would deliver other bytes. pcapflow",
        "computes it from the copies themselves: it keeps `overlap_bytes` of them for each stream, in up to `overlap_ranges` parts, and distinguishes",
        "`overlap_copies` segments over one byte. Beyond these limits it names every policy and keeps the copy that it holds.",
        "",
        "Bytes that arrive in order are delivered at once: no policy changes them. `--overlap` decides for segments that wait behind a hole:",
        "",
        "| `--overlap` | rule for two segments |",
        "|---|---|",
        *(f"| `{policy.value}` | {policy.sentence} |" for policy in Policy),
        "",
        "The rules are those of Novak and Sturges, *Target-Based TCP Stream Reassembly* (2007). `first` is also Windows Vista and later, `bsd` also",
        "macOS, `solaris` also HP-UX 11. The table shows which segment keeps the overlap: O is the original, N the new one. The columns say where the new segment",
        "begins; the three letters in a cell are for a new segment that ends before the original ends, with it, or after it.",
        "",
        "| `--overlap` | begins before the original | begins with it | begins after its beginning |",
        "|---|---|---|---|",
    ]
    for policy in Policy:
        cells = []
        for start in (5, 10, 12):
            pairs = [owners(policy, [(10, 20, 0), (start, end, 1)], max(start, 10), min(end, 20)) for end in (18, 20, 25)]
            cells.append(" ".join("ON"[found[0].arrival] for found in pairs))
        lines.append(f"| `{policy.value}` | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Rules for pairs do not say what becomes of three segments (the PYROLYSE paper, 2025). pcapflow therefore sorts the untrimmed segments, and of all",
        "that cover a byte, the first in this order supplies it. `bsd`: earlier start, then earlier arrival. `linux`: earlier start, then longer, then earlier",
        "arrival. `solaris`: later end, then earlier start, then later arrival. That is what Linux's queue does as long as it does not join buffers;",
        "old BSDs and Solaris trim what they queue, and differ on some triples. `tests/reassembly/test_overlap.py` has the triples.",
    ]
    return "\n".join(lines) + "\n"


def drops() -> str:
    """docs/drops.md."""
    lines = [
        "# Gaps and drops",
        "",
        "A **gap** is a range of a stream that pcapflow no longer waits for; the stream continues after it. A **drop** is something",
        "that pcapflow gives up on purpose: a stream, a message or a body. Each has its own record, and the summary counts both",
        "(`tcp.gaps_by_cause`, `drops.by_reason`). `docs/generate.py` writes this page from `pcapflow/drops.py`.",
        "",
        "Both records name the evidence: the connection (the number of its first packet) and the stream, the offsets in the stream and the",
        "sequence numbers on the wire, the packet and capture time at which pcapflow stopped waiting (the packet may belong to another connection), the limit that was reached and its value,",
        "the bytes that were held at that moment, and the connection whose request for memory reached the limit (`requested_by`). A drop with",
        "`resumes` concerns one message: reading resumes at the next one.",
        "",
        "## Causes of gaps",
        "",
        "| cause | what it means |",
        "|---|---|",
        *(f"| `{c.value}` | {c.sentence} |" for c in GapCause),
        "",
        "## Reasons for drops",
        "",
        "| reason | layer | what it means |",
        "|---|---|---|",
        *(f"| `{r.value}` | {r.layer} | {r.sentence} |" for r in DropReason),
    ]
    return "\n".join(lines) + "\n"


def captures() -> str:
    """docs/captures.md."""
    lines = [
        "# What is read",
        "",
        "pcapflow recognizes formats and compressions by the first bytes of a file, not by its name, on standard input too.",
        "",
        "## Formats",
        "",
        "| format | begins with | what is read |",
        "|---|---|---|",
    ]
    said: dict[str, list[str]] = {}
    for magic, form in formats.FORMATS.items():
        said.setdefault(form.SAYS, []).append(magic.rstrip(b"\0").hex(" "))
    names = {says: form.NAME for form in formats.FORMATS.values() for says in [form.SAYS]}
    lines += [f"| {names[says]} | `{'`, `'.join(magics)}` | {says} |" for says, magics in said.items()]
    lines += [
        "",
        'A pcap file with `a1b2cd34` (in either byte order) is the modified format of Alexey Kuznetzov\'s libpcap, which Wireshark calls "modified tcpdump". Its record headers have 24 bytes',
        "instead of 16. pcapflow skips the 8 additional bytes (interface index, protocol, packet type); its timestamps are microseconds. Other variants (Nokia, AIX, Ixia) are not supported;",
        "`editcap -F pcap IN OUT` converts them.",
        "",
        "pcapflow keeps at most 4,096 interfaces for each pcapng section. Packets on further interfaces, or on interfaces that are described later or not at all, count as",
        "`unsupported_link`.",
        "",
        "## Compressions",
        "",
        "| compression | begins with |",
        "|---|---|",
        *(f"| {name} | `{magic.hex(' ')}` |" for magic, name in compression.MAGIC.items()),
        "",
        "Captures are decompressed as they are read. The decompressor's memory counts against the `blocks` account; a window larger than",
        "`decompress_max_bytes` is refused. After 16 MiB of output, data that expands more than `decompress_max_ratio` (10,000) times counts as damaged. `bytes` and",
        "`damaged_at` in the report count decompressed bytes. If the compressed data itself is damaged, reading ends there, and at most 16 KiB before the damage are lost ([damage in the capture](#damage) is skipped).",
        "Data that ends early is `cut_short`.",
        "",
        "## Several captures",
        "",
        "Several captures form one trace, in the order of their first packets. The order on the command line matters only for captures that begin at the",
        "same time. A connection may span captures, and packets are numbered across them. Captures that overlap in time (two interfaces captured side by side)",
        "are merged by packet; of packets with equal times, those of the capture that begins first come first. A directory stands for the captures in it: its",
        "other files are skipped with a warning, and a directory that cannot be read ends the run (status 3). Overlapping captures share the memory of a few",
        "blocks, so hundreds fit in the default memory limit; with more captures, blocks are smaller. Each needs an open file (`ulimit -n`). A run keeps",
        "2 KiB per capture: 20,000 captures take 40 MiB of the limit. The report lists each file. With several captures, records also give the `file` of a packet",
        "and its `frame` number there, as Wireshark shows it. For overlapping captures, pcapflow remembers the last 16,384 switches between files;",
        "for an older packet, `file` is null.",
        "",
        "## Damage",
        "",
        "If the next bytes are not a plausible record header, pcapflow searches for a place to resume: four consecutive plausible headers (pcap), three (snoop), or, in",
        "pcapng, a section header or four blocks with matching lengths. Fewer suffice if they reach the end of the file. After damage, it",
        "accepts records of up to 260 KiB, in a buffer of 2 MiB, so no option affects the result. The report gives the first damaged place (`damaged_at`) and",
        "the number of skipped bytes (`skipped_bytes`); the exit status is 4. A truncated last record, or truncated compressed data, is not damage: it sets `cut_short`, with status 0.",
        "",
        "## Link types",
        "",
        "pcapflow decodes most link types with numpy for a whole block at once (`columns`), and the others packet by packet with dpkt (about 10 microseconds each). Packets of any other",
        "link type are counted (`unsupported_link`) and named in a warning.",
        "",
        "| number | name | path |",
        "|---|---|---|",
        *(
            f"| {number} | {linktypes.name(number)} | {'columns' if number in columns.LINK_TYPES else 'dpkt'} |"
            for number in sorted(dpkt_path.SUPPORTED_LINK_TYPES)
        ),
        "",
        "Ethernet may carry VLAN tags, VN-Tag, E-Tag (802.1BR), Cisco metadata, MPLS, PPPoE sessions (with compressed protocol numbers, RFC 1661), 802.1ah, and LLC",
        "with SNAP.",
        "",
        "## VLANs",
        "",
        "VLAN ids (802.1Q, QinQ) separate networks that use the same addresses. On many mirrors the two directions of a connection have different ids: 100 and",
        "200, a tag and no tag, or priority tag 0. pcapflow decides once, at the first packet whose ids differ from those of the earlier packets. With the same addresses, ports and tunnel, the packet",
        "belongs to the connection whose SYN it answers, or whose sequence and acknowledgement numbers it continues; otherwise it begins another connection. `vlan`",
        "has the ids of the client's direction, `vlan_server` those of the server's direction if they differ. `--vlan-key on` always separates by id, `off` never does. At most",
        "`max_vlan_pairs` such decisions are kept.",
        "",
        "## Copies",
        "",
        "A packet that was captured twice is a copy, not a retransmission. `-i any` on a bridge shows each packet on its way in and out, a mirror of two ports shows",
        "it twice, a routed packet appears on two VLANs, and captures of both ends, read together, contain everything twice. A copy has the same addresses, ports,",
        "tunnel, IP identification, sequence and acknowledgement numbers, flags, window, TCP checksum, length, and payload (a sample of it is compared). The link",
        "header, hop limit and VLAN may differ; so may the checksum in another file, interface or VLAN, because a sender's own capture often has no checksum yet. A",
        "retransmission has another IP identification. Without an identification (IPv6, or 0), a copy must either be in another file, interface or VLAN and have the same",
        "checksum, or be in the same place, carry data and come within 1 ms of the first one. A packet with more bytes than the first one is not a copy. Copies are removed before reassembly:",
        "`decode.duplicated` and `duplicated_bytes` count them, and `duplicated_by_place` gives what differed. Copies count neither as captured nor as retransmitted bytes.",
        "pcapflow remembers the last `copies_window` segments.",
        "",
        "## Network layer",
        "",
        "pcapflow decodes IPv4 with options, and IPv6 with hop-by-hop, routing, destination, fragment and authentication headers. It reassembles fragments of both within",
        "`fragment_timeout`, in an account of their own. The fragment that completes a datagram counts as the protocol of the datagram (such as `tcp`); the others count as `other`. An exact copy of a fragment is ignored. A datagram whose fragments overlap",
        "in any other way is dropped (RFC 5722) and counted (`fragments_overlapping`); fragments that never complete a datagram count as `fragments_dropped`.",
        "",
        "A TCP header is read if its first 20 bytes are there, even if the snap length cut its options. If the IP header gives a length beyond the captured bytes, the snap",
        "length or a slicing tool truncated the packet: its missing bytes are counted (`snapped`).",
        "",
        "## What is not read",
        "",
        "pcapflow reads TCP. It counts everything else (`udp`, `other`) and names it, with packets and bytes, in `decode.not_read`: by UDP service, IP protocol or",
        "EtherType, most bytes first, at most `map_keys` of them. The advice mentions QUIC (UDP 443) if it has at least 1% of the bytes.",
        "",
        "## Tunnels",
        "",
        "pcapflow decodes the contents of tunnels, up to four deep. The innermost tunnel distinguishes connections and appears in their records",
        '(`"tunnel": "vxlan 42"`), with its id if both directions share one. Keys of GRE and NVGRE and sessions of ERSPAN may differ by direction, so they do not',
        "distinguish connections. With `--tunnels off`, tunnels stay closed: their packets count as packets of the outer protocol.",
        "",
        "| tunnel | found by | path |",
        "|---|---|---|",
        "| ipip, 6in4 | IP protocols 4 and 41 | dpkt |",
        f"| gre, erspan | IP protocol 47, UDP port {tunnels.GRE_PORT} (RFC 8086); versions 0 and 1 (PPTP), keys; ERSPAN I to III | dpkt |",
        f"| vxlan | UDP ports {', '.join(map(str, sorted(tunnels.VXLAN_PORTS)))} | columns |",
        f"| geneve | UDP port {tunnels.GENEVE_PORT}, frames and packets, options skipped | columns |",
        f"| gtp | UDP port {tunnels.GTP_PORT}, GTP-U version 1 | dpkt |",
        f"| teredo | UDP port {tunnels.TEREDO_PORT} | dpkt |",
        "",
        "## Part of a capture",
        "",
        "`--filter` takes a part of the language of pcap-filter(7), evaluated on the columns: `host`, `net`, `port`, `portrange`, each optionally after `src` or",
        "`dst`; `tcp`, `ip`, `ip6`, `vlan`; `and`, `or`, `not`, parentheses. Addresses and ports are those of the connection, inside its tunnel; host names are not",
        "resolved. `--from` and `--to` are capture times: `2026-11-24T13:10:32Z`, a date, seconds since the epoch, or, in a capture of one day (UTC), `13:10:32`. A bare year (`2023`) is",
        "refused: write `2023-01-01`. A time of day works only for a capture of one day: the run fails at the first packet of another day. Discard any output already written.",
        "`--packets` limits the number of packets read; with several captures, `captures[].packets` counts only packets within the limit, except for a pipe that is read",
        "together with other captures: there it counts every packet of the pipe. Excluded TCP segments are counted in `decode.filtered_out`. These options do not apply to UDP and other packets, which always count in `udp` and `other`. All packets keep their numbers. Copies are",
        "recognized among the remaining packets only.",
        "",
        "`--verify-checksums` drops segments whose TCP checksum is wrong and counts them (`checksum_wrong`). Without it, such segments are accepted, because a capture on the",
        "sending machine sees packets before the network card fills in the checksum. pcapflow then verifies one segment in 256, and mentions wrong checksums in the advice if bytes conflict, or if JSON is invalid and fewer than half of the verified checksums are wrong (more suggest checksum offload).",
    ]
    return "\n".join(lines) + "\n"


def http() -> str:
    """docs/http.md, of which the tables of anomalies and of missing responses are printed here."""
    text = (HERE / "http.md").read_text(encoding="utf-8")
    for name, title, members in (
        ("no response", "| `unanswered` | what it means |", NoResponse),
        ("anomalies", "| anomaly | what it is, and what is done |", Anomaly),
    ):
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        rows = [f"| `{member.value}` | {member.sentence} |" for member in members]
        table = "\n".join([title, "|---|---|", *rows])
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return text


def field_type(field: dict[str, Any]) -> str:
    """A field's type in words, with a link where it is a table of its own."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join("null" if part.get("type") == "null" else field_type(part) for part in field["anyOf"])
    if "enum" in field:
        values = [value for value in field["enum"] if value is not None]
        if len(values) <= 8:
            return ", ".join(f"`{value}`" for value in values) + (", null" if None in field["enum"] else "")
        return "string" + (" or null" if None in field["enum"] else "")
    if field.get("type") == "array":
        return "array of " + field_type(field["items"])
    if field.get("type") == "object":
        return "map to " + field_type(field["additionalProperties"]) if "additionalProperties" in field else "object"
    return str(field["type"])


def report_fields() -> str:
    """docs/report.md, of which the field reference is printed here."""
    text = (HERE / "report.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- unread -->\n")
    rows = "\n".join(["| reason | why |", "|---|---|", *(f"| `{reason.value}` | {reason.sentence} |" for reason in UnreadReason)])
    text = f"{before}<!-- unread -->\n{rows}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    before, _, rest = text.partition("<!-- fields -->\n")
    lines: list[str] = []
    types = schema()["$defs"]
    record = types.pop("Record")
    order = [part["$ref"].rpartition("/")[2] for part in record["anyOf"]]
    order += [name for name in types if name not in order]
    for name in order:
        definition = types[name]
        lines += [f"### {name}", "", definition["description"], "", "| field | type | meaning |", "|---|---|---|"]
        lines.extend(
            f"| `{key}` | {field_type(field)} | {field.get('description') or 'The type of the record.'} |"
            for key, field in definition["properties"].items()
        )
        lines.append("")
    table = "\n".join(lines)
    return f"{before}<!-- fields -->\n{table}<!-- end -->{rest.partition('<!-- end -->')[2]}"


def shipped_schema() -> str:
    """The schema that the package ships."""
    return json.dumps(schema(), indent=1) + "\n"


def _man(text: str) -> str:
    """Text as roff takes it."""
    return "\n".join(
        ("\\&" if line.startswith((".", "'")) else "") + line for line in text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    )


def man_page() -> str:
    """docs/pcapflow.1: every command, its options in their groups, its examples; sections as man-pages(7) has them."""
    group = cli.cli
    lines = [
        f'.TH PCAPFLOW 1 "" "pcapflow {__version__}" "User Commands"',
        ".SH NAME",
        "pcapflow \\- what was said on the TCP connections of a packet capture, what could not be recovered, and why",
        ".SH SYNOPSIS",
        *(line for name in group.commands for line in (f".B pcapflow {_man(name)}", _man(_usage(name)), ".br")),
        ".SH DESCRIPTION",
        _man(group.help or ""),
        ".SH COMMANDS",
    ]
    for name, command in group.commands.items():
        lines += [
            f".SS pcapflow {_man(name)}",
            *(line for part in (command.help or "").split("\n\n") for line in (_man(" ".join(part.split())), ".PP")),
        ]
        for heading, options in help_groups.grouped(command):
            lines += [f".B {_man(heading)}", ".RS"]
            for option in options:
                record = option.get_help_record(click.Context(command))
                if record is not None:
                    lines += [".TP", f".B {_man(record[0])}", _man(record[1].replace("  [", " ["))]
            lines += [".RE", ".PP"]
        examples = (command.epilog or "").removeprefix("\b\n").strip()
        if examples:
            lines += [".nf", _man(examples), ".fi"]
    lines += [".SH EXIT STATUS"]
    for row in (HERE / "exit-status.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row.startswith("|") and cells[0].isdecimal():
            lines += [".TP", f".B {cells[0]}", _man(cells[1].replace("`", ""))]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        ".B NO_COLOR",
        "No color in the summary.",
        ".TP",
        ".B PCAPFLOW_TRACEBACK",
        "Shows where an internal error came from.",
    ]
    lines += [".SH SEE ALSO", ".BR tcpdump (8),", ".BR tshark (1),", ".BR jq (1)"]
    return "\n".join(line for line in lines if line) + "\n"


def _usage(name: str) -> str:
    command = cli.cli.commands[name]
    return " ".join(command.collect_usage_pieces(click.Context(command)))


_CLASSES = frozenset(("PacketBlock", "SegmentColumns"))
"""Words of a first sentence that are names."""


def _imported(path: Path) -> set[str]:
    """Folders and modules at the top of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pcapflow":
            inside = node.module.split(".")[1:]
            found |= {inside[0]} if inside else {alias.name for alias in node.names}
    return found


def _floors(uses: dict[str, set[str]]) -> list[list[str]]:
    """The parts by how far they stand above those that use nobody; highest first."""
    height: dict[str, int] = {}
    while len(height) < len(uses):
        for name, below in uses.items():
            if name not in height and below <= set(height):
                height[name] = max((height[one] + 1 for one in below), default=0)
    return [sorted(name for name in uses if height[name] == floor) for floor in range(max(height.values()), -1, -1)]


def house() -> str:
    """docs/design.md, of which the diagram is printed here: every folder, and the modules beside them that wire it, over what they import."""
    package = HERE.parent / "pcapflow"
    wiring = ("api", "pipeline", "pytest_plugin", "shard")
    parts = {path.parent.name: sorted(path.parent.rglob("*.py")) for path in sorted(package.glob("*/__init__.py"))}
    parts |= {name: [package / f"{name}.py"] for name in wiring}
    uses = {name: {one for file in files for one in _imported(file)} & set(parts) - {name} for name, files in parts.items()}
    lines = ["```text"]
    for floor in _floors(uses):
        for name in floor:
            first = ast.get_docstring(ast.parse(parts[name][0].read_text(encoding="utf-8"))) or ""
            sentence = re.split(r"[.:]( |\n|$)", re.sub(r"^Stage [0-9]: ", "", first))[0].replace("`", "")
            says = sentence if sentence[1:2].isupper() or sentence.split(" ")[0] in _CLASSES else sentence[:1].lower() + sentence[1:]
            lines.append(f"{name:<14} {says}")
            if uses[name]:
                lines.append(f"{'':<14} > {' '.join(sorted(uses[name]))}")
        lines.append("-" * 60)
    beside = sorted(path.stem for path in package.glob("*.py") if path.stem not in (*wiring, "__init__", "__main__", "start"))
    lines += ["vocabulary     modules beside the folders, which know nobody above them:"]
    lines += [f"{'':<14} {line}" for line in wrap(", ".join(beside), 90)]
    lines.append("```")
    before, _, rest = (HERE / "design.md").read_text(encoding="utf-8").partition("<!-- house -->\n")
    drawing = "\n".join(lines)
    return f"{before}<!-- house -->\n{drawing}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"


PAGES = {
    "design.md": house,
    "pcapflow.1": man_page,
    "report.md": report_fields,
    SHIPPED: shipped_schema,
    "http.md": http,
    "captures.md": captures,
    "limits.md": limits,
    "drops.md": drops,
    "overlaps.md": overlaps,
}


def main() -> int:
    """Write or check."""
    wrong = []
    for name, page in PAGES.items():
        path = HERE / name
        text = page()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                wrong.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in wrong:
        print(f"{name} is not what the code says: run python docs/generate.py")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
