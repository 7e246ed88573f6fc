"""weblogs -> weblogs_tokens, weblogs_rejects: read the lines, spread the hits by delivery key."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from app.engine.losses import named_topic
from app.engine.reading import Agent, acknowledge, batches
from app.engine.sending import send_all
from app.flows.deliveries import LINES, REJECTS, TOKENS
from app.messages.origins import Lines, headers_of
from app.messages.records import encode_rejects
from app.messages.tokens import encode_tokens
from app.process.crash_points import crash_point
from app.sources.files.read_options import format_options
from app.steps.tokenizer import Tokenizer
from app.transports.messages import Message

__all__ = ["LineTokenizing", "tokenize_lines"]

log = logging.getLogger(__name__)
TELL_IDS_EVERY_S = 60.0
MAX_BATCH_BYTES = 1 << 20
"""Reading this much blocks the event loop for some tens of milliseconds."""


class LineTokenizing:
    """The agent, and the ticks that go the way of its hits."""

    def __init__(self, app: Any) -> None:
        self._app, self._outside = app, app.outside
        own = app.outside.settings
        self._tell_ids_after = float("-inf")
        self._tokenizer = Tokenizer(own.partitions, own.format, format_options(own), max_line_bytes=own.max_line_bytes)

    async def run(self, stream: Any) -> None:
        """Read all that the stream brings."""
        tokenizer, counters = self._tokenizer, self._outside.counters
        async for batch in batches(self._app, stream, MAX_BATCH_BYTES):
            topic = await named_topic(self._app, LINES, stream.channel.queue)
            found = tokenizer.tokenize(
                Lines(topic, taken.partition, taken.offset, taken.timestamp, taken.value, headers_of(taken.headers))
                for taken in batch
            )
            now = self._outside.clock()
            messages = [
                Message(TOKENS, partition, None, value, {}, now)
                for partition, tokens in found.tokens.items()
                for value in encode_tokens(tokens)
            ]
            rejects = encode_rejects(found.rejects)
            messages += [Message(REJECTS, batch[0].partition, None, value, {}, now) for value in rejects]
            await send_all(self._app, messages)
            crash_point("tokens_sent")
            await acknowledge(stream, batch)
            counters.lines += found.lines
            counters.hits += found.hits
            self._tell_bad_ids(found.bad_ids)
            counters.pass_over(found.unread)
            counters.rejects.update(reject.reason for reject in found.rejects)
            counters.watermarks = {
                tokenizer.names[number]: clock.highest for number, clock in tokenizer.clocks.of.items()
            }
            del batch, found, messages, rejects  # nothing of them is kept until the next

    def _tell_bad_ids(self, bad: Counter[str]) -> None:
        """Once a minute at most: each message of a shipper may have one."""
        counters, now = self._outside.counters, self._outside.clock()
        counters.bad_ids.update(bad)
        if bad and now >= self._tell_ids_after:
            self._tell_ids_after = now + TELL_IDS_EVERY_S
            log.warning(
                "ids of a shipper are no ids: %d messages with one that names no line, %d with that of another line, since the start."
                " Lines without an id count again if they are sent again: see the how-to page of your shipper.",
                counters.bad_ids["empty"],
                counters.bad_ids["shared"],
            )

    async def tick(self) -> None:
        """The time and the watermarks, through the topic: the agents behind it never read a clock."""
        own, now = self._outside.settings, self._outside.clock()
        values = encode_tokens(self._tokenizer.tick(now, now - own.state_ttl))
        places = range(own.partitions)
        await send_all(
            self._app, [Message(TOKENS, partition, None, value, {}, now) for partition in places for value in values]
        )


def tokenize_lines(app: Any) -> Agent:
    """The agent; its ticks begin with the app."""
    agent = LineTokenizing(app)

    @app.timer(interval=app.outside.settings.tick_interval, name="tick")  # type: ignore[untyped-decorator]
    async def tick() -> None:
        await agent.tick()

    return agent.run
