"""Sends files to the topic `weblogs`, from their checkpoints on: the command's and the worker's replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from app.errors import InputError, WeblogsError
from app.settings import Settings
from app.sources.beginning import ReadOptions
from app.sources.chunks import Chunk
from app.sources.identity import Identifier
from app.sources.messages import TOPIC, Labels
from app.sources.orders import FILE_ORDER, ordered_chunks
from app.sources.reading import Input, Mark, open_source
from app.sources.registry import FolderRegistry
from app.sources.sending import Appends, Pace, Sender, Stopped

__all__ = ["Progress", "ReplayOptions", "ReplayResult", "registry_of", "replay_files", "send_rest"]


def registry_of(settings: Settings) -> FolderRegistry:
    """Where this data folder keeps its checkpoints."""
    return FolderRegistry(Path(settings.data_dir) / "sources")


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
    stop: Event = field(default_factory=Event)
    """Set by somebody else: the replay stops after what is acknowledged."""
    say: Callable[[str], None] = lambda _: None
    """Takes sentences for people."""

    @classmethod
    def of(cls, settings: Settings) -> ReplayOptions:
        """As the settings say, with the checkpoints of the data folder."""
        return cls(Identifier(registry_of(settings)), ReadOptions.of(settings), settings.rate)


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


class _Run:
    """One replay: what its parts share."""

    def __init__(self, producer: Appends, options: ReplayOptions, on_progress: Callable[[Progress], None] | None) -> None:
        self.options = options
        self.pace = Pace(options.rate, options.stop)
        self.sender = Sender(producer, options.stop, options.say)
        self.partitions = producer.partitions(TOPIC)
        self.result = ReplayResult()
        self._on_progress = on_progress

    @property
    def read_options(self) -> ReadOptions:
        count = 1 if self.options.line_by_line else self.pace.lines_per_message
        return self.options.read._replace(lines_per_message=count)

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

    def tell(self, opened: Input) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(opened.path, opened.consumed_bytes, opened.size_bytes, self.result.lines, self.result.bytes))


def replay_files(
    paths: Sequence[str], producer: Appends, options: ReplayOptions, on_progress: Callable[[Progress], None] | None = None
) -> ReplayResult:
    """Sends each file from where its checkpoint stands, one after another; blocks until done or stopped.

    A file that can not be read does not stop the others: its sentence is in the result. A log that fails does stop.
    """
    run = _Run(producer, options, on_progress)
    started = time.monotonic()
    try:
        for path in paths:
            try:
                _replay_file(path, run)
                run.result.files += 1
            except InputError as error:
                run.sender.flush()
                run.result.errors.append(str(error))
                options.say(str(error))
    except Stopped:
        run.result.stopped = True
    except WeblogsError as error:
        run.result.errors.append(str(error))
        options.say(str(error))
    run.result.seconds = time.monotonic() - started
    return run.result


def _replay_file(path: str, run: _Run) -> None:
    options = run.options
    ordered = options.order != FILE_ORDER
    with open_source(path, options.identifier, run.read_options, again=options.again or ordered) as opened:
        source = opened.source
        if source is None:
            options.say(f"{path} holds no lines: nothing to send")
        elif ordered:
            _send_ordered(opened, run)
        elif opened.already_sent and not options.again:
            options.say(f"{path} was already sent: {source.lines:,} lines; --again sends them once more (repeats are absorbed)")
        else:
            if source.position:
                options.say(f"{path}: going on after {source.lines:,} lines, at byte {source.position:,}")
            send_rest(opened, run)


def send_rest(opened: Input, run: _Run) -> None:
    """From the checkpoint to the end, and the end message."""
    source = opened.source
    assert source is not None
    labels = Labels(source, run.partitions)
    for chunk, mark in source.cut(opened.stream):
        if run.send(chunk, labels, source, _acknowledgement(opened, mark)):
            run.tell(opened)
    run.sender.add(labels.end(source.position), source, _acknowledgement(opened, source.mark, ended=True))
    run.sender.flush()
    run.tell(opened)


def _acknowledgement(opened: Input, mark: Mark, *, ended: bool = False) -> Callable[[], None]:
    source = opened.source
    assert source is not None

    def acknowledge() -> None:
        source.acknowledge(mark)
        if ended:
            source.end()

    return acknowledge


def _send_ordered(opened: Input, run: _Run) -> None:
    """A trial in another order: the checkpoint stays as it is."""
    source, options = opened.source, run.options
    assert source is not None
    labels = Labels(source, run.partitions, unordered=True)

    def leave() -> None:
        """Nothing to move on."""

    trial: Iterator[Chunk] = ordered_chunks(opened.stream, options.order, options.seed, run.read_options, source.rule)
    for chunk in trial:
        if run.send(chunk, labels, source, leave):
            run.tell(opened)
    run.sender.add(labels.end(0), source, leave)
    run.sender.flush()
    run.tell(opened)
