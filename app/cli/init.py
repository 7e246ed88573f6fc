"""python -m app init: create what is missing on the brokers and stores of the settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import click

from app.cli.numbers import Number
from app.errors import LogError, StoreUnreachable, masked
from app.words import counted_text

__all__ = ["command"]

T = TypeVar("T")
_AGAIN_S = 2.0


@click.command("init")
@click.option(
    "--wait",
    "wait_s",
    type=Number(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for what is not up yet.",
)
def command(wait_s: float) -> None:
    """Create missing topics, index templates, keyspaces and tables on what WEBLOGS_BROKER and WEBLOGS_STORES name.

    Deletes and changes nothing; safe to run again. The embedded log and store need none of it: the worker makes their files.
    Exit code 4 when a server does not answer in time, 2 when a setting is wrong or topics have another number of partitions.
    """
    from app.settings import settings
    from app.stores import opened_store

    own = settings()
    if own.on_kafka:
        from app.transports.kafka.topics import create_topics

        topics, created = _until_there(lambda: create_topics(own), wait_s)
        for topic in topics:
            state = "created" if topic.name in created else "there"
            click.echo(f"topic {topic.name}: {state}, {counted_text(topic.partitions, 'partition')}")
    else:
        click.echo(masked(f"log {own.broker}: made by the worker when it starts"))

    async def open_once(name: str) -> None:
        async with opened_store(name, own):
            pass

    def opened(name: str) -> None:
        asyncio.run(open_once(name))

    for name in own.store_names:
        _until_there(partial(opened, name), wait_s)
        click.echo(f"store {name}: ready")


def _until_there(work: Callable[[], T], wait_s: float) -> T:
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
