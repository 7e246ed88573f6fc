"""Our own worker on Kafka, measured from its first to its last record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.errors import LogError
from app.flows.registry import DRAINED, changelog_topic
from app.transports.drain import Drain
from bench.context import PARTITIONS, Context
from bench.logs import Log, check
from bench.processes import Run
from bench.topics import Topics
from bench.watching import Watch, Watched
from tests.flow.content import TRUE_FIELDS
from tests.live.running import Live, Supervised
from tests.services.server import Server

__all__ = ["PATIENCE_S", "bytes_in_topics", "changelog_of", "open_live", "send", "worker_run"]

PATIENCE_S = 1200.0


def open_live(folder: Path, broker: Server, **options: object) -> Live:
    """Fresh topics with the product's own defaults, where the tests have others."""
    defaults = {
        "PARTITIONS": PARTITIONS,
        "CHUNK_BYTES": 512 << 10,
        "TICK_INTERVAL": 10,
        "STORES": "sqlite",
        "ROLES": "flow",
    }
    return Live(folder, broker, **(defaults | options))


def send(live: Live, log: Log, *options: str) -> None:
    """Replay a log to its end."""
    live.replay(*options, log.path).wait(PATIENCE_S)


def changelog_of(live: Live) -> str:
    """Name of the topic with the table's changes."""
    return changelog_topic(live.settings.app_id, "byte_ranges")


def bytes_in_topics(live: Live, broker: Server) -> dict[str, int]:
    """Bytes that each step's topic takes on the broker's disk, without its indices; of the changelog before it is compacted."""
    names = ("weblogs", "weblogs_tokens", "weblogs_reduced", changelog_of(live))
    data = broker.folder / "data"
    return {name: sum(file.stat().st_size for file in data.glob(f"{name}-[0-9]*/*.log")) for name in names}


def worker_run(
    context: Context,
    log: Log,
    *,
    how: tuple[str, ...] = (),
    look: Callable[[Live], object] | None = None,
    **options: object,
) -> Run:
    """One worker takes a log that stands in its topic: to `weblogs_reduced` acknowledged, compared with the oracle.

    `look` is called with the topics as they are then.
    """
    broker = context.server("kafka")
    with (
        open_live(context.fresh("worker"), broker, TICK_INTERVAL=context.tick_s, **options) as live,
        Topics(broker.port, live.settings.partitions) as topics,
    ):
        send(live, log, *how)
        worker = live.start_worker()
        run = watch(live, [worker], broker, topics).until(drained(live), PATIENCE_S)
        worker.stop()
        check("our worker", live.deliveries(TRUE_FIELDS), log.wanted)
        if look is not None:
            look(live)
        return run


def watch(live: Live, workers: list[Supervised], broker: Server, topics: Topics) -> Watch:
    """Work begins with the first message of tokens, which the first chunk of lines gives."""
    return Watch(
        lambda: [Watched(worker.process, worker.log) for worker in workers],
        broker.pid,
        lambda: topics.count("weblogs_tokens"),
        lambda: topics.count("weblogs_reduced"),
    )


def drained(live: Live) -> Callable[[], bool]:
    """Whether the flow's group has read everything, and those of the stores where they run in the worker."""
    alone = live.settings.role_names == ("flow",)
    drain = Drain(_FlowAlone(live), DRAINED[:2]) if alone else Drain(live.standing)

    def done() -> bool:
        try:
            return drain.waiting() == 0
        except LogError:
            return False

    return done


class _FlowAlone:
    """What the broker tells where no group of a store runs."""

    def __init__(self, live: Live) -> None:
        self.ends, self.committed = live.standing.ends, live.standing.committed
        self._group = live.settings.app_id

    def groups(self) -> dict[str, list[str]]:
        return {self._group: [topic for stage in DRAINED[:2] for topic in stage]}
