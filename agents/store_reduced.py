"""weblogs_reduced -> each store's reduced_weblogs: the newest version of each delivery."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.records import Delivery
from app.engine.reading import Agent, Taken
from app.engine.storing import Storing
from app.messages import hits as wire

__all__ = ["store_reduced"]


def store_reduced(storing: Storing) -> Agent:
    """The agent of one store."""
    return storing.agent(lambda batch: [(storing.store.write_deliveries, _newest(batch))])


def _newest(batch: Iterable[Taken]) -> list[Delivery]:
    newest: dict[tuple[Any, ...], Delivery] = {}
    for taken in batch:
        for record in wire.decode_deliveries(taken.value):
            known = newest.get(record[:4])
            if known is None or known.version < record.version:
                newest[record[:4]] = record
    return list(newest.values())
