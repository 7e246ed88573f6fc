"""Part `limits`: what the machine can do at all with as many lines: `wc -l`, `cat` through a pipe, Kafka's own producer and consumer."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

from bench.context import PARTITIONS, Context
from bench.failing import BenchError
from bench.figures import Figure
from bench.kafka_tools import consumer_rate, producer_rate
from bench.topics import Topics

__all__ = ["run"]

PART = "limits"
CHUNK_BYTES = 512 << 10


def run(context: Context) -> list[Figure]:
    """Lines a second of each; the file lies in the page cache."""
    log, broker = context.log, context.server("kafka")
    size = log.path.stat().st_size
    line_bytes = size // log.lines
    chunks = max(20, size // CHUNK_BYTES)
    with Topics(broker.port, PARTITIONS) as topics:

        def kafka(count: int, record_bytes: int) -> tuple[float, float]:
            topic = f"bench-limit-{uuid.uuid4().hex[:8]}"
            topics.make(topic)
            rates = producer_rate(topics.server, topic, count, record_bytes), consumer_rate(topics.server, topic, count)
            if topics.count(topic) != count:
                raise BenchError(f"{topic} holds {topics.count(topic)} of {count} records")
            topics.drop(topic)
            return rates

        counting, piping = context.repeat(
            [("wc -l", lambda: _wc(log.path, log.lines)), ("cat | cat", lambda: _cat(log.path, size))]
        )
        singles, chunked = context.repeat(
            [
                (f"Kafka's tools, {line_bytes} byte records", lambda: kafka(log.lines, line_bytes)),
                (f"Kafka's tools, {CHUNK_BYTES} byte records", lambda: kafka(chunks, CHUNK_BYTES)),
            ]
        )
    times = CHUNK_BYTES / line_bytes
    return [
        Figure(PART, "wc -l", tuple(log.lines / seconds for seconds in counting), "lines/s", log.told),
        Figure(PART, "cat through a pipe", tuple(log.lines / seconds for seconds in piping), "lines/s", log.told),
        *(
            Figure(
                PART,
                f"Kafka's {tool}, {what}",
                tuple(rates[place] * lines for rates in runs),
                "lines/s",
                f"{size:,} bytes a record",
            )
            for what, runs, lines, size in (
                ("a line a record", singles, 1, line_bytes),
                ("chunks", chunked, times, CHUNK_BYTES),
            )
            for place, tool in enumerate(("producer", "consumer"))
        ),
    ]


def _wc(path: Path, lines: int) -> float:
    began = time.perf_counter()
    told = subprocess.run(["wc", "-l", str(path)], capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - began
    if int(told.split()[0]) != lines + 1:
        raise BenchError(f"wc -l counted {told.split()[0]} lines, not {lines + 1}")
    return seconds


def _cat(path: Path, size: int) -> float:
    began = time.perf_counter()
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat:
        read = 0
        while block := cat.stdout.read(1 << 16):  # type: ignore[union-attr]
            read += len(block)
    seconds = time.perf_counter() - began
    if read != size:
        raise BenchError(f"cat gave {read} of {size} bytes")
    return seconds
