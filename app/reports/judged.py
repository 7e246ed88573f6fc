"""Deliveries that stand judged in a file of hits; if they do not fit its hits or the question, they are judged from the hits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from app.domain.byteranges import Ranges
from app.domain.open_deliveries import no_sizes
from app.reports.batches import NO_CLASSES, Batch, TextColumn, rows_batch
from app.reports.crawlers import list_version
from app.reports.open_hits import Judging
from app.reports.prepared import Place, parts_in, written
from app.reports.reading import Index, OnProgress
from app.reports.zones import LogClock

__all__ = ["JUDGED_FORM", "Step", "judged_by", "steps_in", "write_steps"]

JUDGED_FORM = 1
"""Rises with each change of what judges, cuts or classifies deliveries, or of how they are written."""
_NUMBERS = ("hits", "sent", "covered", "total", "judged", "classes")
_ABOUT = b"about"

Step = tuple[LogClock, Iterable[Batch]]
"""What the clock of a log notes next, and deliveries that are over then."""


class _About(NamedTuple):
    """Of a part."""

    verdicts: list[tuple[str, str | None]]
    noted: list[tuple[int, int, Ranges]]
    """What the clock notes before."""


def judged_by(judging: Judging) -> str:
    """All that deliveries depend on beside the hits; empty if they depend on more than can be named."""
    return f"{JUDGED_FORM} {judging.rules} {list_version()}" if judging.size_of is no_sizes else ""


def write_steps(steps: Iterable[Step], sink: pa.NativeFile) -> list[Place] | None:
    """Writes each where the sink stands when it comes; None if a number is too large for 64 bits."""
    parts: list[Place] = []
    fits = True
    for noted, batches in steps:
        some = [rows_batch([]), *batches]
        fits = fits and all(getattr(batch, name).dtype != object for batch in some for name in (*_NUMBERS, "lo", "hi"))
        if fits:
            parts.append(written(_packed(noted, some), sink))
    return parts if fits else None


def _packed(noted: LogClock, batches: list[Batch]) -> pa.Buffer:
    columns: dict[str, Any] = {name: _coded([getattr(batch, name) for batch in batches]) for name in Batch._fields[:3]}
    for name in ("first", "last", *_NUMBERS):
        columns[name] = np.concatenate([getattr(batch, name) for batch in batches])
    verdicts = list(dict.fromkeys(chain.from_iterable(batch.verdicts for batch in batches)))
    columns["judged"] = np.concatenate(
        [np.array(list(map(verdicts.index, batch.verdicts)), np.int64)[batch.judged] for batch in batches]
    )
    counts = np.concatenate([np.diff(batch.range_bounds) for batch in batches])
    bounds = pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))
    for name in ("lo", "hi"):
        columns[name] = pa.ListArray.from_arrays(bounds, np.concatenate([getattr(batch, name) for batch in batches]))
    about = json.dumps(_About(verdicts, noted.as_rows))
    record = pa.record_batch({name: pa.array(column) for name, column in columns.items()})
    record = record.replace_schema_metadata({_ABOUT: about})
    made = pa.BufferOutputStream()
    with pa.ipc.new_stream(made, record.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_batch(record)
    return made.getvalue()


def _coded(columns: list[TextColumn]) -> pa.DictionaryArray:
    """With the texts that they have, and no others."""
    texts = [pa.array(column.texts, pa.string()).take(pa.array(column.codes)) for column in columns]
    return pa.concat_arrays(texts).dictionary_encode()


def steps_in(
    path: str, index: Index, judging: Judging, is_ordered: bool, on_progress: OnProgress = lambda path, done, size: None
) -> Iterator[Step] | None:
    """The steps in a file of hits; None if it has none of its rows, judged so, as they were written.

    `is_ordered`: with how clients fetched each.
    """
    parts = parts_in(path, index, index.judged, judged_by(judging))
    if parts is None:
        return None
    size = Path(path).stat().st_size

    def steps() -> Iterator[Step]:
        for end, data in parts:
            yield _read(data, is_ordered)
            on_progress(path, end, size)

    return steps()


def _read(data: pa.Buffer, is_ordered: bool) -> Step:
    (record,) = pa.ipc.open_stream(data)
    about = msgspec.json.decode(record.schema.metadata[_ABOUT], type=_About)
    of: dict[str, Any] = {name: record.column(name).to_numpy() for name in ("first", "last", *_NUMBERS)}
    for name in Batch._fields[:3]:
        column = record.column(name)
        of[name] = TextColumn(column.indices.to_numpy().astype(np.int64), column.dictionary.to_pylist())
    of |= {name: record.column(name).values.to_numpy() for name in ("lo", "hi")}
    of["range_bounds"] = record.column("lo").offsets.to_numpy().astype(np.int64)
    of["offset_s"] = np.zeros(record.num_rows, np.int64)
    if not is_ordered:
        of["classes"] = NO_CLASSES
    noted = LogClock()
    noted.add(about.noted)
    return noted, [Batch(**of, verdicts=about.verdicts)]
