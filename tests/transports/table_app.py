"""A Faust app with Faust's own table, take() and sending agents, on the embedded log.

    python -m tests.transports.table_app FOLDER

Counts the words of topic `words` in a table, in batches; sends each count on to `counts`; notes them in FOLDER/counts.txt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import faust

from app.transports.embedded.producer import EmbeddedProducer
from app.transports.messages import Message
from tests.transports.two_apps import make_app


def main(folder: Path) -> None:
    app = make_app("tables", folder)
    words = app.topic("words", key_serializer="raw", value_serializer="raw")
    counts = app.topic("counts", key_serializer="raw", value_serializer="raw")
    table = app.Table("word_counts", default=int, partitions=2, key_type=str, value_type=int)

    @app.agent(words, name="count")
    async def count(stream: Any) -> None:
        async for event in stream.events():
            word = event.value.decode()
            table[word] += 1
            await (
                await counts.send(key=event.key, value=f"{word} {table[word]}".encode(), headers={"word": event.value})
            )

    @app.agent(counts, name="note")
    async def note(stream: Any) -> None:
        async for batch in stream.take(10, within=0.1):
            with (folder / "counts.txt").open("a") as out:
                out.writelines(f"{value.decode()}\n" for value in batch)
            echoes = [Message("echoes", 0, None, value, {"n": b"1"}, 7.0) for value in batch]
            assert isinstance(app.producer, EmbeddedProducer)
            await app.producer.send_many(echoes)

    async def make_topics() -> None:
        await app.producer.create_topic("echoes", 1, 1)

    app.task(make_topics)

    app.finalize()
    faust.Worker(app, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
