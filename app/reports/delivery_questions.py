"""The questions that deliveries answer: what was whole, why the log does not say, how far people came, what was wasted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from app.domain.requests import path_of
from app.output.reports.report import Cell, Column, Report
from app.reports.batches import Batch
from app.reports.countries import Countries
from app.reports.crawlers import crawler_of, list_version
from app.reports.deliveries import deliveries
from app.reports.facts import Facts
from app.reports.filters import Sieve
from app.reports.hit_order import CLASSES
from app.reports.open_hits import Judging
from app.reports.questions import TIES, Asked, share
from app.reports.sums import counted_by, exact, total_of
from app.words import VERDICTS, reason_label, reason_text

__all__ = ["Deliveries", "classes", "curve", "files", "heat", "waste", "why"]

_DELIVERY = "A delivery is one file going to one client in one window, as `reduce` cuts and judges it."
_WHOLE = "Whole is a delivery of which no byte is known to be missing, partial one that lacks bytes, unknown one of which the log does not say."
_SENT = (
    "Bytes sent are those of the distinct hits of deliveries; a hit that names a range and no bytes adds its length."
)
_WASTED = "Wasted are all bytes sent of partial deliveries, and of whole ones the bytes sent more than once; of unknown ones none are counted. `report waste` also counts what crawlers were sent."
_SIZE = "Deliveries of files whose size is not known are left out, and counted below the table. --sizes FILE or --learn-sizes gives sizes."
_STEPS = (10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100)
_MOST_WEEKS = 53
_GB = 10**9


class Deliveries(NamedTuple):
    """A question to deliveries: the day that filters ask for is that of a delivery's first hit."""

    asked: Asked
    judging: Judging = Judging()


def _found(question: Deliveries, facts: Facts, path: str | None = None) -> Iterator[Batch]:
    asked = question.asked
    for batch in deliveries(asked.inputs, question.judging, Sieve(asked.filters), facts):
        if path is None:
            yield batch
        else:
            is_of = np.array([one == path for one in batch.request.of(path_of)], np.bool_)
            yield batch.chosen(is_of[batch.request.codes])


def _report(
    question: Deliveries, facts: Facts, name: str, title: str, columns: Iterable[Column], rows: list[tuple[Any, ...]],
    definitions: list[str], lists: Iterable[str] = (), **more: Any,
) -> Report:  # fmt: skip
    filters, rules = question.asked.filters, question.judging.rules
    used = [*lists, *([list_version()] if filters.no_bots else [])]
    used += [Countries(filters.geoip).list_version] if filters.countries else []
    head = facts.head(filters.zone, filters.as_rows, list(dict.fromkeys(used)))
    head.append(("window", f"{rules.window}, {rules.length_s:g} s"))
    return Report(name, title, head, [_DELIVERY, *definitions, TIES], tuple(columns), rows, **more)


def _wasted(batch: Batch) -> tuple[Any, Any]:
    """Bytes of what was never whole, and bytes sent more than once of what was."""
    twice = np.where(batch.are("complete"), np.maximum(0, batch.sent - batch.covered), 0)
    return np.where(batch.are("partial"), batch.sent, 0), twice


def files(question: Deliveries) -> Report:
    """Files by deliveries: whole, partial, unknown, completion, bytes sent and wasted."""
    facts, found = Facts(), defaultdict[str | None, list[int]](lambda: [0] * 5)
    for batch in _found(question, facts):
        numbers: dict[str | None, int] = {}
        place = np.array([numbers.setdefault(path, len(numbers)) for path in batch.request.of(path_of)], np.int64)
        place = place[batch.request.codes]
        never, twice = _wasted(batch)
        of_each = (
            np.bincount(place, minlength=len(numbers)).tolist(),
            np.bincount(place[batch.are("complete")], minlength=len(numbers)).tolist(),
            np.bincount(place[batch.are("partial")], minlength=len(numbers)).tolist(),
            counted_by(place, len(numbers), batch.sent),
            counted_by(place, len(numbers), never + twice),
        )
        for path, *values in zip(numbers, *of_each, strict=True):
            if values[0]:
                found[path] = [one + more for one, more in zip(found[path], values, strict=True)]
    every = [sum(values) for values in zip(*found.values(), strict=True)] or [0] * 5
    ordered = sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0] or ""))
    columns = (
        Column("file", "text"), Column("deliveries"), Column("whole"), Column("partial"), Column("unknown"),
        Column("completion", "share"), Column("sent_bytes", "bytes"), Column("wasted_bytes", "bytes"),
    )  # fmt: skip
    totals = list(zip([column.name for column in columns[1:]], _file(None, every)[1:], strict=True))
    return _report(
        question, facts, "files", "Files by deliveries", columns,
        [_file(path, values) for path, values in ordered[: question.asked.top or 20]],
        ["A file is a path, without the query.", _WHOLE, "Completion is the share of whole ones among those that are whole or partial.", _SENT, _WASTED],
        totals=[("files", len(found)), *totals], drawn="deliveries",
    )  # fmt: skip


def _file(path: str | None, values: Sequence[int]) -> tuple[Any, ...]:
    total, whole, partial, sent, wasted = values
    return path, total, whole, partial, total - whole - partial, share(whole, whole + partial), sent, wasted


def why(question: Deliveries) -> Report:
    """Verdicts and their reasons, with what each means."""
    facts = Facts()
    judged: Counter[tuple[str, str | None]] = Counter()
    for batch in _found(question, facts):
        counts = np.bincount(batch.judged, minlength=len(batch.verdicts)).tolist()
        judged.update({one: count for one, count in zip(batch.verdicts, counts, strict=True) if count})
    order = ["unknown", *(verdict for verdict in VERDICTS if verdict != "unknown")]
    rows = [
        (verdict, reason_label(reason) if reason else None, count, share(count, judged.total()), reason_text(verdict, reason))
        for (verdict, reason), count in sorted(judged.items(), key=lambda entry: (order.index(entry[0][0]), -entry[1], entry[0][1] or ""))
    ]  # fmt: skip
    return _report(
        question, facts, "why", "Why deliveries are not known to be whole",
        (Column("verdict", "text"), Column("reason", "text"), Column("deliveries"), Column("share", "share"), Column("meaning", "text")),
        rows[: question.asked.top], [_WHOLE], totals=[("deliveries", judged.total())], drawn="deliveries",
    )  # fmt: skip


def classes(question: Deliveries) -> Report:
    """Deliveries by how clients fetched them: one of CLASSES."""
    asked, facts, names = question.asked, Facts(), list(CLASSES)
    found: dict[str, list[int]] = {name: [0, 0, 0, 0] for name in CLASSES}
    for batch in deliveries(asked.inputs, question.judging, Sieve(asked.filters), facts, is_ordered=True):
        values = (np.ones(batch.deliveries, np.int64), batch.hits, batch.sent, batch.are("complete").astype(np.int64))
        for at, numbers in enumerate(values):
            for name, value in zip(names, counted_by(batch.classes, len(names), numbers), strict=True):
                found[name][at] += value
    total = sum(of[0] for of in found.values())
    rows = [
        (name, number, share(number, total), hits, whole, sent) for name, (number, hits, sent, whole) in found.items()
    ]
    return _report(
        question, facts, "classes", "How clients fetched files",
        (Column("class", "text"), Column("deliveries"), Column("share", "share"), Column("requests"), Column("whole"), Column("sent_bytes", "bytes")),
        sorted(rows, key=lambda row: (-row[1], row[0]))[: asked.top],
        [
            "A delivery has one class, by the order in which its requests stand in the log, by time. A crawler's has no other.",
            *(f"{name[0].upper()}{name[1:]}: {rule}." for name, rule in CLASSES.items()),
            "Beside longer requests a probe is passed over, and so is a request that brought nothing.",
            "Servers log a request when it ends: segments that were fetched at once and ended in order look resumed.", _WHOLE, _SENT,
        ],
        [list_version()], totals=[("deliveries", total)], drawn="deliveries",
    )  # fmt: skip


def curve(question: Deliveries, path: str | None) -> Report:
    """How many deliveries of a file, or of all, reached each share of it."""
    facts, total, unsized = Facts(), 0, 0
    covered, furthest = dict.fromkeys(_STEPS, 0), dict.fromkeys(_STEPS, 0)
    for batch in _found(question, facts, path):
        sized = batch.total > 0
        unsized += int((~sized).sum())
        batch = batch.chosen(sized)
        total += batch.deliveries
        size, arrived, end = exact(batch.total, 100), exact(batch.covered, 100), exact(_ends(batch), 100)
        for step in _STEPS:
            covered[step] += int((arrived * 100 >= step * size).sum())
            furthest[step] += int((end * 100 >= step * size).sum())
    return _report(
        question, facts, "curve", f"How far deliveries of {path or 'all files'} came",
        (Column("reached", "text"), Column("deliveries"), Column("share", "share"), Column("furthest"), Column("furthest_share", "share")),
        [(f"{step} %", covered[step], share(covered[step], total), furthest[step], share(furthest[step], total)) for step in _STEPS],
        [
            "A delivery reached a share of the file if the bytes that arrived cover so much of it, wherever they are.",
            "By the furthest byte, it reached what lies before the last byte that arrived, whatever is missing.", _SIZE,
        ],
        totals=[("deliveries", total), ("deliveries of unknown size", unsized)], drawn="deliveries", is_series=True,
    )  # fmt: skip


def heat(question: Deliveries, path: str | None, parts: int = 100) -> Report:
    """How many deliveries fetched each part of a file, by week."""
    facts, total, unsized = Facts(), 0, 0
    weeks: dict[str, list[int]] = {}
    for batch in _found(question, facts, path):
        sized = batch.total > 0
        unsized += int((~sized).sum())
        batch = batch.chosen(sized)
        total += batch.deliveries
        days, which = np.unique(np.floor((batch.first + batch.offset_s) / 86400), return_inverse=True)
        named = [_week(day * 86400) for day in days.tolist()]
        for week in dict.fromkeys(named):
            chosen = np.array([one == week for one in named], np.bool_)[which]
            some = _by_part(batch.chosen(chosen), parts)
            weeks[week] = [one + more for one, more in zip(weeks.get(week, [0] * parts), some, strict=True)]
    shown = sorted(weeks)[-_MOST_WEEKS:]
    rows = [
        (f"{100 * part / parts:g} %", sum(counts[part] for counts in weeks.values()), *(weeks[week][part] for week in shown))
        for part in range(parts)
    ]  # fmt: skip
    left_out = len(weeks) - len(shown)
    return _report(
        question, facts, "heat", f"Deliveries that fetched each part of {path or 'all files'}",
        (Column("from", "text"), Column("deliveries"), *(Column(week) for week in shown)), rows if total else [],
        [
            f"The file is cut into {parts} parts of equal size. A delivery counts for each part of which a byte arrived.",
            "A week is that of the first hit, by ISO 8601, from Monday on.", _SIZE,
            *([f"{left_out} earlier weeks have no column; they are part of `deliveries`."] if left_out else []),
        ],
        totals=[("deliveries", total), ("deliveries of unknown size", unsized)], drawn="deliveries", is_series=True,
    )  # fmt: skip


def _ends(batch: Batch) -> Any:
    """Behind the last byte that arrived, within the file."""
    has = np.diff(batch.range_bounds) > 0
    ends = np.zeros(batch.deliveries, batch.hi.dtype)
    ends[has] = np.minimum(batch.hi[batch.range_bounds[1:][has] - 1] + 1, batch.total[has])
    return ends


def _by_part(batch: Batch, parts: int) -> list[int]:
    """How many deliveries fetched something of each part; two ranges in one part count once."""
    owner = np.repeat(np.arange(batch.deliveries), np.diff(batch.range_bounds))
    size, lo, hi = batch.total[owner], exact(batch.lo, parts), exact(batch.hi, parts)
    first, end = (np.minimum(place * parts // size, parts - 1).astype(np.int64) for place in (lo, hi))
    again = np.append(False, owner[1:] == owner[:-1])  # ranges are sorted, so the one before reaches farthest
    first[1:] = np.where(again[1:], np.maximum(first[1:], end[:-1] + 1), first[1:])
    some = first <= end
    steps = np.bincount(first[some], minlength=parts + 1) - np.bincount(end[some] + 1, minlength=parts + 1)
    found: list[int] = np.cumsum(steps)[:parts].tolist()
    return found


def _week(local_s: float) -> str:
    """
    >>> _week(0.0)
    '1970-W01'
    """
    year, week, _ = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=local_s // 86400)).isocalendar()
    return f"{year}-W{week:02}"


def waste(question: Deliveries, price_per_gb: float | None) -> Report:
    """Bytes sent that made no file whole for a person."""
    facts, kinds = Facts(), ("never whole", "sent more than once", "to crawlers")
    sent, unknown, total = dict.fromkeys(kinds, 0), 0, 0
    number = dict.fromkeys(kinds, 0)
    for batch in _found(question, facts):
        total += total_of(batch.sent)
        never, twice = _wasted(batch)
        is_crawler = np.array([one is not None for one in batch.user_agent.of(crawler_of)], np.bool_)
        is_crawler = is_crawler[batch.user_agent.codes]
        unknown += total_of(batch.sent[batch.are("unknown") & ~is_crawler])
        parts = (never[~is_crawler], twice[~is_crawler], batch.sent[is_crawler])
        for kind, part in zip(kinds, parts, strict=True):
            sent[kind] += total_of(part)
            number[kind] += int((part > 0).sum())
    wasted = sum(sent.values())
    columns = [Column("waste", "text"), Column("bytes", "bytes"), Column("share", "share"), Column("deliveries")]
    rows: list[tuple[Any, ...]] = [(kind, sent[kind], share(sent[kind], total), number[kind]) for kind in kinds]
    totals: list[tuple[str, Cell]] = [
        ("sent bytes", total), ("wasted bytes", wasted), ("share wasted", share(wasted, total)),
        ("bytes of unknown deliveries", unknown),
    ]  # fmt: skip
    if price_per_gb is not None:
        columns.append(Column("cost", "money"))
        rows = [(*row, row[1] * price_per_gb / _GB) for row in rows]
        totals.append(("cost of what was wasted", f"{wasted * price_per_gb / _GB:,.2f}"))
    return _report(
        question, facts, "waste", "Bytes that made no file whole", columns, rows,
        [
            _WHOLE, _SENT, "Each byte is in one row: all that was sent to crawlers is in theirs, by the list.",
            "Of whole deliveries the bytes beyond those covered were sent more than once; of partial ones all are never whole.",
            "Unknown deliveries may be wasted, too: their bytes are told apart.",
            *(["A GB has 1,000,000,000 bytes; the currency is that of --price-per-gb."] if price_per_gb is not None else []),
        ],
        [list_version()], totals=totals, drawn="bytes",
    )  # fmt: skip
