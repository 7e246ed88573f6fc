"""A log and a store as a worker leaves them, made in this process, and ways to damage them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from app.checking.mender import Mender
from app.checking.reconciliation import CheckRun, check_stores, reconcile
from app.checking.report import CheckReport, Difference
from app.domain.open_deliveries import SizeOf, no_sizes
from app.domain.records import Delivery, Hit, Reject, raw_ids
from app.domain.windows import Rules
from app.messages.records import decode_deliveries, decode_rejects, encode_deliveries, encode_rejects
from app.messages.tokens import decode_tokens, encode_tokens, hits_of, partition_of
from app.settings import Settings, load
from app.stores import open_store
from app.transports.broker_view import open_view
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from tests.steps.flow import BASE_S, HOUR_S, Line, Worker, message

PARTITIONS = 2
TOPICS = ("weblogs_tokens", "weblogs_rejects", "weblogs_reduced")
SOURCE = "a log"


class World:
    """One data folder. What is sent goes through the merger as in a worker; the store has all of it at once."""

    def __init__(self, folder: Path, window: str = "last_touch", size_of: SizeOf = no_sizes) -> None:
        self.folder = folder
        self.environment = {
            "WEBLOGS_DATA_DIR": str(folder),
            "WEBLOGS_PARTITIONS": str(PARTITIONS),
            "WEBLOGS_WINDOW": window,
        }
        self.settings: Settings = load(self.environment)
        self.size_of = size_of
        self.records: list[Delivery] = []
        rules = Rules(window)
        self.workers = [
            Worker(rules, self.records.extend, size_of=lambda request, time: self.size_of(request, time))
            for _ in range(PARTITIONS)
        ]
        with self.log() as log:
            for topic in ("weblogs", *TOPICS):
                log.create_topic(topic, PARTITIONS)
            log.register_group("weblogs", ["weblogs", "weblogs_tokens"])
            log.register_group("weblogs-sqlite", TOPICS)

    def log(self) -> closing[EmbeddedLog]:
        return closing(EmbeddedLog(self.folder / "weblogs-log.db", keep_s=0.0))

    # -- the flow

    def send(
        self,
        lines: Iterable[Line],
        now: float = 0.0,
        *,
        stored: bool = True,
        unordered: bool = False,
        tick: bool = False,
    ) -> None:
        """Token messages, one a partition, and what comes of them; `stored`: the store takes it at once."""
        by_partition: dict[int, list[Line]] = {n: [] for n in range(PARTITIONS)} if tick else {}
        for line in lines:
            by_partition.setdefault(partition_of(*line.key, line.raw_id, PARTITIONS), []).append(line)
        messages = []
        for partition, some in by_partition.items():
            token = message(some, now, unordered=unordered, tick=tick)
            self.records.clear()
            self.workers[partition].take(token)
            messages.append(Message("weblogs_tokens", partition, None, encode_tokens(token)[0], {}, now))
            if self.records:
                messages.append(
                    Message("weblogs_reduced", partition, None, encode_deliveries(self.records)[0], {}, now)
                )
        self.append(messages, stored)

    def reject(self, *positions: int, stored: bool = True) -> None:
        rejects = [Reject("bad_time", "no date", "x", raw_ids(SOURCE)(at), SOURCE, at, BASE_S) for at in positions]
        self.append([Message("weblogs_rejects", 0, None, encode_rejects(rejects)[0], {}, BASE_S)], stored)

    def append(self, messages: list[Message], stored: bool = True) -> None:
        with self.log() as log:
            log.append(messages)
            log.commit("weblogs", {key: end for key, end in log.ends().items() if key[0] == "weblogs_tokens"})
            if stored:
                log.commit("weblogs-sqlite", {key: end for key, end in log.ends().items() if key[0] in TOPICS})
        if stored:
            self.with_store(lambda store: _write(store, messages))

    def trim(self) -> None:
        """The log forgets all that was consumed."""
        with self.log() as log:
            assert log.trim(now=1e12) > 0

    # -- the store

    def with_store(self, work: Any) -> Any:
        async def run() -> Any:
            store = open_store("sqlite", self.settings)
            await store.open()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def sql(self, statement: str, *values: Any) -> int:
        """Behind the store's back; gives how many rows it changed."""
        with closing(sqlite3.connect(self.folder / "weblogs.db")) as db, db:
            return db.execute(statement, values).rowcount

    def content(self) -> tuple[list[Hit], list[Reject], list[Delivery], Any]:
        """All that a reader sees, sorted, and the counts."""

        async def read(store: Any) -> Any:
            return (
                sorted([each async for each in store.reads.all_hits()]),
                sorted([each async for each in store.reads.all_rejects()]),
                sorted([each async for each in store.reads.all_deliveries()]),
                await store.reads.counts(),
            )

        return self.with_store(read)

    # -- check and repair

    def check(self) -> tuple[list[Difference], CheckReport]:
        found: list[Difference] = []
        report = CheckReport(found.append)
        view = open_view(self.settings)
        assert view is not None
        with closing(view) as reader:
            self.with_store(lambda store: check_stores(CheckRun(self.settings, reader, self.size_of), [store], report))
        return found, report

    def repair(self, *, topic: bool = True, raw: bool = True, dry_run: bool = False) -> CheckReport:
        """One look."""
        report = CheckReport()
        view = open_view(self.settings)
        assert view is not None
        with closing(view) as reader:
            run = CheckRun(self.settings, reader, self.size_of, topic, raw)
            self.with_store(lambda store: reconcile(run, store, report, Mender(store, report, dry_run)))
        return report

    def found(self) -> list[tuple[str, str]]:
        """(record, kind) of each difference in the records; counts, which damages by SQL pass by, are left out."""
        return sorted((each.record, each.kind) for each in self.check()[0] if each.record != "count")


async def _write(store: Any, messages: list[Message]) -> None:
    for each in messages:
        assert each.value is not None
        if each.topic == "weblogs_tokens":
            assert await store.writes.write_hits(hits_of(decode_tokens(each.value))) == []
        elif each.topic == "weblogs_rejects":
            assert await store.writes.write_rejects(decode_rejects(each.value)) == []
        else:
            assert await store.writes.write_deliveries(decode_deliveries(each.value)) == []


def some_lines(count: int = 40, first: int = 0, begin_s: float = BASE_S) -> list[Line]:
    """Lines of a few keys, pieces of ten bytes, a minute apart."""
    keys = [("203.0.113.9", "curl/8", f"GET /{n}") for n in range(7)]
    return [Line(begin_s + 60.0 * n, 10 * n, 10 * n + 9, 100 * (first + n), keys[n % 7], SOURCE) for n in range(count)]


__all__ = ["BASE_S", "HOUR_S", "PARTITIONS", "SOURCE", "TOPICS", "Line", "World", "some_lines"]
