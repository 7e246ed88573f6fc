"""Which requests are no part of a download, and when the requests of a window are one. Pure; RULES is the one list of reasons.

After the IAB Tech Lab Podcast Measurement Technical Guidelines 2.3, sections 5.5.1 to 5.5.4; docs/explanation/downloads.md tells each
choice that they leave open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from app.domain import byteranges
from app.domain.parts import part_of
from app.domain.records import HitFlag
from app.domain.tallies import Mark
from app.domain.windows import DAY_S, cut_first_touch
from app.downloads.lists import Lists, is_watch_os, listener_address

__all__ = [
    "MEDIA",
    "NOBODY",
    "NOT_BODY",
    "PROBE_BYTES",
    "RULES",
    "RULES_VERSION",
    "UNBOUNDED",
    "WINDOWS",
    "CountedRequest",
    "DownloadRules",
    "Episode",
    "Window",
    "left_out",
    "listener_of",
    "needed_bytes",
    "piece_of",
    "rule_of",
    "windows_of",
]

RULES_VERSION = 1
"""Grows whenever the same lines may give another count."""
RULES = {
    "method": "the method is not GET",
    "status": "the status is not 200 or 206",
    "no_file": "the line names no file",
    "no_client": "the line names no address or no user agent",
    "not_media": "the extension is none of an episode",
    "probe": "only the first two bytes were asked for",
    "crawler": "the user agent is in the list of crawlers",
    "data_centre": "the address is in the list of data centres",
    "watch_os": "an Apple Watch fetched what its phone has",
    "period": "its window begins outside of the period",
    "size_unknown": "the size of the file is not known, and the whole is asked for",
    "answered_only": "the log says what was answered, not what was sent",
    "no_offsets": "only together do responses without offsets reach the threshold: they may be the same bytes",
    "below_threshold": "the bytes sent in its window do not reach the threshold",
}
"""Reason -> what it says for people. A request is left out by the first that fits."""
WINDOWS = ("day", "first_touch", "last_touch")
MEDIA = ("aac", "aif", "aiff", "flac", "m4a", "m4b", "m4v", "mov", "mp3", "mp4", "oga", "ogg", "opus", "wav", "webm")
PROBE_BYTES = 2
NOBODY = (None, "", "-")
NOT_BODY = int(HitFlag.HEADERS_COUNTED | HitFlag.ANNOUNCED)
"""Of hits whose bytes are not those of the body."""
UNBOUNDED = (1 << 62) - 1
"""In place of the last byte of a file whose size is not known."""


class Episode(NamedTuple):
    """What is known of a file."""

    size_bytes: int | None = None
    head_bytes: int = 0
    """Before the first byte of sound: tags and pictures, which are no part of what is heard."""
    seconds: float | None = None


class DownloadRules(NamedTuple):
    """How downloads are counted."""

    window: str = "day"
    """One of WINDOWS: a calendar day; 24 hours from the first request; until 24 hours without one."""
    seconds: float | None = 60.0
    """So much sound makes a download; None: the whole file."""
    bit_rate_kbit: float = 128.0
    """Of files whose size and length are not known."""
    extensions: frozenset[str] = frozenset(MEDIA)


class CountedRequest(NamedTuple):
    """One request that no rule leaves out, and what its line proves."""

    time: float
    """UTC seconds."""
    lo: int
    hi: int
    """Bytes that were sent; hi < lo: none that the line names."""
    sent: int
    """Bytes whose places the line does not name."""
    answered_hi: int
    """Bytes from lo on that were answered, and perhaps sent; below lo: none."""
    whole: bool
    """The whole file was sent, whatever its size."""
    total: int
    """Size of the file as the line names it, or -1."""
    place: tuple[int, int] = (0, 0)
    """Number of the input, and byte in it: whose request it is, for people."""


class Window(NamedTuple):
    """The requests of one listener for one file in one window."""

    first: float
    pieces: Sequence[CountedRequest]
    rule: str
    """Empty: a download; else why it is none."""


def left_out(hit: tuple[Any, ...], file: str | None, extension: str | None, lists: Lists, asked: DownloadRules) -> str:
    """The first rule that leaves out a hit (a tuple in the order of Parsed); empty if none does."""
    _, ip_address, user_agent, _, method, status, lo, hi, sent, _, flags = hit[:11]
    if method != "GET":
        return "method"
    if status not in (200, 206):
        return "status"
    if file is None:
        return "no_file"
    if ip_address in NOBODY or user_agent in NOBODY:
        return "no_client"
    if extension not in asked.extensions:
        return "not_media"
    if _is_probe(status, lo, hi, sent, flags):
        return "probe"
    if lists.is_crawler(user_agent):
        return "crawler"
    if lists.is_data_centre(ip_address):
        return "data_centre"
    return "watch_os" if is_watch_os(user_agent) else ""


def _is_probe(status: int, lo: int | None, hi: int | None, sent: int | None, flags: int) -> bool:
    if lo is not None and hi is not None:
        return lo == 0 and hi < PROBE_BYTES
    counts_body = not flags & NOT_BODY
    return status == 206 and counts_body and sent is not None and sent <= PROBE_BYTES


def piece_of(hit: tuple[Any, ...]) -> CountedRequest:
    """What a hit proves that no rule leaves out, by the table of app.domain.proof."""
    part = part_of(hit, 0)
    assert part is not None, "a hit that left_out lets through is a GET with 200 or 206 and a key"
    marks, lo, hi = part.marks, part.lo, min(part.hi, UNBOUNDED)
    answered_hi = hi if marks & Mark.ANSWERED else UNBOUNDED if marks & Mark.ANSWERED_WHOLE else -1
    sent = min(part.sent, UNBOUNDED) if marks & Mark.BYTES_ONLY else 0
    proven_hi = -1 if marks & Mark.ANSWERED else hi
    return CountedRequest(
        part.time,
        min(lo, UNBOUNDED),
        proven_hi,
        sent,
        answered_hi,
        bool(marks & Mark.WHOLE),
        min(part.total, UNBOUNDED),
    )


def listener_of(hit: tuple[Any, ...]) -> tuple[str, str]:
    """What tells listeners apart: address (of IPv6 its /64) and user agent."""
    return listener_address(hit[1]), hit[2]


def needed_bytes(episode: Episode, asked: DownloadRules) -> int | None:
    """So many bytes behind the head make a download; None if that is not known.

    >>> needed_bytes(Episode(), Asked()), needed_bytes(Episode(500_000, 100_000), Asked(seconds=None)), needed_bytes(Episode(), Asked(seconds=None))
    (960000, 400000, None)
    >>> needed_bytes(Episode(3_000_000, 600_000, 120.0), Asked()), needed_bytes(Episode(500_000, 100_000), Asked())
    (1200000, 400000)
    """
    sound = None if episode.size_bytes is None else max(1, episode.size_bytes - episode.head_bytes)
    if asked.seconds is None:
        return sound
    bytes_per_s = asked.bit_rate_kbit * 125
    if sound is not None and episode.seconds:
        bytes_per_s = sound / episode.seconds
    needed = max(1, math.ceil(asked.seconds * bytes_per_s))
    return needed if sound is None else min(needed, sound)


def windows_of(
    pieces: Sequence[CountedRequest], episode: Episode, asked: DownloadRules, day_of: Mapping[float, int] | None = None
) -> Iterator[Window]:
    """The windows of one listener and one file. `pieces` are sorted by time; `day_of` numbers the days, else those of UTC.

    Neither repeats of pieces nor the order of those of one time change which windows there are and what becomes of them.
    """
    if episode.size_bytes is None:
        total = max((piece.total for piece in pieces), default=-1)
        episode = episode._replace(size_bytes=total if total >= 0 else None)
    for some in _cut(pieces, asked.window, day_of):
        yield Window(some[0].time, some, rule_of(some, episode, asked))


def _cut(
    pieces: Sequence[CountedRequest], window: str, day_of: Mapping[float, int] | None
) -> Iterator[Sequence[CountedRequest]]:
    times = [piece.time for piece in pieces]
    if window == "first_touch":
        starts = set(cut_first_touch(times, DAY_S))
    elif window == "last_touch":
        starts = {after for before, after in pairwise(times) if after >= before + DAY_S}
    else:
        days = [day_of[time] if day_of is not None else math.floor(time / DAY_S) for time in times]
        starts = {times[at] for at in range(1, len(days)) if days[at] != days[at - 1]}
    begin = 0
    for at in range(1, len(pieces)):
        if times[at] in starts and times[at] != times[at - 1]:
            yield pieces[begin:at]
            begin = at
    if pieces:
        yield pieces[begin:]


def rule_of(pieces: Sequence[CountedRequest], episode: Episode, asked: DownloadRules) -> str:
    """Why the requests of a window are no download; empty if they are one. `episode`: with the size that lines tell, if it had none."""
    needed = needed_bytes(episode, asked)
    if any(piece.whole for piece in pieces):
        return ""
    if needed is None:
        return "size_unknown"
    head, last = episode.head_bytes, UNBOUNDED if episode.size_bytes is None else episode.size_bytes - 1
    proven = byteranges.normalise((piece.lo, piece.hi) for piece in pieces if piece.hi >= piece.lo)
    if _behind(proven, head, last) >= needed:
        return ""
    # without offsets one response may be all sound, several may be the same bytes again
    unplaced = {(piece.time, piece.sent) for piece in pieces if piece.sent}
    if max((sent for _, sent in unplaced), default=0) >= head + needed:
        return ""
    answered = [(piece.lo, piece.answered_hi) for piece in pieces if piece.answered_hi >= piece.lo]
    if answered and _behind(byteranges.normalise((*proven, *answered)), head, last) >= needed:
        return "answered_only"
    if unplaced and byteranges.covered(proven) + sum(sent for _, sent in unplaced) >= head + needed:
        return "no_offsets"
    return "below_threshold"


def _behind(ranges: byteranges.Ranges, head_bytes: int, last: int) -> int:
    """How many bytes of some ranges are sound."""
    return sum(max(0, min(hi, last) - max(lo, head_bytes) + 1) for lo, hi in ranges)
