"""Hits of a table, group by group: what columns merge and judge."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Ints
from app.columns.groups import MAX_ROWS
from app.columns.parts import Details, added
from app.domain.key_hits import KEY_FIELDS
from app.domain.proof import may_be_compressed
from app.domain.records import Parsed
from app.domain.windows import Rules
from app.reports.hits import HitNumbers, numbers_of, texts_of

__all__ = ["KEY_NAMES", "AddedColumns", "CountingHits", "KeyTexts", "KeyedRows"]

KEY_NAMES = Parsed._fields[KEY_FIELDS]
_ROWS_AT_ONCE = 262_144
assert _ROWS_AT_ONCE * 2 <= MAX_ROWS


class KeyedRows(NamedTuple):
    """Some groups of hits: those of a key, cut where a session ends."""

    rows: Ints
    """Of the table, group by group, each in the order of the log."""
    begins: Ints
    """Where each group begins."""
    mixed: Bools
    """Whether hits of its key are from several sources."""


class AddedColumns(NamedTuple):
    """What hits add to their deliveries."""

    lo: Ints
    hi: Ints
    rest: Details


class KeyTexts:
    """The texts that differ in the keys of some hits."""

    def __init__(self, table: pa.Table) -> None:
        """A table in one piece, or with the same dictionaries in all of them."""
        texts = [texts_of(table.column(name).chunk(0)) if table.num_rows else [] for name in KEY_NAMES]
        self.ip_address, self.user_agent, self.request = self.of_keys = texts

    @cached_property
    def are_compressible(self) -> Bools:
        """Of each request."""
        return np.array([may_be_compressed(text) for text in self.request], np.bool_)


class CountingHits:
    """The hits of a table that count for deliveries, by key."""

    def __init__(self, table: pa.Table, texts: KeyTexts | None = None) -> None:
        """`texts`: those of its dictionaries, if they are known."""
        self.table = table
        self.numbers: HitNumbers = numbers_of(table)
        self.are_plain = self.numbers.are_plain
        self.times = table.column("time").to_numpy()
        self.statuses = table.column("status").to_numpy().astype(np.int64)
        names = (*KEY_NAMES, "method", "source")
        columns = [table.column(name).chunk(0) for name in names] if table.num_rows else []
        counts = (self.statuses == 200) | (self.statuses == 206)
        for column in columns[:4]:
            if column.null_count:
                counts &= column.indices.is_valid().to_numpy(zero_copy_only=False)
        codes = [
            (column.indices.fill_null(0) if column.null_count else column.indices).to_numpy().astype(np.int64)
            for column in columns
        ]
        self.texts = texts or KeyTexts(table)
        self.codes = codes[:3]
        self.sources: list[str] = []
        if columns:
            # one more: no line of some logs has a method
            counts &= np.array([*(text == "GET" for text in texts_of(columns[3])), False], np.bool_)[codes[3]]
            self.sources, self.source_codes = texts_of(columns[4]), codes[4]
        self._rows = np.flatnonzero(counts)

    def pieces(self, rules: Rules) -> Iterator[KeyedRows]:
        """All of them, some groups at a time."""
        rows = self._rows
        if not len(rows):
            return
        ip, agent, request = (codes[rows] for codes in self.codes)
        joined = (ip * len(self.texts.user_agent) + agent) * len(self.texts.request) + request
        # small numbers of the keys above the places: one sort of integers, which is faster than any that gives places
        key = pa.array(joined).dictionary_encode().indices.to_numpy().astype(np.int64)
        ordered = np.sort((key << 32) | np.arange(len(rows)))
        key, rows = ordered >> 32, rows[ordered & 0xFFFFFFFF]
        times = self.times[rows]
        is_new = np.append(True, key[1:] != key[:-1])
        mixed = self._mixed(rows, np.flatnonzero(is_new))
        if rules.window == "last_touch":
            if bool((~is_new[1:] & (times[1:] < times[:-1])).any()):
                order = np.lexsort((times, key))
                rows, times = rows[order], times[order]
            is_new[1:] |= times[:-1] + rules.length_s <= times[1:]
        begins = np.flatnonzero(is_new)
        cuts = np.unique(np.searchsorted(begins, np.arange(0, len(rows), _ROWS_AT_ONCE)))
        for start, end in zip(cuts.tolist(), [*cuts[1:].tolist(), len(begins)], strict=True):
            if start < end:
                at = int(begins[start])
                stop = int(begins[end]) if end < len(begins) else len(rows)
                yield KeyedRows(rows[at:stop], begins[start:end] - at, mixed[begins[start:end]])

    def _mixed(self, rows: Ints, begins: Ints) -> Bools:
        """Whether the hits of the key of each row, which stand key by key, are from several sources."""
        if len(self.sources) < 2:
            return np.zeros(len(rows), np.bool_)
        sources = self.source_codes[rows]
        found = np.minimum.reduceat(sources, begins) != np.maximum.reduceat(sources, begins)
        return np.repeat(found, np.diff(np.append(begins, len(rows))))

    def keys(self, rows: Ints) -> list[tuple[str, str, str]]:
        texts = [
            [of[code] for code in codes[rows].tolist()]
            for codes, of in zip(self.codes, self.texts.of_keys, strict=True)
        ]
        return list(zip(*texts, strict=True))

    def added(self, rows: Ints) -> AddedColumns:
        """What rows add to deliveries; those that are not plain count nothing here."""
        lo, hi, sent, total, flags = (
            np.where(self.are_plain[rows], column[rows], none)
            for column, none in zip(self.numbers[:5], (0, -1, -1, -1, 0), strict=True)
        )
        return AddedColumns(
            *added(
                lo,
                hi,
                sent,
                total,
                self.statuses[rows],
                flags if flags.any() else None,
                lambda: self.texts.are_compressible[self.codes[2][rows]],
            )
        )
