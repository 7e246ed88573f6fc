"""usage_monitored -> each store's usage_monitored: records of monitored calls."""

from __future__ import annotations

from functools import partial
from itertools import chain

from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.usage import MONITORED, MONITORED_TOPIC
from app.messages.usage import decode_usage

__all__ = ["store_monitored"]


def store_monitored(storing: Storing) -> Agent:
    """The agent of one store."""
    write = partial(storing.store.ledgers.write_events, MONITORED)
    return storing.agent(MONITORED_TOPIC, decode_usage, lambda messages: [(write, list(chain(*messages)))])
