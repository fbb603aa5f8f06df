"""`slice --scrub` of conversations by chance, of which parts are lost, late, captured twice or from the middle on: no piece of a secret is left.

`python -m tests.cli.test_scrub_fuzz SECONDS SEED` goes on for so long and prints the seeds that fail.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import brotli
import pytest

from tests.craft import Talk, chunked, pcap, request, response
from tests.launcher import launch

TOKEN, COOKIE, PASSWORD = b"tok-8Jq2vQmZ4xKpR7wLaaBBcc", b"s3ss10n-Xy1Zw2Vu3Ts4", b"hunter!Xhunter!Yh"
SECRETS = (TOKEN, COOKIE, PASSWORD)
PIECE = 8
"""Bytes of a secret that are none by chance."""


def _json(rng: random.Random) -> bytes:
    pads = [{"pad": "q" * rng.randrange(1, 300)}, {"n": [1, 2, 3]}, {"text": 'a "quoted" word'}]
    return json.dumps({**rng.choice(pads), "token": TOKEN.decode(), "password": PASSWORD.decode()}).encode()


def _ask(rng: random.Random) -> bytes:
    fields = f"X-Pad: {'p' * rng.randrange(900)}\r\nAuthorization: Bearer {TOKEN.decode()}\r\nCookie: sid={COOKIE.decode()}\r\n"
    target = f"/x?token={TOKEN.decode()}&a={'b' * rng.randrange(40)}"
    form = f"user=bob&password={PASSWORD.decode()}&x=1".encode()
    return rng.choice(
        (
            request(target, fields=fields),
            request(target, method="POST", body=form, fields=fields + "Content-Type: application/x-www-form-urlencoded\r\n"),
            request(target, method="POST", body=_json(rng), fields=fields + "Content-Type: application/json\r\n"),
        )
    )


def _answer(rng: random.Random, coded: list[bytes]) -> bytes:
    text = _json(rng)
    sizes = [rng.randrange(1, 40) for _ in range(80)]
    zipped, broth = gzip.compress(text, mtime=0), brotli.compress(text)
    coded += [zipped[10:-8], broth]
    return rng.choice(
        (
            response(text, fields=f"Set-Cookie: sid={COOKIE.decode()}; Path=/\r\n"),
            chunked(text, sizes),
            response(zipped, fields="Content-Encoding: gzip\r\n"),
            chunked(zipped, sizes, kind="application/json\r\nContent-Encoding: gzip"),
            response(broth, fields="Content-Encoding: br\r\n"),
            response(b"\n".join([text] * 3), kind="application/x-ndjson"),
        )
    )


def _send(t: Talk, rng: random.Random, side: int, data: bytes) -> None:
    """In segments of one size, of which one is lost, or captured again in part, or all come in any order."""
    first, begin = len(t.frames), t.seq[side]
    t.send(side, data, size=rng.choice((7, 13, 100, 333, 1448)))
    chance = rng.random()
    if chance < 0.25:
        del t.frames[rng.randrange(first, len(t.frames))]
    elif chance < 0.4:
        some = t.frames[first:]
        times = [us for us, _ in some]
        rng.shuffle(some)
        t.frames[first:] = [(us, frame) for us, (_, frame) in zip(times, some, strict=True)]
    elif chance < 0.55:
        at = rng.randrange(len(data))
        t.packet(side, 0x18, data[at : at + rng.randrange(1, 1400)], seq=begin + at)


def conversation(seed: int) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """Its frames, and what coded bodies have."""
    rng = random.Random(seed)
    t = Talk()
    coded: list[bytes] = []
    if seed % 2:
        t.open()
    raw = rng.random() < 0.15
    for _ in range(rng.randint(1, 4)):
        _send(t, rng, 0, _json(rng) + b"\n" if raw else _ask(rng))
        _send(t, rng, 1, _json(rng) + b"\n" if raw else _answer(rng, coded))
    frames = t.close().frames if seed % 2 else t.frames
    return frames if seed % 2 else frames[rng.randrange(len(frames) // 2 + 1) :], coded


def pieces_left(seed: int, folder: Path) -> set[bytes]:
    """Of the secrets what is left in the packets and in the streams put together."""
    frames, coded = conversation(seed)
    given, made = folder / "x.pcap", folder / "s.pcap"
    given.write_bytes(pcap(frames))
    made.unlink(missing_ok=True)
    done = launch("slice", "-q", given, "--connection", "10.0.0.1:40000-10.0.0.2:80", "-o", made, "--scrub")
    if b"no connection matches" in done.stderr:  # all of it was lost
        return set()
    assert done.returncode == 0, (seed, done.stderr)
    streams = [launch("follow", "-q", made, "--connection", "1", "--stream", side, "--raw").stdout for side in ("client", "server")]
    left = b"\0".join([made.read_bytes(), *streams])
    windows = {secret[i : i + PIECE] for secret in SECRETS for i in range(len(secret) - PIECE + 1)}
    return {piece for piece in windows | set(coded) if piece in left}


@pytest.mark.parametrize("begin", range(0, 60, 10))
def test_no_piece_of_a_secret_is_left(begin: int, tmp_path: Path) -> None:
    assert {seed: found for seed in range(begin, begin + 10) if (found := pieces_left(seed, tmp_path))} == {}


def main() -> None:
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    until, tried = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            found = pieces_left(seed, Path(folder))
            if found:
                print(f"seed {seed}: {len(found)} pieces, such as {min(found)!r}", flush=True)
            seed, tried = seed + 1, tried + 1
    print(f"{tried} conversations")


if __name__ == "__main__":
    main()
