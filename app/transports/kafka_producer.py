"""Producer to Kafka for processes beside the worker's flow: replay and POST. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.errors import LogError, SettingsError
from app.transports.kafka_options import MAX_MESSAGE_BYTES, client_options, unreachable
from app.transports.messages import Message

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["KafkaProducer"]

DELIVERY_TIMEOUT_S = 20.0
"""So long a message may take; then its outcome is unknown, and whoever sent it sends it again: lines with an id count once."""


class KafkaProducer:
    """The Producer protocol on Kafka: idempotent, acknowledged by all replicas."""

    def __init__(self, settings: Settings) -> None:
        from kafka import KafkaProducer as Client
        from kafka.errors import KafkaError

        self._settings = settings
        self._errors = KafkaError
        try:
            self._client: Any = Client(
                **client_options(settings),
                acks="all",
                enable_idempotence=True,
                max_request_size=MAX_MESSAGE_BYTES,
                batch_size=1 << 20,
                request_timeout_ms=10_000,
                delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1000),
                max_block_ms=int(DELIVERY_TIMEOUT_S * 1000),
            )
        except (KafkaError, OSError) as error:
            raise LogError(unreachable(settings, error)) from error

    def partitions(self, topic: str) -> int:
        """Raises SettingsError where the topic lacks: only `python -m app init` creates topics."""
        try:
            found = self._client.partitions_for(topic)
        except self._errors as error:
            raise LogError(unreachable(self._settings, error)) from error
        if not found:
            raise SettingsError(f"{self._settings.broker} has no topic {topic}: run `python -m app init` first")
        return len(found)

    def append(self, messages: Sequence[Message]) -> None:
        """Returns when all are acknowledged. Raises LogError where the outcome is not known."""
        try:
            futures = [
                self._client.send(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers.items()),
                    partition=message.partition,
                    timestamp_ms=int(message.timestamp * 1000),
                )
                for message in messages
            ]
            self._client.flush(timeout=DELIVERY_TIMEOUT_S)
            for future in futures:
                future.get(timeout=DELIVERY_TIMEOUT_S)
        except self._errors as error:
            raise LogError(unreachable(self._settings, error)) from error

    def close(self) -> None:
        self._client.close(timeout=5)
