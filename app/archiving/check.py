"""Whether topic, archive, spools and stores hold the same records, and each file is the one that was written."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from functools import partial
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from app.archiving.files import read_file
from app.archiving.manifests import Done, Manifest, Manifests, sha256_of
from app.archiving.spools import SpoolPlace, spools_at
from app.archiving.storage import Storage
from app.archiving.worker import messages_of
from app.domain.usage.records import UsageRecord, is_for_stores, producer_of
from app.domain.usage.sequences import ProducerState, judge
from app.domain.usage.sides import ALWAYS, Period, Side
from app.errors import InputError
from app.flows.registry import group_of
from app.flows.usage import MONITORED_TOPIC
from app.messages.forms import DamagedMessage, place_of
from app.messages.usage import decode_usage
from app.settings import FileKind
from app.transports.broker_view import BrokerView
from app.usage.spool import Damage
from app.words import counted_text

__all__ = ["ARCHIVE", "Places", "ShowStored", "UsageReport", "check_usage", "in_topic", "whole_files"]

TOPIC, ARCHIVE, SPOOL = "topic", "archive", "spool"


ShowStored = Callable[[Callable[[UsageRecord], None]], None]
"""Calls with each record that a store holds. Raises StoreError, UnknownForm."""


class Places(NamedTuple):
    """Where records are."""

    view: BrokerView | None
    """None: there is no broker, or no log yet."""
    topic: str
    archive: Storage
    kind: FileKind
    """Of the files that a repair writes."""
    spools: Sequence[SpoolPlace]
    another_view: Callable[[], BrokerView | None] = lambda: None
    """Opens a view more: one reads one partition at a time."""
    spool_token: str = ""
    """What producers want to see before they show their spools."""
    stores: Mapping[str, ShowStored] = MappingProxyType({})
    """Name -> what shows the records of monitored calls that it holds. They are asked if there are any."""
    mend: Callable[[str, Iterable[UsageRecord]], int] = lambda name, records: 0
    """Makes what a store of this name holds exactly these records; returns how many."""
    flow: str = ""
    """The consumer group of the flow, which sends records of monitored calls to the stores."""
    stored_since: float = -inf
    """Stores may have deleted older records."""


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
    """Records of the period; of files, messages and segments all. Raises LogError, OSError, InputError, UnknownForm, StoreError."""
    look = _Look(places, period)
    look.at_archive()
    look.at_topic()
    look.at_spools()
    look.at_stores()
    return look.report


class _Look:
    """What each side holds, and what is on its way to it."""

    def __init__(self, places: Places, period: Period) -> None:
        side = partial(Side, period=period, stored_since=places.stored_since)
        self._places, self._report = places, UsageReport([], [], [], [])
        self._archive, self._spool = side(ARCHIVE), side(SPOOL, is_whole=False)
        self._topic = side(TOPIC, is_whole=_is_whole(places))
        self._stores = {name: side(name, of_monitored=True) for name in places.stores}
        self._coming = {name: side("on the way") for name in (ARCHIVE, TOPIC, *self._stores)}
        self._marks: dict[str, int] = {}

    @property
    def report(self) -> UsageReport:
        sides = [self._archive]
        sides += [self._topic] if self._places.view is not None else []
        sides += [self._spool] if self._places.spools else []
        sides += self._stores.values()
        return self._report._replace(states=judge(sides, self._marks, self._coming))

    def at_archive(self) -> None:
        if not self._places.archive.names("manifests/"):  # of a wrong name nobody may hear that nothing differs
            self._report.waiting.append(f"there is no archive in {self._places.archive}")
        for record in _archived(self._places.archive, self._report, self._archive):
            self._archive.see(record)

    def at_topic(self) -> None:
        places = self._places
        archived = {
            each: found[-1].last_offset for each, found in _manifests(Manifests(places.archive)).items() if found
        }
        selected = _committed(places, places.flow, places.topic)
        for partition, offset, record in in_topic(places, self._report.problems):
            self._topic.see(record)
            if offset > archived.get(partition, -1):
                self._coming[ARCHIVE].see(record)
            if offset >= selected.get(partition, 0):
                self._to_stores(record)

    def _to_stores(self, record: UsageRecord) -> None:
        if is_for_stores(record):
            for name in self._stores:
                self._coming[name].see(record)

    def at_spools(self) -> None:
        for head, records in spools_at(self._places.spools, self._places.spool_token):
            for place, found in records:
                if isinstance(found, Damage):
                    if not head.is_alive or found.why != "cut":  # it is being written
                        self._report.problems.append(
                            f"{found.path} is {found.why} from byte {found.first:,} to {found.last:,}"
                        )
                    continue
                self._spool.see(found)
                if place > head.sent:
                    self._coming[ARCHIVE].see(found)
                    self._coming[TOPIC].see(found)
                    self._to_stores(found)
            if head.producer is None:
                self._report.problems.append(f"{head.folder}/owner cannot be read: whose spool it is, is not known")
            elif head.mark is not None and not head.is_alive:
                self._marks[head.producer] = head.mark

    def at_stores(self) -> None:
        if not any(each.has_monitored for each in (self._archive, self._topic, self._spool)):
            self._stores = {}
        for name, store in self._stores.items():
            self._places.stores[name](store.see)
            for record in _on_the_way_to(self._places, name):
                self._coming[name].see(record)


def _committed(places: Places, group: str, topic: str) -> dict[int, int]:
    """Partition -> offset of the first message that a consumer group has not taken."""
    if places.view is None or not places.stores:
        return {}
    return {partition: offset for (name, partition), offset in places.view.committed(group).items() if name == topic}


def _on_the_way_to(places: Places, store: str) -> Iterator[UsageRecord]:
    """What is in the topic of monitored calls and not in the store yet."""
    if places.view is None or not places.view.bounds(MONITORED_TOPIC):
        return
    begin = _committed(places, group_of(places.flow, store), MONITORED_TOPIC)
    for message in places.view.messages(MONITORED_TOPIC, begin):
        with suppress(DamagedMessage):  # the store's agent puts it aside
            yield from decode_usage(message.value, place_of(MONITORED_TOPIC, message.partition, message.offset))


def _is_whole(places: Places) -> bool:
    """Nothing was deleted from the topic."""
    return places.view is not None and all(first == 0 for first, _ in places.view.bounds(places.topic).values())


def _manifests(manifests: Manifests) -> dict[int, list[Manifest]]:
    return {partition: manifests.of(partition) for partition in manifests.partitions()}


def _archived(archive: Storage, report: UsageReport, side: Side) -> Iterator[UsageRecord]:
    """The records of all files that are as they were written and reach into the period, partitions side by side."""
    replaced = _replaced(Manifests(archive).repairs())
    reading = [_records_of(some, report, side, replaced) for some in _whole_files(archive, report)]
    return heapq.merge(*reading, key=lambda record: record.time)


def _records_of(
    files: Iterable[tuple[Done, Path]], report: UsageReport, side: Side, replaced: set[str]
) -> Iterator[UsageRecord]:
    for done, path in files:
        if _reaches_into(done, side):
            rows, producers = 0, dict[str, tuple[int, int]]()
            try:
                for record in read_file(path):
                    name, rows = producer_of(record), rows + 1
                    first, last = producers.get(name, (record.seq, record.seq))
                    producers[name] = min(first, record.seq), max(last, record.seq)
                    yield record
                why = (
                    "" if (rows, producers) == (done.rows, done.producers) else "it holds other records than that says"
                )
            except InputError as error:
                why = str(error)
            if why and done.file not in replaced:
                report.lost_files.append(done.file)
                report.problems.append(f"{done.file} was altered, with its manifest: {why}")


def _replaced(repairs: Iterable[Done]) -> set[str]:
    return {file for done in repairs for file in done.replaces}


def whole_files(archive: Storage, report: UsageReport) -> Iterator[tuple[Done, Path]]:
    """Every finished file that is as it was written, and where to read it; of the others the report is told.

    Open a file before you ask for the next. Raises OSError, StoreError, InputError, UnknownForm.
    """
    for files in _whole_files(archive, report):
        yield from files


def _whole_files(archive: Storage, report: UsageReport) -> Iterator[Iterator[tuple[Done, Path]]]:
    """Of the repairs, then of each partition."""
    manifests = Manifests(archive)
    repairs = manifests.repairs()
    replaced = _replaced(repairs)
    by_partition: list[list[Done]] = [repairs]
    for partition, planned in _manifests(manifests).items():
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
    for some in by_partition:
        yield _as_written(archive, some, report, replaced)


def _reaches_into(done: Done, side: Side) -> bool:
    """Of another file the side learns how far its producers were."""
    if done.times is None or (done.times[1] >= side.period.begin and done.times[0] < side.period.end):
        return True
    for producer, (_, last) in done.producers.items():
        side.pass_over(producer, last, is_later=done.times[0] >= side.period.end)
    return False


def _as_written(
    archive: Storage, files: Iterable[Done], report: UsageReport, replaced: set[str]
) -> Iterator[tuple[Done, Path]]:
    for done in files:
        path = archive.local(done.file)
        if path is not None and sha256_of(path) == done.sha256:
            yield done, path
        elif done.file not in replaced:
            report.lost_files.append(done.file)
            why = "is gone" if path is None else "was altered: its SHA-256 is not that of its manifest"
            report.problems.append(f"{done.file} {why}; it held {counted_text(done.rows, 'record')}")


def in_topic(places: Places, problems: list[str]) -> Iterator[tuple[int, int, UsageRecord]]:
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
                    problems.append(str(error))

    return heapq.merge(*map(of, sorted(view.bounds(topic))), key=lambda found: found[2].time)
