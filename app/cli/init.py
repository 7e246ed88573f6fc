"""python -m app init: create what is missing on the brokers and stores of the settings."""

from __future__ import annotations

import asyncio
from functools import partial

import click

__all__ = ["command"]


@click.command("init", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for what is not up yet.",
)
def command(wait_s: float) -> None:
    """Create missing topics, index templates, keyspaces and tables on what WEBLOGS_BROKER and WEBLOGS_STORES name.

    Deletes and changes nothing; safe to run again. The embedded log and store need none of it: the worker makes their files.
    Exit code 1 when a server does not answer in time, 2 when a setting is wrong or topics have another number of partitions.
    """
    from app.cli.waiting import until_there
    from app.errors import masked
    from app.settings import settings
    from app.stores import open_store

    own = settings()
    if own.on_kafka:
        from app.transports.kafka.topics import create_topics

        topics, created = until_there(lambda: create_topics(own), wait_s)
        for topic in topics:
            state = "created" if topic.name in created else "there"
            click.echo(f"topic {topic.name}: {state}, {topic.partitions} partitions")
    else:
        click.echo(masked(f"log {own.broker}: made by the worker when it starts"))

    async def open_once(name: str) -> None:
        store = open_store(name, own)
        try:
            await store.open()
        finally:
            await store.close()

    def opened(name: str) -> None:
        asyncio.run(open_once(name))

    for name in own.store_names:
        until_there(partial(opened, name), wait_s)
        click.echo(f"store {name}: ready")
