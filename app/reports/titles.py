"""Titles of HLS and DASH in segments, and which of these a client lacks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from app.domain import byteranges
from app.output.reports.report import Column, Report
from app.reports.counting import Counted, Plan
from app.reports.questions import Asked, report_of, share
from app.reports.reading import count

__all__ = ["SEGMENT", "TITLE", "Segment", "Titles", "only_media", "segment_of", "titles"]

_SEGMENTS = ("aac", "cmfa", "cmft", "cmfv", "m4a", "m4s", "m4v", "mp4", "ts", "vtt", "webm")
_MANIFESTS = ("m3u8", "mpd")
_SENT = ("200", "206", "304")
_NUMBERED = re.compile(r"(.*[^0-9]|)([0-9]{1,12})(\.[A-Za-z0-9]+)")
_SHOWN_RANGES = 12
SEGMENT = (
    "A segment is a file that a response 200, 206 or 304 answered, whose name ends with a number and"
    f" {', '.join(f'.{ending}' for ending in _SEGMENTS)}; whether its bytes arrived whole `report files` tells."
)
TITLE = "A title is the highest folder above a segment from which a manifest (.m3u8, .mpd) was fetched; without one, the segment's own folder."
_CLIENT = "A client is an address together with a user agent."


class Segment(NamedTuple):
    """A file that is one of a row."""

    track: str
    """The path with `{n}` in place of the number."""
    number: int


@lru_cache(maxsize=1 << 16)
def segment_of(path: str) -> Segment | None:
    """The segment that a path names.

    >>> segment_of("/film/720p/seg-00012.ts"), segment_of("/film/init.mp4"), segment_of("/film/a.mp3")
    (Segment(track='/film/720p/seg-{n}.ts', number=12), None, None)
    """
    folder, slash, name = path.rpartition("/")
    found = _NUMBERED.fullmatch(name)
    if found is None or found[3][1:].lower() not in _SEGMENTS:
        return None
    return Segment(f"{folder}{slash}{found[1]}{{n}}{found[3]}", int(found[2]))


class Titles:
    """Which title a track is of."""

    def __init__(self, paths: Iterable[str | None]) -> None:
        self._folders = {
            path.rpartition("/")[0] for path in paths if path and path.rpartition(".")[2].lower() in _MANIFESTS
        }

        self.of = lru_cache(maxsize=1 << 16)(self._of)
        """The folder of the title that a track is of, with a slash behind it."""

    def _of(self, track: str) -> str:
        own = track.rpartition("/")[0]
        pieces = own.split("/")
        above = ("/".join(pieces[:length]) for length in range(1, len(pieces) + 1))
        return next((folder for folder in above if folder in self._folders), own) + "/"


def only_media(asked: Asked) -> Asked:
    """The same question to segments and manifests that were sent."""
    filters = asked.filters
    endings = filters.extensions or tuple(sorted((*_SEGMENTS, *_MANIFESTS)))
    return asked._replace(filters=filters._replace(statuses=filters.statuses or _SENT, extensions=endings))


def _numbers_text(numbers: Iterable[int]) -> str:
    """Some numbers as ranges, the first of them; empty for none."""
    ranges = byteranges.normalise((number, number) for number in numbers)
    more = len(ranges) - _SHOWN_RANGES
    told = ", ".join(f"{lo}-{hi}" if hi > lo else f"{lo}" for lo, hi in ranges[:_SHOWN_RANGES])
    return f"{told} and {more} more" if more > 0 else told


def titles(asked: Asked, title: str | None = None) -> Report:
    """Titles by clients, and the segments that these lack; of one title each client."""
    asked = only_media(asked)
    counted = count(asked.inputs, Plan(("path", "ip_address", "user_agent"), asked.filters, with_bytes=False))
    known = Titles(counted.groups.values["path"])
    tracks: dict[str, set[str]] = defaultdict(set)
    got: dict[str, dict[tuple[Any, Any], set[int]]] = defaultdict(lambda: defaultdict(set))
    for path, address, agent, _, _ in counted.groups.rows("path", "ip_address", "user_agent"):
        segment = segment_of(path) if path else None
        if segment is not None:
            name = known.of(segment.track)
            tracks[name].add(segment.track)
            got[name][address, agent].add(segment.number)
    if title is not None:
        return _clients_of(asked, counted, title, got.get(title if title.endswith("/") else f"{title}/", {}))
    rows = []
    for name, clients in got.items():
        numbers = set().union(*clients.values())
        had = Counter(chain.from_iterable(clients.values()))
        whole = sum(len(its) == len(numbers) for its in clients.values())
        least = min(had.values(), default=0)
        most = len(clients) - least
        where = _numbers_text(number for number, times in had.items() if times == least) if most else ""
        rows.append(
            (
                name,
                len(clients),
                whole,
                share(whole, len(clients)),
                len(tracks[name]),
                len(numbers),
                len(clients) * len(numbers) - had.total(),
                most,
                where,
            )
        )
    rows.sort(key=lambda row: (-row[1], row[0]))
    return report_of(
        asked, counted, "titles", "Titles in segments, and what their clients lack",
        (
            Column("title", "text"), Column("clients"), Column("whole"), Column("completion", "share"), Column("tracks"), Column("segments"),
            Column("missing"), Column("missed_by"), Column("most_missed", "text"),
        ),
        rows[: asked.top or 20],
        [
            SEGMENT, TITLE, _CLIENT,
            "The segments of a title are all numbers that anybody fetched of it, of whichever track; a client has a number if it fetched it of any"
            " track, because players change tracks. A segment that a client lacks of one track alone may go unnoticed.",
            "Missing are numbers of the title that a client did not fetch, added up over clients; whole is a client that lacks none.",
            "Most missed are the numbers that most clients lack, and how many these are.",
        ],
        totals=[("titles", len(rows)), ("clients of titles", sum(row[1] for row in rows)), ("whole", sum(row[2] for row in rows))],
        drawn="clients",
    )  # fmt: skip


def _clients_of(asked: Asked, counted: Counted, title: str, clients: dict[tuple[Any, Any], set[int]]) -> Report:
    numbers: set[int] = set().union(*clients.values())
    rows = [
        (address, agent, len(its), len(numbers - its), share(len(its), len(numbers)), _numbers_text(numbers - its))
        for (address, agent), its in sorted(clients.items(), key=lambda entry: (-len(numbers - entry[1]), *(text or "" for text in entry[0])))
    ]  # fmt: skip
    return report_of(
        asked, counted, "titles", f"Clients of {title}, and the segments that they lack",
        (
            Column("host", "text"), Column("user_agent", "text"), Column("segments"), Column("missing"), Column("completion", "share"),
            Column("which", "text"),
        ),
        rows[: asked.top or 100],
        [SEGMENT, TITLE, _CLIENT, "Missing are numbers that somebody fetched of the title, of whichever track, and this client did not."],
        totals=[("clients", len(rows)), ("whole", sum(not row[3] for row in rows)), ("segments", len(numbers))],
        drawn="missing",
    )  # fmt: skip
