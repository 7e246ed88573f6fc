"""Deliveries as columns, many at a time: what questions count, whether columns or `describe` judged them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from app.columns.blocks import Bools, Floats, Ints
from app.columns.verdicts import VERDICTS
from app.domain.records import Delivery
from app.reports.hit_order import CLASSES
from app.reports.sums import Numbers, as_numbers

__all__ = ["NO_CLASSES", "Batch", "TextColumn", "joined", "rows_batch"]

NO_CLASSES: Ints = np.zeros(0, np.int64)


class TextColumn(NamedTuple):
    """A text a delivery."""

    codes: Ints
    texts: Sequence[str]
    """All that differ, and perhaps some that nothing has."""

    def of(self, function: Callable[[str], Any]) -> list[Any]:
        """The function of each text, asked once a text that a delivery has; None for the others."""
        used = np.zeros(len(self.texts), np.bool_)
        used[self.codes] = True
        return [function(text) if there else None for text, there in zip(self.texts, used.tolist(), strict=True)]


class Batch(NamedTuple):
    """Some deliveries, a value each."""

    ip_address: TextColumn
    user_agent: TextColumn
    request: TextColumn
    first: Floats
    last: Floats
    hits: Ints
    sent: Numbers
    """Bytes sent; if the log does not tell them, those covered."""
    covered: Numbers
    total: Numbers
    """Size of the file, or -1."""
    judged: Ints
    """Places in `verdicts`."""
    verdicts: Sequence[tuple[str, str | None]]
    """Verdicts and reasons."""
    lo: Numbers
    hi: Numbers
    """What arrived, ranges of all deliveries."""
    range_bounds: Ints
    """Where those of each begin, with the end of the last."""
    offset_s: Ints
    """What the log writes as offset from UTC, or that of the zone that is asked for."""
    classes: Ints = NO_CLASSES
    """How clients fetched them, places in hit_order.CLASSES, if that was asked for."""

    @property
    def deliveries(self) -> int:
        """How many."""
        return len(self.first)

    def are(self, verdict: str) -> Bools:
        """Which have this verdict."""
        found: Bools = np.array([one == verdict for one, _ in self.verdicts], np.bool_)[self.judged]
        return found

    def chosen(self, rows: Bools) -> Batch:
        """Some of them."""
        if rows.all():
            return self
        counts = np.diff(self.range_bounds)
        ranges = np.repeat(rows, counts)
        texts = {
            name: column._replace(codes=column.codes[rows])
            for name, column in zip(self._fields[:3], self[:3], strict=True)
        }
        numbers = {name: column[rows] for name, column in zip(self._fields[3:10], self[3:10], strict=True)}
        some: dict[str, Any] = {
            **texts,
            **numbers,
            "lo": self.lo[ranges],
            "hi": self.hi[ranges],
            "offset_s": self.offset_s[rows],
        }
        some["range_bounds"] = np.append(0, np.cumsum(counts[rows]))
        some["classes"] = self.classes[rows] if len(self.classes) else self.classes
        return self._replace(**some)


def joined(batches: Sequence[Batch]) -> Batch:
    """Some batches as one, at least one: they have the same texts and verdicts."""
    first = batches[0]
    if len(batches) == 1:
        return first
    some: dict[str, Any] = {
        name: getattr(first, name)._replace(codes=np.concatenate([getattr(batch, name).codes for batch in batches]))
        for name in Batch._fields[:3]
    }
    for name in (*Batch._fields[3:10], "lo", "hi", "offset_s", "classes"):
        some[name] = np.concatenate([getattr(batch, name) for batch in batches])
    counts = [np.diff(batch.range_bounds) for batch in batches]
    return first._replace(**some, range_bounds=np.append(0, np.cumsum(np.concatenate(counts))))


def rows_batch(found: Sequence[Delivery], classes: Sequence[str] = ()) -> Batch:
    """Deliveries that were judged one by one; `offset_s` is 0."""
    codes: dict[tuple[str, str | None], int] = {(verdict, reason): at for at, (verdict, reason) in enumerate(VERDICTS)}
    judged = np.array([codes.setdefault((one.verdict, one.reason), len(codes)) for one in found], np.int64)
    pairs = [pair for one in found for pair in one.ranges]
    return Batch(
        _texts([one.ip_address for one in found]),
        _texts([one.user_agent for one in found]),
        _texts([one.request for one in found]),
        np.array([one.first for one in found], np.float64),
        np.array([one.last for one in found], np.float64),
        np.array([one.hits for one in found], np.int64),
        as_numbers([one.covered_bytes if one.bytes_sent is None else one.bytes_sent for one in found]),
        as_numbers([one.covered_bytes for one in found]),
        as_numbers([-1 if one.total_bytes is None or not one.size_known else one.total_bytes for one in found]),
        judged,
        list(codes),
        as_numbers([lo for lo, _ in pairs]),
        as_numbers([hi for _, hi in pairs]),
        np.append(0, np.cumsum(np.array([len(one.ranges) for one in found], np.int64))),
        np.zeros(len(found), np.int64),
        np.array([list(CLASSES).index(name) for name in classes], np.int64),
    )  # fmt: skip


def _texts(texts: list[str]) -> TextColumn:
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    return TextColumn(codes, list(numbers))
