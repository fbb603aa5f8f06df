"""A peer for the benchmark: the loop that people write with dpkt, a buffer per stream and json.loads on whole bodies.

    python peer_dpkt.py CAPTURE

No limits, no holes, no overlaps: it is fast because of what it leaves out, and it keeps every stream in memory.
"""

from __future__ import annotations

import json
import sys
import zlib

import dpkt


def main(path: str) -> None:
    streams: dict[tuple[bytes, int, bytes, int], bytearray] = {}
    with open(path, "rb") as f:
        for _, frame in dpkt.pcap.Reader(f):
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(ip.data, dpkt.tcp.TCP):
                continue
            tcp = ip.data
            if tcp.data:
                streams.setdefault((ip.src, tcp.sport, ip.dst, tcp.dport), bytearray()).extend(tcp.data)
    requests = responses = documents = 0
    for stream in streams.values():
        data = bytes(stream)
        at = 0
        while at < len(data):
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                break
            head = data[at:end].split(b"\r\n")
            if head[0].startswith(b"HTTP/"):
                responses += 1
            else:
                requests += 1
            fields = dict(line.lower().split(b": ", 1) for line in head[1:] if b": " in line)
            length = int(fields.get(b"content-length", 0))
            body = data[end + 4 : end + 4 + length]
            at = end + 4 + length
            if length and b"json" in fields.get(b"content-type", b""):
                try:
                    json.loads(zlib.decompress(body, 47) if fields.get(b"content-encoding") == b"gzip" else body)
                    documents += 1
                except ValueError:
                    pass
    print(json.dumps({"requests": requests, "responses": responses, "documents": documents}))


if __name__ == "__main__":
    main(sys.argv[1])
