"""The Faust apps and every topic, in the order of the flow. Nothing else.

The flow is one app; each store is an app of its own with its own consumer group, so that a store that hangs holds up
neither the flow nor another store: within one app a single stalled agent stops the fetch loop of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import faust
from faust.app.base import BootStrategy

from app.flows.registry import COUNTED
from app.process.logs import logging_config
from app.settings import settings
from app.transports.kafka.options import MAX_MESSAGE_BYTES, faust_credentials, servers
from app.transports.kafka.worker_id import worker_id

__all__ = [
    "Sink",
    "app",
    "counted_topics",
    "flow",
    "runs_flow",
    "sinks",
    "weblogs",
    "weblogs_reduced",
    "weblogs_rejects",
    "weblogs_tokens",
]

_settings = settings()
if _settings.on_kafka:
    from app.transports.kafka import transport
else:
    from app.transports.embedded import transport  # type: ignore[no-redef]
transport.register()


class _NoWeb(BootStrategy):
    """Faust's worker command turns its own web server on, whatever the settings say; the web face is ours."""

    enable_web = False


class App(faust.App):
    """A Faust app without a web server of Faust's."""

    BootStrategy = _NoWeb
    takes_bundles = True
    """Its agents read by app.engine.batches, which takes apart what the transport bundled."""

    @property
    def topics_log(self) -> transport.Transport:
        """The broker's transport with what ours can do beyond Faust's."""
        return cast(transport.Transport, self.transport)


def _broker_options() -> dict[str, Any]:
    if not _settings.on_kafka:
        # Commit soon: what is not committed is read again after a crash.
        return {"broker": _settings.broker, "broker_commit_interval": 0.25, "topic_replication_factor": 1}
    session_s = _settings.kafka_session
    return {
        "broker": [f"kafka://{server}" for server in servers(_settings.broker)],
        "broker_credentials": faust_credentials(_settings),
        "broker_commit_interval": 1.0,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": min(1.0, session_s / 3),
        "broker_request_timeout": max(30.0, session_s),
        "broker_rebalance_timeout": max(20.0, session_s),
        # A store that is down holds its consumer still; it is not to lose its partitions for that.
        "broker_max_poll_interval": 86_400.0,
        # One id for each data folder: a worker that is back within its session gets its partitions without a rebalance.
        "consumer_group_instance_id": worker_id(_settings.data_dir),
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES,
        "producer_acks": -1,
        "producer_linger_ms": 0,
        "producer_max_batch_size": MAX_MESSAGE_BYTES,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "producer_request_timeout": 30.0,
        "topic_allow_declare": False,  # `python -m app init` creates topics
        "topic_replication_factor": _settings.kafka_replication,
    }


def _make_app(name: str) -> App:
    own = App(
        name,
        store="memory://",
        datadir=str(_settings.data_dir / "faust" / name),
        value_serializer="raw",
        key_serializer="raw",
        topic_partitions=_settings.partitions,
        # Only shown in the banner: see _NoWeb.
        web_host=_settings.web_host,
        web_port=_settings.web_port or 5000,
        topic_disable_leader=True,
        TableManager="app.engine.recovery:Tables",
        table_standby_replicas=_settings.standbys if _settings.on_kafka else 0,
        consumer_auto_offset_reset="earliest",
        broker_commit_every=1000,
        # Messages are large: a few of them fill the memory that small ones would need thousands for.
        stream_buffer_maxsize=64,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        recovery_consistency_check=False,
        logging_config=logging_config(_settings),
        worker_redirect_stdouts=False,
        **_broker_options(),
    )
    if _settings.on_kafka:
        own.on_rebalance_complete.connect(cast(Any, _hold_flow), weak=False)
    return own


async def _hold_flow(sender: faust.App, *_: Any, **__: Any) -> None:
    """Faust resumes the partitions, then clears the queues of the streams: what is fetched in between would be lost."""
    sender.consumer.stop_flow()


def _topic(on: faust.App, name: str) -> faust.TopicT:
    return on.topic(
        name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=_settings.partitions,
    )


runs_flow = "flow" in _settings.role_names
app = _make_app(_settings.app_id if runs_flow else f"{_settings.app_id}-{_settings.role_names[0]}")
"""The worker's main app: the flow's, or without the flow that of the first store."""

weblogs = _topic(app, "weblogs")
"""Lines as they come; headers in app.messages.headers.Headers."""
weblogs_tokens = _topic(app, "weblogs_tokens")
"""Hits, by delivery key."""
weblogs_rejects = _topic(app, "weblogs_rejects")
"""Lines that are no hit, and records that a store refuses for good."""
weblogs_reduced = _topic(app, "weblogs_reduced")
"""Deliveries."""

counted_topics = {name: _topic(app, name) for kind in COUNTED for name in kind.topics}
"""For each counted kind its events, many a message, spread by what may repeat them; and those that count, with their sums."""

flow = (weblogs, weblogs_tokens, weblogs_rejects, weblogs_reduced, *counted_topics.values())


class Sink(NamedTuple):
    """One store's app and the topics that it reads."""

    app: faust.App
    tokens: faust.TopicT
    rejects: faust.TopicT
    reduced: faust.TopicT
    counted: Mapping[str, faust.TopicT]
    """By name of the kind: those that count, and their sums."""


def _sink(store: str) -> Sink:
    name = f"{_settings.app_id}-{store}"
    own = app if name == app.conf.id else _make_app(name)
    if own is not app:
        own.finalize()  # the worker starts it as a dependency: no command line will do it
    tokens, rejects, reduced = (
        _topic(own, topic.get_topic_name()) for topic in (weblogs_tokens, weblogs_rejects, weblogs_reduced)
    )
    return Sink(own, tokens, rejects, reduced, {kind.name: _topic(own, kind.reduced) for kind in COUNTED})


sinks = {store: _sink(store) for store in _settings.store_names if store in _settings.role_names}
"""By name of the store: those that this worker feeds."""
