"""Puts the worker together: apps, topics, tables, agents and stores, as the registry of flows lists them.

Nothing is made before `assemble` is called. A part that cannot be imported stops the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from app.columns.formats import load_columns
from app.engine.clocks import compare_clocks
from app.engine.faust_app import App, make_app, make_topic
from app.engine.outside import Outside
from app.engine.reading import or_end
from app.engine.storing import Storing
from app.engine.table import BatchTable
from app.errors import LogError, LogLocked, WeblogsError
from app.flows.registry import KEEPINGS, STAGES, TOPICS, group_of
from app.process.counters import Counters
from app.process.descriptors import raise_descriptor_limit
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED, blame_removal, code_of, die
from app.process.folders import Kept, make_private
from app.process.memory import collect_seldom, keep_freed, share_arenas
from app.process.standstill import watch_standstill
from app.settings import settings
from app.transports.embedded.file import log_path
from app.transports.embedded.worker_lock import lock_path
from app.words import removed_folder_text, removed_text
from app.worker.beside import Beside

__all__ = ["Assembly", "assemble", "worker_app"]

_KEPT_BYTES = 16 << 20
"""Of memory that is free: what some batches need. 160,000 page faults for 3,000,000 lines become 80,000."""


class Assembly(NamedTuple):
    """What was put together; nothing of it runs."""

    app: App
    """The worker's main app: the flow's, or without the flow that of the first store."""
    tables: dict[str, BatchTable]
    storings: dict[str, Storing]
    """By name of the store: those that this worker feeds."""

    @property
    def apps(self) -> list[App]:
        """Each once, the main app first."""
        return list(dict.fromkeys((self.app, *(storing.app for storing in self.storings.values()))))


def worker_app() -> App:
    """The app that `faust -A app worker` runs, by the settings of this process."""
    collect_seldom()
    share_arenas()
    raise_descriptor_limit()
    try:
        own = settings()
        if own.role_names == ("flow",):  # with the backlogs of stores beside it, there is no memory to spare
            keep_freed(_KEPT_BYTES)
        return assemble(Outside(own, Counters())).app
    except WeblogsError as error:
        die(str(error), code=EXIT_REFUSED)


def assemble(outside: Outside) -> Assembly:
    """The worker of these settings. Raises SettingsError."""
    own = outside.settings
    outside.register_transport(own)
    runs_flow = "flow" in own.role_names
    app = make_app(own.flow_id if runs_flow else group_of(own.flow_id, own.role_names[0]), outside)
    tables = _add_flow(app) if runs_flow else {}
    storings = {name: _add_store(name, app, outside) for name in own.store_names if name in own.role_names}
    assembly = Assembly(app, tables, storings)
    beside: Any = Beside(app, tables, list(storings.values()))
    app.service(beside)

    def prepare(*_: Any, **__: Any) -> None:
        _prepare(outside, assembly.apps)

    app.on_worker_init.connect(prepare, weak=False)
    return assembly


def _named(folder: str, name: str) -> Any:
    """The function of a module that has its name."""
    return getattr(import_module(f"{folder}.{name}"), name)


def _add_flow(app: App) -> dict[str, BatchTable]:
    tables = {}
    for stage in STAGES:
        make = _named("agents", stage.agent)
        if stage.table is None:
            agent = make(app)
        else:
            tables[stage.table] = _named("tables", stage.table)(app)
            agent = make(app, tables[stage.table])
        if agent is not None:
            app.agent(make_topic(app, stage.reads), name=stage.agent)(or_end(app.outside, stage.agent, agent))
    return tables


def _add_store(name: str, app: App, outside: Outside) -> Storing:
    group = group_of(outside.settings.flow_id, name)
    own = app if group == app.conf.id else make_app(group, outside)
    if own is not app:
        own.finalize()  # the worker starts it as a dependency: no command line will do it
    storing = Storing(name, own, outside.open_store(name, outside.settings))
    for keeping in KEEPINGS:
        agent = or_end(outside, keeping.agent, _named("agents", keeping.agent)(storing))
        own.agent(make_topic(own, keeping.reads), name=keeping.agent)(agent)
    return storing


def _prepare(outside: Outside, apps: Sequence[App]) -> None:
    """The broker is there, and this worker may use it and its data folder; otherwise it ends here."""
    own = outside.settings
    if "flow" in own.role_names:
        load_columns(own.format)
    try:
        for each in apps:
            make_private(each.conf.datadir)
        apps[0].topics_log.prepare(list(TOPICS), [each.conf.id for each in apps])
        compare_clocks(apps[0])
    except LogLocked as error:
        outside.die(str(error), code=EXIT_REFUSED)
    except LogError as error:
        passes = EXIT_CANNOT_GO_ON if own.on_kafka else EXIT_REFUSED  # a broker may come back
        outside.die(str(error), code=code_of(error, passes))
    except WeblogsError as error:
        outside.die(str(error), code=code_of(error, EXIT_REFUSED))
    except OSError as error:
        outside.die(
            f"the data folder {own.data_dir} cannot be made: {error.strerror}", code=code_of(error, EXIT_REFUSED)
        )
    if own.on_kafka:
        watch_standstill(own.kafka_session)
        lock = Kept(lock_path(own.data_dir / "worker"))
        blame_removal(lambda: removed_folder_text(own.data_dir) if lock.is_gone else "", EXIT_CANNOT_GO_ON)
    else:
        log = Kept(log_path(own.broker))
        blame_removal(lambda: removed_text(log.path) if log.is_gone else "")
