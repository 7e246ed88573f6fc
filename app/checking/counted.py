"""Counted events and their sums: one store against the topic, and against itself, its sums made again from its events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from app.checking.counted_records import CountedRecord, event_record, sum_record
from app.checking.digests import Buckets
from app.checking.look import Look
from app.checking.mender import Mender
from app.checking.raw_records import MOST_RECORDS
from app.checking.remade_sums import RemadeSums
from app.checking.shares import Share, TooMany, by_shares
from app.domain.counted import CountedKind

__all__ = ["compare_counted"]


async def compare_counted(kind: CountedKind[Any], look: Look, now: float, again: bool = True) -> None:
    """What counts of a kind must be stored once and as the topic has it, and its sums must be those of its events.

    `again`: compare the sums with the stored events, too.
    """
    events = _TopicComparison(event_record(kind), look)
    await events.run()
    sums = _TopicComparison(sum_record(kind), look)
    sums.complete = events.complete
    await sums.run()
    if not again or (events.found and look.mender is None):
        return  # then the sums are those of other events
    made_again = RemadeSums(kind, look, now, sums.found)
    async for _ in by_shares(made_again.compare):
        pass


class _Wanted(NamedTuple):
    """What the topic has under one key."""

    version: int
    digests: tuple[int, ...]
    """Of all records of this version: an id that was forgotten may come again with other fields."""


class _TopicComparison:
    def __init__(self, how: CountedRecord, look: Look) -> None:
        self.how, self.look, self.store, self.view = how, look, look.store, look.view
        self.whole = self.view is not None and self.view.knows_all(how.kind.reduced)
        self.complete = self.whole
        """The topic knows all that the store holds: it was not created anew beside an older store."""
        self.found: set[str] = set()
        """Names of what differs."""
        self._sums = Buckets()

    async def run(self) -> None:
        async for _ in by_shares(self._compare):
            pass
        self.look.note_sums(self.how.record, self._sums)

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
            rows.add(how.bucket(record, self.look.settings.partitions), number, digest)
            missing.discard(number)
            wrong = self._wrong(record, digest, wanted.get(number), kept.get(number))
            if wrong is not None:
                found[number] = (how.name(record), *wrong)
                copies.setdefault(number, []).append(record)
            elif number not in wanted and self.whole:
                unknown.append(record)
            kept.setdefault(number, digest)
            if len(kept) > MOST_RECORDS:
                raise TooMany
        self._add_extra(unknown, first, found, copies)
        names = await self._names(missing)
        found |= {number: (names[number], "missing", "the topic has it") for number in missing}
        on_the_way = await self._on_the_way(found)
        self.look.note_on_the_way(len(on_the_way))
        found = {number: what for number, what in found.items() if number not in on_the_way}
        for name, kind, why in found.values():
            self.look.differs(how.record, kind, name, why)
            self.found.add(name)
        if self.view is not None:
            self.look.note_topic(how.record, len(wanted))
        self._sums.take(rows)
        if self.look.mender is not None and found:
            await self._mend(self.look.mender, found, copies, wanted)

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
        async for records in how.sent(self.view):
            for record in records:
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
        if self.view is None or not numbers:
            return {}
        return {
            number: self.how.name(record)
            async for records in self.how.sent(self.view)
            for record in records
            if (number := self.how.number(record)) in numbers
        }

    async def _on_the_way(self, numbers: Collection[int]) -> set[int]:
        if self.view is None or not numbers:
            return set()
        return {
            number
            async for records in self.how.on_the_way(self.view)
            for record in records
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
            async for records in how.sent(self.view):
                some = []
                for record in records:
                    right = left.get(how.number(record))
                    if right is not None and how.version(record) == right.version:
                        some.append(record)
                        del left[how.number(record)]
                await mender.write(how.record, some)
                if not left:
                    break
        await mender.write(how.record, alone)  # exactly these, once
