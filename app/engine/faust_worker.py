"""Faust's worker without what is drawn on a terminal, and with our level of logging in its banner."""

from __future__ import annotations

from typing import Any

import faust

__all__ = ["Worker"]


class Worker(faust.Worker):
    """`--loglevel` says nothing: WEBLOGS_LOG_LEVEL decides. The spinner would write terminal codes into files."""

    def __init__(self, app: Any, *services: Any, loglevel: Any = None, **options: Any) -> None:
        super().__init__(app, *services, loglevel=app.outside.settings.log_level, **options)
        self.spinner = None
