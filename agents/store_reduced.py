"""weblogs_reduced -> each store's reduced_weblogs: the newest version of each delivery."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from app.domain.fields import DELIVERY, KEY
from app.domain.records import Delivery, newest_by
from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.deliveries import REDUCED
from app.messages.records import decode_deliveries

__all__ = ["store_reduced"]

_name = DELIVERY.picker(tuple(DELIVERY[field] for field in (*KEY, "window_start")))


def store_reduced(storing: Storing) -> Agent:
    """The agent of one store."""
    write = storing.store.writes.write_deliveries
    return storing.agent(REDUCED, decode_deliveries, lambda messages: [(write, _newest(messages))])


def _newest(messages: Iterable[list[Delivery]]) -> list[Delivery]:
    records = list(chain.from_iterable(messages))
    return list(newest_by(map(_name, records), records).values())
