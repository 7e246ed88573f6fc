"""The end of a producer of kafka-python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

__all__ = ["abandon_producer", "close_producer"]

_ENDING_S = 5.0


def close_producer(client: Any) -> None:
    """Send what waits, for five seconds at most, and end. What was not sent then is given up."""
    from kafka.errors import KafkaError

    try:
        client.close(timeout=_ENDING_S)
    except (KafkaError, OSError):
        abandon_producer(client)


def abandon_producer(client: Any) -> None:
    """End it, and give up what waits.

    `close` alone flushes first. If the broker does not answer it raises there, and the producer's thread and connections stay for good.
    """
    from kafka.errors import KafkaError

    client._sender.force_close()  # nothing public ends the thread
    with suppress(KafkaError, OSError):
        client.close(timeout=_ENDING_S)
