"""weblogs -> weblogs_tokens, weblogs_rejects: read the lines, spread the hits by delivery key."""

from __future__ import annotations

import time

from app.engine.batches import acknowledge, batches, or_end
from app.engine.outputs import send_all
from app.engine.topology import app, weblogs
from app.messages.origins import Lines, headers_of
from app.messages.records import encode_rejects
from app.messages.tokens import encode_tokens
from app.process.counters import counters
from app.process.crash_points import crash_point
from app.settings import settings
from app.sources.files.beginning import format_options
from app.steps.tokenizer import Tokenizer
from app.transports.messages import Message

MAX_BATCH_BYTES = 1 << 20
"""Reading this much blocks the event loop for some tens of milliseconds."""
_settings = settings()
tokenizer = Tokenizer(_settings.partitions, _settings.format, format_options(_settings))


@app.agent(weblogs, name="tokenize_lines")
@or_end
async def tokenize_lines(stream):
    topic = ""
    async for batch in batches(app, stream, MAX_BATCH_BYTES):
        topic = topic or f"weblogs@{await app.topics_log.incarnation('weblogs')}"
        found = tokenizer.tokenize(
            Lines(topic, taken.partition, taken.offset, taken.timestamp, taken.value, headers_of(taken.headers))
            for taken in batch
        )
        now = time.time()
        messages = [
            Message("weblogs_tokens", partition, None, value, {}, now)
            for partition, tokens in found.tokens.items()
            for value in encode_tokens(tokens)
        ]
        rejects = encode_rejects(found.rejects)
        messages += [Message("weblogs_rejects", batch[0].partition, None, value, {}, now) for value in rejects]
        await send_all(app, messages)
        crash_point("tokens_sent")
        await acknowledge(stream, batch)
        counters.lines += found.lines
        counters.hits += found.hits
        counters.rejects.update(reject.reason for reject in found.rejects)
        counters.watermarks = {tokenizer.names[number]: clock.highest for number, clock in tokenizer.clocks.of.items()}
        del batch, found, messages, rejects  # nothing of them is kept until the next


@app.timer(interval=_settings.tick_interval, name="tick")
async def tick():
    """The time and the watermarks, through the topic: the agents behind it never read a clock."""
    now = time.time()
    values = encode_tokens(tokenizer.tick(now, now - _settings.state_ttl))
    places = range(_settings.partitions)
    await send_all(
        app, [Message("weblogs_tokens", partition, None, value, {}, now) for partition in places for value in values]
    )
