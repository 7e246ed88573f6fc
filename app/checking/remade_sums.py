"""The sums of a store against those that its stored events make."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from app.checking.counted_records import number_of_key, sum_record
from app.checking.look import Look
from app.checking.raw_records import MOST_RECORDS
from app.checking.shares import Share, TooMany
from app.domain.counted import CountedKind, Sum, partition_by
from app.domain.windows import DAY_S
from app.stores.ledger_contract import SHORT_DAYS

__all__ = ["RemadeSums"]

_AHEAD_S = 86400.0
"""Events are dated at most this far ahead of their arrival: what is newer than a retention by this was surely kept."""

BucketKey = tuple[str, str, int]
"""Resolution, group, start."""


class RemadeSums:
    """Sums against the stored events: where events may be past their retention, a sum may know more, never less."""

    def __init__(self, kind: CountedKind[Any], look: Look, now: float, known: Collection[str]) -> None:
        """`known`: names of sums that were found to differ from the topic."""
        self.kind, self.look, self.store, self.view = kind, look, look.store, look.view
        self.known = {name.rpartition(" ")[0].rpartition(" ")[0] for name in known}
        raw_days, reduced_days = look.settings.retention_days
        days = {"raw": raw_days, "reduced": reduced_days, "short": SHORT_DAYS, "ever": float("inf")}
        self.events_since = now - days[kind.keeps_events] * DAY_S + _AHEAD_S
        self.sums_since = {each.name: now - days[each.keeps] * DAY_S + _AHEAD_S for each in kind.resolutions}

    async def compare(self, share: Share) -> None:
        made = await self._made(share)
        stored: dict[BucketKey, list[Sum]] = {}
        async for each in self.store.ledgers.all_sums(self.kind):
            if share.takes(number_of_key(each[:3])):
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
        self.look.note_on_the_way(len(in_topic.on_the_way))
        record = sum_record(self.kind).record
        for key, (difference, what) in found.items():
            self.look.differs(record, difference, " ".join(map(str, key)), what)
        if self.look.mender is not None:
            mendable = self._mendable(found, stored, made)
            rights = [
                right
                for key in mendable
                if key not in in_topic.known
                for right in _right_sums(key, stored.get(key, []), made.get(key, {}))
            ]
            await self.look.mender.write(record, rights)

    async def _made(self, share: Share) -> dict[BucketKey, dict[int, tuple[int, int]]]:
        """Bucket -> partition -> (events, amount), of the stored events, each once."""
        kind, settings = self.kind, self.look.settings
        rules = kind.rules(settings)
        made: dict[BucketKey, dict[int, tuple[int, int]]] = {}
        async for event in self.store.ledgers.all_events(kind):
            amount = rules.amount(event)
            partition = partition_by(kind.spread_by(event, settings), settings.partitions)
            for resolution, group, start, _ in rules.buckets(event):
                key = (resolution, group, start)
                if share.takes(number_of_key(key)):
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
                return "missing", f"{counted[0]} stored {self.kind.many} make it"
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
        found = _InTopic(set(), set())
        if self.view is None or not keys:
            return found
        how = sum_record(self.kind)
        for names, sent in ((found.known, how.sent(self.view)), (found.on_the_way, how.on_the_way(self.view))):
            async for sums in sent:
                names.update(each[:3] for each in sums if each[:3] in keys)
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
