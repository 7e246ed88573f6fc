"""The Faust apps and their topics, as we use them.

The flow is one app; each store is an app of its own with its own consumer group, so that a store that hangs holds up
neither the flow nor another store: within one app a single stalled agent stops the fetch loop of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from app.engine.losses import end_if_made_anew, note_read, tell_losses
from app.engine.outside import Outside
from app.process.logs import logging_config
from app.settings import Settings
from app.transports.bundles import value_bytes
from app.transports.kafka.options import MAX_MESSAGE_BYTES, faust_credentials, servers
from app.transports.kafka.topics import on_broker
from app.transports.kafka.worker_id import worker_id

__all__ = ["App", "make_app", "make_topic"]


FLOW_TIMES = 3
"""The flow reads ahead so many times as much as a store: one file's lines are in one partition, messages of 512 KiB, and a batch of three
gives larger messages from there on. It waits for no store, so that what it holds is not held for long."""
FLOW_PARTITION_BYTES = 3 * (528 << 10)
"""Three messages of 512 KiB with their heads: a broker cuts off what is beyond, in the middle of a message, and sends it again."""
PARTITION_BYTES = 256 << 10
"""Of one partition a fetch asks for as much at least; a broker gives a larger message whole."""
MESSAGE_BYTES = 1 << 10
"""What a message takes beside its value: it, its event, its heads."""


class _NoWeb(BootStrategy):
    """Faust's worker command turns its own web server on, whatever the settings say; the web face is ours."""

    enable_web = False


class MessageBuffer(ThrowableQueue[Any]):
    """What was fetched and waits for an agent, bounded in bytes: `maxsize` and `qsize` are bytes.

    Faust counts messages. Ours have 100 bytes or a megabyte: a number that bounds the memory of large ones leaves batches of small
    ones so little that each line costs twice as much.
    """

    _bytes = 0
    put_count = 0
    """So many messages came so far."""
    taken_count = 0
    """So many of them, in the order in which they came, are here no more."""
    asked_count = 0
    """So many had come when the broker was last asked whether their topic is still the same: see named_topic."""

    def qsize(self) -> int:
        return self._bytes

    def clear(self) -> None:
        super().clear()
        self._bytes = 0
        self.taken_count = self.put_count

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.put_count += 1
        self._bytes += _held_bytes(item)

    def _get(self) -> Any:
        item = super()._get()
        self.taken_count += 1
        self._bytes -= _held_bytes(item)
        return item


def _held_bytes(item: Any) -> int:
    message = getattr(item, "message", None)
    return MESSAGE_BYTES + (value_bytes(message.value) if message is not None else 0)


class App(faust.App):
    """A Faust app without a web server of Faust's."""

    BootStrategy = _NoWeb
    takes_bundles = True
    """Its agents read by app.engine.reading, which takes apart what the transport bundled."""
    outside: Outside
    """What its agents, tables and stores use of the world."""
    next_offsets: dict[TP, tuple[int, int]]
    """Of partitions that are read: the generation, and the offset that must come next."""

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> ThrowableQueue[Any]:
        """What Faust makes for each topic and table."""
        return MessageBuffer(maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)

    async def note_read(self, offsets: Mapping[TP, int]) -> None:
        """The consumer calls it before it commits."""
        await note_read(self, offsets.items())

    async def tell_losses(self, spans: Sequence[tuple[TP, int, int]]) -> None:
        """The consumer calls it with what it cannot read: partition, first offset, offset after the last."""
        await tell_losses(self, spans)

    async def end_if_made_anew(self) -> None:
        """The consumer calls it before it reads on after a rebalance."""
        await end_if_made_anew(self, [self])

    @property
    def topics_log(self) -> Any:
        """The broker's transport with what ours can do beyond Faust's."""
        return self.transport


def _broker_options(settings: Settings, partition_bytes: int) -> dict[str, Any]:
    if not settings.on_kafka:
        # Commit soon: what is not committed is read again after a crash.
        return {"broker": settings.broker, "broker_commit_interval": 0.25, "topic_replication_factor": 1}
    session_s = settings.kafka_session
    return {
        "broker": [f"kafka://{server}" for server in servers(settings.broker)],
        "broker_credentials": faust_credentials(settings),
        "broker_commit_interval": 1.0,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": min(1.0, session_s / 3),
        "broker_request_timeout": max(30.0, session_s),
        "broker_rebalance_timeout": max(20.0, session_s),
        # A store that is down holds its consumer still; it is not to lose its partitions for that.
        "broker_max_poll_interval": 86_400.0,
        # One id for each data folder: a worker that is back within its session gets its partitions without a rebalance.
        "consumer_group_instance_id": worker_id(settings.data_dir),
        "consumer_max_fetch_size": max(PARTITION_BYTES, partition_bytes),
        "producer_acks": -1,
        "producer_linger_ms": 0,
        "producer_max_batch_size": MAX_MESSAGE_BYTES,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "producer_request_timeout": 30.0,
        "topic_allow_declare": False,  # `python -m app init` creates topics
        "topic_replication_factor": settings.kafka_replication,
    }


def make_app(name: str, outside: Outside) -> App:
    """An app that is the consumer group `name`. Outside's transport must be registered."""
    settings = outside.settings
    is_flow = name == settings.flow_id
    read_ahead_bytes = settings.read_ahead_bytes * (FLOW_TIMES if is_flow else 1)
    own = App(
        name,
        store="memory://",
        datadir=str(settings.data_dir / "faust" / name),
        value_serializer="raw",
        key_serializer="raw",
        topic_partitions=settings.partitions,
        # Only shown in the banner: see _NoWeb.
        web_host=settings.web_host,
        web_port=settings.web_port or 5000,
        topic_disable_leader=True,
        TableManager="app.engine.recovery:Tables",
        table_standby_replicas=settings.standbys if settings.on_kafka else 0,
        consumer_auto_offset_reset="earliest",
        broker_commit_every=1000,
        stream_buffer_maxsize=read_ahead_bytes,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        recovery_consistency_check=False,
        logging_config=logging_config(settings),
        Worker="app.engine.faust_worker:Worker",
        worker_redirect_stdouts=False,
        **_broker_options(
            settings, max(FLOW_PARTITION_BYTES, read_ahead_bytes // 4) if is_flow else read_ahead_bytes // 8
        ),
    )
    own.outside = outside
    own.next_offsets = {}
    if settings.on_kafka:
        own.on_rebalance_complete.connect(cast(Any, _hold_flow), weak=False)
    return own


async def _hold_flow(sender: faust.App, *_: Any, **__: Any) -> None:
    """Faust resumes the partitions, then clears the queues of the streams: what is fetched in between would be lost."""
    sender.consumer.stop_flow()


def make_topic(app: App, name: str) -> Any:
    """A topic of bytes as this app's agents read it."""
    return app.topic(
        on_broker(app.outside.settings, name),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=app.outside.settings.partitions,
    )
