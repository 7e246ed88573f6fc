"""Whether topic, archive and spools hold the same records, and each file is the one that was written; and putting back what is found elsewhere."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.archiving.manifests import (
    FORM,
    Done,
    Manifest,
    Manifests,
    created_once,
    put_once,
    sha256_of,
    spanned,
    temporary,
)
from app.archiving.parquet import WRITTEN_BY, read_archive, write_archive
from app.archiving.spools import SpoolPlace, spools_at
from app.archiving.worker import messages_of
from app.domain.byteranges import Ranges, add, contains, union
from app.domain.usage.records import USAGE, UsageRecord, is_intact, producer_of
from app.domain.usage.sequences import ALWAYS, Period, ProducerState, Side, judge
from app.messages.forms import DamagedMessage, place_of
from app.messages.usage import decode_usage
from app.transports.broker_view import BrokerView
from app.usage.spool import Damage

__all__ = ["ARCHIVE", "Places", "UsageReport", "check_usage", "repair_usage"]

TOPIC, ARCHIVE, SPOOL = "topic", "archive", "spool"


class Places(NamedTuple):
    """Where records are."""

    view: BrokerView | None
    """None: there is no broker, or no log yet."""
    topic: str
    archive: Path
    spools: Sequence[SpoolPlace]
    another_view: Callable[[], BrokerView | None] = lambda: None
    """Opens a view more: one reads one partition at a time."""
    spool_token: str = ""
    """What producers want to see before they show their spools."""


class UsageReport(NamedTuple):
    """What was found."""

    problems: list[str]
    """Sentences: what is wrong with files, messages and segments."""
    waiting: list[str]
    """Sentences: what is not finished yet."""
    states: list[ProducerState]
    lost_files: list[str]
    """Files that are gone or altered and that no repair replaces."""

    @property
    def exit_code(self) -> int:
        """0: no differences; 1: something differs; 2: not known yet."""
        if self.problems or any(state.differs for state in self.states):
            return 1
        return 2 if self.waiting or any(state.is_unknown for state in self.states) else 0


def check_usage(places: Places, period: Period = ALWAYS) -> UsageReport:
    """Records of the period; of files, messages and segments all. Raises LogError, OSError, InputError, UnknownForm."""
    report = UsageReport([], [], [], [])
    archive, spool = Side(ARCHIVE, period=period), Side(SPOOL, is_whole=False, period=period)
    topic = Side(TOPIC, is_whole=_is_whole(places), period=period)
    coming = {name: Side("on the way", period=period) for name in (ARCHIVE, TOPIC)}
    for record in _archived(places.archive, report, archive):
        archive.see(record)
    ends = {each: found[-1].last_offset for each, found in _manifests(places.archive).items() if found}
    for partition, offset, record in _in_topic(places, report):
        topic.see(record)
        if offset > ends.get(partition, -1):
            coming[ARCHIVE].see(record)
    marks = {}
    for head, records in spools_at(places.spools, places.spool_token):
        for place, found in records:
            if isinstance(found, Damage):
                if not head.is_alive or found.why != "cut":  # it is being written
                    report.problems.append(f"{found.path} is {found.why} from byte {found.first:,} to {found.last:,}")
                continue
            spool.see(found)
            if place > head.sent:
                coming[ARCHIVE].see(found)
                coming[TOPIC].see(found)
        if head.producer is None:
            report.problems.append(f"{head.folder}/owner cannot be read: whose spool it is, is not known")
        elif head.mark is not None and not head.is_alive:
            marks[head.producer] = head.mark
    sides = [archive, *([topic] if places.view is not None else []), *([spool] if places.spools else [])]
    report.states.extend(judge(sides, marks, coming))
    return report


def repair_usage(places: Places) -> tuple[int, UsageReport]:
    """Write what the archive lacks and the topic or a spool has into a new file; how many records, and what is left.

    Old files are not touched. Raises as check_usage.
    """
    report = check_usage(places)
    lacking = {state.producer: held.missing for state in report.states for held in state.held if held.side == ARCHIVE}
    again = {state.producer: held.altered for state in report.states for held in state.held if held.side == ARCHIVE}
    wanted = {name: union(ranges, again[name]) for name, ranges in lacking.items() if ranges or again[name]}
    if not wanted and not report.lost_files:
        return 0, report
    folder = places.archive / "repairs"
    written = temporary(folder / "repair.parquet")
    found = _Found(_elsewhere(places), wanted)
    try:
        rows = write_archive(written, found)
        if not rows and not report.lost_files:
            return 0, report
        sha256, size = sha256_of(written), written.stat().st_size
        name = f"repair-{sha256[:16]}" if rows else f"repair-{sha256[:16]}-{len(list(folder.glob('*.done.json')))}"
        put_once(written, folder / f"{name}.parquet")
    finally:
        written.unlink(missing_ok=True)
    file = f"repairs/{name}.parquet"
    done = Done(
        FORM, file, size, sha256, rows, WRITTEN_BY, USAGE.form, found.producers, [], [], found.times, report.lost_files
    )
    created_once(folder / f"{name}.done.json", msgspec.json.encode(done))
    return rows, check_usage(places)


class _Found:
    """Of some records the intact ones that are wanted, each once."""

    def __init__(self, records: Iterable[UsageRecord], wanted: Mapping[str, Ranges]) -> None:
        self._records, self._wanted = records, wanted
        self._taken: dict[str, Ranges] = {}
        self.producers: dict[str, tuple[int, int]] = {}
        self.times: tuple[float, float] | None = None

    def __iter__(self) -> Iterator[UsageRecord]:
        for record in self._records:
            name, seq = producer_of(record), record.seq
            taken = self._taken.get(name, ())
            if not contains(self._wanted.get(name, ()), seq, seq) or contains(taken, seq, seq) or not is_intact(record):
                continue
            self._taken[name] = add(taken, seq, seq)
            first, last = self.producers.get(name, (seq, seq))
            self.producers[name] = min(first, seq), max(last, seq)
            self.times = spanned(self.times, record.time)
            yield record


def _is_whole(places: Places) -> bool:
    """Nothing was deleted from the topic."""
    return places.view is not None and all(first == 0 for first, _ in places.view.bounds(places.topic).values())


def _manifests(folder: Path) -> dict[int, list[Manifest]]:
    manifests = Manifests(folder)
    return {partition: manifests.of(partition) for partition in manifests.partitions()}


def _archived(folder: Path, report: UsageReport, side: Side) -> Iterator[UsageRecord]:
    """The records of all files that are as they were written and reach into the period, partitions side by side."""
    manifests = Manifests(folder)
    repairs = list(manifests.repairs())
    replaced = {file for done in repairs for file in done.replaces}
    by_partition: list[list[Done]] = [repairs]
    for partition, planned in _manifests(folder).items():
        finished: list[Done] = []
        end = None
        for manifest in planned:
            if end is not None and manifest.first_offset != end + 1:
                report.problems.append(
                    f"no file holds the messages {end + 1} to {manifest.first_offset - 1} of partition {partition}"
                )
            end = manifest.last_offset
            done = manifests.done(manifest)
            if done is None:
                report.waiting.append(f"{manifest.name} is not finished: run `python -m app usage archive`")
                continue
            report.problems.extend(f"partition {partition}: message {at}: {why}" for at, why in done.unreadable)
            finished.append(done)
        by_partition.append(finished)
    whole = [[done for done in some if _is_as_written(folder, done, report, replaced)] for some in by_partition]
    reading = [
        (record for done in some if _reaches_into(done, side) for record in read_archive(folder / done.file))
        for some in whole
    ]
    return heapq.merge(*reading, key=lambda record: record.time)


def _reaches_into(done: Done, side: Side) -> bool:
    """Of another file the side learns how far its producers were."""
    if done.times is None or (done.times[1] >= side.period.begin and done.times[0] < side.period.end):
        return True
    for producer, (_, last) in done.producers.items():
        side.pass_over(producer, last, is_later=done.times[0] >= side.period.end)
    return False


def _is_as_written(folder: Path, done: Done, report: UsageReport, replaced: set[str]) -> bool:
    path = folder / done.file
    if path.exists() and sha256_of(path) == done.sha256:
        return True
    if done.file not in replaced:
        report.lost_files.append(done.file)
        why = "was altered: its SHA-256 is not that of its manifest" if path.exists() else "is gone"
        report.problems.append(f"{done.file} {why}; it held {done.rows:,} records")
    return False


def _in_topic(places: Places, report: UsageReport) -> Iterator[tuple[int, int, UsageRecord]]:
    """(partition, offset, record), partitions side by side."""
    view, topic = places.view, places.topic
    if view is None:
        return iter(())

    def of(partition: int) -> Iterator[tuple[int, int, UsageRecord]]:
        own = places.another_view()
        with closing(own) if own is not None else nullcontext():
            for offset, _, value in messages_of(own or view, topic, partition, 0):
                try:
                    for record in decode_usage(value, place_of(topic, partition, offset)):
                        yield partition, offset, record
                except DamagedMessage as error:
                    report.problems.append(str(error))

    return heapq.merge(*map(of, sorted(view.bounds(topic))), key=lambda found: found[2].time)


def _elsewhere(places: Places) -> Iterator[UsageRecord]:
    """From the topic, then from the spools."""
    unread = UsageReport([], [], [], [])
    yield from (record for _, _, record in _in_topic(places, unread))
    for _, records in spools_at(places.spools, places.spool_token):
        yield from (found for _, found in records if not isinstance(found, Damage))
