"""The last hits of a log, merged and judged by several processes: a key is in the share of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.columns.blocks import Ints, bytes_of
from app.reducing.readers import Processes
from app.reports.batches import Batch, joined
from app.reports.hits import filled
from app.reports.keyed_hits import KEY_NAMES, CountingHits, KeyTexts
from app.reports.open_hits import OpenHits

__all__ = ["SharedWork", "shared"]

_ROWS_AT_ONCE = 125_000
_WORD_BYTES = 8
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Spreads numbers that differ little: 2 ** 64 by the golden ratio."""

_Numbers = NDArray[np.uint64]


def shared(hits: OpenHits, tables: Sequence[pa.Table], old: int, processes: int) -> Iterator[Batch]:
    """What is over of the last rows, of which each process merges those of its keys."""
    with Processes(SharedWork.of(hits, tables, old, processes), processes) as others:
        for batches in others.results(iter(range(processes))):
            yield from batches


class SharedWork(NamedTuple):
    """The last rows, of which each process, a fork of its own, has a share."""

    hits: OpenHits
    tables: list[pa.Table]
    """Each in one piece, all with the same dictionaries."""
    texts: KeyTexts
    old: int
    """Rows of the first table that waited."""
    shares: int

    @classmethod
    def of(cls, hits: OpenHits, tables: Sequence[pa.Table], old: int, shares: int) -> Self:
        """`tables`: each in one piece, some rows of the log after the other."""
        table = pa.concat_tables(tables).unify_dictionaries()
        ends = np.cumsum([one.num_rows for one in tables])
        pieces = [
            table.slice(end - one.num_rows, one.num_rows).combine_chunks()
            for end, one in zip(ends.tolist(), tables, strict=True)
            if one.num_rows
        ]
        return cls(hits, pieces, KeyTexts(table), old, shares)

    def read(self, share: int) -> list[Batch]:
        """What is over of the rows of a share."""
        keys = self.hits.open_keys
        if keys:
            columns = [pa.array(texts, pa.string()).dictionary_encode() for texts in zip(*keys, strict=True)]
            numbers = _numbers(columns, [_text_numbers(column.dictionary) for column in columns])
            self.hits.keep((numbers % self.shares == share).tolist())
        found = list(self.hits.merged(self._pieces(share), True))
        by_columns = [batch for batch in found if batch.request.texts is self.texts.request]
        others = [batch for batch in found if batch.request.texts is not self.texts.request]
        # a question looks at the texts of each batch
        return [joined(by_columns), *others] if by_columns else others

    def _pieces(self, share: int) -> Iterator[tuple[CountingHits, int]]:
        """The hits of a share, some keys at a time: what is made of few rows stays in the caches, and in the same memory."""
        rows = sum(table.num_rows for table in self.tables)
        parts = self.shares * max(1, rows // (self.shares * _ROWS_AT_ONCE))
        keys = [[table.column(name).chunk(0) for name in KEY_NAMES] for table in self.tables]
        of_texts = [_text_numbers(column.dictionary) for column in keys[0]]
        numbers = [_numbers(key, of_texts) % parts for key in keys]
        for part in range(share, parts, self.shares):
            chosen = [some == part for some in numbers]
            its = [table.filter(pa.array(are)) for table, are in zip(self.tables, chosen, strict=True)]
            old = int(chosen[0][: self.old].sum()) if self.old else 0
            yield CountingHits(pa.concat_tables(its).combine_chunks(), self.texts), old

    def packed(self, result: list[Batch]) -> object:
        """Without the texts that this process and the other one have."""
        return [self._with(batch, [*self.texts.of_keys], [None] * len(KEY_NAMES)) for batch in result]

    def unpacked(self, packed: Any) -> list[Batch]:
        return [self._with(batch, [None] * len(KEY_NAMES), [*self.texts.of_keys]) for batch in packed]

    def _with(self, batch: Batch, found: Sequence[Any], instead: Sequence[Any]) -> Batch:
        changed = {
            name: getattr(batch, name)._replace(texts=other)
            for name, one, other in zip(KEY_NAMES, found, instead, strict=True)
            if getattr(batch, name).texts is one
        }
        return batch._replace(**changed)


def _numbers(key: Sequence[pa.DictionaryArray], of_texts: Sequence[_Numbers]) -> Ints:
    """A number of the key of each row. `of_texts`: those of the texts."""
    numbers = np.zeros(len(key[0]), np.uint64)
    for column, known in zip(key, of_texts, strict=True):
        if len(known):  # without a text no row has one
            numbers += known[filled(column.indices, 0)]
    return (numbers * _ODD >> np.uint64(32)).astype(np.int64)


def _text_numbers(texts: pa.StringArray) -> _Numbers:
    """A number of each text, the same in all dictionaries: by its length and its last bytes, which differ most."""
    values, bounds = bytes_of(texts)
    padded = np.concatenate((np.zeros(_WORD_BYTES, np.uint8), values[: bounds[-1]]))
    words = np.ndarray(len(padded) - _WORD_BYTES + 1, "<u8", padded, strides=(1,))[bounds[1:]]
    lengths = np.diff(bounds).astype(np.uint64)
    few = np.minimum(lengths, np.uint64(_WORD_BYTES))
    # bytes of the text before it, if it is short
    words = np.where(few > 0, words >> (np.uint64(8) * (np.uint64(_WORD_BYTES) - np.maximum(few, np.uint64(1)))), 0)
    numbers: _Numbers = (words + lengths) * _ODD
    return numbers ^ (numbers >> np.uint64(29))
