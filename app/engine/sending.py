"""How agents send: all messages of a step at once, and not a step further before they are durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.transports.messages import Message

__all__ = ["send_all"]


async def send_all(app: Any, messages: Sequence[Message]) -> None:
    """Append the messages and wait until they are durable. A failure ends the process: its outcome is unknown."""
    if not messages:
        return
    try:
        await app.producer.send_many(messages)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        app.outside.die(f"{len(messages)} messages for {messages[0].topic} could not be sent", error)
