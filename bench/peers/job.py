"""The job of every streaming peer, as plain functions: read a line, add it to the windows of its key.

State and result are what JSON holds: a list of sessions, each [first, last, hits, bytes, ranges], times in UTC seconds, ranges sorted,
disjoint, ends inclusive. The window is the product's default: hits less than 24 hours apart are one session. Standard library only, and
no product code: what the product does beyond this (distinct hits, verdicts, rejects, eviction) the peers need not do.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, NamedTuple

__all__ = ["WINDOW_S", "PeerPlace", "add", "joined", "parse", "place"]

WINDOW_S = 86_400.0
Hit = tuple[float, int, int]
"""(time, first byte, last byte); first byte -1 where the line names no range."""
Session = list[Any]


class PeerPlace(NamedTuple):
    """Where a streaming peer finds its work."""

    server: str
    source: str
    """Topic with one line a message."""
    target: str
    """Topic for the results: key is the JSON list of the three key fields, value the JSON state."""
    group: str
    folder: str
    """For what it keeps on disk."""
    partitions: int


def place() -> PeerPlace:
    """From the variables that the benchmark sets."""
    server, source, target, group, folder = (
        os.environ[f"BENCH_{name}"] for name in ("SERVER", "SOURCE", "TARGET", "GROUP", "FOLDER")
    )
    return PeerPlace(server, source, target, group, folder, int(os.environ["BENCH_PARTITIONS"]))


def parse(line: str) -> tuple[list[str], Hit] | None:
    """(key, hit) of a line that counts: a GET answered with 200 or 206; None for any other."""
    _, time, ip_address, agent, request, status, span = line.split("\t")
    if status not in ("200", "206"):
        return None
    words = request.split(" ")
    if len(words) > 1 and words[-1].startswith("HTTP/"):
        request = " ".join(words[:-1])
        if words[0] != "GET":
            return None
    lo, dash, hi = span.partition("-")
    offsets = (int(lo), int(hi)) if dash and lo else (-1, -1)
    return [ip_address, agent, request], (datetime.fromisoformat(time + "+00:00").timestamp(), *offsets)


def add(sessions: list[Session], hit: Hit) -> list[Session]:
    """The sessions with one more hit in them, sorted by time; the argument is left as it was."""
    time, lo, hi = hit
    size, ranges = (hi - lo + 1, [[lo, hi]]) if lo >= 0 else (0, [])
    new: Session = [time, time, 1, size, ranges]
    apart = []
    for session in sessions:
        if session[0] - new[1] < WINDOW_S and new[0] - session[1] < WINDOW_S:
            new = [
                min(session[0], new[0]), max(session[1], new[1]), session[2] + new[2], session[3] + new[3], joined(session[4] + new[4]),
            ]  # fmt: skip
        else:
            apart.append(session)
    return sorted([*apart, new], key=lambda session: session[0])


def joined(ranges: list[list[int]]) -> list[list[int]]:
    """Sorted and disjoint, touching ones joined."""
    found: list[list[int]] = []
    for lo, hi in sorted(ranges):
        if found and lo <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], hi)
        else:
            found.append([lo, hi])
    return found
