"""What a flow is: a topic that comes in, agents, what the stores keep of it, a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

__all__ = ["Flow", "Keeping", "Retention", "Stage"]

Retention = Literal["raw", "reduced"]
"""Which of the two numbers in WEBLOGS_RETENTION ends the life of a record."""


class Stage(NamedTuple):
    """One agent of the flow: it reads a topic, fills others, and may keep a state."""

    agent: str
    """Its module in agents/, and the function in it."""
    reads: str
    """Topic."""
    fills: tuple[str, ...]
    """Topics."""
    table: str | None = None
    """Its state: the module in tables/."""


class Keeping(NamedTuple):
    """What each store keeps of a topic."""

    agent: str
    """Its module in agents/: one agent for each store."""
    reads: str
    """Topic."""
    keeps: Mapping[str, Retention]
    """Kinds of record in the stores."""


class Flow(NamedTuple):
    """From a topic to the stores. Topics may be shared: every flow sends what it cannot read to the rejects."""

    name: str
    topics: Mapping[str, str]
    """Those that this flow brings, in its order -> what each holds. Of a flow without stages the first is the one that comes in."""
    stages: tuple[Stage, ...]
    keepings: tuple[Keeping, ...]
    page: str
    """Path of the page that shows it; empty if none does."""
    archived: tuple[str, ...] = ()
    """Topics that archive workers read."""
    told: tuple[str, ...] = ()
    """Topics that no agent fills or reads: what alerts told, for others to read."""

    @property
    def topic_in(self) -> str:
        """What the first stage reads: what people and programs send to, or a topic of another flow."""
        return self.stages[0].reads if self.stages else next(iter(self.topics))

    @property
    def topic_out(self) -> str:
        """What the last stage fills: the outcome. Of a flow without stages what comes in."""
        return self.stages[-1].fills[0] if self.stages else self.topic_in

    @property
    def tables(self) -> tuple[str, ...]:
        """The states of its stages."""
        return tuple(stage.table for stage in self.stages if stage.table is not None)
