"""What the engine gets from outside: settings, transport, clock, counters, stores, states, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.engine.partition import StatePart
from app.process.counters import Counters
from app.process.exit import Die, die
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store

__all__ = ["MakePart", "OpenStore", "Outside", "PartsOf"]

MakePart = Callable[[int, str], StatePart]
"""(partition, incarnation of the changelog) -> its state"""
PartsOf = Callable[[str, Settings], MakePart]
"""By table."""


class OpenStore(Protocol):
    """As app.stores.open_store."""

    def __call__(self, name: str, settings: Settings, *, read_only: bool = False) -> Store: ...


def _register_transport(settings: Settings) -> None:
    if settings.on_kafka:
        from app.transports.kafka import transport
    else:
        from app.transports.embedded import transport  # type: ignore[no-redef]
    transport.register()


class Outside(NamedTuple):
    """Defaults are those of a worker; tests give others."""

    settings: Settings
    counters: Counters
    clock: Callable[[], float] = time.time
    """UTC seconds."""
    die: Die = die
    open_store: OpenStore = open_store
    register_transport: Callable[[Settings], None] = _register_transport
    """Before a Faust app is made."""
    parts_of: PartsOf | None = None
    """The states of every table; None: as the table's module has them."""
