"""Why a broker could not be reached: kafka-python says only that it could not, aiokafka's log says why."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["why_unreachable"]

_PATIENCE_S = 10.0


class _Heard(logging.Handler):
    """Keeps what is said, and lets nobody else hear it: one sentence of ours is enough."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def why_unreachable(settings: Settings) -> str:
    """What one more try to connect says; empty where it connects. Blocking; may be called where an event loop runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _try(settings)).result()


async def _try(settings: Settings) -> str:
    from aiokafka import AIOKafkaProducer

    from app.transports.kafka.options import aiokafka_options

    heard, logger = _Heard(), logging.getLogger("aiokafka")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(heard)
    client = AIOKafkaProducer(**aiokafka_options(settings))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await client.start()
    except Exception as error:  # whatever it is: it is told to a person
        return " ".join([*heard.texts, str(error)])
    finally:
        await client.stop()
        logger.removeHandler(heard)
        logger.propagate = propagated
    return ""
