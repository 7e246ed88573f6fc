"""The Faust apps and every topic, in the order of the flow. Nothing else.

The flow is one app; each store is an app of its own with its own consumer group, so that a store that hangs holds up
neither the flow nor another store: within one app a single stalled agent stops the fetch loop of all.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import faust
from faust.app.base import BootStrategy

from app.logs import logging_config
from app.settings import settings
from app.transports import sqlite as sqlite_transport

__all__ = ["Sink", "app", "flow", "sinks", "weblogs", "weblogs_reduced", "weblogs_rejects", "weblogs_tokens"]

sqlite_transport.register()

_settings = settings()


class _NoWeb(BootStrategy):
    """Faust's worker command turns its own web server on, whatever the settings say; the web face is ours."""

    enable_web = False


class App(faust.App):
    """A Faust app without a web server of Faust's."""

    BootStrategy = _NoWeb

    @property
    def topics_log(self) -> sqlite_transport.Transport:
        """The broker's transport with what ours can do beyond Faust's."""
        return cast(sqlite_transport.Transport, self.transport)


def _make_app(name: str) -> App:
    return App(
        name,
        broker=_settings.broker,
        store="memory://",
        datadir=str(_settings.data_dir / "faust" / name),
        value_serializer="raw",
        key_serializer="raw",
        topic_partitions=_settings.partitions,
        topic_replication_factor=1,
        # Only shown in the banner: see _NoWeb.
        web_host=_settings.web_host,
        web_port=_settings.web_port or 5000,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        # Commit soon: what is not committed is read again after a crash.
        broker_commit_interval=0.25,
        broker_commit_every=1000,
        # Messages are large: a few of them fill the memory that small ones would need thousands for.
        stream_buffer_maxsize=64,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        recovery_consistency_check=False,
        logging_config=logging_config(_settings),
        worker_redirect_stdouts=False,
    )


def _topic(on: faust.App, name: str) -> faust.TopicT:
    return on.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", partitions=_settings.partitions)


app = _make_app(_settings.app_id)

weblogs = _topic(app, "weblogs")
"""Lines as they come; headers in app.wire.Headers."""
weblogs_tokens = _topic(app, "weblogs_tokens")
"""Hits, by delivery key."""
weblogs_rejects = _topic(app, "weblogs_rejects")
"""Lines that are no hit, and records that a store refuses for good."""
weblogs_reduced = _topic(app, "weblogs_reduced")
"""Deliveries."""

flow = (weblogs, weblogs_tokens, weblogs_rejects, weblogs_reduced)


class Sink(NamedTuple):
    """One store's app and the topics that it reads."""

    app: faust.App
    tokens: faust.TopicT
    rejects: faust.TopicT
    reduced: faust.TopicT


def _sink(store: str) -> Sink:
    own = _make_app(f"{_settings.app_id}-{store}")
    own.finalize()  # the worker starts it as a dependency: no command line will do it
    return Sink(own, *(_topic(own, topic.get_topic_name()) for topic in (weblogs_tokens, weblogs_rejects, weblogs_reduced)))


sinks = {store: _sink(store) for store in _settings.store_names}
