"""What the worker tells its web face, measured once a second beside the flow."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, cast

import mode

from app.process.counters import Counters
from app.transports.broker_view import GroupPositions
from app.web.service.status import LagKey, Snapshot, WaitingGroups

__all__ = ["StatusService"]

log = logging.getLogger(__name__)
MEASURE_INTERVAL_S = 1.0
RATE_OVER_S = 10.0


class StatusService(mode.Service):
    """Implements app.web.service.status.Status."""

    def __init__(
        self, flow: Any, table: Any, groups: dict[str, str], fed: Sequence[str], counters: Counters, **kwargs: Any
    ) -> None:
        """`groups`: consumer group -> name of its store; the flow's own group maps to an empty name. `fed`: this worker's stores."""
        super().__init__(**kwargs)
        self._fed = fed
        self._flow, self._table, self._groups, self._counters = flow, table, groups, counters
        self._progress = WaitingGroups()
        self._committed: dict[str, Any] = {}
        self._lag: dict[LagKey, int] = {}
        self._lines: deque[tuple[float, int]] = deque()
        self._ready_at: float | None = None
        self._problem = ""

    def ready(self) -> None:
        """The worker takes messages from now on."""
        self._ready_at = time.time()

    def snapshot(self) -> Snapshot:
        """The numbers now."""
        counters, now = self._counters, time.time()
        backlog = {store: 0 for store in self._groups.values() if store}
        for (group, _topic, _partition), lag in self._lag.items():
            store = self._groups.get(group)
            if store:
                backlog[store] += lag
        lost: Counter[tuple[str, str]] = Counter()
        for loss in counters.losses.values():
            lost[loss.group, loss.topic] += loss.messages
        unread = [str(loss) for _, loss in sorted(counters.losses.items()) if loss.acknowledged is None]
        unread += [*counters.topic_problems, *filter(None, [counters.clock_problem])]
        problems = tuple(f"{store}: {problem}" for store, problem in counters.store_problems.items())
        return Snapshot(
            started=self._ready_at,
            now=now,
            lines=counters.lines,
            hits=counters.hits,
            rejects=dict(counters.rejects),
            unread=dict(counters.unread),
            lines_per_s=self._rate(now),
            lag=self._lag,
            committed_at=self._progress.committed_at,
            waiting_since=self._progress.waiting_since,
            watermarks=counters.watermarks,
            state_entries=self._table.entries if self._table is not None else 0,
            events=dict(counters.events),
            backlog=backlog,
            failing={store: store in counters.store_problems for store in self._fed},
            store_retries={store: counters.store_retries[store] for store in self._fed},
            store_refused={store: counters.store_refused[store] for store in self._fed},
            lost=lost,
            bad_ids=dict(counters.bad_ids),
            problems=(*problems, *unread, *counters.foreign_problems(), *([self._problem] if self._problem else [])),
        )

    async def standing(self) -> GroupPositions | None:
        """How far the groups are, asked now."""
        try:
            return cast(GroupPositions, await self._flow.topics_log.standing(self._groups))
        except Exception:  # what is wrong with the log tells _measure
            return None

    def _rate(self, now: float) -> float:
        if len(self._lines) < 2:
            return 0.0
        since, lines = self._lines[0]
        return (self._counters.lines - lines) / max(now - since, MEASURE_INTERVAL_S)

    @mode.Service.task
    async def _measure(self) -> None:
        while not self.should_stop:
            now = time.time()
            self._lines.append((now, self._counters.lines))
            while self._lines[0][0] < now - RATE_OVER_S:
                self._lines.popleft()
            try:
                standing = await self._flow.topics_log.standing(self._groups)
            except Exception as error:  # the log may fail for a while; the page says so, and health turns bad
                self._problem = f"the log does not tell where the groups stand: {error}"
                log.warning("%s", self._problem)
            else:
                self._problem = ""
                self._lag = {key: lag for key, lag in standing.lag.items() if key[0] in self._groups}
                for group, offsets in standing.committed.items():
                    if group in self._committed and self._committed[group] != offsets:
                        self._progress.saw_commit(group, now)
                self._committed = standing.committed
                self._progress.saw_lag(self._lag, now)
            await self.sleep(MEASURE_INTERVAL_S)
