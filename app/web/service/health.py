"""`/health/`: whether the worker makes progress, and if not, why, in words."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import web

from app.errors import StoreError
from app.stores.contract import Store
from app.web.service.access import STOPPING, may, open_warning
from app.web.service.answers import json_answer, store_trouble
from app.web.service.parts import PARTS, STORE_TIMEOUT_S
from app.web.service.status import Snapshot
from app.words import age_text, waiting_text

__all__ = ["answer_health", "lag_by_group", "progress_problems", "store_state"]

DOWN_AFTER_S = 60.0
"""A ping that takes longer will not come back."""


def lag_by_group(snapshot: Snapshot) -> dict[str, int]:
    """Messages not yet committed, summed over topics and partitions."""
    groups: dict[str, int] = {}
    for (group, _topic, _partition), messages in snapshot.lag.items():
        groups[group] = groups.get(group, 0) + messages
    return groups


def progress_problems(snapshot: Snapshot, stall_after_s: float) -> list[str]:
    """A sentence for each reason why nothing moves; an empty list for a healthy worker.

    >>> progress_problems(Snapshot(started=0.0, now=100.0), 30.0)
    []
    >>> progress_problems(Snapshot(started=0.0, now=100.0, lag={("flow", "weblogs", 0): 3}, committed_at=60.0), 30.0)
    ['Group flow is stalled: 3 messages wait and nothing was committed for 40 s.']
    """
    if snapshot.started is None:
        return ["The worker has not started to take messages yet.", *snapshot.problems]
    problems = []
    for group, messages in sorted(lag_by_group(snapshot).items()):
        last = snapshot.started if snapshot.committed_at is None else max(snapshot.committed_at, snapshot.started)
        waited_s = snapshot.now - snapshot.waiting_since.get(group, last)
        if messages > 0 and waited_s > stall_after_s:
            problems.append(
                f"Group {group} is stalled: {waiting_text(messages)} and nothing was committed for {age_text(waited_s)}."
            )
    return [*problems, *snapshot.problems]


class StoreState(NamedTuple):
    """What a ping told."""

    problem: str = ""
    """One sentence; empty for a store that answered soon."""
    up: bool = True
    """False for one that nobody reaches; a slow one is up."""


_UP = StoreState()
_pings: WeakKeyDictionary[Store, tuple[float, asyncio.Task[None]]] = WeakKeyDictionary()
"""Of slow stores: since when, and the ping that nobody waits for any more. Its end tells slow from unreachable."""


async def store_state(store: Store, timeout_s: float | None = None, down_after_s: float = DOWN_AFTER_S) -> StoreState:
    """Takes `timeout_s` (STORE_TIMEOUT_S) at most. Who asks while a ping is under way waits for the same."""
    timeout_s = STORE_TIMEOUT_S if timeout_s is None else timeout_s
    since, ping = _pings.get(store, (0.0, None))
    if ping is None:
        since, ping = time.monotonic(), asyncio.create_task(store.ping(), name=f"ping {store.name}")
        ping.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # maybe nobody asks again
        _pings[store] = since, ping
    done, _ = await asyncio.wait({ping}, timeout=timeout_s)
    if not done:
        waited_s = time.monotonic() - since
        if waited_s < down_after_s:
            return StoreState(f"Store {store.name} is slow: it did not answer within {timeout_s:g} s.")
        return StoreState(f"Store {store.name} is unreachable: it has not answered for {waited_s:.0f} s.", up=False)
    _pings.pop(store, None)
    try:
        ping.result()
    except (StoreError, asyncio.CancelledError) as error:
        return StoreState(f"Store {store.name} is unreachable: {store_trouble(error)}", up=False)
    return _UP


async def answer_health(request: web.Request) -> web.Response:
    """200 with the figures, or 503 with the reasons."""
    parts = request.app[PARTS]
    if parts.stopping():
        return json_answer({"healthy": False, "problems": [STOPPING]}, 503)
    snapshot = parts.status.snapshot()
    problems = progress_problems(snapshot, parts.settings.stall_after)
    problems += [state.problem for state in await asyncio.gather(*map(store_state, parts.stores)) if state.problem]
    payload: dict[str, Any] = {"healthy": not problems, "problems": problems, "started": snapshot.started}
    if not may(request, "read"):
        payload["problems"] = ["Send the token to read what is wrong."] if problems else []
        return json_answer(payload, 503 if problems else 200)
    payload |= {
        "warnings": [warning] if (warning := open_warning(parts.settings)) else [],
        "now": snapshot.now,
        "committed_at": snapshot.committed_at,
        "lag_messages": lag_by_group(snapshot),
        "backlog_messages": dict(snapshot.backlog),
    }
    return json_answer(payload, 503 if problems else 200)
