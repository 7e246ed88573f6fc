"""Sends files to the topic `weblogs`, from their checkpoints on: the command's and the worker's replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from app.errors import InputError, UnknownForm, WeblogsError
from app.sources.files.chunks import Chunk
from app.sources.files.orders import FILE_ORDER, ordered_chunks
from app.sources.replay.messages import Labels
from app.sources.replay.run import Progress, ReplayOptions, ReplayResult, Run, registry_of
from app.sources.replay.sender import Appends, Stopped
from app.sources.replay.source import Input, open_source

__all__ = ["Progress", "ReplayOptions", "ReplayResult", "registry_of", "replay_file", "replay_files"]


def replay_files(
    paths: Sequence[str],
    producer: Appends,
    options: ReplayOptions,
    on_progress: Callable[[Progress], None] | None = None,
) -> ReplayResult:
    """Sends each file from where its checkpoint stands, one after another; blocks until done or stopped.

    A file that cannot be read does not stop the others: its sentence is in the result. A log that fails does stop.
    """
    run = Run(producer, options, on_progress)
    started = time.monotonic()
    try:
        for path in paths:
            try:
                replay_file(path, run)
                run.result.files += 1
            except InputError as error:
                run.sender.flush()
                run.result.errors.append(str(error))
                options.say(str(error))
    except Stopped:
        run.result.stopped = True
    except UnknownForm:
        raise  # waiting and other files do not mend it
    except WeblogsError as error:
        run.result.errors.append(str(error))
        options.say(str(error))
    run.result.seconds = time.monotonic() - started
    return run.result


def replay_file(path: str, run: Run) -> None:
    """One input, from its checkpoint to its end. Raises InputError, LogError, Stopped."""
    options = run.options
    ordered = options.order != FILE_ORDER
    with open_source(path, options.identifier, run.read_options, again=options.again or ordered) as opened:
        source, shown = opened.source, opened.file.shown
        if source is not None and source.note:
            options.say(source.note)
        if source is None:
            options.say(f"{shown} holds no lines: nothing to send")
        elif ordered:
            _send_ordered(opened, run)
        elif opened.already_sent and not options.again:
            options.say(
                f"{shown} was already sent: {source.lines:,} lines; --again sends them once more (repeats are absorbed)"
            )
        else:
            if source.position:
                options.say(f"{shown}: going on after {source.lines:,} lines, at byte {source.position:,}")
            run.send_rest(opened)


def _send_ordered(opened: Input, run: Run) -> None:
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
