"""What the handlers work with: passed in once, when the web application is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from app.settings import Settings
from app.stores.contract import Store
from app.web.counted.event_intake import PostedEvents
from app.web.counted.names import CandidateNames
from app.web.counted.results import Results
from app.web.deliveries.line_intake import Intake
from app.web.deliveries.posted import FirstLines
from app.web.service.body import BodyBudget
from app.web.service.status import Status

__all__ = ["PARTS", "STORE_TIMEOUT_S", "WebParts"]

STORE_TIMEOUT_S = 5.0
"""A store that needs longer for a bounded read counts as not answering."""


class WebParts(NamedTuple):
    store: Store
    """Where answers are read."""
    stores: tuple[Store, ...]
    """Those whose state is told: `store`, and what this worker feeds; each once."""
    status: Status
    intake: Intake
    first_lines: FirstLines
    """What of posted lines is not read."""
    settings: Settings
    budget: BodyBudget
    events: PostedEvents
    """Where posted votes and transactions go."""
    names: CandidateNames
    stopping: Callable[[], bool]
    """Whether the worker was asked to end: stores and log may be closed already."""
    results: Results


PARTS = web.AppKey("parts", WebParts)
