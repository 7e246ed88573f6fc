"""Every flow, and the lists that derive from them: topics, tables, who reads what, in which order all is drained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.counted import CountedKind, EventKind
from app.flows.deliveries import DELIVERIES, REJECTS
from app.flows.flow import Flow, Keeping, Retention, Stage
from app.flows.requests import REQUESTS
from app.flows.spending import SPENDING
from app.flows.usage import LOADED, MONITORED, USAGE_FLOW
from app.flows.votes import VOTES

__all__ = [
    "COUNTED",
    "DRAINED",
    "EVENTS",
    "FLOWS",
    "KEEPINGS",
    "LEDGERS",
    "READ_BY_ARCHIVES",
    "READ_BY_FLOW",
    "READ_BY_STORES",
    "STAGES",
    "TABLES",
    "TOPICS",
    "archive_group",
    "changelog_topic",
    "group_of",
    "groups",
    "progress_topic",
    "topics_of_group",
]

COUNTED: tuple[CountedKind[Any], ...] = (VOTES, SPENDING)
"""The events that people and programs post. Each kind has a flow."""
LEDGERS: tuple[CountedKind[Any], ...] = (*COUNTED, REQUESTS)
"""All that is counted: stores keep sums of each."""
EVENTS: tuple[EventKind[Any], ...] = (*COUNTED, MONITORED, LOADED)
"""The events that stores keep."""


def _counted_flow(kind: CountedKind[Any]) -> Flow:
    topics = {kind.reduced: f"Sums of {kind.many}."}
    fills: tuple[str, ...] = (kind.reduced,)
    keeps: dict[str, Retention] = {kind.sums_table: "reduced"}
    if kind.events_table:
        topics = {
            kind.name: f"{kind.many.capitalize()}, many a message, spread by what may repeat them.",
            kind.reduced: f"The {kind.many} that count, and their sums.",
        }
        keeps, fills = {kind.events_table: kind.keeps_events, **keeps}, (kind.reduced, REJECTS)
    return Flow(
        name=kind.name,
        topics=topics,
        stages=(Stage(kind.agent, kind.topic_in, fills, kind.table),),
        keepings=(Keeping(kind.storing_agent, kind.reduced, keeps),),
        page=kind.page,
    )


FLOWS: tuple[Flow, ...] = (DELIVERIES, *map(_counted_flow, LEDGERS), USAGE_FLOW)
STAGES: tuple[Stage, ...] = tuple(stage for flow in FLOWS for stage in flow.stages)
KEEPINGS: tuple[Keeping, ...] = tuple(keeping for flow in FLOWS for keeping in flow.keepings)
TOPICS: dict[str, str] = {name: holds for flow in FLOWS for name, holds in flow.topics.items()}
"""Topic -> what it holds."""
TABLES: tuple[str, ...] = tuple(table for flow in FLOWS for table in flow.tables)
READ_BY_FLOW: tuple[str, ...] = tuple(dict.fromkeys(stage.reads for stage in STAGES))
READ_BY_STORES: tuple[str, ...] = tuple(dict.fromkeys(keeping.reads for keeping in KEEPINGS))
READ_BY_ARCHIVES: tuple[str, ...] = tuple(topic for flow in FLOWS for topic in flow.archived)


def _drained() -> tuple[tuple[str, ...], ...]:
    flows = [flow for flow in FLOWS if flow.stages]
    filled = {topic for stage in STAGES for topic in stage.fills}
    entries = tuple(flow.topic_in for flow in flows if flow.topic_in not in filled)
    outcomes = tuple(flow.topic_out for flow in flows)
    read = {*READ_BY_FLOW, *READ_BY_STORES}
    between = (topic for flow in flows for topic in flow.topics if topic in read and topic not in entries + outcomes)
    return entries, tuple(between), outcomes


DRAINED = _drained()
"""The topics that agents read in three steps: what comes in, what lies between, the outcomes. Reading one step fills the next."""


def changelog_topic(app_id: str, table: str) -> str:
    """As Faust names it."""
    return f"{app_id}-{table}-changelog"


def progress_topic(app_id: str) -> str:
    """How far each group has read, and what it could not read: see app.messages.progress."""
    return f"{app_id}-progress"


def group_of(app_id: str, store: str) -> str:
    """The consumer group of a store; the group of the flow is the app id itself."""
    return f"{app_id}-{store}"


def archive_group(app_id: str) -> str:
    """What the embedded log keeps its messages for until they are archived; the archive's own manifests say how far it is."""
    return f"{app_id}-archive"


def groups(app_id: str, stores: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The group of the flow, then those of the stores -> the topics that each reads.

    >>> list(groups("weblogs", ["sqlite"]))
    ['weblogs', 'weblogs-sqlite']
    """
    return {app_id: READ_BY_FLOW} | {group_of(app_id, store): READ_BY_STORES for store in stores}


def topics_of_group(group: str, app_id: str) -> tuple[str, ...]:
    """What a group reads: the flow what comes in, a store what comes out.

    >>> topics_of_group("weblogs", "weblogs")
    ('weblogs', 'weblogs_tokens', 'votes', 'spend', 'usage')
    >>> topics_of_group("weblogs-cassandra", "weblogs")
    ('weblogs_tokens', 'weblogs_rejects', 'weblogs_reduced', 'votes_reduced', 'spend_reduced', 'requests_reduced', 'usage_monitored')
    """
    return READ_BY_FLOW if group == app_id else READ_BY_STORES
