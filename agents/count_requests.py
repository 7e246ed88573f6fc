"""weblogs_tokens -> [request_counts] -> requests_reduced: count every hit once, in the hour and the day of its time."""

from __future__ import annotations

from typing import Any

from app.engine.counting import EventCounting
from app.engine.reading import Agent
from app.engine.table import BatchTable
from app.errors import UnknownForm
from app.flows.requests import REQUESTS, Request
from app.messages.events import Read
from app.messages.forms import DamagedMessage
from app.messages.tokens import decode_tokens, hits_of

__all__ = ["count_requests", "requests_of"]


def requests_of(value: bytes, place: str | None = None) -> Read[Request]:
    """What cannot be read has none: merge_ranges reads the same messages, and makes rejects of it. Raises UnknownForm of a later form."""
    try:
        message = decode_tokens(value, place)
    except UnknownForm as error:
        if error.is_newer:
            raise
        return Read([], [])
    except DamagedMessage:
        return Read([], [])
    return Read(list(map(Request.of_hit, hits_of(message))), [])


def count_requests(app: Any, table: BatchTable) -> Agent | None:
    """The agent, on its table; None unless WEBLOGS_COUNT_REQUESTS asks for it: merge_ranges reads the same messages."""
    if not app.outside.settings.count_requests:
        return None
    return EventCounting(app, REQUESTS, table, requests_of).run
