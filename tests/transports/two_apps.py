"""Two Faust apps in one worker process, on one embedded log: a flow, and a sink that is a consumer group of its own.

    python -m tests.transports.two_apps FOLDER [hang]

Both note every message of two topics in FOLDER/flow.txt and FOLDER/sink.txt. `hang`: the sink stops for good at its third one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import faust

from app.transports.embedded.transport import register

register()


def make_app(name: str, folder: Path) -> faust.App:
    """The settings that matter on the embedded log; the worker's own web server is off."""
    return faust.App(
        name,
        broker=f"sqlite:///{folder}/log.db",
        store="memory://",
        datadir=str(folder / name),
        value_serializer="raw",
        topic_partitions=2,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_commit_interval=0.2,
        web_enabled=False,
    )


def note_into(app: faust.App, path: Path, hang_at: int | None = None) -> None:
    """Two agents that write each message down and ack it by hand, last."""

    async def note(stream: Any) -> None:
        handled = 0
        unacked = stream.noack()
        async for event in unacked.events():
            handled += 1
            if handled == hang_at:
                await asyncio.Event().wait()
            message = event.message
            with path.open("a") as out:
                out.write(
                    f"{message.topic} {message.partition} {message.offset} {event.value.decode()} {event.headers}\n"
                )
            await unacked.ack(event)

    for topic in ("first", "second"):
        app.agent(app.topic(topic, value_serializer="raw"), name=f"note-{topic}")(note)


def main(folder: Path, hang: bool) -> None:
    flow, sink = make_app("flow", folder), make_app("flow-sink", folder)
    note_into(flow, folder / "flow.txt")
    note_into(sink, folder / "sink.txt", hang_at=3 if hang else None)

    async def start_sink() -> None:
        sink.finalize()
        await flow.add_runtime_dependency(sink)

    flow.task(start_sink)
    flow.finalize()
    faust.Worker(flow, loglevel="WARN").execute_from_commandline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["hang"])
