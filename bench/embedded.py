"""Part `embedded`: the flow on the embedded log, with the SQLite store in the same process, all raw hits kept and none."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from app.flows.registry import DRAINED
from app.transports.drain import Drain
from app.transports.embedded.log import EmbeddedLog
from bench.context import PARTITIONS, Context
from bench.figures import AT_LEAST, Figure, Goal
from bench.logs import Log, check
from bench.processes import Run
from bench.watching import Watch, Watched
from tests.flow.content import TRUE_FIELDS, stored, stored_raw
from tests.flow.running import Flow

__all__ = ["embedded_run", "open_flow", "run"]

PART = "embedded"
_PATIENCE_S = 900.0


def run(context: Context) -> list[Figure]:
    """To `weblogs_reduced` acknowledged, and until the store holds all."""
    all_lines, half = context.log, context.half  # raw hits kept take twice as long, and as long again to be compared
    [none_kept] = context.repeat(
        [("embedded flow, raw hits not kept", lambda: embedded_run(context, all_lines, STORE_RAW="none"))]
    )
    [all_kept] = context.repeat([("embedded flow, raw hits kept", lambda: embedded_run(context, half))], runs=1)
    figures = []
    for what, log, runs in (("raw hits kept", half, all_kept), ("raw hits not kept", all_lines, none_kept)):
        cpu = sorted(run.cpu_seconds for run, _ in runs)[len(runs) // 2] / log.lines * 1e6
        memory = max(run.rss_bytes for run, _ in runs) / 2**20
        note = f"{log.told}; {cpu:.1f} µs CPU a line, the store's included; {memory:,.0f} MiB at most"
        rates = tuple(log.lines / run.seconds for run, _ in runs)
        goal = Goal(AT_LEAST, 60_000, 100_000) if runs is none_kept else None
        figures.append(Figure(PART, f"flow, {what}", rates, "lines/s", note, goal))
        figures.append(
            Figure(
                PART,
                f"until the store holds all, {what}",
                tuple(log.lines / full for _, full in runs),
                "lines/s",
                log.told,
            )
        )
    return figures


def open_flow(context: Context, **options: object) -> Flow:
    """A data folder of its own with the product's own tick, where the tests have another."""
    return Flow(context.fresh("embedded"), TICK_INTERVAL=context.tick_s, **({"PARTITIONS": PARTITIONS} | options))


def embedded_run(context: Context, log: Log, **options: object) -> tuple[Run, float]:
    """The lines stand in the log before the worker starts; gives the flow's run, and the seconds until the store holds all."""
    with open_flow(context, **options) as flow:
        flow.replay_all(log.path)
        worker = flow.start_worker()
        with closing(EmbeddedLog(flow.folder / "weblogs-log.db")) as topics:
            log_of_worker = flow.folder / "worker.log"
            watch = Watch(
                lambda: [Watched(worker, log_of_worker)],
                None,
                _counts(topics, "weblogs_tokens"),
                _counts(topics, "weblogs_reduced"),
            )
            flow_alone = Drain(_FlowAlone(topics), DRAINED[:2])
            run = watch.until(lambda: flow_alone.waiting() == 0, _PATIENCE_S)
        begin = next((number for number, look in enumerate(watch.looks) if look.begun), 1)
        flow.wait_drained(_PATIENCE_S)
        full = time.perf_counter() - watch.looks[max(0, begin - 1)].at
        flow.stop_worker()
        check("the embedded store", stored(flow.folder, TRUE_FIELDS), log.wanted)
        hits, rejects = stored_raw(flow.folder)
        kept = 0 if options.get("STORE_RAW") == "none" else log.lines
        check(
            "raw hits in the embedded store",
            {("hits",): (hits.total() + rejects.total(), len(hits))},
            {("hits",): (kept, kept)},
        )
        return run, full


def _counts(topics: EmbeddedLog, name: str) -> Callable[[], int]:
    return lambda: sum(end for (topic, _), end in topics.ends().items() if topic == name)


class _FlowAlone:
    """The flow's group without the store's."""

    def __init__(self, topics: EmbeddedLog) -> None:
        self._topics = topics
        self.ends, self.committed = topics.ends, topics.committed

    def groups(self) -> dict[str, list[str]]:
        # no topic is unread before the worker has registered its group: rejects are read by the store alone
        return {
            group: [*topics, "weblogs_rejects"]
            for group, topics in self._topics.groups().items()
            if "weblogs" in topics
        }
