"""One look at a store: what it is compared with, and where is noted what was found."""

from __future__ import annotations

from typing import NamedTuple

from app.checking.digests import Buckets
from app.checking.mender import Mender
from app.checking.report import CheckReport, Difference
from app.checking.store_digests import StoreDigests
from app.checking.topic_view import TopicView
from app.settings import Settings
from app.stores.contract import Store

__all__ = ["Look"]


class Look(NamedTuple):
    """A store beside the topics."""

    store: Store
    view: TopicView | None
    """None: there is no log, or it is not compared with."""
    settings: Settings
    report: CheckReport
    mender: Mender | None
    """None: nothing is mended."""
    digests: StoreDigests

    def note_sums(self, record: str, sums: Buckets) -> None:
        """The checksums of all records of a kind that the store holds."""
        self.report.compared["store", self.store.name, record] += sums.records
        self.report.checksums.setdefault(self.store.name, {})[record] = sums.checksum
        self.digests.sums[record] = sums

    def note_topic(self, record: str, records: int) -> None:
        """How many records of a kind the topic has."""
        self.report.compared["topic", self.store.name, record] += records

    def note_on_the_way(self, records: int) -> None:
        """Not counted as different: the store has not read them yet."""
        self.report.on_the_way[self.store.name] += records

    def differs(self, record: str, kind: str, name: str, why: str) -> None:
        """One difference."""
        self.report.add(Difference(self.store.name, record, kind, name, why))
