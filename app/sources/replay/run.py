"""One run of a replay or of following: what it is asked, what its parts share, what came of it; and the replay of files from their checkpoints on."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from app.errors import InputError, UnknownForm, WeblogsError
from app.flows.deliveries import LINES
from app.settings import Settings
from app.sources.files.chunks import Chunk
from app.sources.files.orders import FILE_ORDER, ordered_chunks
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.sender import Appends, Labels, Pace, ReplaySender, Stopped
from app.sources.replay.source import Input, Source, open_source
from app.transports.producers import LogProducer
from app.words import counted_text

__all__ = ["Progress", "ReplayOptions", "ReplayResult", "ReplayRun", "registry_of", "replay_file", "replay_files"]

_PIPE_POLL_S = 0.05


def registry_of(settings: Settings, producer: LogProducer) -> FolderRegistry:
    """Where this data folder keeps the checkpoints of what was sent by `producer`. Raises LogError, OutputError."""
    return FolderRegistry.of_log(Path(settings.data_dir) / "sources", producer.incarnation(LINES))


@dataclass
class ReplayOptions:
    """What a replay is asked to do."""

    identifier: Identifier
    read: ReadOptions = field(default_factory=ReadOptions)
    rate: float = 0.0
    """Lines a second; 0 is full speed."""
    order: str = FILE_ORDER
    seed: int = 0
    line_by_line: bool = False
    again: bool = False
    linger_s: float = 5.0
    """A writer may hold on to a rotated file for a while: its end is announced after so much silence."""
    stop: Event = field(default_factory=Event)
    """Set by somebody else: the replay stops after what is acknowledged."""
    say: Callable[[str], None] = lambda _: None
    """Takes sentences for people."""

    @classmethod
    def of(cls, settings: Settings, producer: LogProducer) -> ReplayOptions:
        """As the settings say, with the checkpoints of the data folder."""
        return cls(Identifier(registry_of(settings, producer)), ReadOptions.of(settings), settings.rate)


class Progress(NamedTuple):
    """How far a replay has come."""

    path: str
    consumed_bytes: int
    """Of the file named, compressed as it is."""
    size_bytes: int | None
    lines: int
    """Sent in this run, all files together."""
    sent_bytes: int


@dataclass
class ReplayResult:
    """What a replay did."""

    lines: int = 0
    """Sent in this run, head lines and lines that are too long included."""
    bytes: int = 0
    """Of these lines as they were sent."""
    seconds: float = 0.0
    files: int = 0
    """Inputs that were read to their end, or were already."""
    errors: list[str] = field(default_factory=list)
    """One sentence for each input that could not be read or sent."""
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        return 1 if self.errors or self.stopped else 0


class ReplayRun:
    """One replay: what its parts share."""

    def __init__(
        self, producer: Appends, options: ReplayOptions, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self.options = options
        self.pace = Pace(options.rate, options.stop)
        self.sender = ReplaySender(producer, options.stop, options.say)
        self.partitions = producer.partitions(LINES)
        self.result = ReplayResult()
        self._on_progress = on_progress

    @property
    def read_options(self) -> ReadOptions:
        count = 1 if self.options.line_by_line else self.pace.lines_per_message
        return self.options.read._replace(lines_per_message=count)

    def wait_for(self, fd: int) -> None:
        """Until a pipe has something to read, or its end. What is held goes out meanwhile. Raises LogError, Stopped."""
        while not select.select([fd], [], [], _PIPE_POLL_S)[0]:
            self.sender.flush()
            if self.options.stop.is_set():
                raise Stopped

    def send(self, chunk: Chunk, labels: Labels, source: object, acknowledge: Callable[[], None]) -> bool:
        """True if what was gathered went out with it."""
        if self.options.stop.is_set():
            raise Stopped
        lines = chunk.lines
        self.pace.wait(lines, self.sender)
        sent = self.sender.add(labels.message(chunk), source, acknowledge)
        self.result.lines += lines
        self.result.bytes += len(chunk.data)
        return sent

    def send_rest(self, opened: Input) -> None:
        """From the checkpoint of an opened input to its end, and the end message."""
        source = opened.source
        assert source is not None
        labels = Labels(source, self.partitions)
        for chunk, mark in source.cut(opened.stream):
            if self.send(chunk, labels, source, source.acknowledging(mark)):
                self.tell(opened.path, opened.consumed_bytes, opened.size_bytes)
        self.send_end(source, labels)
        self.tell(opened.path, opened.consumed_bytes, opened.size_bytes)

    def send_end(self, source: Source, labels: Labels) -> None:
        """Says that a source is read to its end, and waits until that is durable."""
        self.sender.add(labels.end(source.position), source, source.acknowledging(source.mark, ended=True))
        self.sender.flush()

    def fail(self, error: WeblogsError) -> None:
        """The replay has an error more."""
        self.result.errors.append(str(error))
        self.options.say(str(error))

    def tell(self, path: str, consumed_bytes: int, size_bytes: int | None) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(path, consumed_bytes, size_bytes, self.result.lines, self.result.bytes))


def replay_files(
    paths: Sequence[str],
    producer: Appends,
    options: ReplayOptions,
    on_progress: Callable[[Progress], None] | None = None,
) -> ReplayResult:
    """Sends each file from where its checkpoint stands, one after another; blocks until done or stopped.

    A file that cannot be read does not stop the others: its sentence is in the result. A log that fails does stop.
    """
    run = ReplayRun(producer, options, on_progress)
    started = time.monotonic()
    try:
        for path in paths:
            try:
                replay_file(path, run)
                run.result.files += 1
            except InputError as error:
                run.sender.flush()
                run.fail(error)
    except Stopped:
        run.result.stopped = True
    except UnknownForm:
        raise  # waiting and other files do not mend it
    except WeblogsError as error:
        run.fail(error)
    run.result.seconds = time.monotonic() - started
    return run.result


def replay_file(path: str, run: ReplayRun) -> None:
    """One input, from its checkpoint to its end. Raises InputError, LogError, Stopped."""
    options = run.options
    ordered = options.order != FILE_ORDER
    again = options.again or ordered
    with open_source(path, options.identifier, run.read_options, again=again, wait=run.wait_for) as opened:
        source, shown = opened.source, opened.file.shown
        if source is not None and source.note:
            options.say(source.note)
        if source is None:
            options.say(f"{shown} holds no lines: nothing to send")
        elif ordered:
            _send_ordered(opened, run)
        elif opened.already_sent and not options.again:
            options.say(
                f"{shown} was already sent: {counted_text(source.lines, 'line')}; --again sends them once more (repeats are absorbed)"
            )
        else:
            if source.position:
                options.say(
                    f"{shown}: going on after {counted_text(source.lines, 'line')}, at byte {source.position:,}"
                )
            run.send_rest(opened)


def _send_ordered(opened: Input, run: ReplayRun) -> None:
    """A trial in another order: the checkpoint stays as it is."""
    source, options = opened.source, run.options
    assert source is not None
    labels = Labels(source, run.partitions, unordered=True)

    def leave() -> None:
        """Nothing to move on."""

    trial: Iterator[Chunk] = ordered_chunks(opened.stream, options.order, options.seed, run.read_options, source.rule)
    for chunk in trial:
        if run.send(chunk, labels, source, leave):
            run.tell(opened.path, opened.consumed_bytes, opened.size_bytes)
    run.sender.add(labels.end(0), source, leave)
    run.sender.flush()
    run.tell(opened.path, opened.consumed_bytes, opened.size_bytes)
