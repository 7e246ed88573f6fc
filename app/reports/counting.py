"""Requests and bytes by the columns that a question names, added up piece by piece: memory grows with the groups, not with the lines.

pyarrow groups (`Table.group_by`): it is a requirement already, reads lines to columns and writes Parquet.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Floats
from app.reports.facts import Facts
from app.reports.filters import Filters, Sieve
from app.reports.hits import (
    TEXT,
    duration_of,
    each,
    extensions_of,
    host_of_authority,
    host_of_referer,
    mapped,
    paths_of,
)

__all__ = ["BYTES", "Counted", "GroupSums", "Plan", "PlanWork"]

BYTES = pa.decimal128(38, 0)
"""The type of sums of bytes."""
_INT64 = (1 << 63) - 1
_TIMES = {"day": 86400, "hour": 3600}
"""Keys that are numbers of days or hours since 1970 on the local clock."""
_DERIVED: dict[str, tuple[str, Callable[[pa.StringArray], pa.StringArray]]] = {
    "path": ("request", paths_of),
    "extension": ("request", extensions_of),
    "referer_host": ("referer", each(host_of_referer)),
    "asked_host": ("virtual_host", each(host_of_authority)),
    "duration": ("duration_s", each(duration_of)),
}
_PENDING_ROWS = 200_000


class Plan(NamedTuple):
    """What is counted: requests and their bytes, by some keys."""

    keys: tuple[str, ...]
    """`day`, `hour`, `path`, `extension`, `referer_host`, `asked_host`, `duration`, or a field of a hit."""
    filters: Filters = Filters()
    with_bytes: bool = True

    @property
    def columns(self) -> list[str]:
        """The fields of a hit that it takes."""
        wanted = set(self.filters.columns)
        for key in self.keys:
            if key not in _TIMES:
                wanted.add(_DERIVED[key][0] if key in _DERIVED else key)
        return sorted(wanted | ({"bytes_sent"} if self.with_bytes else set()))


class Counted(NamedTuple):
    """What some hits come to."""

    groups: pa.Table
    """The keys, `requests` and `bytes`; texts are plain if they are of all pieces."""
    facts: Facts


class PlanWork:
    """Counts tables of hits, in whichever process. Tables are in one piece."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._sieve = Sieve(plan.filters)

    def count(self, table: pa.Table) -> Counted:
        local_s, offsets = self._sieve.local_s(table)
        chosen = self._sieve.passing(table, local_s)
        if chosen is not None:
            table, local_s, offsets = table.filter(pa.array(chosen)).combine_chunks(), local_s[chosen], offsets[chosen]
        facts = Facts(counted=table.num_rows)
        if table.num_rows:
            times = table.column("time").to_numpy()
            for at in (int(times.argmin()), int(times.argmax())):
                moment = float(times[at]), int(offsets[at])
                facts.span(moment, moment)
        return Counted(self._groups(table, local_s), facts)

    def _groups(self, table: pa.Table, local_s: Floats) -> pa.Table:
        import pyarrow.compute as pc  # its import takes as long as a small report

        columns = {key: self._key(key, table, local_s) for key in self.plan.keys}
        measures: list[Any] = [([], "count_all")]
        if self.plan.with_bytes:
            sent = table.column("bytes_sent")
            most = pc.max(sent).as_py() or 0
            columns["sent"] = sent.cast(BYTES) if most * max(1, table.num_rows) > _INT64 else sent
            measures.append(("sent", "sum"))
        found = pa.table(columns).group_by(list(self.plan.keys), use_threads=False).aggregate(measures)
        made = [found.column(key) for key in self.plan.keys]
        sums = found.column("sent_sum").cast(BYTES).fill_null(0) if self.plan.with_bytes else _zeros(found.num_rows)
        return pa.table([*made, found.column("count_all"), sums], names=[*self.plan.keys, "requests", "bytes"])

    def _key(self, key: str, table: pa.Table, local_s: Floats) -> Any:
        if key in _TIMES:
            return pa.array(np.floor(local_s / _TIMES[key]).astype(np.int64))
        if key in _DERIVED:
            field, function = _DERIVED[key]
            column = table.column(field)
            return mapped(column.chunk(0), function) if column.num_chunks else pa.nulls(0, TEXT)
        return table.column(key)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _of_one_dictionary(column: pa.ChunkedArray) -> Any:
    """Numbers of texts are grouped faster than texts. pyarrow's `unify_dictionaries` crashes on some columns that `group_by` made."""
    chunks = column.chunks
    if len(chunks) < 2 or not pa.types.is_dictionary(column.type):
        return column
    import pyarrow.compute as pc  # its import takes as long as a small report

    every = pa.concat_arrays([chunk.dictionary for chunk in chunks]).dictionary_encode()
    starts = np.cumsum([0, *(len(chunk.dictionary) for chunk in chunks)]).tolist()
    places = [pc.add(chunk.indices.cast(pa.int64()), start) for chunk, start in zip(chunks, starts, strict=False)]
    return pa.DictionaryArray.from_arrays(every.indices.take(pa.concat_arrays(places)), every.dictionary)


def _zeros(count: int) -> pa.Array:
    return pa.repeat(pa.scalar(Decimal(0), BYTES), count)


class GroupSums:
    """Adds up the groups of all pieces; what waits is added together from time to time."""

    def __init__(self, plan: Plan) -> None:
        self._keys = list(plan.keys)
        self._pending: list[pa.Table] = []
        self.rows, self._limit = 0, _PENDING_ROWS
        """Groups that are kept, those that wait counted each time."""

    def add(self, groups: pa.Table) -> None:
        self._pending.append(groups)
        self.rows += groups.num_rows
        if self.rows > self._limit:
            self._pending = [self._together()]
            self.rows = self._pending[0].num_rows
            self._limit = 2 * self.rows + _PENDING_ROWS

    def table(self) -> pa.Table:
        """All groups, in no order; None-keys are groups, too."""
        found = self._together()
        return pa.table([_plain(column) for column in found.columns], names=found.column_names)

    def _together(self) -> pa.Table:
        whole = pa.concat_tables(self._pending)
        whole = pa.table([_of_one_dictionary(column) for column in whole.columns], names=whole.column_names)
        found = whole.group_by(self._keys, use_threads=False).aggregate([("requests", "sum"), ("bytes", "sum")])
        names = [*self._keys, "requests_sum", "bytes_sum"]
        return found.select(names).rename_columns([*self._keys, "requests", "bytes"])
