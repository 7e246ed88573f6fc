"""The last hits of a log, merged and judged by several processes: a key is in the share of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa

from app.reducing.readers import Processes
from app.reports.batches import Batch
from app.reports.hits import texts_of
from app.reports.open_hits import OpenHits

__all__ = ["SharedWork", "shared"]

_KEY = ("ip_address", "user_agent", "request")


def shared(hits: OpenHits, table: pa.Table, old: int, processes: int) -> Iterator[Batch]:
    """What is over of the last rows, of which each process merges those of its keys."""
    with Processes(SharedWork(hits, table, old, processes), processes) as others:
        for batches in others.results(iter(range(processes))):
            yield from batches


class SharedWork(NamedTuple):
    """The last rows, of which each process, a fork of its own, has a share."""

    hits: OpenHits
    table: pa.Table
    old: int
    shares: int

    def read(self, share: int) -> list[Batch]:
        """What is over of the rows of a share."""
        number = np.zeros(self.table.num_rows, np.int64)
        for name in _KEY:
            column = self.table.column(name).chunk(0)
            numbers = np.array([_number(text) for text in texts_of(column)] or [0], np.int64)
            number += numbers[column.indices.fill_null(0).to_numpy()]
        chosen = number % self.shares == share
        self.hits.keep(lambda key: sum(map(_number, key)) % self.shares == share)
        return list(
            self.hits.merged(self.table.filter(pa.array(chosen)).combine_chunks(), int(chosen[: self.old].sum()), True)
        )

    def packed(self, result: list[Batch]) -> object:
        return result

    def unpacked(self, packed: Any) -> list[Batch]:
        batches: list[Batch] = packed
        return batches


def _number(text: str) -> int:
    return crc32(text.encode())
