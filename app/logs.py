"""How the worker logs: one line a record, for people or for machines."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from app.settings import Settings

__all__ = ["logging_config"]


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"time": record.created, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


class TextFormatter(logging.Formatter):
    """Time in UTC, level, message."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")


def logging_config(settings: Settings) -> dict[str, Any]:
    """For logging.config.dictConfig: our own lines at the level of the settings, the engine's chatter from warnings on."""
    level = settings.log_level.upper()
    # A handler of their own: Faust's worker raises the level of the root's first handler to its --loglevel, a warning.
    ours = {name: {"level": level, "handlers": ["own"], "propagate": False} for name in ("app", "agents", "tables")}
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "own"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"()": JsonFormatter if settings.log_format == "json" else TextFormatter}},
        "handlers": {"root": handler, "own": handler},
        "root": {"level": "WARNING", "handlers": ["root"]},
        # Faust's timers complain of every tick that comes late under load.
        "loggers": ours | {"mode.timers": {"level": "ERROR"}} | ({"faust": {"level": "INFO"}} if level == "DEBUG" else {}),
    }
