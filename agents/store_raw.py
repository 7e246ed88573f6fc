"""weblogs_tokens -> each store's raw_weblogs: every hit, counted for a delivery or not."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Hit
from app.engine.reading import Agent, Taken
from app.engine.storing import Storing
from app.flows.deliveries import TOKENS
from app.messages.forms import read_at
from app.messages.tokens import decode_tokens, hits_of

__all__ = ["store_raw"]


def store_raw(storing: Storing) -> Agent:
    """The agent of one store."""
    keeps = storing.app.outside.settings.store_raw == "all"
    return storing.agent(lambda batch: [(storing.store.writes.write_hits, _hits(batch) if keeps else [])])


def _hits(batch: Iterable[Taken]) -> list[Hit]:
    return [hit for taken in batch for hit in hits_of(read_at(TOKENS, taken, decode_tokens))]
