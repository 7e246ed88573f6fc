"""How the worker logs: one line a record, for people or for machines."""

from __future__ import annotations

import logging
import sys
import time

import msgspec

from app.settings import Settings

__all__ = ["configure_logging"]


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


def configure_logging(settings: Settings) -> None:
    """Our own lines at the level of the settings; the engine's chatter from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    level = getattr(logging, settings.log_level.upper())
    for name in ("app", "agents", "tables"):
        logging.getLogger(name).setLevel(level)
    if level == logging.DEBUG:
        logging.getLogger("faust").setLevel(logging.INFO)
