"""python -m app topics: look at the topics on Kafka, and delete them."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.group("topics", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The topics and consumer groups on Kafka (`init` creates them)."""


@command.command("show")
def show() -> None:
    """Print each topic with its messages, and how far each consumer group is."""
    from app.flows.registry import groups
    from app.settings import settings
    from app.transports.kafka.topics import check_topics
    from app.transports.kafka.view import KafkaView

    own = settings()
    _need_kafka(own)
    for topic in check_topics(own).values():
        click.echo(f"topic {topic.name}: {topic.partitions} partitions, incarnation {topic.incarnation}")
    group_names = list(groups(own.app_id, own.store_names))
    lag = KafkaView(own).positions(group_names).lag
    for group in group_names:
        click.echo(
            f"group {group}: {sum(waiting for (of, _, _), waiting in lag.items() if of == group):,} messages wait"
        )


@command.command("drop")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(yes: bool) -> None:
    """Delete the topics and consumer groups of WEBLOGS_APP_ID, with all messages and the tables' state in them.

    Stop the workers first. Stores are not touched.
    """
    from app.errors import masked
    from app.settings import settings
    from app.transports.kafka.topics import drop_topics

    own = settings()
    _need_kafka(own)
    if not yes:
        click.confirm(
            masked(f"Delete the topics of {own.app_id} on {own.broker}, with all that is in them?"), abort=True
        )
    for name in drop_topics(own):
        click.echo(f"topic {name}: deleted")


def _need_kafka(own) -> None:  # type: ignore[no-untyped-def]
    from app.errors import SettingsError

    if not own.on_kafka:
        raise SettingsError(
            f"WEBLOGS_BROKER={own.broker!r} is the embedded log, one file: this command is for kafka://HOST:PORT"
        )
