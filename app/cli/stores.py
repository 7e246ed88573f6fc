"""`python -m app stores`: what a store is made of: make it, delete it, delete what is old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import click

from app.cli.groups import Listed
from app.settings import settings
from app.stores import STORES, open_store
from app.stores.contract import KINDS, Store

__all__ = ["command"]

_events = click.option(
    "--events", is_flag=True, help="Votes, transactions and all sums, those of requests too; candidates and users stay."
)
_store = click.option("--store", "name", type=click.Choice(list(STORES)), required=True, help="Which store.")
_raw = click.option("--raw", is_flag=True, help="Raw hits and rejects only.")
_reduced = click.option("--reduced", is_flag=True, help="Reduced deliveries only.")


def _kinds(raw: bool, reduced: bool) -> list[str]:
    """Those asked for; all where none is."""
    return [kind for kind in KINDS if raw == reduced or (kind == "reduced") == reduced]


def _on(name: str, work: Callable[[Store], Awaitable[Any]], *, create: bool) -> Any:
    """What `work` returns on that store. Without `create` nothing is made that is not there."""

    async def run() -> Any:
        store = open_store(name, settings())
        try:
            await (store.open() if create else store.ping())
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


@click.group("stores", cls=Listed)
def command() -> None:
    """What the stores are made of. A worker makes what is missing when it starts; nothing but `drop` and `retain` ever deletes."""


@command.command("map")
@_store
@_raw
@_reduced
def map_(name: str, raw: bool, reduced: bool) -> None:
    """Create missing tables or indices, and add missing fields."""
    kinds = _kinds(raw, reduced)
    _on(name, lambda store: store.retention.map(kinds), create=True)
    click.echo(f"{name}: {', '.join(kinds)} mapped")


@command.command("drop")
@_store
@_raw
@_reduced
@_events
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(name: str, raw: bool, reduced: bool, events: bool, yes: bool) -> None:
    """Delete all records, with their tables or indices. Asks first. Stop the workers that write to the store before."""
    kinds = _kinds(raw, reduced) if raw or reduced or not events else []
    events = events or not (raw or reduced)
    said = ", ".join([*kinds, "votes, spending and sums of requests"] if events else kinds)
    if not yes:
        click.confirm(f"Delete {said} of {name} for good?", abort=True)

    async def work(store: Store) -> None:
        if events:
            await store.ledgers.drop()
        if kinds:
            await store.retention.drop(kinds)

    _on(name, work, create=False)
    click.echo(f"{name}: {said} dropped")


@command.command("retain")
@click.option(
    "--store",
    "names",
    type=click.Choice(list(STORES)),
    multiple=True,
    help="Which stores; all of WEBLOGS_STORES by default.",
)
def retain(names: tuple[str, ...]) -> None:
    """Delete what was ingested longer ago than WEBLOGS_RETENTION says. The worker does it every hour."""
    for name in names or settings().store_names:
        raw, reduced = _on(
            name, lambda store: store.retention.retain(time.time(), *settings().retention_days), create=True
        )
        click.echo(f"{name}: {raw:,} raw and {reduced:,} reduced records were past their retention")
