"""weblogs_rejects -> each store's weblogs_rejects: every line that is no hit, with its reason and place."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Reject
from app.engine.reading import Agent, Taken
from app.engine.storing import Storing
from app.flows.deliveries import REJECTS
from app.messages.forms import read_at
from app.messages.records import decode_rejects

__all__ = ["store_rejects"]


def store_rejects(storing: Storing) -> Agent:
    """The agent of one store."""
    keeps = storing.app.outside.settings.store_raw != "none"
    return storing.agent(lambda batch: [(storing.store.writes.write_rejects, _rejects(batch) if keeps else [])])


def _rejects(batch: Iterable[Taken]) -> list[Reject]:
    return [reject for taken in batch for reject in read_at(REJECTS, taken, decode_rejects)]
