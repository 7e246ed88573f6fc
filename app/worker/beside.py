"""What runs beside the flow: the stores' apps, the web face, housekeeping, a replay."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import mode

from app.engine.faust_app import App
from app.engine.losses import LossWatch
from app.engine.settlement import Settling
from app.engine.storing import Storing
from app.engine.table import BatchTable
from app.errors import UnknownForm, WeblogsError
from app.flows.deliveries import DELIVERIES
from app.flows.registry import group_of
from app.process.exit import EXIT_REFUSED, Die, code_of, removal
from app.process.memory import GIVE_BACK_INTERVAL_S, give_back
from app.process.stack_dump import watch_signal
from app.settings import Settings
from app.transports.producers import open_producer
from app.web.counted.cache_redis import open_cache
from app.web.counted.event_intake import EventIntake
from app.web.counted.names import CandidateNames
from app.web.counted.results import Results
from app.web.deliveries.line_intake import LogIntake
from app.web.measurements import StatusService
from app.web.service.server import WebService, make_web_app
from app.words import counted_text

__all__ = ["Beside"]

log = logging.getLogger(__name__)
REMOVAL_INTERVAL_S = 1.0
RETAIN_INTERVAL_S = 3600.0
_HOUR_S = 3600.0


class Beside(mode.Service):
    """Starts with the main app and stops with it."""

    def __init__(self, app: App, tables: Mapping[str, BatchTable], storings: Sequence[Storing]) -> None:
        super().__init__()
        self._app, self._tables, self._storings = app, tables, storings
        self._outside = app.outside
        self._settings = app.outside.settings

    async def on_start(self) -> None:
        own, outside = self._settings, self._outside
        watch_signal(self.loop)
        # the lag of every group of the settings, also of those that other workers serve
        groups = {own.flow_id: ""} | {group_of(own.flow_id, name): name for name in own.store_names}
        (deliveries,) = DELIVERIES.tables
        status = StatusService(
            self._app,
            self._tables.get(deliveries),
            groups,
            [storing.name for storing in self._storings],
            outside.counters,
            loop=self.loop,
            beacon=self.beacon,
        )
        try:
            for storing in self._storings:
                if not await storing.open_until_there(once=True):
                    self.add_future(self._open_late(storing))
            stores = [storing.store for storing in self._storings]
            self._page_store = stores[0] if stores else outside.open_store(own.store_names[0], own, read_only=True)
            self._producer = open_producer(own)
            self._intake = LogIntake(self._producer, own)
            self._event_producer = open_producer(own)
            self._events = EventIntake(self._event_producer, own.overload_after)
            self._cache = open_cache(own)
            names = CandidateNames(self._page_store, stores)
            settled = Settling(
                self._app.topics_log.standing, [own.flow_id, group_of(own.flow_id, self._page_store.name)]
            )
            results = Results(self._page_store, self._events, own, self._cache, settled)
            page = make_web_app(
                self._page_store,
                status,
                self._intake,
                own,
                self._events,
                names,
                results,
                lambda: self._app.should_stop,
                stores,
            )
            self._web = WebService(page, own, loop=self.loop, beacon=self.beacon)
            await self.add_runtime_dependency(status)
            for storing in self._storings:
                if storing.app is not self._app:
                    await self.add_runtime_dependency(storing.app)
            await self.add_runtime_dependency(self._web)
            apps = list(dict.fromkeys((self._app, *(storing.app for storing in self._storings))))
            await self.add_runtime_dependency(cast(Any, LossWatch(apps, loop=self.loop, beacon=self.beacon)))
        except WeblogsError as error:
            outside.die(str(error), code=code_of(error, EXIT_REFUSED))
        status.ready()
        if own.replay:
            threading.Thread(target=_replay, args=(own, outside.die), name="replay", daemon=True).start()

    async def _open_late(self, storing: Storing) -> None:
        """A store that was not there when the worker started: the flow runs on meanwhile."""
        try:
            await storing.open_until_there()
        except WeblogsError as error:
            self._outside.die(str(error), code=EXIT_REFUSED)

    @mode.Service.task
    async def _retain(self) -> None:
        while not self.should_stop:
            for storing in self._storings:
                try:
                    gone = await storing.store.retention.retain(self._outside.clock(), *self._settings.retention_days)
                    if any(gone):
                        log.info("%s: %d raw and %d reduced records were past their retention", storing.name, *gone)
                except WeblogsError as error:
                    log.warning("%s: nothing deleted for now: %s", storing.name, error)
            await self.sleep(RETAIN_INTERVAL_S)

    @mode.Service.task
    async def _learn_sizes(self) -> None:
        """Find sizes of files in what the store holds; every worker that judges by them does it for itself."""
        own = self._settings
        if not own.learn_sizes or "flow" not in own.role_names:
            return
        from app.reducing.learning import learn_stored

        while not self.should_stop:
            try:
                learned = await learn_stored(self._page_store.reads, own.learned_sizes_path)
                log.info(
                    "%s: sizes of %s learned, of %d that raw hits tell of",
                    self._page_store.name,
                    counted_text(learned.known, "file"),
                    learned.told,
                )
                if learned.left_out:
                    log.warning("no sizes of %s learned: more than can be kept", counted_text(learned.left_out, "file"))
                if learned.unreadable:
                    log.warning(
                        "%d records of %s cannot be read: nothing is learned from them; `python -m app check` names them",
                        learned.unreadable,
                        self._page_store.name,
                    )
            except WeblogsError as error:
                if not self.should_stop:
                    log.warning("no sizes learned for now, those known before stay: %s", error)
            await self.sleep(own.learn_sizes * _HOUR_S)

    @mode.Service.task
    async def _look_for_removal(self) -> None:
        """SQLite goes on writing into a file that was removed."""
        while not self.should_stop:
            if removed := removal():
                self._outside.die(removed, code=EXIT_REFUSED)
            await self.sleep(REMOVAL_INTERVAL_S)

    @mode.Service.task
    async def _give_back(self) -> None:
        while not self.should_stop:
            await self.sleep(GIVE_BACK_INTERVAL_S)
            await asyncio.to_thread(give_back)

    async def on_stop(self) -> None:
        """Who feeds and asks goes first, then the stores; the web face says until the end that the worker is stopping."""
        await self._web.settle()
        await self._intake.close()
        await self._events.close()
        self._producer.close()
        self._event_producer.close()
        if self._cache is not None:
            await self._cache.close()
        for storing in self._storings:
            if storing.app is not self._app:
                await storing.app.stop()
        stores = (*(storing.store for storing in self._storings), self._page_store)
        for store in {id(store): store for store in stores}.values():
            await store.close()
        await self._web.stop()


def _replay(settings: Settings, die: Die) -> None:
    """The files of WEBLOGS_REPLAY, in a thread of its own."""
    from app.sources.replay.run import ReplayOptions, replay_files
    from app.transports.producers import open_producer

    producer = open_producer(settings)
    try:
        options = ReplayOptions.of(settings, producer)
        options.say = log.info
        paths = [path for path in settings.replay.split(os.pathsep) if path]
        result = replay_files(paths, producer, options)
        log.info("replay: %d lines of %d files sent in %.1f s", result.lines, result.files, result.seconds)
    except UnknownForm as error:
        die(str(error), code=EXIT_REFUSED)
    except WeblogsError as error:
        log.error("replay: %s", error)
    finally:
        producer.close()
