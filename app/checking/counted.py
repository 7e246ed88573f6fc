"""Counted events and their sums: one store against the topic, and against itself, its sums made again from its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

from app.checking.digests import Buckets
from app.checking.mender import Mender
from app.checking.raw_records import MOST_RECORDS
from app.checking.report import Difference, Report
from app.checking.shares import Share, TooMany, by_shares
from app.checking.store_digests import StoreDigests
from app.checking.topic_view import TopicView
from app.domain.counted import CountedKind, Sum, partition_by
from app.messages.events import Counted
from app.settings import Settings
from app.stores.contract import Store
from app.stores.ledger_contract import SHORT_DAYS

__all__ = ["CountedRecord", "compare_counted", "event_record", "sum_record"]

_DAY_S = 86400.0
_AHEAD_S = 86400.0
"""Events are dated at most this far ahead of their arrival: what is newer than a retention by this was surely kept."""

BucketKey = tuple[str, str, int]
"""Resolution, group, start."""


class CountedRecord(NamedTuple):
    """How events of a kind, or sums of them, are read and named."""

    record: str
    stored: Callable[[Store], AsyncIterator[Any]]
    of: Callable[[Counted[Any]], Sequence[Any]]
    key: Callable[[Any], tuple[Any, ...]]
    version: Callable[[Any], int]
    """The highest one counts; events have one."""
    started: Callable[[Any], tuple[str, float]]
    """What a topic created anew is told by: a name that starts are compared under, and the record's start."""

    def name(self, record: Any) -> str:
        """As people are told of it."""
        return " ".join(map(str, self.key(record)))

    def number(self, record: Any) -> int:
        """64 bits of the key."""
        return _number(self.key(record))

    def bucket(self, record: Any, partitions: int) -> tuple[int, int]:
        """By which checksums are compared."""
        return 0, self.number(record) % (64 * partitions)

    def digest(self, record: Any) -> int:
        """64 bits of the whole record."""
        return _number(tuple(value + 0.0 if isinstance(value, float) else value for value in record))


def _number(values: tuple[Any, ...]) -> int:
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=8).digest(), "big")


@cache
def event_record(kind: CountedKind[Any]) -> CountedRecord:
    """The events of a kind."""
    return CountedRecord(
        kind.one,
        lambda store: store.ledgers.all_events(kind),
        lambda message: message.events,
        kind.id_of,
        lambda _: 0,
        lambda event: ("", kind.time_of(event)),
    )


@cache
def sum_record(kind: CountedKind[Any]) -> CountedRecord:
    """The sums of a kind."""
    return CountedRecord(
        f"{kind.one} sum",
        lambda store: store.ledgers.all_sums(kind),
        lambda message: message.sums,
        lambda each: each[:5],
        lambda each: each.version,
        lambda each: (each.resolution, each.start),
    )


async def compare_counted(
    kind: CountedKind[Any],
    store: Store,
    view: TopicView | None,
    settings: Settings,
    now: float,
    report: Report,
    mender: Mender | None,
    digests: StoreDigests,
    again: bool = True,
) -> None:
    """What counts of a kind must be stored once and as the topic has it, and its sums must be those of its events.

    `again`: compare the sums with the stored events, too.
    """
    events = _TopicComparison(event_record(kind), kind, store, view, settings, report, mender, digests)
    await events.run()
    sums = _TopicComparison(sum_record(kind), kind, store, view, settings, report, mender, digests)
    sums.complete = events.complete
    await sums.run()
    if not again or (events.found and mender is None):
        return  # then the sums are those of other events
    made_again = _SumsMadeAgain(kind, store, view, settings, now, report, mender, sums.found)
    async for _ in by_shares(made_again.compare):
        pass


class _Wanted(NamedTuple):
    """What the topic has under one key."""

    version: int
    digests: tuple[int, ...]
    """Of all records of this version: an id that was forgotten may come again with other fields."""


class _TopicComparison:
    """Record by record, share by share."""

    def __init__(
        self,
        how: CountedRecord,
        kind: CountedKind[Any],
        store: Store,
        view: TopicView | None,
        settings: Settings,
        report: Report,
        mender: Mender | None,
        digests: StoreDigests,
    ) -> None:
        self.how, self.kind, self.store, self.view = how, kind, store, view
        self.settings, self.report, self.mender, self.digests = settings, report, mender, digests
        self.whole = view is not None and view.knows_all(kind.reduced)
        self.complete = self.whole
        """The topic knows all that the store holds: it was not created anew beside an older store."""
        self.found: set[str] = set()
        """Names of what differs."""
        self._sums = Buckets()

    async def run(self) -> None:
        async for _ in by_shares(self._compare):
            pass
        record, name = self.how.record, self.store.name
        self.report.compared["store", name, record] += self._sums.records
        self.report.checksums.setdefault(name, {})[record] = self._sums.checksum
        self.digests.sums[record] = self._sums

    async def _compare(self, share: Share) -> None:
        how = self.how
        wanted, first = await self._wanted(share)
        missing = set(wanted)
        found: dict[int, tuple[str, str, str]] = {}
        copies: dict[int, list[Any]] = {}
        kept: dict[int, int] = {}
        unknown: list[Any] = []
        rows = Buckets()
        async for record in how.stored(self.store):
            number = how.number(record)
            if not share.takes(number):
                continue
            digest = how.digest(record)
            rows.add(how.bucket(record, self.settings.partitions), number, digest)
            missing.discard(number)
            why = self._wrong(record, digest, wanted.get(number), kept.get(number))
            if why is not None:
                found[number] = (how.name(record), *why)
                copies.setdefault(number, []).append(record)
            elif number not in wanted and self.whole:
                unknown.append(record)
            kept.setdefault(number, digest)
            if len(kept) > MOST_RECORDS:
                raise TooMany
        self._add_extra(unknown, first, found, copies)
        names = await self._names(missing)
        found |= {number: (names[number], "lacking", "the topic has it") for number in missing}
        on_the_way = await self._on_the_way(found)
        self.report.on_the_way[self.store.name] += len(on_the_way)
        found = {number: what for number, what in found.items() if number not in on_the_way}
        for name, kind, why in found.values():
            self.report.add(Difference(self.store.name, how.record, kind, name, why))
            self.found.add(name)
        if self.view is not None:
            self.report.compared["topic", self.store.name, how.record] += len(wanted)
        self._sums.take(rows)
        if self.mender is not None and found:
            await self._mend(self.mender, found, copies, wanted)

    def _wrong(self, record: Any, digest: int, wanted: _Wanted | None, before: int | None) -> tuple[str, str] | None:
        if before is not None:
            return "doubled", "it is stored more than once"
        if wanted is None or digest in wanted.digests:
            return None
        version = self.how.version(record)
        if version > wanted.version and not self.whole:
            return None  # of messages that were trimmed, perhaps of an earlier state
        if version != wanted.version:
            return "altered", f"{record[5:]} where the topic has version {wanted.version}, not {version}"
        return "altered", "its content is not that in the topic"

    def _add_extra(
        self,
        unknown: Sequence[Any],
        first: dict[str, float],
        found: dict[int, tuple[str, str, str]],
        copies: dict[int, list[Any]],
    ) -> None:
        """What the topic does not have, and would have if it was of its time."""
        how = self.how
        older = [record for record in unknown if self._is_older(record, first)]
        if older:
            self.complete = False
        for record in unknown:
            resolution, _ = how.started(record)
            if not self._is_older(record, first) and (resolution != "total" or self.complete):
                number = how.number(record)
                found[number] = (how.name(record), "extra", "the topic does not have it")
                copies.setdefault(number, []).append(record)

    def _is_older(self, record: Any, first: dict[str, float]) -> bool:
        name, start = self.how.started(record)
        return start < first.get(name, float("inf"))

    async def _wanted(self, share: Share) -> tuple[dict[int, _Wanted], dict[str, float]]:
        """What the topic has of a share, and the first start of each name in all of it."""
        how = self.how
        wanted: dict[int, _Wanted] = {}
        first: dict[str, float] = {}
        if self.view is None:
            return wanted, first
        async for message in self.view.counted(self.kind):
            for record in how.of(message):
                name, start = how.started(record)
                first[name] = min(start, first.get(name, start))
                number = how.number(record)
                if not share.takes(number):
                    continue
                version, digest = how.version(record), how.digest(record)
                known = wanted.get(number)
                if known is None or version > known.version:
                    wanted[number] = _Wanted(version, (digest,))
                elif version == known.version and digest not in known.digests:
                    wanted[number] = _Wanted(version, (*known.digests, digest))
            if len(wanted) > MOST_RECORDS:
                raise TooMany
        return wanted, first

    async def _names(self, numbers: Collection[int]) -> dict[int, str]:
        """From the topic, of those that the store lacks."""
        names: dict[int, str] = {}
        if self.view is None or not numbers:
            return names
        async for message in self.view.counted(self.kind):
            for record in self.how.of(message):
                if (number := self.how.number(record)) in numbers:
                    names[number] = self.how.name(record)
        return names

    async def _on_the_way(self, numbers: Collection[int]) -> set[int]:
        if self.view is None or not numbers:
            return set()
        return {
            number
            async for message in self.view.counted_on_the_way(self.kind)
            for record in self.how.of(message)
            if (number := self.how.number(record)) in numbers
        }

    async def _mend(
        self,
        mender: Mender,
        found: dict[int, tuple[str, str, str]],
        copies: dict[int, list[Any]],
        wanted: dict[int, _Wanted],
    ) -> None:
        how = self.how
        wrong = {number: some for number, some in copies.items() if number in found}
        alone = [some[0] for number, some in wrong.items() if number not in wanted and found[number][1] == "doubled"]
        await mender.remove(
            how.record,
            [
                record
                for number, some in wrong.items()
                if number in wanted or found[number][1] == "extra"
                for record in some
            ],
        )
        left = {number: wanted[number] for number in found if number in wanted}
        if left and self.view is not None:
            async for message in self.view.counted(self.kind):
                some = []
                for record in how.of(message):
                    right = left.get(how.number(record))
                    if right is not None and how.version(record) == right.version:
                        some.append(record)
                        del left[how.number(record)]
                await mender.write(how.record, some)
                if not left:
                    break
        await mender.write(how.record, alone)  # exactly these, once


class _SumsMadeAgain:
    """Sums against the stored events: where events may be past their retention, a sum may know more, never less."""

    def __init__(
        self,
        kind: CountedKind[Any],
        store: Store,
        view: TopicView | None,
        settings: Settings,
        now: float,
        report: Report,
        mender: Mender | None,
        known: Collection[str],
    ) -> None:
        """`known`: names of sums that were found to differ from the topic."""
        self.kind, self.store, self.view, self.settings = kind, store, view, settings
        self.report, self.mender = report, mender
        self.known = {name.rpartition(" ")[0].rpartition(" ")[0] for name in known}
        raw_days, reduced_days = settings.retention_days
        days = {"raw": raw_days, "reduced": reduced_days, "short": SHORT_DAYS, "ever": float("inf")}
        self.events_since = now - days[kind.keeps_events] * _DAY_S + _AHEAD_S
        self.sums_since = {each.name: now - days[each.keeps] * _DAY_S + _AHEAD_S for each in kind.resolutions}

    async def compare(self, share: Share) -> None:
        """The buckets of one share."""
        made = await self._made(share)
        stored: dict[BucketKey, list[Sum]] = {}
        async for each in self.store.ledgers.all_sums(self.kind):
            if share.takes(_number(each[:3])):
                stored.setdefault(each[:3], []).append(each)
                if len(stored) > MOST_RECORDS:
                    raise TooMany
        found = {
            key: why
            for key in made.keys() | stored.keys()
            if " ".join(map(str, key)) not in self.known
            and (why := self._wrong(key, stored.get(key, []), made.get(key, {}))) is not None
        }
        in_topic = await self._in_topic(found)
        for key in in_topic.on_the_way:
            del found[key]
        self.report.on_the_way[self.store.name] += len(in_topic.on_the_way)
        record = sum_record(self.kind).record
        for key, (kind, why) in found.items():
            self.report.add(Difference(self.store.name, record, kind, " ".join(map(str, key)), why))
        if self.mender is not None:
            mendable = self._mendable(found, stored, made)
            rights = [
                right
                for key in mendable
                if key not in in_topic.known
                for right in _right_sums(key, stored.get(key, []), made.get(key, {}))
            ]
            await self.mender.write(record, rights)

    async def _made(self, share: Share) -> dict[BucketKey, dict[int, tuple[int, int]]]:
        """Bucket -> partition -> (events, amount), of the stored events, each once."""
        kind, settings = self.kind, self.settings
        rules = kind.rules(settings)
        made: dict[BucketKey, dict[int, tuple[int, int]]] = {}
        async for event in self.store.ledgers.all_events(kind):
            amount = rules.amount(event)
            partition = partition_by(kind.spread_by(event, settings), settings.partitions)
            for resolution, group, start, _ in rules.buckets(event):
                key = (resolution, group, start)
                if share.takes(_number(key)):
                    of = made.setdefault(key, {})
                    events, before = of.get(partition, (0, 0))
                    of[partition] = (events + 1, before + amount)
            if len(made) > MOST_RECORDS:
                raise TooMany
        return made

    def _wrong(self, key: BucketKey, stored: Sequence[Sum], made: dict[int, tuple[int, int]]) -> tuple[str, str] | None:
        resolution, _, start = key
        summed = sum(each.events for each in stored), sum(each.amount for each in stored)
        counted = sum(events for events, _ in made.values()), sum(amount for _, amount in made.values())
        if summed == counted:
            return None
        kept = resolution != "total" and start >= self.events_since
        if not stored:
            if resolution == "total" or start >= self.sums_since[resolution]:
                return "lacking", f"{counted[0]} stored {self.kind.many} make it"
            return None
        if self.kind.resolution[resolution].keeps == "short" and start < self.sums_since[resolution]:
            return None  # some partitions of it may be deleted
        if counted[0] >= summed[0] or kept:
            what = f" with an amount of {counted[1]}" if self.kind.amount_field else ""
            had = f" with {summed[1]}" if self.kind.amount_field else ""
            return "altered", f"it counts {summed[0]} {self.kind.many}{had}; {counted[0]}{what} are stored"
        return None

    def _mendable(
        self,
        found: dict[BucketKey, tuple[str, str]],
        stored: dict[BucketKey, list[Sum]],
        made: dict[BucketKey, dict[int, tuple[int, int]]],
    ) -> list[BucketKey]:
        """Where the events tell what is right. A sum that knows more than they do may be the one that is right: an event was lost."""
        more = {
            key
            for key in found
            if sum(each.events for each in stored.get(key, ()))
            > sum(events for events, _ in made.get(key, {}).values())
        }
        # a lost event would be missing from its bucket of every resolution
        lasting = {each.name for each in self.kind.resolutions if each.keeps == "reduced"}
        event_lost = {key[0] for key in more} >= lasting
        return [key for key in found if key not in more or not event_lost]

    async def _in_topic(self, keys: Collection[BucketKey]) -> _InTopic:
        """Which of these buckets the topic decides."""
        found = _InTopic(set(), set())
        if self.view is None or not keys:
            return found
        async for message in self.view.counted(self.kind):
            found.known.update(each[:3] for each in message.sums if each[:3] in keys)
        async for message in self.view.counted_on_the_way(self.kind):
            found.on_the_way.update(each[:3] for each in message.sums if each[:3] in keys)
        return found


class _InTopic(NamedTuple):
    known: set[BucketKey]
    on_the_way: set[BucketKey]


def _right_sums(key: BucketKey, stored: Sequence[Sum], made: dict[int, tuple[int, int]]) -> list[Sum]:
    """The sums of a bucket that must change, so that those of each partition add up to what its events make."""
    right: list[Sum] = []
    for partition in made.keys() | {each.partition for each in stored}:
        events, amount = made.get(partition, (0, 0))
        own = sorted(each for each in stored if each.partition == partition)
        last = own[-1] if own else Sum(*key, partition, 0, 0, 0, 0)
        others = own[:-1]
        wanted = last._replace(
            events=events - sum(each.events for each in others), amount=amount - sum(each.amount for each in others)
        )
        if wanted.events < 0:  # several shares, and the last is not the one that was altered
            right += [each._replace(events=0, amount=0) for each in others]
            wanted = last._replace(events=events, amount=amount)
        if not own or wanted != last:
            right.append(wanted)
    return right
