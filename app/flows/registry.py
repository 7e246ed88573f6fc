"""Every flow. What names topics, tables, groups or stores' records takes them from here."""

from __future__ import annotations

from typing import Any

from app.domain.counted import CountedKind
from app.flows.spending import SPENDING
from app.flows.votes import VOTES

__all__ = [
    "COUNTED",
    "DELIVERY_STAGES",
    "DELIVERY_TOPICS_OF_STORES",
    "STAGES",
    "TABLES",
    "TOPICS",
    "TOPICS_OF_FLOW",
    "TOPICS_OF_STORES",
    "kind_named",
    "topics_of_group",
]

COUNTED: tuple[CountedKind[Any], ...] = (VOTES, SPENDING)
DELIVERY_STAGES = (("weblogs",), ("weblogs_tokens", "weblogs_rejects"), ("weblogs_reduced",))
"""Topics of the deliveries, stage by stage: reading one fills the next."""
STAGES = (
    (*DELIVERY_STAGES[0], *(kind.name for kind in COUNTED)),
    DELIVERY_STAGES[1],
    (*DELIVERY_STAGES[2], *(kind.reduced for kind in COUNTED)),
)
"""Topics of all flows, stage by stage."""
TOPICS_OF_FLOW = ("weblogs", "weblogs_tokens", *(kind.name for kind in COUNTED))
"""What the flow's group reads."""
DELIVERY_TOPICS_OF_STORES = (*DELIVERY_STAGES[1], *DELIVERY_STAGES[2])
"""What each store reads of the deliveries: hits, rejects, deliveries."""
TOPICS_OF_STORES = (*STAGES[1], *STAGES[2])
"""What each store's group reads."""
TOPICS = tuple(dict.fromkeys(TOPICS_OF_FLOW + TOPICS_OF_STORES))
TABLES = ("byte_ranges", *(kind.table for kind in COUNTED))


def kind_named(name: str) -> CountedKind[Any]:
    """The counted kind of this name."""
    return next(kind for kind in COUNTED if kind.name == name)


def topics_of_group(group: str, app_id: str) -> tuple[str, ...]:
    """What a consumer group reads: the flow what comes in, a store what comes out.

    >>> topics_of_group("weblogs", "weblogs")
    ('weblogs', 'weblogs_tokens', 'votes', 'spend')
    >>> topics_of_group("weblogs-cassandra", "weblogs")
    ('weblogs_tokens', 'weblogs_rejects', 'weblogs_reduced', 'votes_reduced', 'spend_reduced')
    """
    return TOPICS_OF_FLOW if group == app_id else TOPICS_OF_STORES
