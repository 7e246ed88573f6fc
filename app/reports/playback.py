"""The questions that segments of HLS and DASH answer: which of them a client lacks, and how playback probably went."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import lru_cache
from itertools import chain
from math import ceil
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from app.columns.blocks import Ints
from app.domain import byteranges
from app.output.reports.report import Column, Report
from app.reports.counting import Counted, Plan
from app.reports.questions import BYTES, Asked, report_of, share
from app.reports.reading import count

__all__ = ["qoe", "titles"]

Value = TypeVar("Value")

_SEGMENTS = ("aac", "cmfa", "cmft", "cmfv", "m4a", "m4s", "m4v", "mp4", "ts", "vtt", "webm")
_MANIFESTS = ("m3u8", "mpd")
_SENT = ("200", "206", "304")
_NUMBERED = re.compile(r"(.*[^0-9]|)([0-9]{1,12})(\.[A-Za-z0-9]+)")
_PAUSE_S = 60.0
_SHOWN_RANGES = 12
_SEGMENT = (
    "A segment is a file that a response 200, 206 or 304 answered, whose name ends with a number and"
    f" {', '.join(f'.{ending}' for ending in _SEGMENTS)}; whether its bytes arrived whole `report files` tells."
)
_TITLE = "A title is the highest folder above a segment from which a manifest (.m3u8, .mpd) was fetched; without one, the segment's own folder."
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


def _only_media(asked: Asked) -> Asked:
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
    asked = _only_media(asked)
    counted = count(asked.inputs, Plan(("path", "ip_address", "user_agent"), asked.filters, with_bytes=False))
    columns = [counted.groups.column(name).to_pylist() for name in ("path", "ip_address", "user_agent")]
    known = Titles(columns[0])
    tracks: dict[str, set[str]] = defaultdict(set)
    got: dict[str, dict[tuple[Any, Any], set[int]]] = defaultdict(lambda: defaultdict(set))
    for path, address, agent in zip(*columns, strict=True):
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
            _SEGMENT, _TITLE, _CLIENT,
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
        [_SEGMENT, _TITLE, _CLIENT, "Missing are numbers that somebody fetched of the title, of whichever track, and this client did not."],
        totals=[("clients", len(rows)), ("whole", sum(not row[3] for row in rows)), ("segments", len(numbers))],
        drawn="missing",
    )  # fmt: skip


# -- how playback went

_QOE_KEYS = ("ip_address", "user_agent", "path", "time", "duration_s", "cmcd_sid", "cmcd_d", "cmcd_mtp", "cmcd_bs")


class _Playback(NamedTuple):
    """One playback, or what looks like one."""

    title: str
    kbit: float | None
    stalls: int
    stalled_s: float
    measured_kbit: float | None
    measured_stalls: int | None
    requests: int


def qoe(asked: Asked, bit_rate_kbit: float) -> Report:
    """How playback went, by title: estimated from the times and bytes of segments, measured where CMCD is logged."""
    asked = _only_media(asked)
    counted = count(asked.inputs, Plan(_QOE_KEYS, asked.filters))
    found = list(_playbacks(counted, bit_rate_kbit))
    by_title: dict[str, list[_Playback]] = defaultdict(list)
    for playback in found:
        by_title[playback.title].append(playback)
    rows = [_row(name, some) for name, some in sorted(by_title.items(), key=lambda entry: (-len(entry[1]), entry[0]))]
    every = _row("", found)
    columns = (
        Column("title", "text"), Column("playbacks"), Column("requests"), Column("estimated_kbit_per_s"), Column("estimated_stalls"),
        Column("stalled_playbacks", "share"), Column("estimated_stalled_s", "seconds"), Column("measured_playbacks"),
        Column("measured_kbit_per_s"), Column("measured_stalls"),
    )  # fmt: skip
    return report_of(
        asked, counted, "qoe", f"How playback went, estimated for {bit_rate_kbit:g} kbit/s", columns, rows[: asked.top or 20],
        [
            _SEGMENT, _TITLE,
            "A playback is one `sid` of CMCD; without, all that a client (address and user agent) fetched of a title without a pause of 60 s.",
            "Estimated are columns with that word: from the log's times and bytes, not from the player. A log knows of no seek, of no pause and of"
            " nothing that another server sent.",
            "Estimated throughput: bytes of a segment by the time that its response took; the middle one of all requests with both, and of playbacks.",
            f"Estimated stalls: the player begins with the first segment, and each holds `d` of CMCD or else its bytes at {bit_rate_kbit:g} kbit/s."
            " Whenever the next one is logged later than all before are played, it stalls until then. Of several tracks at once all bytes count.",
            "Measured is what players say in CMCD: `mtp`, the middle one; stalls are requests with `bs`, the buffer ran empty. None: nothing was logged.",
            "A time is that of the line; servers write it when the response ends, or when the request came.", BYTES,
        ],
        totals=list(zip([column.name for column in columns[1:]], every[1:], strict=True)), drawn="playbacks",
    )  # fmt: skip


def _row(title: str, some: Sequence[_Playback]) -> tuple[Any, ...]:
    measured = [one for one in some if one.measured_stalls is not None]
    return (
        title, len(some), sum(one.requests for one in some), _middle(one.kbit for one in some), sum(one.stalls for one in some),
        share(sum(one.stalls > 0 for one in some), len(some)), round(sum(one.stalled_s for one in some), 3), len(measured),
        _middle(one.measured_kbit for one in measured), sum(one.measured_stalls or 0 for one in measured) if measured else None,
    )  # fmt: skip


def _middle(values: Iterable[float | None]) -> int | None:
    """The median, of two the smaller.

    >>> _middle([3.0, None, 1.0, 2.0]), _middle([])
    (2, None)
    """
    known = sorted(value for value in values if value is not None)
    return round(known[ceil(len(known) / 2) - 1]) if known else None


class _Texts:
    """A column of texts as numbers, which are in the order of the texts; a missing one is empty."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().fill_null("").dictionary_encode()
        texts: list[str] = encoded.dictionary.to_pylist()
        self.texts = sorted({"", *texts})
        place = {text: at for at, text in enumerate(self.texts)}
        self.codes: Ints = np.array([place[text] for text in texts], np.int64)[encoded.indices.to_numpy()]

    def each(self, function: Callable[[str], Value]) -> list[Value | None]:
        """What a function makes of the text of each row, None of an empty one."""
        made = [None, *map(function, self.texts[1:])]
        return [made[code] for code in self.codes.tolist()]

    def at(self, rows: Ints) -> _Texts:
        """Some rows."""
        some = copy(self)
        some.codes = self.codes[rows]
        return some


def _playbacks(counted: Counted, bit_rate_kbit: float) -> Iterator[_Playback]:
    """By title, client and time."""
    groups = counted.groups
    address, agent, path, duration, sid, length, kbit, ran_empty = (
        _Texts(groups.column(name)) for name in _QOE_KEYS if name != "time"
    )
    known = Titles(path.texts)
    segments = map(segment_of, path.texts)
    title_of = ["" if one is None else known.of(one.track) for one in segments]
    titles = sorted({"", *title_of})
    numbers = {name: at for at, name in enumerate(titles)}
    title = np.array([numbers[name] for name in title_of], np.int64)[path.codes]
    requests = groups.column("requests").to_numpy()
    rows = np.flatnonzero(title)
    times = groups.column("time").to_numpy()
    sent = np.array([int(all_of) // of for all_of, of in zip(groups.column("bytes").to_pylist(), requests.tolist(), strict=True)], np.int64)  # fmt: skip
    rows = np.repeat(rows, requests[rows])
    has_sid = sid.codes > 0
    keys = [title, np.where(has_sid, 0, address.codes), np.where(has_sid, 0, agent.codes), sid.codes]
    rows = rows[np.lexsort([column[rows] for column in (sent, times, *reversed(keys))])]
    if not len(rows):
        return
    fresh = np.append(True, ~has_sid[rows[1:]] & (np.diff(times[rows]) > _PAUSE_S))
    for column in keys:
        fresh[1:] |= np.diff(column[rows]) != 0
    begins = np.flatnonzero(fresh)
    said = np.logical_or.reduce([one.codes[rows] > 0 for one in (sid, length, kbit, ran_empty)])
    told = np.logical_or.reduceat(said, begins)
    empty = np.add.reduceat(
        np.array([text == "true" for text in ran_empty.texts])[ran_empty.codes[rows]].astype(np.int64), begins
    )
    bytes_sent, at = sent[rows].tolist(), times[rows].tolist()
    rates = [
        size / 125 / took if size and took else None
        for size, took in zip(bytes_sent, duration.at(rows).each(float), strict=True)
    ]
    lengths_s = length.at(rows).each(lambda text: float(text) / 1000)
    held = [(time, size / 125 / bit_rate_kbit if length_s is None else length_s) for time, size, length_s in zip(at, bytes_sent, lengths_s, strict=True)]  # fmt: skip
    measured = kbit.at(rows).each(int)
    ends = [*begins[1:].tolist(), len(rows)]
    for begin, end, number, is_told, times_empty in zip(begins.tolist(), ends, title[rows[begins]].tolist(), told.tolist(), empty.tolist(), strict=True):  # fmt: skip
        yield _Playback(
            titles[number], _middle(rates[begin:end]), *estimated_stalls(held[begin:end]), _middle(measured[begin:end]),
            times_empty if is_told else None, end - begin,
        )  # fmt: skip


def estimated_stalls(segments: Sequence[tuple[float, float]]) -> tuple[int, float]:
    """How many times a player ran out, and for how many seconds: of segments by their time, and the seconds that each holds.

    >>> estimated_stalls([(0.0, 4.0), (2.0, 4.0), (10.0, 4.0)]), estimated_stalls([])
    ((1, 2.0), (0, 0.0))
    """
    stalls, stalled_s = 0, 0.0
    played_at = segments[0][0] if segments else 0.0
    for time, length_s in segments:
        if time > played_at:
            stalls += 1
            stalled_s += time - played_at
        played_at = max(time, played_at) + length_s
    return stalls, stalled_s
