"""How to reach the brokers of WEBLOGS_BROKER, in the words of each client library."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from app.errors import SettingsError

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["MAX_MESSAGE_BYTES", "aiokafka_options", "client_options", "faust_credentials", "servers"]

MAX_MESSAGE_BYTES = 8 << 20
"""Largest message, batch and request: topics and producers are set to the same."""

BOOTSTRAP_TIMEOUT_MS = 5_000


def servers(broker: str) -> list[str]:
    """The brokers of a URL. Raises SettingsError where it names none.

    >>> servers("kafka://a:9092,b")
    ['a:9092', 'b:9092']
    """
    hosts = [host.strip() for host in broker.removeprefix("kafka://").rstrip("/").split(",")]
    if not broker.startswith("kafka://") or not all(hosts):
        raise SettingsError(f"WEBLOGS_BROKER={broker!r}: write kafka://HOST:PORT, several separated by commas")
    return [host if ":" in host.rpartition("]")[2] else f"{host}:9092" for host in hosts]


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.kafka_security not in ("ssl", "sasl_ssl"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca or None)
        if settings.kafka_cert:
            context.load_cert_chain(settings.kafka_cert, settings.kafka_key or None)
    except OSError as error:  # ssl.SSLError is one
        named = ", ".join(filter(None, (settings.kafka_ca, settings.kafka_cert, settings.kafka_key)))
        raise SettingsError(f"the certificates for Kafka ({named}) cannot be used: {error}") from None
    return context


def _security(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "security_protocol": settings.kafka_security.upper(),
        "ssl_context": _ssl_context(settings),
    }
    if settings.kafka_security.startswith("sasl"):
        if not settings.kafka_user:
            raise SettingsError(
                f"WEBLOGS_KAFKA_SECURITY={settings.kafka_security} needs WEBLOGS_KAFKA_USER and WEBLOGS_KAFKA_PASSWORD"
            )
        options |= {
            "sasl_mechanism": settings.kafka_sasl,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password,
        }
    return options


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of kafka-python's clients. Raises SettingsError."""
    return {
        "bootstrap_servers": servers(settings.broker),
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
        **_security(settings),
    }


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients. Raises SettingsError."""
    return {"bootstrap_servers": servers(settings.broker), **_security(settings)}


def faust_credentials(settings: Settings) -> Any:
    """For broker_credentials of a Faust app; None for plain text. Raises SettingsError."""
    from faust.auth import SASLCredentials, SSLCredentials

    options = _security(settings)
    context = options["ssl_context"]
    if "sasl_mechanism" in options:
        user, password = settings.kafka_user, settings.kafka_password
        return SASLCredentials(username=user, password=password, ssl_context=context, mechanism=settings.kafka_sasl)
    return SSLCredentials(context) if context is not None else None
