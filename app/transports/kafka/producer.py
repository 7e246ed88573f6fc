"""Producer to Kafka for processes beside the worker's flow: replay and POST. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import SettingsError
from app.transports.kafka.closing import abandon_producer, close_producer
from app.transports.kafka.diagnosis import unreachable
from app.transports.kafka.options import MAX_MESSAGE_BYTES, client_options
from app.transports.kafka.topics import on_broker
from app.transports.messages import Message

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["KafkaProducer"]

T = TypeVar("T")
CLOCK_TIMEOUT_S = 5.0
_NO_TIME = 1
"""A broker that puts its own time on messages gives another."""
DELIVERY_TIMEOUT_S = 20.0
"""This long a message may take; then its outcome is unknown, and whoever sent it sends it again: lines with an id count once."""


class KafkaProducer:
    """The Producer protocol on Kafka: idempotent, acknowledged by all replicas."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None

    def partitions(self, topic: str) -> int:
        """Raises SettingsError where the topic lacks (only `python -m app init` creates topics), LogUnreachable."""
        found = self._with_client(lambda client: client.partitions_for(on_broker(self._settings, topic)))
        if not found:
            raise SettingsError(
                f"{self._settings.broker} has no topic {on_broker(self._settings, topic)}: run `python -m app init` first"
            )
        return len(found)

    def incarnation(self, topic: str) -> str:
        """Kafka's id of the topic. Raises as partitions."""
        from app.transports.kafka.view import KafkaView

        self.partitions(topic)
        with closing(KafkaView(self._settings)) as view:
            return view.incarnation(topic)

    def append(self, messages: Sequence[Message]) -> None:
        """Returns when all are acknowledged. Raises LogUnreachable where the outcome is not known."""
        self._with_client(lambda client: _send(client, self._settings, messages))

    def clock(self, topic: str) -> float | None:
        """The broker's clock, UTC seconds, by the time that it gives a tombstone which it takes in `topic`; None where it gives none.

        Raises LogUnreachable.
        """
        told: int = self._with_client(
            lambda client: (
                client.send(topic, key=b"clock", partition=0, timestamp_ms=_NO_TIME).get(CLOCK_TIMEOUT_S).timestamp
            )
        )
        return None if told in (_NO_TIME, -1) else told / 1000

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            close_producer(client)

    def _with_client(self, work: Callable[[Any], T]) -> T:
        from kafka.errors import KafkaError

        try:
            if self._client is None:
                self._client = self._connected()
            return work(self._client)
        except (KafkaError, OSError) as error:
            client, self._client = self._client, None
            if client is not None:  # its sequence numbers may be out of step: the next call begins anew
                abandon_producer(client)
            raise unreachable(self._settings, error) from error

    def _connected(self) -> Any:
        from kafka import KafkaProducer as Client

        return Client(
            **client_options(self._settings),
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_MESSAGE_BYTES,
            batch_size=1 << 20,
            request_timeout_ms=10_000,
            delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
            max_block_ms=int(DELIVERY_TIMEOUT_S * 1000),
        )


def _send(client: Any, settings: Settings, messages: Sequence[Message]) -> None:
    futures = [
        client.send(
            on_broker(settings, message.topic),
            value=message.value,
            key=message.key,
            headers=list(message.headers.items()),
            partition=message.partition,
            timestamp_ms=int(message.timestamp * 1000),
        )
        for message in messages
    ]
    client.flush(timeout=DELIVERY_TIMEOUT_S)
    for future in futures:
        future.get(timeout=DELIVERY_TIMEOUT_S)
