"""Requests: the hits of all logs and their bytes, by hour, and by day together with status, method, host or path."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain.counted import Bucket, CountedKind, CountingRules, Resolution
from app.domain.requests import path_of
from app.flows.deliveries import TOKENS

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["NONE", "REQUESTS", "Request", "request_buckets"]

NONE = ""
"""The group of requests whose lines do not name a method, a host or a path."""
_HOUR, _DAY = 3600, 86400
_LENGTHS_S = {"hour": _HOUR, "status": _DAY, "method": _DAY, "host": _DAY, "path": _DAY}
_MOST_CHARS, _END_CHARS = 2000, 100
"""Of a group: Elasticsearch takes no key of more than 32,766 bytes, Cassandra none of more than 65,535."""
_MOST_BYTES = 10**15
"""Of one line: a number beyond is no size of a response, and a few of them would be too large for the stores."""


class Request(NamedTuple):
    """What is counted of a hit."""

    raw_id: str
    time: float
    host: str
    request: str | None
    method: str
    status: int
    sent_bytes: int

    @classmethod
    def of_hit(cls, hit: tuple[Any, ...]) -> Request:
        """Of a plain tuple in the order of Hit."""
        time, host, _, request, method, status, _, _, sent, _, _, _, raw_id, _, _, _ = hit
        counts = sent is not None and 0 <= sent <= _MOST_BYTES
        return cls(raw_id, time, host or NONE, request, method or NONE, status, sent if counts else 0)


def _group(text: str | None) -> str:
    """A name that every store takes: of a longer one the middle is left out, so that a path keeps its extension.

    >>> _group("/" + 3000 * "a" + ".mp3") == "/" + 1899 * "a" + "…" + 96 * "a" + ".mp3", _group(None)
    (True, '')
    """
    if text is None or len(text) <= _MOST_CHARS:
        return text or NONE
    return f"{text[: _MOST_CHARS - _END_CHARS]}…{text[-_END_CHARS:]}"


def _identities(request: Request) -> tuple[bytes]:
    """A hit has an identity already: 16 bytes made from its source and its place there."""
    return (b"h" + bytes.fromhex(request.raw_id),)


def request_buckets(request: Request) -> tuple[Bucket, ...]:
    """By hour; by day and status, method, host and path. Hours and days are those of UTC.

    >>> [bucket[:3] for bucket in request_buckets(Request("", 90000.5, "::1", "GET /a?b", "GET", 200, 9))]
    [('hour', '', 90000), ('status', '200', 86400), ('method', 'GET', 86400), ('host', '::1', 86400), ('path', '/a', 86400)]
    """
    second = math.floor(request.time)
    hour, day = second - second % _HOUR, second - second % _DAY
    end = day + _DAY
    return (
        ("hour", NONE, hour, hour + _HOUR),
        ("status", str(request.status), day, end),
        ("method", _group(request.method), day, end),
        ("host", _group(request.host), day, end),
        ("path", _group(path_of(request.request)), day, end),
    )


def _rules(settings: Settings) -> CountingRules[Request]:
    return CountingRules(
        horizon_s=settings.event_horizon,
        identities=_identities,
        buckets=request_buckets,
        amount=lambda request: request.sent_bytes,
        lengths_s=_LENGTHS_S,
        fingerprint=(),
        mistake="WEBLOGS_EVENT_HORIZON has changed; set it back, or drop the counts of requests",
    )


REQUESTS: CountedKind[Request] = CountedKind(
    name="requests",
    one="request",
    many="requests",
    event=Request,
    fields=(),
    id_fields=(),
    group_field="value",
    resolutions=tuple(map(Resolution, _LENGTHS_S)),
    rules=_rules,
    spread_by=lambda request, _: request.raw_id,
    agent="count_requests",
    table="request_counts",
    events_table="",
    sums_table="request_sums",
    keeps_events="raw",
    amount_field="sent_bytes",
    reads=TOKENS,
)
