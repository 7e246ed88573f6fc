"""weblogs_reduced -> each store's reduced_weblogs: the newest version of each delivery."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from app.domain.records import Delivery, newest_by
from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.deliveries import REDUCED
from app.messages.records import decode_deliveries

__all__ = ["store_reduced"]

_names = attrgetter("ip_address", "user_agent", "request", "window_start")


def store_reduced(storing: Storing) -> Agent:
    """The agent of one store."""
    write = storing.store.writes.write_deliveries
    return storing.agent(REDUCED, decode_deliveries, lambda messages: [(write, _newest(messages))])


def _newest(messages: Iterable[list[Delivery]]) -> list[Delivery]:
    return list(newest_by(_names, (record for some in messages for record in some)).values())
