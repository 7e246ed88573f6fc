"""Archived records for other programs: one Parquet dataset for Spark, Superset and Tableau, or the table of calls of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from app.archiving.check import UsageReport, whole_files
from app.archiving.files import read_file
from app.archiving.manifests import day_of
from app.archiving.parquet import TYPES
from app.archiving.storage import Storage, put_once, temporary
from app.domain.usage.records import USAGE, UsageRecord, is_unicode, producer_of
from app.errors import InputError
from app.flows.usage import LOADED
from app.settings import Settings
from app.stores import opened_store
from app.words import writable

__all__ = ["Loaded", "load_dataset", "load_store"]

_AT_ONCE = 5_000
_COLUMNS = [(field.name, TYPES[field.kind]) for field in USAGE.fields if field.name != "time"]
_SCHEMA = pa.schema([("time", pa.timestamp("us", "UTC")), ("producer", pa.string()), *_COLUMNS])


class Loaded(NamedTuple):
    """What became of the archive."""

    files: int
    """Of the archive, read now."""
    records: int
    """Written now."""
    left_out: int
    """Records without a user: they have no place in a table that is read by user."""
    refused: list[str]
    """Why the store refuses a record for good."""
    problems: list[str]
    """Files that are gone or altered, or not finished: they were not loaded."""


OnFile = Callable[[str], object]


def load_dataset(archive: Storage, dataset: Path, on_file: OnFile = lambda name: None) -> Loaded:
    """Write what the archive holds into DATASET/day=YYYY-MM-DD/NAME.parquet, one for each file and UTC day of its records.

    A file that was loaded is not loaded again; memory holds some thousand records. Raises OSError, StoreError, InputError, UnknownForm.
    """
    report = UsageReport([], [], [], [])
    files = records = 0
    for done, path in whole_files(archive, report):
        name = done.file.replace("/", "-").rpartition(".")[0]
        mark = dataset / "_loaded" / name  # readers pass over names that begin with _
        if mark.exists():
            continue
        on_file(done.file)
        try:
            records += _write_days(dataset, name, read_file(path))
        except InputError as error:
            report.problems.append(f"{done.file} was altered, with its manifest: {error}")
            continue
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        files += 1
    return Loaded(files, records, 0, [], [*report.problems, *report.waiting])


def _write_days(dataset: Path, name: str, records: Iterator[UsageRecord]) -> int:
    """A file that is there already was written from the same records by a run that was killed."""
    count = 0
    written: dict[str, Path] = {}
    try:
        with ExitStack() as open_files:
            writers: dict[str, Any] = {}
            while some := list(islice(records, _AT_ONCE)):
                by_day: dict[str, list[UsageRecord]] = {}
                for record in some:
                    by_day.setdefault(day_of(record.time), []).append(record)
                for day, group in by_day.items():
                    if day not in writers:
                        written[day] = temporary(dataset / f"day={day}" / f"{name}.parquet")
                        writers[day] = open_files.enter_context(
                            pq.ParquetWriter(str(written[day]), _SCHEMA, compression="zstd", store_schema=False)
                        )
                    writers[day].write_table(_table(group))
                count += len(some)
        for day, path in written.items():
            put_once(path, dataset / f"day={day}" / f"{name}.parquet")
    finally:
        for path in written.values():
            path.unlink(missing_ok=True)
    return count


def _table(records: Iterable[UsageRecord]) -> pa.Table:
    rows = [_row(record) for record in records]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _row(record: UsageRecord) -> list[Any]:
    micros = round(record.time * 1e6)
    values = [
        writable(value) if isinstance(value, str) else _fitting(value)
        for field, value in zip(USAGE.fields, record, strict=True)
        if field.name != "time"
    ]
    return [_fitting(micros), writable(producer_of(record)), *values]


def _fitting(value: Any) -> Any:
    """None for what 64 bits do not hold: the archive has it exactly."""
    return value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63 else None


def load_store(archive: Storage, name: str, settings: Settings, on_file: OnFile = lambda name: None) -> Loaded:
    """Write what the archive holds into the table of calls of a store: each record once, however often this is called.

    Raises OSError, InputError, UnknownForm, StoreError, SettingsError.
    """
    return asyncio.run(_load_store(archive, name, settings, on_file))


async def _load_store(archive: Storage, name: str, settings: Settings, on_file: OnFile) -> Loaded:
    report = UsageReport([], [], [], [])
    files = records = left_out = 0
    refused: list[str] = []
    async with opened_store(name, settings) as store:
        write = partial(store.ledgers.write_events, LOADED)
        for done, path in whole_files(archive, report):
            on_file(done.file)
            found = read_file(path)
            try:
                while some := list(islice(found, _AT_ONCE)):
                    calls = [record for record in some if record.user_id is not None and is_unicode(record)]
                    left_out += len(some) - len(calls)
                    refused += [why for _, why in await write(calls)]
                    records += len(calls)
            except InputError as error:
                report.problems.append(f"{done.file} was altered, with its manifest: {error}")
                continue
            files += 1
    return Loaded(files, records - len(refused), left_out, refused, [*report.problems, *report.waiting])
