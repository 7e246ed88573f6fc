"""The questions that optional fields of hits answer: which pages name our files, who loads them elsewhere, how long responses take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Any

from app.downloads.rules import MEDIA
from app.errors import NotLogged
from app.output.reports.report import Column, Report
from app.reports.counting import Counted, Plan
from app.reports.questions import BYTES, REQUEST, ZONE, Asked, clock, report_of, share
from app.reports.reading import count

__all__ = ["hotlinks", "latency", "referers"]

_IMAGES = ("avif", "bmp", "gif", "ico", "jpeg", "jpg", "png", "svg", "tif", "tiff", "webp")
_SENT = ("2xx", "304")
_HOST = "The host is that of the referer, in lower case, without its port."
_OWN = "An own host is one that --own names, or below it, as www.example.com is below example.com."
_NO_REFERER = "no line names a referer; if your server does not log it, take the combined format, or log it by name"
_NO_DURATION = (
    "no line that is counted tells how long its response took; log it (nginx: $request_time, Apache: %D, JSON: duration_s):"
    " docs/reference/formats.md, optional fields"
)


def _is_own(host: str, own: Sequence[str]) -> bool:
    return any(host == one or host.endswith(f".{one}") for one in own)


def _note_missing(counted: Counted, has_referer: bool) -> None:
    if counted.facts.counted and not has_referer:
        counted.facts.notes.append(_NO_REFERER)


def referers(asked: Asked, own: Sequence[str] = ()) -> Report:
    """Requests by the host of the page that named the file; `own`: hosts that are left out, in lower case."""
    counted = count(asked.inputs, Plan(("referer_host",), asked.filters))
    rows = counted.groups.rows("referer_host")
    total = sum(requests for _, requests, _ in rows)
    apart = {host: requests for host, requests, _ in rows if not host}
    found = [
        (host, requests, share(requests, total), sent)
        for host, requests, sent in rows
        if host and not _is_own(host, own)
    ]
    found.sort(key=lambda row: (-row[1], row[0]))
    named = total - apart.get(None, 0)
    _note_missing(counted, named > 0)
    others = sum(row[1] for row in found)
    return report_of(
        asked, counted, "referers", "Requests by the host of their referer",
        (Column("referer_host", "text"), Column("requests"), Column("share", "share"), Column("bytes", "bytes")),
        found[: asked.top or 20],
        [
            REQUEST, "A referer is the page that the client names as the one that led to the file; clients may name none, or another.",
            _HOST, _OWN, "Requests without a referer, `-` in the log, have no row; they are counted below the table.",
            "A share is that of all requests.", BYTES,
        ],
        totals=[
            ("hosts", len(found)), ("requests of these hosts", others),
            *([("requests of own hosts", named - apart.get("", 0) - others)] if own else []),
            ("requests whose referer names no host", apart.get("", 0)),
            ("requests without a referer", apart.get(None, 0)), ("requests", total),
        ],
        drawn="requests",
    )  # fmt: skip


def hotlinks(asked: Asked, own: Sequence[str] = ()) -> Report:
    """Images, sound and films that pages of other hosts load, by the host of the page."""
    filters = asked.filters
    asked = asked._replace(
        filters=filters._replace(
            statuses=filters.statuses or _SENT, extensions=filters.extensions or tuple(sorted((*_IMAGES, *MEDIA)))
        )
    )
    counted = count(asked.inputs, Plan(("path", "referer_host", "asked_host"), asked.filters))
    sites: dict[str, Counter[str]] = defaultdict(Counter)
    sent_bytes: Counter[str] = Counter()
    total = unnamed = 0
    knows_own = bool(own)
    for path, host, asked_host, requests, sent in counted.groups.rows("path", "referer_host", "asked_host"):
        total += requests
        knows_own |= asked_host is not None
        if host is None:
            unnamed += requests
        if host and host != asked_host and not _is_own(host, own):
            sites[host][path] += requests
            sent_bytes[host] += sent
    _note_missing(counted, unnamed < total)
    if sites and not knows_own:
        counted.facts.notes.append(
            "no line names the host that was asked: name yours by --own, or your own pages count as others"
        )
    rows = [
        (host, files.total(), share(files.total(), total), len(files), min(files, key=lambda path: (-files[path], path)), sent_bytes[host])
        for host, files in sorted(sites.items(), key=lambda entry: (-entry[1].total(), entry[0]))
    ]  # fmt: skip
    return report_of(
        asked, counted, "hotlinks", "Files that pages of other hosts load",
        (
            Column("referer_host", "text"), Column("requests"), Column("share", "share"), Column("files"), Column("most_loaded", "text"),
            Column("bytes", "bytes"),
        ),
        rows[: asked.top or 20],
        [
            "A hotlink is a request for an image, sound or film whose referer is a page of another host; --ext names other files.",
            "Counted are the statuses 2xx and 304, unless --status names others.",
            "A link that somebody follows to such a file looks the same in the log as a page that shows it.",
            _HOST, _OWN, "The host that a line says was asked is an own host, too.", "A share is that of all requests for such files.", BYTES,
        ],
        totals=[
            ("hosts", len(rows)), ("hotlinks", sum(row[1] for row in rows)), ("bytes of hotlinks", sent_bytes.total()),
            ("files", len({path for files in sites.values() for path in files})),
            ("requests without a referer", unnamed), ("requests for such files", total),
        ],
        drawn="requests",
    )  # fmt: skip


def latency(asked: Asked, by: str) -> Report:
    """How long responses took, by one of registry.LATENCY_BY. Raises NotLogged if hits are counted and none says it."""
    counted = count(asked.inputs, Plan((by, "duration"), asked.filters, with_bytes=False))
    found: dict[Any, Counter[float]] = defaultdict(Counter)
    every: Counter[float] = Counter()
    for name, duration, requests, _ in counted.groups.rows(by, "duration"):
        if duration is not None:
            found[name][float(duration)] += requests
            every[float(duration)] += requests
    total = counted.facts.counted
    if total and not every:
        raise NotLogged(_NO_DURATION)
    in_order = by == "hour" and not asked.top
    ordered = sorted(
        found.items(), key=lambda entry: ((0 if in_order else -entry[1].total()), entry[0] is None, entry[0] or 0)
    )
    rows = [
        (clock(name, by) if by == "hour" else name, durations.total(), *_percentiles(durations))
        for name, durations in ordered
    ]
    all_of = _percentiles(every) if every else ()
    return report_of(
        asked, counted, "latency", f"How long responses took, by {by}",
        (
            Column(by, "code" if by == "status" else "text"), Column("requests"), Column("p50_s", "seconds"), Column("p95_s", "seconds"),
            Column("p99_s", "seconds"),
        ),
        rows if by == "hour" and not asked.top else rows[: asked.top or 20],
        [
            "How long a response took is what the server logs: from the request to the last byte that it handed to its kernel.",
            "So a large file on a slow line takes long.",
            "p95 is the least time that 95 of 100 requests did not exceed; so are p50 and p99.",
            "Times are counted to three significant digits.", REQUEST, *([ZONE] if by == "hour" else []),
        ],
        totals=[
            *((name, f"{value:g} s") for name, value in zip(("p50 of all", "p95 of all", "p99 of all"), all_of, strict=False)),
            ("requests with a time", every.total()), ("requests without a time", total - every.total()),
        ],
        drawn="p95_s", is_series=in_order,
    )  # fmt: skip


def _percentiles(durations: Counter[float]) -> list[float]:
    """p50, p95 and p99 by the nearest rank.

    >>> _percentiles(Counter({0.1: 50, 0.2: 45, 9.0: 5}))
    [0.1, 0.2, 9.0]
    """
    ordered, total = sorted(durations.items()), durations.total()
    found, at, seen = [], -1, 0
    for percent in (50, 95, 99):
        while seen < ceil(percent * total / 100):
            at += 1
            seen += ordered[at][1]
        found.append(ordered[at][0])
    return found
