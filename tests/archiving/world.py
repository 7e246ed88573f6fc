"""A topic `usage` on a real embedded log, with records of two producers, and an archive of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from app.archiving.check import Places, UsageReport, check_usage
from app.archiving.files import read_file
from app.archiving.manifests import Done, Manifests
from app.archiving.repair import repair_usage
from app.archiving.spools import SpoolPlace
from app.archiving.storage import Folder, Storage, open_storage
from app.archiving.stored import mend_stored, show_stored
from app.archiving.worker import Archiver, ArchiveRules
from app.domain.usage.records import UsageRecord, sealed
from app.domain.usage.sides import ALWAYS, Period
from app.flows.usage import MONITORED, MONITORED_TOPIC
from app.messages.usage import encode_usage
from app.settings import Settings
from app.stores import open_store
from app.transports.broker_view import BrokerView, open_view
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from app.usage.brokers import EmbeddedUsageBroker
from app.usage.options import UsageOptions
from app.usage.sending import packed_record
from app.words import usage_lines

__all__ = ["NOW", "TOKEN", "World", "record"]

TOKEN = "a token of a test"
NOW = 4_000_000_000.0
"""Later than every message: a file with less than enough is closed."""


def record(producer: str, seq: int, user: str = "u", kind: str = "request", **fields: Any) -> UsageRecord:
    one = UsageRecord(kind, producer, "m", "1", seq, 3600.0 + seq, 7, "", user_id=None if kind == "stop" else user)
    return sealed(one._replace(**fields))


class World:
    """Blocking."""

    def __init__(self, folder: Path, bucket: str = "") -> None:
        """`bucket`: the address of the archive, if it is no folder."""
        self.folder, self.archive = folder, folder / "archive"
        self.address = f"sqlite:///{folder}/log.db"
        self._bucket = open_storage(bucket, Settings(data_dir=folder)) if bucket else None
        self.rules = ArchiveRules("parquet", interval_s=0.0)

    def send(self, records: Sequence[UsageRecord], at_once: int = 1000) -> None:
        with closing(EmbeddedUsageBroker(UsageOptions(service="s", spool=self.folder, broker=self.address))) as broker:
            for at in range(0, len(records), at_once):
                broker.send([packed_record(one) for one in records[at : at + at_once]])

    @contextmanager
    def view(self) -> Iterator[BrokerView]:
        found = open_view(Settings(broker=self.address))
        assert found is not None
        with closing(found):
            yield found

    def archived(self, **rules: Any) -> dict[int, int]:
        with self.view() as view:
            return Archiver(view, "usage", self.storage, self.rules._replace(**rules)).run_once(NOW)

    @property
    def storage(self) -> Storage:
        return self._bucket or Folder(self.archive)

    @property
    def files(self) -> list[Done]:
        manifests = Manifests(self.storage)
        every = [manifests.done(each) for partition in manifests.partitions() for each in manifests.of(partition)]
        return [done for done in every if done is not None]

    def records(self) -> list[UsageRecord]:
        found: list[UsageRecord] = []
        for done in self.files:
            path = self.storage.local(done.file)
            assert path is not None
            found += read_file(path)
        return found

    def sent_of(self, spool: Path) -> bool:
        """Whether the broker has all that the ended processes have spooled."""
        told = [line for line in self.lines(spool) if line.startswith("topic: ") and " on the way " in line]
        return not told

    def committed(self, group: str, topic: str) -> None:
        """As if the group had read all of the topic."""
        with self.view() as view, closing(EmbeddedLog(self.folder / "log.db")) as log:
            log.register_group(group, [topic])
            log.commit(group, {(topic, partition): end for partition, (_, end) in view.bounds(topic).items()})

    def send_monitored(self, records: Sequence[UsageRecord]) -> None:
        """As the flow does."""
        with closing(EmbeddedLog(self.folder / "log.db")) as log:
            log.create_topic(MONITORED_TOPIC, 4)
            log.append([Message(MONITORED_TOPIC, 0, None, value, {}, 1.0) for value in encode_usage(records)])

    def places(self, view: BrokerView, *spools: SpoolPlace) -> Places:
        settings = Settings(broker=self.address, data_dir=self.folder)
        stores = {"sqlite": partial(show_stored, "sqlite", settings)}
        return Places(
            view,
            "usage",
            self.storage,
            self.rules.kind,
            spools,
            spool_token=TOKEN,
            stores=stores,
            mend=lambda name, records: mend_stored(name, settings, records),
            flow="weblogs",
        )

    def store(self, records: Sequence[UsageRecord]) -> None:
        """Write them into the SQLite store, as its agent does."""

        async def write() -> None:
            store = open_store("sqlite", Settings(broker=self.address, data_dir=self.folder))
            await store.open()
            assert await store.ledgers.write_events(MONITORED, records) == []
            await store.close()

        asyncio.run(write())

    def check(self, *spools: SpoolPlace, period: Period = ALWAYS) -> UsageReport:
        with self.view() as view:
            return check_usage(self.places(view, *spools), period)

    def repair(self, *spools: SpoolPlace) -> tuple[int, UsageReport]:
        with self.view() as view:
            return repair_usage(self.places(view, *spools))

    def lines(self, *spools: SpoolPlace) -> list[str]:
        report = self.check(*spools)
        told = [line for state in report.states for line in usage_lines(state)]
        return [*report.problems, *report.waiting, *(line.replace("@m/1", "") for line in told)]
