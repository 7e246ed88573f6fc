"""requests_reduced -> each store: the sums of requests. The hits themselves are kept by store_raw."""

from __future__ import annotations

from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.requests import REQUESTS

__all__ = ["store_requests"]


def store_requests(storing: Storing) -> Agent:
    """The agent of one store."""
    return storing.counted(REQUESTS)
