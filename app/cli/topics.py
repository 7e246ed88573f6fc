"""python -m app topics: look at the topics, acknowledge what was lost, and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.groups import Listed
from app.words import counted_text, waiting_text

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["command"]


@click.group("topics", cls=Listed)
def command() -> None:
    """The topics and consumer groups (`init` creates them on Kafka)."""


@command.command("acknowledge")
def acknowledge() -> None:
    """Say that you know of the messages that were lost: they are no problem in /health/ and no difference in `check` any more.

    Prints each. Works on Kafka and on the embedded log, beside running workers, which notice it within 10 seconds. A worker
    notes a loss when it runs; exit code 1 if there is one that none has noted.
    """
    import sys
    import time
    from contextlib import closing

    from app.checking.unread import unnoted_losses
    from app.flows.registry import progress_topic
    from app.messages.progress import progress_message
    from app.settings import settings
    from app.transports.broker_view import opened_view
    from app.transports.messages import Message
    from app.transports.producers import open_producer

    own, now = settings(), time.time()
    topic = progress_topic(own.flow_id)
    with opened_view(own) as view:
        if view is None:
            click.echo("there is no log yet")
            return
        progress, unnoted = unnoted_losses(view, own)
        losses = progress.unacknowledged
    known = [loss._replace(acknowledged=now) for loss in losses]
    if known:
        with closing(open_producer(own)) as producer:
            producer.append([Message(topic, each.partition, *progress_message(each), {}, now) for each in known])
    for loss in known:
        click.echo(f"acknowledged: {loss}")
    click.echo(f"{counted_text(len(known), 'loss')} acknowledged")
    for loss in unnoted:
        click.echo(
            f"not acknowledged: {loss} No worker has noted it yet: start one, wait 10 seconds, then run this again.",
            err=True,
        )
    if unnoted:
        sys.exit(1)


@command.command("show")
def show() -> None:
    """Print each topic with its messages, and how far each consumer group is.

    On Kafka only. The incarnation is Kafka's id of the topic: one that was deleted and made again has another.
    Exit code 1 if a topic is missing, has another number of partitions than WEBLOGS_PARTITIONS, or a configuration
    by which messages are lost or refused.
    """
    import sys

    from app.flows.registry import groups
    from app.settings import settings
    from app.transports.kafka.topics import found_topics
    from app.transports.kafka.view import KafkaView

    own = settings()
    _need_kafka(own)
    view, level = KafkaView(own), True
    for name, topic in found_topics(own).items():
        if topic is None:
            click.echo(f"topic {name}: missing; `python -m app init` creates it")
            level = False
            continue
        messages = sum(end - first for first, end in view.bounds(name).values())
        told = f"topic {name}: {counted_text(messages, 'message')}, {counted_text(topic.partitions, 'partition')}, incarnation {topic.incarnation}"
        if topic.partitions != own.partitions:
            told += f"; WEBLOGS_PARTITIONS={own.partitions}: see docs/how-to/more-partitions.md"
            level = False
        click.echo("\n  ".join((told, *topic.altered)))
        level = level and not topic.altered
    for group, topics in groups(own.flow_id, own.store_names).items():
        committed = view.committed(group)
        waiting = sum(
            end - max(first, committed.get((topic, partition), 0))
            for topic in topics
            for partition, (first, end) in view.bounds(topic).items()
        )
        click.echo(f"group {group}: {waiting_text(waiting)}")
    view.close()
    if not level:
        sys.exit(1)


@command.command("drop")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(yes: bool) -> None:
    """Delete the topics of WEBLOGS_TOPIC_PREFIX and the groups of WEBLOGS_APP_ID, with all messages and the tables' state in them.

    On Kafka only. Names what it will delete. Refuses while a worker is in one of the groups. Other prefixes, other app ids and the stores stay.
    """
    from app.errors import WorkerError, masked
    from app.settings import settings
    from app.transports.kafka.topics import drop_topics, droppable

    own = settings()
    _need_kafka(own)
    found = droppable(own)
    for name in found.topics:
        click.echo(f"topic {name}")
    for name in found.groups:
        click.echo(f"group {name}")
    if not found.topics and not found.groups:
        click.echo(masked(f"nothing to delete on {own.broker}"))
        return
    if found.active:
        raise WorkerError(f"a worker runs in {', '.join(found.active)}: stop it first; nothing was deleted")
    if not yes:
        click.confirm(masked(f"Delete these on {own.broker}, with all that is in them?"), abort=True)
    drop_topics(own, found)
    click.echo(f"{counted_text(len(found.topics), 'topic')} and {counted_text(len(found.groups), 'group')} deleted")


def _need_kafka(own: Settings) -> None:
    from app.errors import SettingsError

    if not own.on_kafka:
        raise SettingsError(
            f"WEBLOGS_BROKER={own.broker!r} is the embedded log, one file: this command is for kafka://HOST:PORT;"
            " what waits in the embedded log is in /health/ of the worker and in `python -m app check`"
        )
