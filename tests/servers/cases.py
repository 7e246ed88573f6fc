"""What clients do. Each case returns what its client has afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.chromium import chromium_fetches, chromium_seeks
from tests.servers.clients import CLIENT_S, Client, Received
from tests.servers.files import BIG, EMPTY, MID, ONE, SIZES, SOUND, TEXT

__all__ = ["CASES", "CUT_BYTES", "MORE_CASES", "Case"]

CUT_BYTES = 8_000_000
"""Bytes that the client takes of the big file: far enough from its end for the buffers of sockets."""


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable[[Client], Received]
    http2: bool = False
    """Needs a server that speaks HTTP/2."""
    encoded: bool = False
    """The response is compressed: no line tells which bytes of the file it has."""
    no_download: bool = False
    """The request asks for no bytes: there is no delivery."""
    in_buffers: bool = False
    """The client goes away when the buffers of sockets may hold all the rest."""
    resumes: bool = False
    """A later request begins where a response broke off, or near it: the log cannot tell a resumption from a seek."""
    has_positions: bool = True
    """Lines of the responses say which bytes they carry."""


def _pieces(client: Client, file: str, wanted: list[int], of: int, *options: str, tls: bool = False) -> Received:
    """Pieces by their numbers, in this order."""
    size = SIZES[file]
    bounds = [(number * size // of, (number + 1) * size // of - 1) for number in wanted]
    return client.received(file, [(lo, client.curl(file, *options, "-r", f"{lo}-{hi}", tls=tls)) for lo, hi in bounds])


def _whole(file: str, *options: str, tls: bool = False) -> Callable[[Client], Received]:
    return lambda client: client.received(file, [(0, client.curl(file, *options, tls=tls))])


def _cut_after(file: str, stop_at: int, *heads: str) -> Callable[[Client], Received]:
    return lambda client: client.received(file, [(0, client.raw(file, *heads, stop_at=stop_at))])


def _killed(file: str, *options: str, tls: bool = False) -> Callable[[Client], Received]:
    return lambda client: client.received(file, [(0, client.curl_killed(file, CUT_BYTES, *options, tls=tls))])


def _resumed_by_curl(client: Client, *options: str) -> Received:
    path = client.curl_killed(BIG, CUT_BYTES, *options)
    client.curl(BIG, "-C", "-", path=path)
    return client.received(BIG, [(0, path)])


def _resumed_by_wget(client: Client) -> Received:
    path = client.wget_killed(BIG, CUT_BYTES)
    client.wget(BIG, "-c", path=path)
    return client.received(BIG, [(0, path)])


def _cut_then_whole(client: Client) -> Received:
    return client.received(BIG, [(0, client.raw(BIG, stop_at=CUT_BYTES)), (0, client.curl(BIG))])


def _seek(client: Client, start: int) -> Received:
    first = client.raw(BIG, "Range: bytes=0-", stop_at=CUT_BYTES)
    return client.received(BIG, [(0, first), (start, client.curl(BIG, "-r", f"{start}-"))])


def _gzip(client: Client, *options: str) -> Received:
    """What curl has after it has unpacked it."""
    path = client.curl(TEXT, "--compressed", *options)
    return client.received(TEXT, [(0, path)])


def _multi_range(client: Client) -> Received:
    """Two parts in one response, or, as a server may, the whole file."""
    path = client.curl(MID, "-r", "0-99,200-299")
    if path.stat().st_size == SIZES[MID]:
        return client.received(MID, [(0, path)])
    original, answer = (client.server.files / MID).read_bytes(), path.read_bytes()
    assert original[:100] in answer and original[200:300] in answer and len(answer) < 1000, (
        f"{client.agent}: not the two parts"
    )
    return Received(MID, SIZES[MID], [(0, 99), (200, 299)])


def _head(client: Client) -> Received:
    client.curl(MID, "-I")
    return Received(MID, SIZES[MID], [], f"HEAD /{MID}")


def _not_modified(client: Client) -> Received:
    path = client.curl(MID, "-R")
    again = client.new_path()
    client.curl(MID, "-z", str(path), path=again)
    assert not again.exists() or again.stat().st_size == 0, "it was sent again"
    return client.received(MID, [(0, path)])


def _only_not_modified(client: Client) -> Received:
    again = client.curl(MID, "-H", f"If-Modified-Since: {client.last_modified(MID)}")
    assert not again.exists() or again.stat().st_size == 0, "it was sent"
    return Received(MID, SIZES[MID], [])


def _one_connection(client: Client) -> Received:
    """Two halves over one connection."""
    half = SIZES[MID] // 2
    first, second = client.new_path(), client.new_path()
    url = f"{client.server.url}/{MID}"
    halves = ((first, f"0-{half - 1}"), (second, f"{half}-"))
    parts = [["-sS", "-A", client.agent, "-r", asked, "-o", str(path), url] for path, asked in halves]
    subprocess.run(["curl", *parts[0], "--next", *parts[1]], check=True, timeout=CLIENT_S)
    return client.received(MID, [(0, first), (half, second)])


def _aria2_pieces(client: Client) -> Received:
    return client.received(BIG, [(0, client.aria2c(BIG, "-x4", "-s4", "-k1M"))])


CASES = (
    Case("whole-curl", _whole(BIG)),
    Case("whole-http10", _whole(MID, "-0")),
    Case("whole-wget", lambda client: client.received(MID, [(0, client.wget(MID))])),
    Case("whole-aria2", lambda client: client.received(MID, [(0, client.aria2c(MID, "-x1", "-s1"))])),
    Case("whole-chromium", lambda client: chromium_fetches(client, MID)),
    Case("whole-tls", _whole(MID, "--http1.1", tls=True)),
    Case("whole-http2", _whole(MID, "--http2", tls=True), http2=True),
    Case("from-0", _whole(MID, "-r", "0-")),
    Case("from-0-http2", _whole(BIG, "--http2", "-r", "0-", tls=True), http2=True),
    Case("pieces", lambda client: _pieces(client, MID, [2, 0, 3, 1], 4)),
    Case("pieces-http2", lambda client: _pieces(client, MID, [1, 0, 2], 3, "--http2", tls=True), http2=True),
    Case("pieces-one-connection", _one_connection),
    Case("pieces-aria2", _aria2_pieces),
    Case("pieces-hole", lambda client: _pieces(client, MID, [3, 0, 1], 4)),
    Case("cut", _cut_after(BIG, CUT_BYTES)),
    Case("cut-early", _cut_after(BIG, 100_000)),
    Case("cut-range", _cut_after(BIG, CUT_BYTES, "Range: bytes=0-")),
    Case("cut-by-kill", _killed(BIG)),
    Case("cut-in-buffers", _cut_after(MID, 3_000_000), in_buffers=True),
    Case("cut-near-end", _cut_after(BIG, SIZES[BIG] - 20_000, "Range: bytes=0-"), in_buffers=True),
    Case("cut-http2", _killed(BIG, "--http2", "-r", "0-", tls=True), http2=True),
    Case("resumed-curl", _resumed_by_curl),
    Case("resumed-range", lambda client: _resumed_by_curl(client, "-r", "0-")),
    Case("resumed-wget", _resumed_by_wget),
    Case("cut-then-whole", _cut_then_whole),
    Case("seek-far", lambda client: _seek(client, 30_000_000)),
    Case("seek-near", lambda client: _seek(client, CUT_BYTES + 1_000_000), resumes=True),
    Case("seek-chromium", lambda client: chromium_seeks(client, SOUND, to=0.8), resumes=True),
    Case("gzip", _gzip, encoded=True),
    Case("empty", _whole(EMPTY)),
    Case("one-byte", _whole(ONE)),
    Case("one-byte-range", _whole(ONE, "-r", "0-")),
    Case("multi-range", _multi_range, has_positions=False),
    Case("head", _head, no_download=True),
    Case("not-modified", _not_modified),
    Case("only-not-modified", _only_not_modified, no_download=True),
)


def _overlapping(client: Client) -> Received:
    bounds = [(1_000_000, 2_999_999), (0, 1_499_999), (2_500_000, 4_999_999)]
    return client.received(MID, [(lo, client.curl(MID, "-r", f"{lo}-{hi}")) for lo, hi in bounds])


def _resumed_twice(client: Client) -> Received:
    path = client.curl_killed(BIG, CUT_BYTES)
    client.curl_killed(BIG, 2 * CUT_BYTES, "-C", "-", path=path)
    client.curl(BIG, "-C", "-", path=path)
    return client.received(BIG, [(0, path)])


def _resumed_from_tail(client: Client) -> Received:
    """The last bytes again, by a suffix range."""
    first = client.raw(MID, "Range: bytes=0-", stop_at=2_600_000)
    return client.received(MID, [(0, first), (2_500_000, client.curl(MID, "-r", "-2500000"))])


MORE_CASES = (
    Case("pieces-overlapping", _overlapping),
    Case("pieces-aria2-16", lambda client: client.received(BIG, [(0, client.aria2c(BIG, "-x16", "-s16", "-k1M"))])),
    Case("pieces-end-missing", lambda client: _pieces(client, MID, [2, 0, 1, 3], 5)),
    Case("pieces-start-missing", lambda client: _pieces(client, MID, [2, 3, 1], 4)),
    Case("resumed-twice", _resumed_twice),
    Case("resumed-from-tail", _resumed_from_tail),
    Case("slow", _whole(MID, "--limit-rate", "4M")),
    Case("cut-slow-kill", lambda client: client.received(BIG, [(0, client.curl_killed(BIG, 1_000_000, rate="2M"))])),
    Case(
        "cut-in-the-middle",
        lambda client: client.received(
            BIG, [(10_000_000, client.raw(BIG, "Range: bytes=10000000-", stop_at=4_000_000))]
        ),
    ),
    Case("cut-http2-200", _killed(BIG, "--http2", tls=True), http2=True),
    Case("cut-tls", _killed(BIG, "--http1.1", tls=True)),
    Case("whole-chromium-http2", lambda client: chromium_fetches(client, MID, tls=True), http2=True),
    Case("seek-chromium-back", lambda client: chromium_seeks(client, SOUND, to=0.45)),
    Case("gzip-range", lambda client: _gzip(client, "-r", "0-"), encoded=True),
    Case("text-plain", _whole(TEXT)),
)
"""Run when lines are gathered, not by `make test-servers`."""
