"""One store against another, and a store against itself: what topics tell nothing of any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Protocol

from app.checking.counted_records import CountedRecord, event_record, sum_record
from app.checking.digests import Bucket, Buckets, delivery_bucket, delivery_name, key_number, mark_of
from app.checking.raw_records import HITS, MOST_RECORDS, REJECTS, RawKind, named_on_the_way
from app.checking.report import CheckReport, Difference
from app.checking.shares import Share, TooMany, by_shares
from app.checking.store_digests import StoreDigests
from app.checking.topic_view import TopicView
from app.domain.records import Delivery
from app.flows.registry import COUNTED
from app.flows.requests import REQUESTS
from app.stores.contract import Store

__all__ = ["ALL_KINDS", "RecordKind", "compare_stores", "find_doubles"]


class RecordKind(Protocol):
    """How one kind of record is read from a store and named."""

    @property
    def record(self) -> str: ...

    @property
    def stored(self) -> Callable[[Store], AsyncIterator[Any]]: ...

    def bucket(self, record: Any, partitions: int, /) -> Bucket: ...

    def number(self, record: Any, /) -> int:
        """By which records are shared out."""

    def name(self, record: Any, /) -> str: ...

    def digest(self, record: Any, /) -> int: ...


class _Deliveries:
    record = "delivery"

    def stored(self, store: Store) -> AsyncIterator[Delivery]:
        return store.reads.all_deliveries()

    def bucket(self, record: Delivery, partitions: int) -> Bucket:
        return delivery_bucket(record, partitions)

    def number(self, record: Delivery) -> int:
        return key_number(record[:3])

    def name(self, record: Delivery) -> str:
        return delivery_name(record[:3], record.window_start)

    def digest(self, record: Delivery) -> int:
        mark = mark_of(record)
        return mark.digest ^ mark.version


ALL_KINDS: tuple[RecordKind, ...] = (
    HITS,
    REJECTS,
    _Deliveries(),
    *(make(kind) for kind in COUNTED for make in (event_record, sum_record)),
    sum_record(REQUESTS),
)


async def compare_stores(
    kind: RecordKind,
    one: Store,
    other: Store,
    partitions: int,
    report: CheckReport,
    views: list[TopicView],
    seen: tuple[StoreDigests, StoreDigests],
    refused: Collection[str],
) -> None:
    """Whether two stores hold the same. No difference is what is on its way to one of them (`views`), or `refused` by one for good."""
    sums = [
        each.sums.get(kind.record) or await _sums(kind, store, partitions)
        for store, each in zip((one, other), seen, strict=True)
    ]
    differing = sums[0].differing(sums[1])
    if not differing:
        return

    async def compare(share: Share) -> None:
        held: dict[str, int] = {}
        async for record in kind.stored(one):
            if share.takes(kind.number(record)) and kind.bucket(record, partitions) in differing:
                held[kind.name(record)] = kind.digest(record)
                if len(held) > MOST_RECORDS:
                    raise TooMany
        found: dict[str, str] = {}
        seen = 0
        async for record in kind.stored(other):
            if share.takes(kind.number(record)) and kind.bucket(record, partitions) in differing:
                name, digest = kind.name(record), kind.digest(record)
                known = held.pop(name, None)
                if known != digest:
                    found[name] = (
                        f"{one.name} does not have it" if known is None else f"its content is another one in {one.name}"
                    )
                    seen += 1
                    if seen > MOST_RECORDS:
                        raise TooMany
        found |= dict.fromkeys(held, f"{one.name} has it, {other.name} does not")
        for name in found.keys() & refused:
            del found[name]
        for view in views:
            for name in await _on_the_way(kind, view, found):
                del found[name]
                report.on_the_way[other.name] += 1
        for name, why in found.items():
            report.add(Difference(other.name, kind.record, "apart", name, why))

    async for _ in by_shares(compare):
        pass


async def _sums(kind: RecordKind, store: Store, partitions: int) -> Buckets:
    sums = Buckets()
    async for record in kind.stored(store):
        sums.add(kind.bucket(record, partitions), kind.number(record), kind.digest(record))
    return sums


async def _on_the_way(kind: RecordKind, view: TopicView, names: dict[str, str]) -> set[str]:
    if not names:
        return set()
    if isinstance(kind, RawKind | CountedRecord):
        return await named_on_the_way(kind, view, names.keys())
    keys = {tuple(hit[1:4]) async for hits in view.hits_on_the_way() for hit in hits}
    keys |= {each[:3] async for records in view.deliveries_on_the_way() for each in records}
    beginnings = {" ".join(map(str, key)) + " from " for key in keys}
    return {name for name in names if name.rpartition(" from ")[0] + " from " in beginnings}


async def find_doubles(kind: RecordKind, store: Store, report: CheckReport, seen: StoreDigests) -> None:
    """Records that stand more than once under one raw id, which no schema of the store forbids."""
    ids = seen.ids.get(kind.record)
    if ids is not None and ids.surely_differ:
        return

    async def look(share: Share) -> None:
        seen: set[str] = set()
        doubled: set[str] = set()
        async for record in kind.stored(store):
            if share.takes(kind.number(record)):
                (doubled if record.raw_id in seen else seen).add(record.raw_id)
                if len(seen) > MOST_RECORDS:
                    raise TooMany
        for name in doubled:
            report.add(Difference(store.name, kind.record, "doubled", name, "it stands there more than once"))

    async for _ in by_shares(look):
        pass
