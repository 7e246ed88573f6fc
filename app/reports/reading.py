"""Reads inputs for a report: files of `report index` by their row groups; what reads logs is imported if there are some."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from app.domain.extras import EXTRAS
from app.errors import InputError
from app.reports.counting import Counted, GroupSums, Plan, PlanWork
from app.reports.facts import Facts, Moment
from app.reports.hits import put_together
from app.reports.zones import ZoneOffsets, zone_named
from app.sources.files.read_options import ReadOptions
from app.words import SAME_LINES

if TYPE_CHECKING:  # what reads stores or logs takes as long to import as a small report
    from app.reducing.readers import StretchWork
    from app.reports.kept import KeptStore

__all__ = [
    "INDEX_ABOUT",
    "INDEX_FORM",
    "Indices",
    "Inputs",
    "OnProgress",
    "count",
    "index_tables",
    "is_index",
    "open_index",
    "read_inputs",
]

Part = TypeVar("Part")
OnProgress = Callable[[str, int, int | None], object]
"""Takes a file, the bytes consumed of it, and its bytes if they are known."""
INDEX_FORM = 2
"""Files of form 1 hold no optional fields."""
_TIMES = ("time", "zone_s")
_ROWS_AT_ONCE = 1_000_000
INDEX_ABOUT = b"weblogs_hits"
"""The key of the metadata."""
_NO_INDEX = "{path}: is no file of hits that `report index` wrote; name a log, or write one with `report index LOG -o FILE.parquet`"
_IN_BOTH = "{path}: has lines that are in {other}, too; name one of the two"


class Inputs(NamedTuple):
    """What is read, and how."""

    paths: Sequence[str]
    read: ReadOptions = ReadOptions()
    processes: int = 0
    """Beside this one; 0: all is read in this one."""
    on_progress: OnProgress = lambda path, done, size: None
    errors: list[str] | None = None
    """Takes one sentence for each input that cannot be read to its end."""
    kept: KeptStore | None = None
    """A store, in place of paths."""

    def with_fields(self, fields: str) -> Inputs:
        """The same, of which hits get these optional fields, comma-separated."""
        options = self.read.format_options._replace(fields=fields)
        return self._replace(read=self.read._replace(format_options=options))


def count(inputs: Inputs, plan: Plan) -> Counted:
    """The groups of a plan in all inputs. What cannot be read is noted in `facts.errors`; what was good before counts."""
    if inputs.kept is not None:
        return inputs.kept.count(plan)
    facts, sums, work = Facts(), GroupSums(plan.keys), PlanWork(plan)

    def take(_: str, counted: Counted) -> None:
        sums.add(counted.groups)
        facts.add(counted.facts)

    fields = ",".join(name for name in plan.columns if name in EXTRAS)
    zone = None if plan.needs_times else plan.filters.zone
    read_inputs(
        inputs.with_fields(fields), plan.columns, work.count, lambda: _counted_of_log(plan), take, facts, period_in=zone
    )
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)
    return Counted(sums.table(), facts)


def _counted_of_log(plan: Plan) -> StretchWork[Counted]:
    from app.reports.logs import CountedOfLog

    return CountedOfLog(plan)


def read_inputs(
    inputs: Inputs,
    columns: Sequence[str],
    of_table: Callable[[pa.Table], Part],
    of_log: Callable[[], StretchWork[Part]],
    take: Callable[[str, Part], None],
    facts: Facts,
    now: float | None = None,
    period_in: str | None = None,
) -> None:
    """Gives `take` each input's path with what is made of its parts. What cannot be read is noted in `facts.errors`.

    `of_log`: makes what stretches of logs are given to. `now`: UTC seconds, in place of the clock. `period_in`: that of index_tables.
    """
    indices = Indices(inputs, facts)
    for path in indices.paths:
        try:
            for table in index_tables(path, columns, facts, inputs.on_progress, period_in, _ROWS_AT_ONCE):
                take(path, of_table(table))
        except InputError as error:
            facts.errors.append(str(error))
    if indices.logs:
        from app.reports.logs import log_parts

        for path, part in log_parts(inputs._replace(paths=indices.logs), of_log(), facts, indices, now):
            take(path, part)


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
    with open_index(path, ()) as index:
        found: set[str] = set()
        for number in range(index.file.num_row_groups):
            table = index.file.read_row_group(number, ["source"], use_threads=False)
            found.update(table.column(0).unique().to_pylist())
        return frozenset(found), index.facts.lines, index.facts.hits


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # pyarrow's errors are among these
        raise InputError(f"{path}: cannot be read: {error}; write it again with `report index`") from error


class Index(NamedTuple):
    """A file of hits that is open."""

    file: pq.ParquetFile
    facts: Facts
    judged: object
    """What its metadata tell of its deliveries."""
    answers: object = None
    """What they tell of answers, by question."""


@contextmanager
def open_index(path: str, wanted: Sequence[str]) -> Iterator[Index]:
    """A file of `report index`. Raises InputError, also for what its reading meets."""
    with _explained(path), pq.ParquetFile(path) as file:
        yield Index(file, *_about(path, file, wanted))


def index_tables(
    path: str,
    wanted: Sequence[str],
    facts: Facts,
    on_progress: OnProgress,
    period_in: str | None = None,
    most_rows: int = 0,
) -> Iterator[pa.Table]:
    """The hits in a file of `report index`, a row group at a time in one piece, or several, if they have `most_rows` at most.

    Its facts are added. Raises InputError.

    `period_in`: a zone, or empty for that of the lines. Then the tables may be without times: the period is noted in the facts.
    """
    with open_index(path, wanted) as index:
        facts.add(index.facts)
        period = None if period_in is None else _period(index, period_in)
        if period is not None:
            facts.span(*period)
            wanted = [name for name in wanted if name not in _TIMES]
        file, size = index.file, Path(path).stat().st_size
        rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        begin = 0
        while begin < len(rows):  # each text of these is looked at once
            end = begin + 1
            while end < len(rows) and sum(rows[begin : end + 1]) <= most_rows:
                end += 1
            yield put_together([file.read_row_groups(range(begin, end), wanted)])
            on_progress(path, size * end // len(rows), size)
            begin = end


def _period(index: Index, zone: str) -> tuple[Moment, Moment] | None:
    """The first and the last time of a file of hits, as its metadata tell them; None if they do not."""
    about = index.file.metadata
    place = about.schema.names.index("time")
    told = [about.row_group(number).column(place).statistics for number in range(about.num_row_groups)]
    if not told or not all(each is not None and each.has_min_max for each in told) or len(index.facts.zones_s) > 1:
        return None
    first, last = min(each.min for each in told), max(each.max for each in told)
    offsets = ZoneOffsets(zone_named(zone)) if zone else None
    own = next(iter(index.facts.zones_s), 0)
    return (first, offsets.at(first) if offsets else own), (last, offsets.at(last) if offsets else own)


def is_index(path: str) -> bool:
    """Whether a path names a Parquet file."""
    try:
        with Path(path).open("rb") as file:
            return Path(path).is_file() and file.read(4) == b"PAR1"
    except OSError:
        return False


def _about(path: str, file: pq.ParquetFile, wanted: Sequence[str]) -> tuple[Facts, object, object]:
    """What the metadata tell. Raises InputError if the file is another one, or lacks an optional field that is wanted."""
    told = (file.metadata.metadata or {}).get(INDEX_ABOUT)
    if told is None:
        raise InputError(_NO_INDEX.format(path=path))
    try:
        about = json.loads(told)
        about.get("form")
    except (ValueError, AttributeError, RecursionError):
        raise InputError(_NO_INDEX.format(path=path)) from None
    if about.get("form") not in (1, INDEX_FORM):
        raise InputError(
            f"{path}: has form {about.get('form')!s:.20}; this program knows form {INDEX_FORM}; write it again with `report index`"
        )
    kept = file.schema_arrow.names
    lacking = ", ".join(name for name in wanted if name in EXTRAS and name not in kept)
    if lacking:
        raise InputError(
            f"{path}: was written without {lacking}; write it again with `report index`, and name it in WEBLOGS_FIELDS"
        )
    facts = Facts(
        lines=about["lines"],
        heads=about["heads"],
        hits=file.metadata.num_rows,
        rejects=Counter(about["rejects"]),
        zones_s=Counter({int(offset): count for offset, count in about["zones_s"].items()}),
        beyond=about["beyond"],
        unread=Counter(about["unread"]),
        notes=[*about["notes"], "hits of " + ", ".join(about["inputs"])],
        inputs=[path],
    )
    return facts, about.get("deliveries"), about.get("answers")
