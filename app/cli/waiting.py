"""Waiting for servers that are still starting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import click

from app.errors import LogError, StoreUnreachable

__all__ = ["until_there"]

T = TypeVar("T")
_AGAIN_S = 2.0


def until_there(work: Callable[[], T], wait_s: float) -> T:
    """What `work` returns; tried again while a server does not answer, for this long. Raises its last error then."""
    deadline = time.monotonic() + wait_s
    said = False
    while True:
        try:
            return work()
        except (LogError, StoreUnreachable) as error:
            if time.monotonic() + _AGAIN_S > deadline:
                raise
            if not said:
                click.echo(f"waiting: {error}", err=True)
                said = True
            time.sleep(_AGAIN_S)
