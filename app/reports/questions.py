"""The questions that hits answer: what is counted for each, and the report that is made of the groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from app.domain.requests import extension_of
from app.output.reports.report import Cell, Column, Report
from app.reports.counting import Counted, HitGroups, Plan
from app.reports.countries import UNKNOWN, Countries, is_address, resolved
from app.reports.crawlers import crawler_of, list_version
from app.reports.filters import Filters
from app.reports.reading import Inputs, count
from app.reports.sums import total_of

__all__ = [
    "BYTES",
    "REQUEST",
    "TIES",
    "ZONE",
    "Asked",
    "clients",
    "clock",
    "countries",
    "crawlers",
    "hosts",
    "not_found",
    "report_of",
    "requests",
    "share",
    "transfer",
    "visitors",
]

_SERIES = ("hour", "day")
_MOST_SLOTS = 10_000
"""A series of more hours or days has no rows for those without requests."""
_MOST_NAMES = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REQUEST = "A request is a line of the log that is a hit, whatever its status."
BYTES = "Bytes are those that the lines name as sent; lines that name none add 0."
ZONE = "Days and hours are those of the clock that each line names, unless --tz names a zone."
TIES = "Rows with the same number stand in the order of their names."


class Asked(NamedTuple):
    """A question's inputs and limits."""

    inputs: Inputs
    filters: Filters = Filters()
    top: int | None = None
    """Rows of the report; None: as many as the question shows by itself."""


def report_of(
    asked: Asked,
    counted: Counted,
    name: str,
    title: str,
    columns: Iterable[Column],
    rows: list[tuple[Any, ...]],
    definitions: list[str],
    lists: Iterable[str] = (),
    **more: Any,
) -> Report:
    """The answer to a question to hits; `more`: other fields of Report."""
    filters = asked.filters
    used = [list_version()] if filters.no_bots else []
    used += [Countries(filters.geoip).list_version] if filters.countries else []
    head = counted.facts.head(filters.zone, filters.as_rows, list(dict.fromkeys([*lists, *used])))
    return Report(name, title, head, [*definitions, TIES], tuple(columns), rows, **more)


class _Sums(NamedTuple):
    requests: int
    sent_bytes: int


def _sums(groups: HitGroups) -> _Sums:
    return _Sums(total_of(groups.requests), total_of(groups.bytes))


def _number_of(values: Iterable[Any]) -> int:
    """How many there are that are not missing."""
    return sum(value is not None for value in values)


def share(part: int, whole: int) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


def _ranked(groups: HitGroups, key: str, top: int | None, by: str = "requests") -> list[tuple[Any, int, int]]:
    """(key, requests, bytes), the greatest first; equal ones by name; rows without a name behind those with one."""
    numbers = groups.bytes if by == "bytes" else groups.requests
    rows = np.arange(len(numbers))
    if top is not None and top < len(numbers):
        rows = np.flatnonzero(numbers >= np.sort(numbers)[-top])
    values = groups.values[key]
    names = [values[code] for code in groups.codes[key][rows].tolist()]
    every = list(zip(names, groups.requests[rows].tolist(), groups.bytes[rows].tolist(), strict=True))
    found = sorted((row for row in every if row[0] is not None), key=itemgetter(0))
    found += [row for row in every if row[0] is None]
    found.sort(key=itemgetter(2 if by == "bytes" else 1), reverse=True)
    return found[:top]


def clock(number: int, by: str) -> str:
    """The name of a day or an hour since 1970.

    >>> clock(1, "day"), clock(25, "hour")
    ('1970-01-02', '1970-01-02 01:00')
    """
    at = _EPOCH + timedelta(days=number) if by == "day" else _EPOCH + timedelta(hours=number)
    return f"{at:%Y-%m-%d}" if by == "day" else f"{at:%Y-%m-%d %H:00}"


def _series(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """In the order of time, slots without requests included."""
    found = {number: (requests, sent) for number, requests, sent in rows}
    slots: Iterable[int] = sorted(found)
    if found and max(found) - min(found) < _MOST_SLOTS:
        slots = range(min(found), max(found) + 1)
    return [(number, *found.get(number, (0, 0))) for number in slots]


def _by(groups: HitGroups, by: str, asked: Asked, order: str, default_top: int | None) -> list[tuple[Any, int, int]]:
    """Rows of one key: a series in the order of time unless a top is asked for, else the greatest first."""
    if by not in _SERIES:
        return _ranked(groups, by, asked.top or default_top, order)
    rows = _ranked(groups, by, asked.top, order)
    return [(clock(number, by), one, other) for number, one, other in (rows if asked.top else _series(rows))]


def requests(asked: Asked, by: str) -> Report:
    """Requests by one of registry.BY."""
    counted = count(asked.inputs, Plan((by,), asked.filters))
    sums = _sums(counted.groups)
    rows = _by(counted.groups, by, asked, "requests", None)
    totals: list[tuple[str, Cell]] = [("requests", sums.requests), ("bytes", sums.sent_bytes)]
    if by in _SERIES and rows:
        name, most, _ = max(rows, key=lambda row: row[1])
        totals.append((f"busiest {by}", f"{name} with {most:,} requests"))
    return report_of(
        asked, counted, "requests", f"Requests by {by}",
        (Column(by, "text" if by != "status" else "code"), Column("requests"), Column("share", "share"), Column("bytes", "bytes")),
        [(name, one, share(one, sums.requests), sent) for name, one, sent in rows],
        [REQUEST, BYTES, ZONE, *([_EXTENSION] if by == "extension" else [])],
        totals=totals, drawn="requests", is_series=by in _SERIES,
    )  # fmt: skip


_EXTENSION = (
    "The extension is what stands behind the last dot of the last part of the path, in lower case, without the query."
)


def hosts(asked: Asked) -> Report:
    """Requests by client address."""
    counted = count(asked.inputs, Plan(("ip_address",), asked.filters))
    sums = _sums(counted.groups)
    rows = _ranked(counted.groups, "ip_address", asked.top or 10)
    shown = sum(one for _, one, _ in rows)
    return report_of(
        asked, counted, "hosts", "Requests by host",
        (Column("host", "text"), Column("requests"), Column("share", "share"), Column("bytes", "bytes")),
        [(host, one, share(one, sums.requests), sent) for host, one, sent in rows],
        [REQUEST, "A host is a client's address or name, as the log writes it.", BYTES],
        totals=[
            ("hosts", _number_of(counted.groups.of("ip_address"))), ("requests", sums.requests), ("bytes", sums.sent_bytes),
            ("share of the hosts shown", share(shown, sums.requests)),
        ],
        drawn="requests",
    )  # fmt: skip


def transfer(asked: Asked, by: str) -> Report:
    """Bytes by one of registry.TRANSFER_BY."""
    counted = count(asked.inputs, Plan(("path",) if by in ("path", "extension") else (by, "path"), asked.filters))
    sums, groups = _sums(counted.groups), counted.groups
    if by == "extension":  # that of the path
        extensions = [extension_of(path) for path in groups.values["path"]]
        groups = HitGroups({by: groups.codes["path"]}, {by: extensions}, groups.requests, groups.bytes)
    rows = _by(groups.by(by), by, asked, "bytes", 20 if by == "path" else None)
    return report_of(
        asked, counted, "transfer", f"Bytes sent by {by}",
        (Column(by, "text" if by != "status" else "code"), Column("bytes", "bytes"), Column("share", "share"), Column("requests")),
        [(name, sent, share(sent, sums.sent_bytes), one) for name, one, sent in rows],
        [BYTES, REQUEST, "A file is a path.", _EXTENSION, ZONE],
        totals=[("bytes", sums.sent_bytes), ("requests", sums.requests), ("files", _number_of(counted.groups.values["path"]))],
        drawn="bytes", is_series=by in _SERIES,
    )  # fmt: skip


def countries(asked: Asked, early_stopping: int | None, resolve: bool) -> Report:
    """Requests by the client's country: of all hosts, or of the first `early_stopping` by requests."""
    counted = count(asked.inputs, Plan(("ip_address",), asked.filters))
    sums, places = _sums(counted.groups), Countries(asked.filters.geoip)
    looked_at = _ranked(counted.groups, "ip_address", early_stopping)
    names = [host for host, _, _ in looked_at if host is not None and not is_address(host)] if resolve else []
    addresses = resolved(names, _MOST_NAMES) if names else {}
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for host, one, sent in looked_at:
        of = found[places.of(addresses.get(host, host)) if host else UNKNOWN]
        of[0] += one
        of[1] += 1
        of[2] += sent
    ordered = sorted(found.items(), key=lambda entry: (entry[0] == UNKNOWN, -entry[1][0], entry[0]))
    covered = sum(one for _, one, _ in looked_at)
    last = ", ".join(host or "(none)" for host, _, _ in looked_at[-3:])
    return report_of(
        asked, counted, "countries", "Requests by country",
        (Column("country", "text"), Column("requests"), Column("share", "share"), Column("hosts"), Column("bytes", "bytes")),
        [(code, one, share(one, covered), hosts, sent) for code, (one, hosts, sent) in ordered][: asked.top],
        [
            REQUEST,
            "A country is that of the address, by ISO 3166; XX is unknown, and stands behind all others.",
            "A share is that of the requests covered.",
            "Names of hosts are looked up in DNS now, not when the log was written." if resolve
            else "Names of hosts are not looked up: they are unknown.",
            BYTES,
        ],
        [places.list_version],
        totals=[
            ("hosts looked at", len(looked_at)), ("the last of them", last), ("requests covered", covered),
            ("share covered", share(covered, sums.requests)), ("requests", sums.requests),
            *([("names looked up", len(names[:_MOST_NAMES])), ("names with an address", len(addresses))] if resolve and names else []),
        ],
        drawn="requests",
    )  # fmt: skip


def clients(asked: Asked) -> Report:
    """Requests by user agent."""
    counted = count(asked.inputs, Plan(("user_agent",), asked.filters))
    sums = _sums(counted.groups)
    rows = _ranked(counted.groups, "user_agent", asked.top or 20)
    return report_of(
        asked, counted, "clients", "Requests by client program",
        (Column("user_agent", "text"), Column("crawler", "text"), Column("requests"), Column("share", "share"), Column("bytes", "bytes")),
        [(agent, _crawler_name(agent), one, share(one, sums.requests), sent) for agent, one, sent in rows],
        [REQUEST, "A client program is a user agent, as the log writes it.", _CRAWLER, BYTES],
        [list_version()],
        totals=[("agents", _number_of(counted.groups.of("user_agent"))), ("requests", sums.requests)],
        drawn="requests",
    )  # fmt: skip


_CRAWLER = "A crawler is an agent in which a pattern of the list is found; the first pattern names it."


def _crawler_name(agent: str | None) -> str | None:
    crawler = crawler_of(agent) if agent else None
    return crawler.name if crawler else None


def crawlers(asked: Asked, only_ai: bool = False) -> Report:
    """Requests of crawlers, by crawler; AI crawlers are told apart."""
    counted = count(asked.inputs, Plan(("user_agent",), asked.filters))
    sums = _sums(counted.groups)
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for agent, one, sent in _ranked(counted.groups, "user_agent", None):
        crawler = crawler_of(agent) if agent else None
        if crawler is not None:
            of = found[crawler]
            of[0] += one
            of[1] += 1
            of[2] += sent
    rows = [
        (crawler.name, "yes" if crawler.is_ai else "no", ", ".join(crawler.tags), one, share(one, sums.requests), agents, sent)
        for crawler, (one, agents, sent) in sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0].name))
        if crawler.is_ai or not only_ai
    ]  # fmt: skip

    def total(at: int, is_ai: Callable[[bool], bool] = bool) -> int:
        return sum(values[at] for crawler, values in found.items() if is_ai(crawler.is_ai))

    def everything(_: bool) -> bool:
        return True

    return report_of(
        asked, counted, "crawlers", "Requests of AI crawlers" if only_ai else "Requests of crawlers",
        (Column("crawler", "text"), Column("ai", "text"), Column("tags", "text"), Column("requests"), Column("share", "share"), Column("agents"), Column("bytes", "bytes")),
        rows[: asked.top or 20],
        [REQUEST, _CRAWLER, "An AI crawler has the tag ai-crawler in the list.", "A share is that of all requests.", BYTES],
        [list_version()],
        totals=[
            ("requests of crawlers", total(0, everything)), ("agents of crawlers", total(1, everything)),
            ("share of crawlers", share(total(0, everything), sums.requests)), ("crawlers", len(found)),
            ("requests of AI crawlers", total(0)), ("agents of AI crawlers", total(1)), ("requests", sums.requests),
        ],
        drawn="requests",
    )  # fmt: skip


_LOST = ("404", "410")


def not_found(asked: Asked) -> Report:
    """Paths that were asked for and are not there."""
    filters = asked.filters
    asked = asked._replace(filters=filters._replace(statuses=filters.statuses or _LOST))
    counted = count(asked.inputs, Plan(("path", "ip_address"), asked.filters))
    sums = _sums(counted.groups)
    is_known = np.array([host is not None for host in counted.groups.of("ip_address")], np.int64)
    groups = counted.groups._replace(bytes=is_known).by("path")  # in place of the bytes the hosts
    rows = _ranked(groups, "path", asked.top or 20)
    return report_of(
        asked, counted, "not-found", "Paths that were not found",
        (Column("path", "text"), Column("requests"), Column("share", "share"), Column("hosts")),
        [(path, one, share(one, sums.requests), hosts) for path, one, hosts in rows],
        ["Not found are requests with status 404 or 410, unless --status names others.", "A path is as the log writes it, without the query."],
        totals=[("paths", len(groups.requests)), ("requests", sums.requests)],
        drawn="requests",
    )  # fmt: skip


def visitors(asked: Asked) -> Report:
    """Visitors by day."""
    counted = count(asked.inputs, Plan(("day", "ip_address", "user_agent"), asked.filters, with_bytes=False))
    groups = counted.groups
    by_day = HitGroups(groups.codes, groups.values, np.ones_like(groups.requests), groups.requests).by("day")
    rows = _by(by_day, "day", asked, "requests", None)
    return report_of(
        asked, counted, "visitors", "Visitors by day",
        (Column("day", "text"), Column("visitors"), Column("requests")),
        list(rows),
        [
            "A visitor is a client's address together with its user agent; one who comes on two days counts on both.",
            "Several people behind one address and agent are one visitor; one person with two addresses is two.",
            ZONE, REQUEST,
        ],
        totals=[
            ("visitors", len(groups.by("ip_address", "user_agent").requests)), ("hosts", _number_of(groups.values["ip_address"])),
            ("requests", total_of(groups.requests)),
        ],
        drawn="visitors", is_series=True,
    )  # fmt: skip
