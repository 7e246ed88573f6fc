"""Why a broker could not be reached, in one sentence: kafka-python says only that it could not, aiokafka's log says why."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.errors import LogUnreachable, SettingsError, WeblogsError
from app.transports.kafka.options import aiokafka_options, servers

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["unreachable"]

_PATIENCE_S = 10.0


def unreachable(settings: Settings, error: BaseException) -> WeblogsError:
    """What to raise for a broker that does not answer (LogUnreachable) or does not let us in (SettingsError)."""
    where = ", ".join(servers(settings.broker))
    name = type(error).__name__
    told = str(error) if str(error).startswith(name) else f"{name}: {error}"
    why = told
    if "bootstrap" in told:
        why = _why_unreachable(settings)
    if "Authentication" in why or "Sasl" in why:
        return SettingsError(
            f"Kafka at {where} refused the login of {settings.kafka_user!r}: check WEBLOGS_KAFKA_USER and WEBLOGS_KAFKA_PASSWORD"
        )
    if "CERTIFICATE" in why or "SSL" in why:
        return SettingsError(
            f"Kafka at {where} shows a certificate that is not trusted, or speaks no TLS: check WEBLOGS_KAFKA_CA"
        )
    return LogUnreachable(
        f"Kafka at {where} does not answer ({told}): is it running, and is WEBLOGS_KAFKA_SECURITY={settings.kafka_security} right?"
    )


class _Heard(logging.Handler):
    """Keeps what is said, and lets nobody else hear it: one sentence of ours is enough."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _why_unreachable(settings: Settings) -> str:
    """What one more try to connect says; empty where it connects. Blocking; may be called where an event loop runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _try(settings)).result()


async def _try(settings: Settings) -> str:
    from aiokafka import AIOKafkaProducer

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
