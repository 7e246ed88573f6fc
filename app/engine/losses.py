"""Messages that a group can never read: told at once, kept in the topic of progress, a problem until somebody acknowledges them.

They are noticed at each seek (a committed offset before the log's start, or beyond the mark), by the agents (a hole), and by looking now
and then, for where everything was deleted no message comes that would show the hole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import mode

from app.engine.clocks import compare_clocks
from app.engine.sending import send_all
from app.errors import LogError, UnknownForm
from app.flows.registry import progress_topic
from app.messages.progress import GroupMark, Loss, Place, progress_message
from app.process.exit import EXIT_REFUSED
from app.process.pauses import pauses
from app.transports.kafka.topics import off_broker
from app.transports.messages import Message

__all__ = ["LossWatch", "end_if_made_anew", "is_hole_of_log", "named_topic", "note_read", "tell_losses"]

log = logging.getLogger(__name__)
LOOK_EVERY_S = 10.0
Span = tuple[Any, int, int]
"""Topic and partition, first offset, and the offset after the last."""


def _messages(app: Any, told: Iterable[GroupMark | Loss]) -> list[Message]:
    topic, now = progress_topic(app.outside.settings.flow_id), app.outside.clock()
    return [Message(topic, each.partition, *progress_message(each), {}, now) for each in told]


def _place(app: Any, tp: Any) -> Place:
    return app.conf.id, off_broker(app.outside.settings, tp.topic), tp.partition


async def note_read(app: Any, offsets: Iterable[tuple[Any, int]]) -> None:
    """Before these offsets are committed. Returns when that is durable."""
    await send_all(app, _messages(app, (GroupMark(*_place(app, tp), offset) for tp, offset in offsets)))


async def tell_losses(app: Any, spans: Sequence[Span]) -> None:
    """Log and keep what was lost; what is known already is told no more. Returns when it is durable."""
    outside = app.outside
    known = outside.counters.losses
    found = [Loss(*_place(app, tp), first, end - 1, outside.clock()) for tp, first, end in spans]
    new = [loss for loss in found if loss.name not in known or known[loss.name].last < loss.last]
    for loss in new:
        log.error("%s `python -m app topics acknowledge` ends this problem.", loss)
        known[loss.name] = loss
    await send_all(app, _messages(app, new))


async def is_hole_of_log(app: Any, tp: Any, first: int, end: int) -> bool:
    """Whether the log itself has no message there, so that no restart would read one.

    On Kafka these are the marks of somebody's transactions. In the embedded log somebody deleted messages: that is told.
    """
    own = app.outside.settings
    if not await app.topics_log.is_empty(off_broker(own, tp.topic), tp.partition, first, end):
        return False
    if not own.on_kafka:
        await tell_losses(app, [(tp, first, end)])
    return True


async def end_if_made_anew(app: Any, apps: Sequence[Any]) -> None:
    """End the process if a topic was deleted and made anew under it; `apps` then begin at its beginning.

    Ids of lines without one of their own name the incarnation of the topic: by that of before, new lines would count as repeats.
    """
    try:
        names = await app.topics_log.made_anew()
    except LogError as error:
        log.warning("whether topics were made anew is not known now: %s", error)
        return
    if names:
        try:
            for each in apps:
                await each.consumer.begin_anew(names)
        except Exception as error:  # Kafka itself forgot the offsets with the topic
            log.warning("the offsets of %s could not be set back: %s", ", ".join(names), error)
        are = "topics were" if len(names) > 1 else "a topic was"
        app.outside.die(
            f"{are} deleted and made anew under this worker: {', '.join(names)}. What was in it and not read is gone. The next"
            " start reads from its beginning; if it was a changelog, then run `python -m app check`, and `repair`"
        )


async def named_topic(app: Any, topic: str, buffer: Any) -> str:
    """`topic@incarnation`: with an offset it names what has no id of its own. Call it for each batch, after it came from `buffer`.

    Ends the process if the topic is another one by now: a fetch goes on in it as if it were the old one. An incarnation never comes
    again. So one answer holds for all that had come when the broker was asked, and the batches that waited together ask once.
    """
    if buffer.taken_count > buffer.asked_count:
        put_count = buffer.put_count
        async for pause_s in pauses(1.0, LOOK_EVERY_S):
            try:
                if not await app.topics_log.is_anew(topic):
                    break
                await app.end_if_made_anew()
            except LogError as error:
                log.warning("whether %s was made anew is asked again in %.0f s: %s", topic, pause_s, error)
        buffer.asked_count = put_count
    return f"{topic}@{await app.topics_log.incarnation(topic)}"


class LossWatch(mode.Service):
    """Looks every LOOK_EVERY_S for what is gone before it was read, and for what was acknowledged."""

    def __init__(self, apps: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._apps = apps
        self._seen: dict[Any, tuple[int, int]] = {}

    @mode.Service.task
    async def _look(self) -> None:
        app = self._apps[0]
        while not self.should_stop:
            try:
                await asyncio.to_thread(compare_clocks, app)
                await self._look_at_topics()
                await end_if_made_anew(app, self._apps)
                progress = await app.topics_log.progress()
                app.outside.counters.losses.update(progress.losses)
                for each in self._apps:
                    await self._look_at(each)
            except UnknownForm as error:
                app.outside.die(str(error), code=EXIT_REFUSED)
            except Exception as error:  # the log may fail for a while
                log.warning("what was deleted unread is not known now: %s", error)
            await self.sleep(LOOK_EVERY_S)

    async def _look_at_topics(self) -> None:
        """Partitions that somebody added or topics that somebody deleted."""
        app = self._apps[0]
        problems = await app.topics_log.topic_problems()
        for problem in problems:
            if problem not in app.outside.counters.topic_problems:
                log.error("%s", problem)
        app.outside.counters.topic_problems = problems

    async def _look_at(self, app: Any) -> None:
        """What is gone in two looks, with no message read in between, is lost: else it may still be in hand."""
        if app.rebalancing or not app.consumer.assignment():
            return
        gone = []
        for tp, first, end in await app.consumer.gone():
            generation, following = app.next_offsets.get(tp, (None, first))
            first = max(first, following if generation == app.consumer_generation_id else first)
            if first < end and self._seen.get((app.conf.id, tp)) == (first, end):
                gone.append((tp, first, end))
            self._seen[app.conf.id, tp] = first, end
        await self._pass_over_marks(app)
        if gone and not app.rebalancing:
            await tell_losses(app, gone)
            await app.consumer.pass_over({tp: end for tp, _, end in gone})

    async def _pass_over_marks(self, app: Any) -> None:
        """What lies behind the last message and is none: nobody reads it, so nobody would ever commit it."""
        for tp, first, end in await app.consumer.unread():
            name, generation = (app.conf.id, "end", tp), app.consumer_generation_id
            rested = self._seen.get(name) == (first, end) and app.next_offsets.get(tp, (generation, first))[1] == first
            self._seen[name] = first, end
            if rested and not app.rebalancing and await is_hole_of_log(app, tp, first, end):
                await app.consumer.pass_over({tp: end})
