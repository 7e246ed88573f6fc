"""Hits and rejects of one store against the topic: by checksums first, record by record where these differ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, NamedTuple

from app.checking.counted_records import CountedRecord
from app.checking.digests import Bucket, Buckets, hit_bucket, hit_digest, reject_bucket, reject_digest
from app.checking.look import Look
from app.checking.shares import Share, TooMany, by_shares
from app.checking.topic_spans import TopicSpans
from app.checking.topic_view import TopicView
from app.domain.records import Hit, Reject
from app.stores.contract import Store

__all__ = ["HITS", "REJECTS", "RawKind", "compare_raw", "named_on_the_way", "number_of"]

MOST_RECORDS = 400_000
"""Records whose digests are kept at a time: about 100 MB."""
MOST_COPIES = 20_000
"""Stored records to be removed that are kept at a time."""


class RawKind(NamedTuple):
    """How hits, or rejects, are read and named."""

    record: str
    stored: Callable[[Store], AsyncIterator[Any]]
    sent: Callable[[TopicView, TopicSpans | None, int], AsyncIterator[list[Any]]]
    """All in the topic; notes where they stand."""
    on_the_way: Callable[[TopicView], AsyncIterator[list[Any]]]
    bucket: Callable[[Any, int], Bucket]
    digest: Callable[[Any], int]

    def number(self, record: Any) -> int:
        """By which records are shared out."""
        return number_of(record.raw_id)

    def name(self, record: Any) -> str:
        return record.raw_id


async def _hits(view: TopicView, held: TopicSpans | None, partitions: int) -> AsyncIterator[list[Hit]]:
    from app.checking.topic_view import hits_of_groups

    async for groups in view.tokens():
        for group in groups:
            hits = hits_of_groups([group])
            if held is not None and hits:
                _note(
                    held,
                    [(hit.source, hit_bucket(hit, partitions)[1], hit.position) for hit in hits],
                    not group.unordered,
                )
            yield hits


async def _rejects(view: TopicView, held: TopicSpans | None, partitions: int) -> AsyncIterator[list[Reject]]:
    async for rejects in view.rejects():
        if held is not None:
            own = [
                (each[4], reject_bucket(each, partitions)[1], each[5])
                for each in rejects
                if not each[0].startswith("refused_by_")
            ]
            _note(held, own, True)
            for each in rejects:
                if each[0].startswith("refused_by_"):  # its neighbours need not be refused
                    held.add(each[4], reject_bucket(each, partitions)[1], each[5], each[5])
        yield rejects


def _note(held: TopicSpans, places: list[tuple[str, int, int]], ordered: bool) -> None:
    """One message: a span for each source and partition in it."""
    spans: dict[tuple[str, int], tuple[int, int]] = {}
    for source, partition, position in places:
        lo, hi = spans.get((source, partition), (position, position))
        spans[source, partition] = (min(lo, position), max(hi, position))
    for (source, partition), (lo, hi) in spans.items():
        held.add(source, partition, lo, hi, ordered)


HITS = RawKind(
    "hit", lambda store: store.reads.all_hits(), _hits, lambda view: view.hits_on_the_way(), hit_bucket, hit_digest
)
REJECTS = RawKind(
    "reject",
    lambda store: store.reads.all_rejects(),
    _rejects,
    lambda view: view.rejects_on_the_way(),
    reject_bucket,
    reject_digest,
)


def number_of(raw_id: str) -> int:
    """The raw id as a number."""
    try:
        return int(raw_id, 16)
    except ValueError:
        return 0


async def named_on_the_way(kind: RawKind | CountedRecord, view: TopicView, names: Collection[str]) -> set[str]:
    """Those of the names that the topic has, and the store has not read."""
    if not names:
        return set()
    return {name async for records in kind.on_the_way(view) for each in records if (name := kind.name(each)) in names}


async def compare_raw(kind: RawKind, look: Look, view: TopicView, refused: Collection[str]) -> None:
    """What the topic holds and the store has read must stand there once and as it is. `refused`: raw ids that it refused for good."""
    comparison = _Comparison(kind, look, view, refused)
    await comparison.sum_up()
    if comparison.differing:
        async for _ in by_shares(comparison.compare):
            pass


class _Comparison:
    def __init__(self, kind: RawKind, look: Look, view: TopicView, refused: Collection[str]) -> None:
        self.kind, self.look, self.view, self.refused = kind, look, view, refused
        self.store, self.mender, self.partitions = look.store, look.mender, look.settings.partitions
        self.held = TopicSpans()
        self.differing: set[Bucket] = set()

    async def sum_up(self) -> None:
        """Checksums of both sides. Of the store only where the topic still is."""
        kind, partitions = self.kind, self.partitions
        sent, stored, all_stored = Buckets(), Buckets(), Buckets()
        async for records in kind.sent(self.view, self.held, partitions):
            for record in records:
                sent.add(kind.bucket(record, partitions), kind.number(record), kind.digest(record))
        async for record in kind.stored(self.store):
            bucket, digest, number = kind.bucket(record, partitions), kind.digest(record), kind.number(record)
            all_stored.add(bucket, number, digest)
            self.look.digests.add(kind.record, record, number)
            if self.held.covers(record.source, bucket[1], record.position):
                stored.add(bucket, number, digest)
        self.differing = sent.differing(stored)
        self.look.note_topic(kind.record, sent.records)
        self.look.note_sums(kind.record, all_stored)

    async def compare(self, share: Share) -> None:
        wanted = await self._wanted(share)
        lacking, copies = await self._stored(share, wanted)
        found = dict.fromkeys(lacking, ("missing", "the topic has it")) | {
            name: told for name, (*told, _) in copies.items()
        }
        on_the_way = await named_on_the_way(self.kind, self.view, found.keys())
        for name in on_the_way:
            del found[name]
        self.look.note_on_the_way(len(on_the_way))
        for name, (kind, why) in found.items():
            self.look.differs(self.kind.record, kind, name, why)
        if self.mender is not None and found:
            await self._mend(
                found.keys(), {name: wrong for name, (_, _, wrong) in copies.items() if name in found}, wanted.keys()
            )

    async def _wanted(self, share: Share) -> dict[str, set[int]]:
        """Raw ids of the share with the digests that the topic has for each: sent twice, a line may have been read by other rules."""
        kind = self.kind
        wanted: dict[str, set[int]] = {}
        async for records in kind.sent(self.view, None, self.partitions):
            for record in records:
                if share.takes(kind.number(record)) and kind.bucket(record, self.partitions) in self.differing:
                    wanted.setdefault(record.raw_id, set()).add(kind.digest(record))
            if len(wanted) > MOST_RECORDS:
                raise TooMany
        return wanted

    async def _stored(
        self, share: Share, wanted: dict[str, set[int]]
    ) -> tuple[set[str], dict[str, tuple[str, str, list[Any]]]]:
        """Which are missing; and by raw id what is wrong with the copies that stand there, and these copies."""
        kind = self.kind
        lacking = {name for name in wanted if name not in self.refused}
        seen: set[str] = set()
        wrong: dict[str, tuple[str, str, list[Any]]] = {}
        async for record in kind.stored(self.store):
            name = record.raw_id
            if not share.takes(number_of(name)):
                continue
            digests = wanted.get(name)
            if digests is None:
                bucket = kind.bucket(record, self.partitions)
                if bucket in self.differing and self.held.denies(record.source, bucket[1], record.position):
                    wrong.setdefault(name, ("extra", "the topic does not have it", []))[2].append(record)
            elif name in seen:
                wrong.setdefault(name, ("doubled", "it stands there more than once", []))[2].append(record)
            elif kind.digest(record) not in digests:
                wrong.setdefault(name, ("altered", "its content is not that in the topic", []))[2].append(record)
            seen.add(name)
            lacking.discard(name)
            if len(wrong) > MOST_COPIES:
                raise TooMany
        return lacking, wrong

    async def _mend(self, names: Collection[str], wrong: dict[str, list[Any]], sent: Collection[str]) -> None:
        assert self.mender is not None
        await self.mender.remove(self.kind.record, [record for records in wrong.values() for record in records])
        left = {name for name in names if name in sent}
        async for records in self.kind.sent(self.view, None, self.partitions):
            found = []
            for record in records:
                if record.raw_id in left:  # the first one, as a store keeps it
                    left.discard(record.raw_id)
                    found.append(record)
            await self.mender.write(self.kind.record, found)
            if not left:
                break
