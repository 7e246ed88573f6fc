"""How the worker logs: one line a record, for people or for machines."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from app.errors import masked
from app.settings import Settings
from app.words import visible

__all__ = ["logging_config"]


class JsonFormatter(logging.Formatter):
    """One JSON object a line, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        if record.exc_info:
            fields["exception"] = masked(self.formatException(record.exc_info))
        return msgspec.json.encode(fields).decode()


class TextFormatter(logging.Formatter):
    """Time in UTC, level, message, without secrets. Whatever is in a message, a line that begins with a time is a record."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = "\n  ".join(map(visible, record.message.split("\n")))
        return super().formatMessage(record)


class Seldom(logging.Filter):
    """Lets a Kafka client say the same once in ten seconds: while a broker is away they write some 35 lines a second."""

    EVERY_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in ("aiokafka", "kafka") or record.levelno < logging.WARNING:
            return True
        key, now = (record.name, str(record.msg)), record.created
        if now - self._said.get(key, 0.0) < self.EVERY_S:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = now
        return True


def logging_config(settings: Settings) -> dict[str, Any]:
    """For logging.config.dictConfig: our own lines at the level of the settings, the engine's chatter from warnings on."""
    level = settings.log_level.upper()
    # A handler of their own: Faust's worker raises the level of the root's first handler to its --loglevel, a warning.
    ours = {name: {"level": level, "handlers": ["own"], "propagate": False} for name in ("app", "agents", "tables")}
    handler = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stderr",
        "formatter": "own",
        "filters": ["seldom"],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"()": JsonFormatter if settings.log_style == "json" else TextFormatter}},
        "filters": {"seldom": {"()": Seldom}},
        "handlers": {"root": handler, "own": handler},
        "root": {"level": "WARNING", "handlers": ["root"]},
        # Faust's timers complain of every tick that comes late under load.
        "loggers": ours
        | {"mode.timers": {"level": "ERROR"}}
        # So does Kafka's client of its tasks, with the address of each in memory.
        | {"kafka.net.selector": {"level": "ERROR"}}
        | ({"faust": {"level": "INFO", "handlers": ["own"], "propagate": False}} if level == "DEBUG" else {}),
    }
