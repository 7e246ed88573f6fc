"""Deliveries and hits as the templates show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

from app.domain.coverage import CELLS, Piece, coverage_pieces
from app.domain.parts import part_of
from app.domain.records import Delivery, Hit, key_hash, key_text
from app.domain.totals import Totals
from app.output.statistics import complete_rows
from app.words import VERDICTS, count_text, reason_label, reason_text, size_text, verdict_sentence

__all__ = [
    "MAX_LISTED_RANGES",
    "Bar",
    "DeliveryView",
    "HitView",
    "ReasonRow",
    "StackPart",
    "delivery_link",
    "delivery_view",
    "hit_views",
    "reason_rows",
    "stack_parts",
]

MAX_LISTED_RANGES = 50
"""Ranges written out on a page; the JSON has them all."""

_LONGEST_LINK = 4000


class Bar(NamedTuple):
    """A strip of `cells` cells and what it says to who cannot see it."""

    pieces: list[Piece]
    cells: int
    label: str
    open_end: bool
    """The size is unknown: the strip ends where the last known byte is."""


class DeliveryView(NamedTuple):
    delivery: Delivery
    link: str
    key_hash: str
    why: str
    """The sentence of its verdict."""
    bar: Bar | None
    """None where the log names no offsets."""
    ranges: str
    missing: str


class HitView(NamedTuple):
    hit: Hit
    range: str
    counts: bool
    """Whether it counts for a delivery; other hits are only kept."""


def delivery_link(ip_address: str, user_agent: str, request: str, full: bool = False) -> str:
    """The page of a key: by its fields, or by its hash where they make no good link; `full` forbids the hash."""
    fields = {"ip": ip_address, "ua": user_agent, "request": request}
    link = "/delivery?" + urlencode(fields, quote_via=quote, errors="surrogatepass")
    if full or (
        len(link) <= _LONGEST_LINK
        and not any("\ud800" <= char <= "\udfff" for text in fields.values() for char in text)
    ):
        return link
    return f"/delivery?key_hash={key_hash(key_text(ip_address, user_agent, request))}"


def _bar(delivery: Delivery) -> Bar | None:
    total = delivery.total_bytes
    if not delivery.ranges and (total is None or delivery.is_counted):
        return None
    end = delivery.ranges[-1][1] + 1 if total is None else total
    if end <= 0:
        return None
    of = "of an unknown size" if total is None else f"of {count_text(total)}"
    label = f"{count_text(delivery.covered_bytes)} bytes covered {of}, in {len(delivery.ranges)} pieces"
    return Bar(coverage_pieces(delivery.ranges, end), min(CELLS, end), label, total is None)


def _ranges_text(ranges: Sequence[Sequence[int]]) -> str:
    shown = ", ".join(_range_text(lo, hi) for lo, hi in ranges[:MAX_LISTED_RANGES])
    more = len(ranges) - MAX_LISTED_RANGES
    return f"{shown} and {more:,} more" if more > 0 else shown


def _range_text(lo: int, hi: int) -> str:
    return _position(lo) if lo == hi else f"{_position(lo)}–{_position(hi)}"


def _position(number: int) -> str:
    return count_text(number) if number < 10**21 else size_text(number).removesuffix(" B")


def delivery_view(delivery: Delivery) -> DeliveryView:
    """`delivery` with its bar, its reason in words and the link to its page."""
    key = (delivery.ip_address, delivery.user_agent, delivery.request)
    return DeliveryView(
        delivery,
        delivery_link(*key),
        key_hash(key_text(*key)),
        verdict_sentence(delivery),
        _bar(delivery),
        _ranges_text(delivery.ranges),
        _ranges_text(delivery.missing),
    )


def hit_views(hits: Sequence[Hit]) -> list[HitView]:
    """Each hit with its range as text, and whether it counts."""
    return [HitView(hit, _hit_range(hit), part_of(hit, int(hit.raw_id[:16], 16)) is not None) for hit in hits]


def _hit_range(hit: Hit) -> str:
    if hit.lo is None or hit.hi is None:
        return "–"
    return _range_text(hit.lo, hit.hi)


class StackPart(NamedTuple):
    """One verdict in the strip of all deliveries, 1000 units wide."""

    name: str
    start: int
    width: int


class ReasonRow(NamedTuple):
    verdict: str
    label: str
    """As reports name it; empty for all of a verdict."""
    why: str
    number: int


def stack_parts(deliveries: Mapping[str, int]) -> list[StackPart]:
    """Shares of the verdicts; what is there at all is at least 4 units wide.

    >>> stack_parts({"complete": 999_999, "partial": 1})
    [StackPart(name='complete', start=0, width=996), StackPart(name='partial', start=996, width=4)]
    """
    present = {name: deliveries[name] for name in VERDICTS if deliveries.get(name)}
    total = sum(present.values())
    widths = {name: max(number * 1000 // total, 4) for name, number in present.items()}
    if widths:
        largest = max(widths, key=lambda name: present[name])
        widths[largest] += 1000 - sum(widths.values())
    parts, start = [], 0
    for name, width in widths.items():
        parts.append(StackPart(name, start, width))
        start += width
    return parts


def reason_rows(totals: Totals) -> list[ReasonRow]:
    """Deliveries by verdict and reason, verdicts in their order, the most frequent reason first; complete ones by evidence, too."""
    order = list(VERDICTS)
    rows = [
        ReasonRow(verdict, reason_label(reason), reason_text(verdict, reason), number)
        for (verdict, reason), number in totals.reasons.items()
        if number
    ]
    rows += [ReasonRow("complete", label, "", number) for label, number in complete_rows(totals)]
    return sorted(
        rows,
        key=lambda row: (
            order.index(row.verdict) if row.verdict in order else len(order),
            bool(row.verdict == "complete" and row.label),
            -row.number,
        ),
    )
