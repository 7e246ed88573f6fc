"""usage -> usage_monitored: records of monitored calls, each in its partition, so those of a user keep their order."""

from __future__ import annotations

from typing import Any

from app.domain.usage.records import is_for_stores
from app.engine.foreign import readable
from app.engine.reading import Agent, acknowledge, batches
from app.engine.sending import send_all
from app.flows.usage import MONITORED_TOPIC, USAGE_TOPIC
from app.messages.usage import decode_usage, encode_usage
from app.process.crash_points import crash_point
from app.transports.messages import Message

__all__ = ["select_monitored"]

MAX_BATCH_BYTES = 2 << 20


def select_monitored(app: Any) -> Agent:
    """The agent. What it sends twice after a kill is stored once: by its producer and number."""

    async def run(stream: Any) -> None:
        async for batch in batches(app, stream, MAX_BATCH_BYTES):
            now = app.outside.clock()
            found: dict[int, list[Any]] = {}
            for taken in batch:
                for records in await readable(app, USAGE_TOPIC, [taken], decode_usage):
                    found.setdefault(taken.partition, []).extend(filter(is_for_stores, records))
            await send_all(
                app,
                [
                    Message(MONITORED_TOPIC, partition, None, value, {}, now)
                    for partition, records in found.items()
                    for value in encode_usage(records)
                ],
            )
            crash_point("monitored_sent")
            await acknowledge(stream, batch)

    return run
