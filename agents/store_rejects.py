"""weblogs_rejects -> each store's weblogs_rejects: every line that is no hit, with its reason and place."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Reject
from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.deliveries import REJECTS
from app.messages.records import decode_rejects

__all__ = ["store_rejects"]


def store_rejects(storing: Storing) -> Agent:
    """The agent of one store."""
    keeps = storing.app.outside.settings.store_raw != "none"
    write = storing.store.writes.write_rejects
    return storing.agent(REJECTS, decode_rejects, lambda messages: [(write, _rejects(messages) if keeps else [])])


def _rejects(messages: Iterable[list[Reject]]) -> list[Reject]:
    return [reject for rejects in messages for reject in rejects]
