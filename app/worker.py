"""The worker: tables, agents and the web face, imported in the order of the flow, and what runs beside them.

`faust -A app worker` imports this. A part that can not be imported stops the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import Any

import mode

from app.engine.settlement import Settling
from app.engine.store_writes import open_until_there, stores
from app.engine.topology import app, flow, runs_flow, sinks
from app.errors import LogError, LogLocked, WeblogsError
from app.process.counters import counters
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED, die
from app.process.memory import GIVE_BACK_INTERVAL_S, collect_seldom, give_back, share_arenas
from app.process.stack_dump import watch_signal
from app.process.standstill import watch_standstill
from app.settings import settings
from app.stores import open_store
from app.web.measurements import StatusService

# ruff: noqa: F401
if runs_flow:
    import agents.tokenize_lines

    # isort: split
    import agents.merge_ranges

    # isort: split
    import agents.count_votes
    import agents.sum_spend

# isort: split
import agents.store_raw
import agents.store_reduced
import agents.store_rejects
import agents.store_spend
import agents.store_votes

__all__ = ["app"]

log = logging.getLogger(__name__)
RETAIN_INTERVAL_S = 3600.0


collect_seldom()
share_arenas()


@app.on_worker_init.connect
def prepare(*_: Any, **__: Any) -> None:
    """The broker is there, and this worker may use it and its data folder; otherwise it ends here."""
    apps = (app, *(sink.app for sink in sinks.values()))
    try:
        for each in apps:
            each.conf.datadir.mkdir(parents=True, exist_ok=True)
        app.topics_log.prepare([topic.get_topic_name() for topic in flow], [each.conf.id for each in apps])
    except LogLocked as error:
        die(str(error), code=EXIT_REFUSED)
    except LogError as error:
        die(str(error), code=EXIT_CANNOT_GO_ON if settings().on_kafka else EXIT_REFUSED)  # a broker may come back
    except WeblogsError as error:
        die(str(error), code=EXIT_REFUSED)
    except OSError as error:
        die(f"the data folder {settings().data_dir} can not be made: {error.strerror}", code=EXIT_REFUSED)
    if settings().on_kafka:
        watch_standstill(settings().kafka_session)


@app.service
class Beside(mode.Service):
    """What runs beside the flow: the stores' apps, the web face, housekeeping, a replay."""

    async def on_start(self) -> None:
        from app.transports.producers import open_producer
        from app.web.counted.cache_redis import open_cache
        from app.web.counted.event_intake import EventIntake
        from app.web.counted.names import Names
        from app.web.counted.results import Results
        from app.web.deliveries.line_intake import LogIntake
        from app.web.service.server import WebService, make_web_app

        own = settings()
        watch_signal(self.loop)
        # the lag of every group of the settings, also of those that other workers serve
        groups = {own.app_id: ""} | {f"{own.app_id}-{name}": name for name in own.store_names}
        status = StatusService(
            app, app.tables.data.get("byte_ranges"), groups, counters, loop=self.loop, beacon=self.beacon
        )
        try:
            for name in stores:
                if not await open_until_there(name, once=True):
                    self.add_future(self._open_late(name))
            self._page_store = next(iter(stores.values()), None) or open_store(own.store_names[0], own, read_only=True)
            self._producer = open_producer(own)
            self._intake = LogIntake(self._producer, own)
            self._event_producer = open_producer(own)
            self._events = EventIntake(self._event_producer, own.overload_after)
            self._cache = open_cache(own)
            names = Names(self._page_store, list(stores.values()))
            settled = Settling(app.topics_log.standing, [own.app_id, f"{own.app_id}-{self._page_store.name}"])
            results = Results(self._page_store, self._events, own, self._cache, settled)
            page = make_web_app(self._page_store, status, self._intake, own, self._events, names, results)
            self._web = WebService(page, own, loop=self.loop, beacon=self.beacon)
            await self.add_runtime_dependency(status)
            for sink in sinks.values():
                if sink.app is not app:
                    await self.add_runtime_dependency(sink.app)
            await self.add_runtime_dependency(self._web)
        except WeblogsError as error:
            die(str(error), code=EXIT_REFUSED)
        status.ready()
        if own.replay:
            threading.Thread(target=_replay, args=(own.replay.split(os.pathsep),), name="replay", daemon=True).start()

    async def _open_late(self, name: str) -> None:
        """A store that was not there when the worker started: the flow runs on meanwhile."""
        try:
            await open_until_there(name)
        except WeblogsError as error:
            die(str(error), code=EXIT_REFUSED)

    @mode.Service.task
    async def _retain(self) -> None:
        """Delete from the stores what is older than the retention."""
        import time

        while not self.should_stop:
            for name, store in stores.items():
                try:
                    gone = await store.retention.retain(time.time(), *settings().retention_days)
                    if any(gone):
                        log.info("%s: %d raw and %d reduced records were past their retention", name, *gone)
                except WeblogsError as error:
                    log.warning("%s: nothing deleted for now: %s", name, error)
            await self.sleep(RETAIN_INTERVAL_S)

    @mode.Service.task
    async def _give_back(self) -> None:
        while not self.should_stop:
            await self.sleep(GIVE_BACK_INTERVAL_S)
            await asyncio.to_thread(give_back)

    async def on_stop(self) -> None:
        """Who feeds and asks goes first, the stores last."""
        await self._web.stop()
        await self._intake.close()
        await self._events.close()
        self._producer.close()
        self._event_producer.close()
        if self._cache is not None:
            await self._cache.close()
        for sink in sinks.values():
            if sink.app is not app:
                await sink.app.stop()
        for store in {id(store): store for store in (*stores.values(), self._page_store)}.values():
            await store.close()


def _replay(paths: list[str]) -> None:
    from app.sources.replay.files import ReplayOptions, replay_files
    from app.transports.producers import open_producer

    producer = open_producer(settings())
    try:
        options = ReplayOptions.of(settings())
        options.say = log.info
        result = replay_files([path for path in paths if path], producer, options)
        log.info("replay: %d lines of %d files sent in %.1f s", result.lines, result.files, result.seconds)
    except WeblogsError as error:
        log.error("replay: %s", error)
    finally:
        producer.close()
