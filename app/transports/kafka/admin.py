"""kafka-python's admin client, which leaves nothing behind where it cannot be made.

Its own constructor starts a thread with some sockets and keeps them when no broker answers. A worker that asks how far its groups are
every few seconds would run out of file descriptors in an outage of some hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.transports.kafka.options import client_options

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["open_admin"]


def open_admin(settings: Settings, request_timeout_ms: int) -> Any:
    """An admin client, to be closed by the caller. Raises what kafka-python raises: KafkaError, OSError."""
    from kafka import KafkaAdminClient
    from kafka.net.compat import KafkaNetClient

    made: list[KafkaNetClient] = []

    def remembered(**options: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**options))
        return made[-1]

    try:
        return KafkaAdminClient(
            **client_options(settings), request_timeout_ms=request_timeout_ms, kafka_client=remembered
        )
    except BaseException:
        for client in made:
            client.close()
        raise
