"""Logs for a report: their hits as tables, read in the processes of `reduce`, and the file of hits that `report index` writes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.columns.blocks import Floats, Ints
from app.domain.extras import EXTRAS, chosen_extras
from app.domain.lines import ReadLines
from app.domain.windows import Rules
from app.errors import InputError, OutputError
from app.output.replacing import Replacement, explained
from app.reducing.readers import Processes, StretchWork
from app.reducing.stretches import Reading, Stretch, StretchReader, stretches
from app.reports.counting import Counted, Plan, PlanWork
from app.reports.deliveries import steps_of
from app.reports.facts import Facts
from app.reports.hits import HITS, PLAIN_NAMES, hit_table, in_log_order, put_together
from app.reports.judged import judged_by, write_steps
from app.reports.open_hits import Judging
from app.reports.prepared import Prepared, Preparing, written
from app.reports.reading import INDEX_ABOUT, INDEX_FORM, Indices, Inputs
from app.reports.zones import line_offsets
from app.sources.files.chunks import Chunk
from app.sources.identity.identifier import Identifier
from app.sources.replay.source import open_source
from app.words import SAME_LINES

__all__ = ["CountedOfLog", "HitPart", "HitsOfLog", "log_parts", "write_index"]

Part = TypeVar("Part")
_STRETCH_BYTES = 4 << 20
_GROUP_ROWS = 131_072


class HitPart(NamedTuple):
    """Some hits of one source."""

    table: pa.Table
    facts: Facts


class HitsOfLog:
    """Makes tables of stretches. `wanted`: fields of HITS."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._reader = StretchReader(Rules(), every_status=True, with_flags="flags" in wanted)
        self._wanted = wanted

    def read(self, stretch: Stretch) -> HitPart:
        facts, tables = Facts(), []
        for chunk, read in zip(stretch.chunks, self._reader.reads(stretch), strict=True):

            def zones_s(positions: Ints, times: Floats, chunk: Chunk = chunk, lines: int = read.lines) -> Ints:
                return line_offsets(chunk, positions, times, lines)

            rows = read if isinstance(read, ReadLines) else read.other
            table, beyond = hit_table(read, self._wanted, zones_s, stretch.reading.source_id)
            tables.append(table)
            facts.lines += read.lines
            facts.heads += rows.heads
            facts.beyond += beyond
            facts.rejects.update(bad.reason for bad in rows.rejects)
            facts.unread.update(read.unread)
            if rows is not read:
                facts.unread.update(rows.unread)
        table = in_log_order(put_together(tables))
        facts.hits = table.num_rows
        offsets, counts = np.unique(table.column("zone_s").to_numpy(), return_counts=True)
        facts.zones_s = Counter(dict(zip(offsets.tolist(), counts.tolist(), strict=True)))
        return HitPart(table, facts)

    def packed(self, result: HitPart) -> object:
        return result

    def unpacked(self, packed: Any) -> HitPart:
        part: HitPart = packed
        return part


class CountedOfLog:
    """Counts the hits of stretches by a plan."""

    def __init__(self, plan: Plan) -> None:
        self._hits = HitsOfLog(plan.columns)
        self._work = PlanWork(plan)

    def read(self, stretch: Stretch) -> Counted:
        part = self._hits.read(stretch)
        counted = self._work.count(part.table)
        part.facts.add(counted.facts)
        return Counted(counted.groups, part.facts)

    def packed(self, result: Counted) -> object:
        return result

    def unpacked(self, packed: Any) -> Counted:
        counted: Counted = packed
        return counted


def log_parts(
    inputs: Inputs, work: StretchWork[Part], facts: Facts, indices: Indices | None = None, now: float | None = None
) -> Iterator[tuple[str, Part]]:
    """Each log's path with what is made of its parts. What cannot be read is noted in `facts.errors`.

    `now`: UTC seconds, in place of the clock.
    """
    identifier = Identifier()
    # what differs in a chunk is looked at once for the chunk: larger ones cost less
    options = inputs.read._replace(chunk_bytes=max(inputs.read.chunk_bytes, _STRETCH_BYTES))
    with Processes(work, inputs.processes) as processes:
        for number, path in enumerate(inputs.paths, 1):
            try:
                with open_source(path, identifier, options) as opened:
                    facts.inputs.append(opened.file.shown)
                    source = opened.source
                    if source is None or opened.already_sent:
                        facts.notes.append(f"{opened.file.shown}: {SAME_LINES if source else 'no lines'}")
                        continue
                    if indices is not None:
                        indices.refuse(source.id, opened.file.shown)
                    if source.note:
                        facts.notes.append(source.note)
                    at = time.time() if now is None else now
                    reading = Reading(source.id, source.format.name, source.format_options, at, False, 0)
                    chunks = opened.chunks(is_last=number == len(inputs.paths))
                    # a chunk is a line shorter than what is read at once, or longer: each is a stretch, not now one and now two
                    for part in processes.results(stretches(reading, chunks, _STRETCH_BYTES // 2)):
                        yield path, part
                        inputs.on_progress(opened.path, opened.consumed_bytes, opened.size_bytes)
            except InputError as error:
                facts.errors.append(str(error))


def write_index(
    inputs: Inputs,
    path: Path,
    fields: str = ",".join(EXTRAS),
    judging: Judging | None = None,
    preparing: Mapping[str, Preparing] = MappingProxyType({}),
) -> Facts:
    """Writes the hits of some logs to a Parquet file, by row groups, and their deliveries between these; returns what was read.

    `fields`: the optional fields that it keeps, comma-separated. `preparing`: makes answers that it keeps, by question. The file is whole or not
    there. Its metadata `weblogs_hits` holds, as JSON, what the rows do not tell: lines, rejects, notes, where deliveries and answers are. Raises
    OutputError, InputError.
    """
    judging = judging or Judging()
    wanted = [*PLAIN_NAMES, *sorted(chosen_extras(fields))]
    preparing = {name: each for name, each in preparing.items() if set(each.columns) <= set(wanted)}
    schema = pa.schema([HITS.field(name) for name in wanted])
    facts = Facts()
    try:
        with (
            Replacement(path) as replacement,
            explained(path),
            pa.OSFile(str(replacement.path), "wb") as sink,
            pq.ParquetWriter(sink, schema, compression="zstd") as writer,
        ):
            rows: list[int] = []

            def flushed(pending: list[pa.Table]) -> pa.Table:
                table = in_log_order(put_together(pending))
                writer.write_table(table, row_group_size=1 << 30)
                rows.append(table.num_rows)
                for each in preparing.values():
                    each.take(table.select(each.columns))
                return table.select(PLAIN_NAMES)

            def tables() -> Iterator[pa.Table]:
                pending: list[pa.Table] = []
                for _, part in log_parts(inputs.with_fields(fields), HitsOfLog(wanted), facts):
                    facts.add(part.facts)
                    pending.append(part.table)
                    if sum(table.num_rows for table in pending) >= _GROUP_ROWS:
                        yield flushed(pending)
                        pending = []
                if pending:
                    yield flushed(pending)

            parts = write_steps(steps_of(tables(), judging, True, inputs.processes), sink)
            if facts.errors and not facts.lines:
                raise InputError("; ".join(facts.errors))
            about = _as_json(facts)
            if parts is not None:
                about["deliveries"] = Prepared(judged_by(judging), rows, parts)
            answers = {name: (each.by, each.data()) for name, each in preparing.items()}
            about["answers"] = {
                name: Prepared(by, rows, [written(data, sink)])
                for name, (by, data) in answers.items()
                if data is not None
            }
            writer.add_key_value_metadata({INDEX_ABOUT: json.dumps(about)})
    except pa.ArrowInvalid as error:
        raise OutputError(f"{path}: cannot be written: {error}; name another file") from error
    return facts


def _as_json(facts: Facts) -> dict[str, Any]:
    return {
        "form": INDEX_FORM,
        "lines": facts.lines,
        "heads": facts.heads,
        "rejects": dict(facts.rejects),
        "zones_s": {str(offset): count for offset, count in facts.zones_s.items()},
        "beyond": facts.beyond,
        "unread": dict(facts.unread),
        "notes": [*facts.notes, *(f"not all was read: {error}" for error in facts.errors)],
        "inputs": facts.inputs,
    }
