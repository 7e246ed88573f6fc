"""Reads inputs for a report: logs in the processes of `reduce`, files of `report index` by their row groups."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

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
from app.reducing.run import SAME_LINES
from app.reducing.stretches import Reading, Stretch, StretchReader, stretches
from app.reports.counting import Counted, GroupSums, Plan, PlanWork
from app.reports.facts import Facts
from app.reports.hits import HITS, PLAIN_NAMES, hit_table, in_log_order, put_together
from app.reports.zones import line_offsets
from app.sources.files.beginning import ReadOptions
from app.sources.files.chunks import Chunk
from app.sources.identity.identifier import Identifier
from app.sources.replay.source import open_source

if TYPE_CHECKING:  # what reads stores takes as long to import as a small report
    from app.reports.kept import KeptStore

__all__ = ["HitPart", "Indices", "Inputs", "count", "index_tables", "is_index", "read_inputs", "write_index"]

Part = TypeVar("Part")
_STRETCH_BYTES = 4 << 20
_GROUP_ROWS = 131_072
_FORM = 2
"""Files of form 1 hold no optional fields."""
_ABOUT = b"weblogs_hits"
_NO_INDEX = "{path}: is no file of hits that `report index` wrote; name a log, or write one with `report index LOG -o FILE.parquet`"
_IN_BOTH = "{path}: has lines that are in {other}, too; name one of the two"


class Inputs(NamedTuple):
    """What is read, and how."""

    paths: Sequence[str]
    read: ReadOptions = ReadOptions()
    processes: int = 0
    """Beside this one; 0: all is read in this one."""
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None
    """Takes a file, the bytes consumed of it, and its bytes if they are known."""
    errors: list[str] | None = None
    """Takes one sentence for each input that cannot be read to its end."""
    kept: KeptStore | None = None
    """A store, in place of paths."""

    def with_fields(self, fields: str) -> Inputs:
        """The same, of which hits get these optional fields, comma-separated."""
        options = self.read.format_options._replace(fields=fields)
        return self._replace(read=self.read._replace(format_options=options))


class HitPart(NamedTuple):
    """Some hits of one source."""

    table: pa.Table
    facts: Facts


class _HitsOfLog:
    """Makes tables of stretches. `wanted`: fields of HITS."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._reader = StretchReader(Rules(), every_status=True)
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
        table = put_together(tables)
        facts.hits = table.num_rows
        offsets, counts = np.unique(table.column("zone_s").to_numpy(), return_counts=True)
        facts.zones_s = Counter(dict(zip(offsets.tolist(), counts.tolist(), strict=True)))
        return HitPart(table, facts)

    def packed(self, result: HitPart) -> object:
        return result

    def unpacked(self, packed: Any) -> HitPart:
        part: HitPart = packed
        return part


class _CountedOfLog:
    def __init__(self, plan: Plan) -> None:
        self._hits = _HitsOfLog(plan.columns)
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


def count(inputs: Inputs, plan: Plan) -> Counted:
    """The groups of a plan in all inputs. What cannot be read is noted in `facts.errors`; what was good before counts."""
    if inputs.kept is not None:
        return inputs.kept.count(plan)
    facts, sums = Facts(), GroupSums(plan)

    def take(_: str, counted: Counted) -> None:
        sums.add(counted.groups)
        facts.add(counted.facts)

    work = PlanWork(plan)
    take("", work.count(pa.schema([HITS.field(name) for name in plan.columns]).empty_table()))
    fields = ",".join(name for name in plan.columns if name in EXTRAS)
    read_inputs(inputs.with_fields(fields), plan.columns, work.count, _CountedOfLog(plan), take, facts)
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)
    return Counted(sums.table(), facts)


def read_inputs(
    inputs: Inputs,
    columns: Sequence[str],
    of_table: Callable[[pa.Table], Part],
    of_log: StretchWork[Part],
    take: Callable[[str, Part], None],
    facts: Facts,
    now: float | None = None,
) -> None:
    """Gives `take` each input's path with what is made of its parts. What cannot be read is noted in `facts.errors`.

    `now`: UTC seconds, in place of the clock.
    """
    indices = Indices(inputs, facts)
    for path in indices.paths:
        try:
            for table in index_tables(path, columns, facts, inputs.on_progress):
                take(path, of_table(table))
        except InputError as error:
            facts.errors.append(str(error))
    if indices.logs:
        _read_logs(inputs._replace(paths=indices.logs), of_log, take, facts, indices, now)


class Indices:
    """The files of hits among some inputs, each with other lines; what has lines of another one is noted in `facts`, and left out."""

    def __init__(self, inputs: Inputs, facts: Facts) -> None:
        found = [path for path in inputs.paths if is_index(path)]
        self.logs = [path for path in inputs.paths if path not in found]
        """The other inputs."""
        self.paths: list[str] = []
        self._facts = facts
        self._of: dict[str, str] = {}
        seen: dict[str, tuple[frozenset[str], int, int]] = {}
        for path in found:
            try:
                about = _sources_and_size(path) if len(inputs.paths) > 1 else (frozenset[str](), 0, 0)
            except InputError as error:
                facts.errors.append(str(error))
                continue
            other = next((self._of[source] for source in about[0] if source in self._of), None)
            if other is None:
                self.paths.append(path)
                seen[path] = about
                self._of.update(dict.fromkeys(about[0], path))
            elif seen[other] == about:
                facts.notes.append(f"{path}: {SAME_LINES}")
            else:
                facts.errors.append(_IN_BOTH.format(path=path, other=other))

    def refuse(self, source: str, path: str = "a log") -> None:
        """Raises InputError if a file of hits has lines of this source."""
        if source in self._of:
            raise InputError(_IN_BOTH.format(path=path, other=self._of[source]))


def _sources_and_size(path: str) -> tuple[frozenset[str], int, int]:
    """The sources of a file of hits, its lines and its hits. Raises InputError."""
    with _explained(path), pq.ParquetFile(path) as file:
        about = _about(path, file, ())
        found: set[str] = set()
        for number in range(file.num_row_groups):
            found.update(file.read_row_group(number, ["source"], use_threads=False).column(0).unique().to_pylist())
        return frozenset(found), about.lines, about.hits


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # pyarrow's errors are among these
        raise InputError(f"{path}: cannot be read: {error}; write it again with `report index`") from error


def index_tables(
    path: str, wanted: Sequence[str], facts: Facts, on_progress: Callable[[str, int, int | None], object]
) -> Iterator[pa.Table]:
    """The hits in a file of `report index`, a row group at a time in one piece; its facts are added. Raises InputError."""
    with _explained(path), pq.ParquetFile(path) as file:
        facts.add(_about(path, file, wanted))
        facts.inputs.append(path)
        size = Path(path).stat().st_size
        for number in range(file.num_row_groups):
            yield put_together([file.read_row_group(number, wanted, use_threads=False)])
            on_progress(path, size * (number + 1) // file.num_row_groups, size)


def _read_logs(
    inputs: Inputs,
    work: StretchWork[Part],
    take: Callable[[str, Part], None],
    facts: Facts,
    indices: Indices | None = None,
    now: float | None = None,
) -> None:
    identifier = Identifier()
    # what differs in a chunk is looked at once for the chunk: larger ones cost less
    options = inputs.read._replace(chunk_bytes=max(inputs.read.chunk_bytes, _STRETCH_BYTES))
    with Processes(work, inputs.processes) as processes:
        for path in inputs.paths:
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
                    for part in processes.hits(stretches(reading, opened.chunks(), _STRETCH_BYTES)):
                        take(path, part)
                        inputs.on_progress(opened.path, opened.consumed_bytes, opened.size_bytes)
            except InputError as error:
                facts.errors.append(str(error))


def is_index(path: str) -> bool:
    """Whether a path names a Parquet file."""
    try:
        with Path(path).open("rb") as file:
            return Path(path).is_file() and file.read(4) == b"PAR1"
    except OSError:
        return False


def write_index(inputs: Inputs, path: Path, fields: str = ",".join(EXTRAS)) -> Facts:
    """Writes the hits of some logs to a Parquet file, by row groups; returns what was read. Raises OutputError, InputError.

    `fields`: the optional fields that it keeps, comma-separated. The file is whole or not there. Its metadata `weblogs_hits` holds, as JSON, what the rows do not tell: lines, rejects, notes.
    """
    wanted = [*PLAIN_NAMES, *sorted(chosen_extras(fields))]
    schema = pa.schema([HITS.field(name) for name in wanted])
    facts = Facts()
    try:
        with (
            Replacement(path) as replacement,
            explained(path),
            pq.ParquetWriter(str(replacement.path), schema, compression="zstd") as writer,
        ):
            pending: list[pa.Table] = []

            def flush() -> None:
                if pending:
                    writer.write_table(in_log_order(put_together(pending)), row_group_size=1 << 30)
                    pending.clear()

            def take(_: str, part: HitPart) -> None:
                facts.add(part.facts)
                pending.append(part.table)
                if sum(table.num_rows for table in pending) >= _GROUP_ROWS:
                    flush()

            _read_logs(inputs.with_fields(fields), _HitsOfLog(wanted), take, facts)
            if facts.errors and not facts.lines:
                raise InputError("; ".join(facts.errors))
            flush()
            writer.add_key_value_metadata({_ABOUT: json.dumps(_as_json(facts))})
    except pa.ArrowInvalid as error:
        raise OutputError(f"{path}: cannot be written: {error}; name another file") from error
    return facts


def _as_json(facts: Facts) -> dict[str, Any]:
    return {
        "form": _FORM,
        "lines": facts.lines,
        "heads": facts.heads,
        "rejects": dict(facts.rejects),
        "zones_s": {str(offset): count for offset, count in facts.zones_s.items()},
        "beyond": facts.beyond,
        "unread": dict(facts.unread),
        "notes": [*facts.notes, *(f"not all was read: {error}" for error in facts.errors)],
        "inputs": facts.inputs,
    }


def _about(path: str, file: pq.ParquetFile, wanted: Sequence[str]) -> Facts:
    """What the metadata tell. Raises InputError if the file is another one, or lacks an optional field that is wanted."""
    told = (file.metadata.metadata or {}).get(_ABOUT)
    if told is None:
        raise InputError(_NO_INDEX.format(path=path))
    try:
        about = json.loads(told)
        about.get("form")
    except (ValueError, AttributeError, RecursionError):
        raise InputError(_NO_INDEX.format(path=path)) from None
    if about.get("form") not in (1, _FORM):
        raise InputError(
            f"{path}: has form {about.get('form')!s:.20}; this program knows form {_FORM}; write it again with `report index`"
        )
    kept = file.schema_arrow.names
    lacking = ", ".join(name for name in wanted if name in EXTRAS and name not in kept)
    if lacking:
        raise InputError(
            f"{path}: was written without {lacking}; write it again with `report index`, and name it in WEBLOGS_FIELDS"
        )
    return Facts(
        lines=about["lines"],
        heads=about["heads"],
        hits=file.metadata.num_rows,
        rejects=Counter(about["rejects"]),
        zones_s=Counter({int(offset): count for offset, count in about["zones_s"].items()}),
        beyond=about["beyond"],
        unread=Counter(about["unread"]),
        notes=[*about["notes"], "hits of " + ", ".join(about["inputs"])],
    )
