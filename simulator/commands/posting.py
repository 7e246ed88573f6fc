"""Sending to a worker over HTTP as patient clients do: until it is taken, in order, a bounded number at a time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import click

from app.cli.numbers import Number
from app.errors import WorkerError

__all__ = ["PostPlan", "Posted", "bearer", "post_all", "posting_options", "worker_url"]

C = TypeVar("C", bound=Callable[..., Any])

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_REQUEST_S = 30.0


class PostPlan(NamedTuple):
    """How to send."""

    url: str
    batch: int = 500
    """Events a request; 1 posts one by one."""
    connections: int = 4
    rate: float = 0.0
    """Events a second at most; 0 is full speed."""
    patience_s: float = 60.0
    """A worker that takes nothing for this long ends it."""
    token: str = ""
    """What the worker wants to see before it takes something; empty: nothing."""


class Posted:
    """What came of it."""

    def __init__(self) -> None:
        self.events = 0
        """Answered with success."""
        self.tries_again = 0
        """Requests that had to be sent again."""
        self.seconds = 0.0


def posting_options(events: str) -> Callable[[C], C]:
    """The options of a command that posts `events`, a plural: where to, how many at a time and how long it waits."""
    options = (
        click.option("--url", help="Worker to post to; default that of the settings."),
        click.option(
            "--batch",
            type=click.IntRange(1, 10_000),
            default=500,
            show_default=True,
            help=f"{events} a request; 1 posts each alone.",
        ),
        click.option(
            "--connections", type=click.IntRange(1, 1000), default=4, show_default=True, help="Requests at a time."
        ),
        click.option(
            "--patience",
            type=Number(min=0),
            default=60.0,
            show_default=True,
            help="Seconds to go on without an answer.",
        ),
        click.option("--quiet", "-q", is_flag=True, help="No summary."),
    )

    def add(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def worker_url(host: str, port: int) -> str:
    """Where the worker of these settings listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def bearer(token: str) -> dict[str, str]:
    """The header with the token; none for an empty one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def post_all(
    events: Iterable[dict[str, Any]],
    paths: tuple[str, str],
    lane_of: Callable[[dict[str, Any]], int],
    plan: PostPlan,
    accepted: Callable[[list[dict[str, Any]]], object] = lambda _: None,
) -> Posted:
    """Post all events: each lane in order, so that what one kiosk or user sends is never overtaken.

    `paths`: for one event, for a list of them. `accepted` is told what was answered with success. Raises WorkerError for a worker
    that takes nothing for too long, or that refuses an event.
    """
    return asyncio.run(_post_all(iter(events), paths, lane_of, plan, accepted))


async def _post_all(
    events: Iterator[dict[str, Any]],
    paths: tuple[str, str],
    lane_of: Callable[[dict[str, Any]], int],
    plan: PostPlan,
    accepted: Callable[..., Any],
) -> Posted:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    posted = Posted()
    began = time.monotonic()
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(4 * plan.batch) for _ in range(plan.connections)]
    async with ClientSession(
        connector=TCPConnector(limit=plan.connections), timeout=ClientTimeout(_REQUEST_S)
    ) as session:
        lanes = [asyncio.create_task(_Lane(session, queue, paths, plan, posted, accepted).run()) for queue in queues]
        feeding = asyncio.create_task(_feed(events, queues, lane_of, plan.rate))
        done, _ = await asyncio.wait([feeding, *lanes], return_when=asyncio.FIRST_EXCEPTION)
        for task in (feeding, *lanes):
            task.cancel()
        await asyncio.gather(feeding, *lanes, return_exceptions=True)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
    posted.seconds = time.monotonic() - began
    return posted


async def _feed(
    events: Iterator[dict[str, Any]], queues: list[asyncio.Queue[Any]], lane_of: Callable[..., Any], rate: float
) -> None:
    began = time.monotonic()
    for number, event in enumerate(events):
        if rate and (ahead_s := number / rate - (time.monotonic() - began)) > 0.01:
            await asyncio.sleep(ahead_s)
        await queues[lane_of(event) % len(queues)].put(event)
    for queue in queues:
        await queue.put(None)


class _Lane:
    """One connection."""

    def __init__(
        self,
        session: Any,
        queue: asyncio.Queue[Any],
        paths: tuple[str, str],
        plan: PostPlan,
        posted: Posted,
        accepted: Callable[..., Any],
    ) -> None:
        self._session, self._queue, self._paths, self._plan = session, queue, paths, plan
        self._posted, self._accepted = posted, accepted

    async def run(self) -> None:
        more = True
        while more:
            batch = [await self._queue.get()]
            while len(batch) < self._plan.batch and not self._queue.empty() and batch[-1] is not None:
                batch.append(self._queue.get_nowait())
            if batch[-1] is None:
                batch.pop()
                more = False
            if batch:
                await self._post(batch)

    async def _post(self, batch: list[dict[str, Any]]) -> None:
        from aiohttp import ClientError

        one = self._plan.batch == 1
        url = self._plan.url.rstrip("/") + self._paths[0 if one else 1]
        body = json.dumps(batch[0] if one else batch).encode()
        headers = {"Content-Type": "application/json", **bearer(self._plan.token)}
        give_up, pause_s = time.monotonic() + self._plan.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                async with self._session.post(url, data=body, headers=headers) as answer:
                    text = await answer.text()
                    status = answer.status
            except (ClientError, OSError, TimeoutError) as error:
                status, text = 0, str(error) or type(error).__name__
            if status == 200:
                self._posted.events += len(batch)
                self._accepted(batch)
                return
            if 400 <= status < 500 and status not in (408, 429):
                raise WorkerError(f"{url} refuses it: {text.strip()[:500]}")
            if time.monotonic() > give_up:
                raise WorkerError(f"{url} took nothing for {self._plan.patience_s:g} s: {text.strip()[:300]}")
            self._posted.tries_again += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
