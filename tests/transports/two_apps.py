"""Two Faust apps in one worker process, on one embedded log: a flow, and a sink that is a consumer group of its own.

    python -m tests.transports.two_apps FOLDER SECONDS [hang]

Counts to FOLDER/flow.txt and FOLDER/sink.txt, one offset a line. `hang`: the sink stops at its third message for good.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import faust

from app.transports.sqlite import register

register()


def make_app(name: str, folder: Path) -> faust.App:
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


def record_into(app: faust.App, path: Path, stop_at: int | None = None) -> None:
    """An agent that notes each message and acks by hand, last."""

    async def note(stream: Any) -> None:
        handled = 0
        unacked = stream.noack()
        async for event in unacked.events():
            handled += 1
            if handled == stop_at:
                await asyncio.Event().wait()
            with path.open("a") as out:
                out.write(f"{event.message.topic}/{event.message.partition}/{event.message.offset} {event.value.decode()}\n")
            await unacked.ack(event)

    for topic in ("first", "second"):
        app.agent(app.topic(topic, value_serializer="raw"), name=f"note-{topic}")(note)


def main(folder: Path, seconds: float, hang: bool) -> None:
    flow, sink = make_app("flow", folder), make_app("flow-sink", folder)
    record_into(flow, folder / "flow.txt")
    record_into(sink, folder / "sink.txt", stop_at=3 if hang else None)

    @flow.on_worker_init.connect
    def finalize(*_: Any, **__: Any) -> None:
        sink.finalize()

    @flow.task
    async def run() -> None:
        sink.finalize()
        await flow.add_runtime_dependency(sink)
        await asyncio.sleep(seconds)
        raise SystemExit

    flow.finalize()
    faust.Worker(flow, loglevel=logging.INFO).execute_from_commandline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] == ["hang"])
