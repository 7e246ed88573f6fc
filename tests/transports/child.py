"""What tests run in other processes, and kill.

python -m tests.transports.child produce LOG COUNT SIZE    COUNT transactions of SIZE messages; prints the offsets of each
python -m tests.transports.child batches LOG               endless changelog batches and compactions; prints the end offset of each
python -m tests.transports.child limited LOG BYTES         appends until the file system refuses a file above BYTES
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from app.errors import LogError
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, Pair

BATCH_PAIRS = 50


def batch_of(number: int) -> list[Pair]:
    """A batch that replaces most of what the one before it wrote, and deletes some of it."""
    pairs: list[Pair] = [(b"key-%d" % (number % 7 * 10 + i), b"%d-%d" % (number, i)) for i in range(BATCH_PAIRS - 1)]
    return [*pairs, (b"key-%d" % (number % 60), None)]


def produce(path: str, transactions: str, size: str) -> Iterator[str]:
    log = EmbeddedLog(path)
    log.create_topic("lines", 1)
    for number in range(int(transactions)):
        messages = [Message("lines", 0, None, b"%d %d" % (number, i), {}, 0.0) for i in range(int(size))]
        yield " ".join(map(str, log.append(messages, external=True)))


def batches(path: str) -> Iterator[str]:
    log = EmbeddedLog(path)
    log.create_topic("changes", 1, compacted=True)
    epoch = log.take_ownership("changes", 0)
    for number in count(log.end_offset("changes", 0) // BATCH_PAIRS):
        yield str(log.append_batch("changes", 0, batch_of(number), epoch))
        log.compact("changes", 0, at_least_bytes=1)


def limited(path: str, most: str) -> Iterator[str]:
    log = EmbeddedLog(path)
    log.create_topic("lines", 1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
    try:
        while True:
            yield str(log.append([Message("lines", 0, None, b"x" * 50_000, {}, 0.0)])[0])
    except LogError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    what, log_path, *rest = sys.argv[1:]
    Path(log_path).parent.mkdir(exist_ok=True)
    commands: dict[str, Callable[..., Iterator[str]]] = {"produce": produce, "batches": batches, "limited": limited}
    for line in commands[what](log_path, *rest):
        print(line, flush=True)
