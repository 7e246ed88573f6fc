"""weblogs_tokens -> each store's raw_weblogs: every hit, counted for a delivery or not."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.records import Hit
from app.engine.reading import Agent, pass_by
from app.engine.storing import Storing
from app.flows.deliveries import TOKENS
from app.messages.tokens import TokenMessage, decode_tokens, hits_of

__all__ = ["store_raw"]


def store_raw(storing: Storing) -> Agent:
    """The agent of one store. Unless WEBLOGS_STORE_RAW asks for the hits, none is looked at."""
    if storing.app.outside.settings.store_raw != "all":
        return pass_by(storing.app)
    write = storing.store.writes.write_hits
    return storing.agent(TOKENS, decode_tokens, lambda messages: [(write, _hits(messages))])


def _hits(messages: Iterable[TokenMessage]) -> list[Hit]:
    return [hit for message in messages for hit in hits_of(message)]
