"""Deliveries of one store against the topic and against what its own raw hits make, keys share by share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from app.checking.digests import Buckets, RecordMark, delivery_bucket, delivery_name, key_number, mark_of
from app.checking.look import Look
from app.checking.mender import Mender
from app.checking.remade_deliveries import MOST_KEYS, RemadeDeliveries
from app.checking.shares import WHOLE, Share, TooMany, by_shares
from app.checking.verdicts import DeliveryFinding, Latest, judge
from app.domain.key_hits import Key
from app.domain.open_deliveries import OpenDeliveries, SizeOf
from app.domain.records import Delivery
from app.domain.sizes import LearnedSize
from app.domain.tallies import Tally
from app.domain.windows import Rules, bucket_start
from app.errors import SettingsError

__all__ = ["Basis", "compare_reduced"]

MOST_FINDINGS = 20_000
_CONTRADICTED = "judged by a learned size of {size:,} bytes, which lines contradict that came later"
_OTHER_RULES = 0.5
"""Where more than this share of the deliveries cannot have been cut by the rules of the settings, these rules are wrong."""


class Basis(NamedTuple):
    """What deliveries are judged by."""

    rules: Rules
    size_of: SizeOf
    raw: bool
    """The store keeps raw hits."""
    topic: bool = True
    """What the topic has counts."""
    learned_then: bool = False
    """Sizes are learned: a delivery may have been written before, or by a size that no line tells of any more."""


class _Known:
    __slots__ = ("stored", "topic")

    def __init__(self) -> None:
        self.stored: dict[float, RecordMark] = {}
        self.topic: dict[float, Latest] = {}


async def compare_reduced(look: Look, basis: Basis) -> None:
    """Every delivery must be what the topic's highest version says, or what the raw hits make where they know more.

    Raises SettingsError where the stored deliveries were cut by another window mode.
    """
    comparison = _Comparison(look, basis)
    async for _ in by_shares(comparison.compare):
        pass
    look.note_sums("delivery", comparison.sums)


class _Comparison:
    def __init__(self, look: Look, basis: Basis) -> None:
        self.look, self.store, self.view, self.basis = look, look.store, look.view, basis
        self.partitions = look.settings.partitions
        self.sums = Buckets()

    async def compare(self, share: Share) -> None:
        known: dict[Key, _Known] = {}
        await self._read_topic(share, known)
        reduction = await self._merge_raw(share)
        sums = await self._read_store(share, known, reduction)
        findings = self._judge(known, reduction)
        on_the_way = await self._on_the_way(findings.keys())
        for key in on_the_way:
            self.look.note_on_the_way(len(findings.pop(key)))
        self.look.note_topic("delivery", sum(len(each.topic) for each in known.values()))
        for key, found in findings.items():
            for finding in found:
                self.look.differs("delivery", finding.kind, delivery_name(key, finding.start), finding.why)
        for bucket, number, digest in sums:
            self.sums.add(bucket, number, digest)
        if self.look.mender is not None and findings:
            await self._mend(self.look.mender, findings)

    async def _read_topic(self, share: Share, known: dict[Key, _Known]) -> None:
        if self.view is None or not self.basis.topic:
            return
        async for records in self.view.deliveries():
            for record in records:
                key = record[:3]
                if share is WHOLE or share.takes(key_number(key)):
                    held = known.get(key)
                    if held is None:
                        held = known[key] = _Known()
                    mark, before = mark_of(record), held.topic.get(record.window_start)
                    held.topic[record.window_start] = (
                        Latest(mark, frozenset((mark.digest,))) if before is None else before.then(mark)
                    )
            self._bound(len(known))

    async def _merge_raw(self, share: Share) -> OpenDeliveries:
        basis = self.basis
        if not basis.raw:
            return OpenDeliveries(basis.rules, basis.size_of)
        if share is WHOLE and (made := self.look.digests.take_deliveries()) is not None:
            return made
        merged = RemadeDeliveries(basis.rules, basis.size_of, share)
        async for hit in self.store.reads.all_hits():
            merged.add(hit)
        return merged.deliveries()

    async def _read_store(
        self, share: Share, known: dict[Key, _Known], reduction: OpenDeliveries
    ) -> list[tuple[tuple[int, int], int, int]]:
        sums = []
        foreign = visible = 0
        async for record in self.store.reads.all_deliveries(superseded=True):
            key = record[:3]
            if share is not WHOLE and not share.takes(key_number(key)):
                continue
            held = known.get(key)
            if held is None:
                held = known[key] = _Known()
                self._bound(len(known))
            mark = held.stored[record.window_start] = mark_of(record)
            if record.superseded_by is None:
                visible += 1
                foreign += not _cut_by(self.basis.rules, record)
                number = int(record.id, 16)
                sums.append((delivery_bucket(record, self.partitions), number, mark.digest ^ mark.version))
        if foreign > visible * _OTHER_RULES:
            raise SettingsError(
                f"the deliveries in {self.store.name} were not cut by WEBLOGS_WINDOW={self.basis.rules.window}: set what the worker runs with"
            )
        return sums

    def _bound(self, keys: int) -> None:
        if keys > MOST_KEYS:
            raise TooMany

    def _judge(self, known: dict[Key, _Known], reduction: OpenDeliveries) -> dict[Key, list[DeliveryFinding]]:
        whole = self.view is not None and self.basis.topic and self.view.knows_all_deliveries
        counts_before = self.basis.rules.window == "first_touch"
        findings: dict[Key, list[DeliveryFinding]] = {}
        count = 0
        contradicted: dict[tuple[Key, float], str] = {}
        size_of = partial(self._size_then, known, contradicted) if self.basis.learned_then else None
        for key, made in _by_key(reduction.finish(size_of), known):
            held = known[key]
            found = [
                each._replace(why=contradicted.get((key, each.start), each.why))
                for each in judge(held.stored, held.topic, made, whole, counts_before)
            ]
            if found:
                findings[key] = found
                count += len(found)
                if count > MOST_FINDINGS and len(findings) > 1:
                    raise TooMany
        return findings

    def _size_then(
        self, known: dict[Key, _Known], contradicted: dict[tuple[Key, float], str], key: Key, tally: Tally
    ) -> int | None:
        """What the stored delivery must have been judged by: a size that was learned later is not missing, one that later lines
        contradict does not hold."""
        size = self.basis.size_of(key[2], tally.first)
        if size is not None and not isinstance(size, LearnedSize):
            return size
        mark = known[key].stored.get(tally.start) if key in known else None
        if mark is None or mark.superseded:
            return size
        if mark.total is None:
            return None
        if size is None:
            return LearnedSize(mark.total)
        if size != mark.total and tally.total_max < 0:
            contradicted[key, tally.start] = _CONTRADICTED.format(size=mark.total)
        return size

    async def _on_the_way(self, keys: Collection[Key]) -> set[Key]:
        found: set[Key] = set()
        if self.view is None or not keys:
            return found
        async for hits in self.view.hits_on_the_way():
            found |= {key for hit in hits if (key := hit[1:4]) in keys}  # type: ignore[misc]
        async for records in self.view.deliveries_on_the_way():
            found |= {key for record in records if (key := record[:3]) in keys}
        return found

    async def _mend(self, mender: Mender, findings: dict[Key, list[DeliveryFinding]]) -> None:
        """What goes first, then what the topic has, then what the raw hits make."""
        named = [(key, finding) for key, found in findings.items() for finding in found]
        await mender.remove("delivery", [(key, finding.start) for key, finding in named if finding.kind == "extra"])
        wanted = {(*key, each.start): each.topic_version for key, each in named if each.topic_version is not None}
        if wanted and self.view is not None:
            latest: dict[tuple[Any, ...], Delivery] = {}
            async for records in self.view.deliveries():
                latest.update((record[:4], record) for record in records if wanted.get(record[:4]) == record.version)
            await mender.write("delivery", list(latest.values()))
        await mender.write("delivery", [finding.fix for _, finding in named if finding.fix is not None])


def _by_key(made: Iterable[Delivery], known: dict[Key, _Known]) -> Iterable[tuple[Key, list[Delivery]]]:
    """Every key, with its deliveries; those that no hit makes last."""
    left = dict.fromkeys(known)
    for key, records in groupby(made, lambda record: record[:3]):
        left.pop(key, None)
        known.setdefault(key, _Known())
        yield key, list(records)
    for key in left:
        yield key, []


def _cut_by(rules: Rules, record: Delivery) -> bool:
    """Whether a window of these rules can start there."""
    if rules.window in ("day", "all"):
        return record.window_start == bucket_start(rules.window, record.first)
    return record.window_start == record.first
