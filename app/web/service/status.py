"""What the worker tells its web face: numbers, never parts of the worker itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from app.transports.broker_view import GroupPositions

__all__ = ["LagKey", "Snapshot", "Status", "WaitingGroups"]

LagKey = tuple[str, str, int]
"""(consumer group, topic, partition)"""


class Snapshot(NamedTuple):
    """The worker at one moment. Times are UTC seconds; counts run from the start of the process."""

    started: float | None
    """When the worker was ready to take messages; None: not yet."""
    now: float
    lines: int = 0
    """Lines tokenized: hits, rejects and head lines."""
    hits: int = 0
    rejects: Mapping[str, int] = {}
    """Lines by reject reason."""
    unread: Mapping[str, int] = {}
    """What was passed over in lines that are hits, a sentence each -> how many times."""
    lines_per_s: float = 0.0
    """Lines tokenized a second, over the last ten seconds or so."""
    lag: Mapping[LagKey, int] = {}
    """Messages not yet committed, for every partition that a group reads."""
    committed_at: float | None = None
    """When any group last committed an offset; None: never in this process."""
    waiting_since: Mapping[str, float] = {}
    """Group -> since when it has lag and has committed nothing; see Progress. Groups without lag are absent."""
    watermarks: Mapping[str, float] = {}
    """Source name -> highest event time seen in it."""
    state_entries: int = 0
    """Keys held in the table of byte ranges."""
    events: Mapping[tuple[str, str], int] = {}
    """(votes or spend, counted, repeats or bad) -> how many came."""
    backlog: Mapping[str, int] = {}
    """Store name -> messages that wait for it."""
    failing: Mapping[str, bool] = {}
    """Store that this worker feeds -> whether its last write, or its opening, failed."""
    store_retries: Mapping[str, int] = {}
    """Store that this worker feeds -> writes that failed and were tried again."""
    store_refused: Mapping[str, int] = {}
    """Store that this worker feeds -> records that it refused for good."""
    bad_ids: Mapping[str, int] = {}
    """Messages whose shipper gave them an id that is none: empty, or shared with another line."""
    lost: Mapping[tuple[str, str], int] = {}
    """(consumer group, topic) -> messages that it could not read, as all workers have noted since the topics were made."""
    problems: tuple[str, ...] = ()
    """What else is wrong, a sentence each."""


class Status(Protocol):
    """The worker's side of the contract."""

    def snapshot(self) -> Snapshot:
        """The numbers now. Quick and without I/O: it runs in the event loop. Never raises."""
        ...

    async def standing(self) -> GroupPositions | None:
        """How far the groups are, asked now; None where the log does not tell."""
        ...


class WaitingGroups:
    """Since when each group waits: it has lag, and has committed nothing since.

    A group that was idle for an hour does not count as stalled the moment a message arrives: its clock starts then.

    >>> progress = WaitingGroups()
    >>> progress.saw_lag({("flow", "weblogs", 0): 0}, now=0.0)
    >>> progress.saw_lag({("flow", "weblogs", 0): 5}, now=3600.0)
    >>> progress.waiting_since
    {'flow': 3600.0}
    >>> progress.saw_commit("flow", now=3601.0)
    >>> progress.waiting_since, progress.committed_at
    ({'flow': 3601.0}, 3601.0)
    >>> progress.saw_lag({("flow", "weblogs", 0): 0}, now=3602.0)
    >>> progress.waiting_since
    {}
    """

    def __init__(self) -> None:
        self.waiting_since: dict[str, float] = {}
        self.committed_at: float | None = None

    def saw_commit(self, group: str, now: float) -> None:
        """`group` has committed an offset."""
        self.committed_at = now
        if group in self.waiting_since:
            self.waiting_since[group] = now

    def saw_lag(self, lag: Mapping[LagKey, int], now: float) -> None:
        """The lag of every group, measured anew; call it every second or so."""
        behind = {group for (group, _topic, _partition), messages in lag.items() if messages > 0}
        self.waiting_since = {group: self.waiting_since.get(group, now) for group in sorted(behind)}
