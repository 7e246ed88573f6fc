"""`kill -USR1` writes what every task of the worker waits for to its log: for one that seems to stand still."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

__all__ = ["ASKED", "stacks", "watch_signal"]

log = logging.getLogger(__name__)
ASKED = "asked what the worker waits for"


def watch_signal(loop: asyncio.AbstractEventLoop) -> None:
    """From now on, instead of what the engine's `loop` does at this signal; in the main thread."""
    loop.remove_signal_handler(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda *_: log.warning("%s:\n%s", ASKED, stacks()))


def stacks() -> str:
    """Every task of every event loop and every thread, each with its frames, outermost first."""
    tasks = (f"task {task.get_name()} of {id(loop):x}\n{_lines(_frames(task.get_coro()))}" for task, loop in _tasks())
    threads = (
        f"thread {number:x}\n{''.join(traceback.format_stack(frame))}"
        for number, frame in sys._current_frames().items()
    )
    return "\n".join((*tasks, *threads))


def _tasks() -> Iterable[tuple[asyncio.Task[Any], asyncio.AbstractEventLoop]]:
    """Of all loops: asyncio tells those of one loop only."""
    known: Iterable[asyncio.Task[Any]] = list(asyncio.tasks._all_tasks)  # type: ignore[attr-defined]
    return [(task, task.get_loop()) for task in known if not task.done()]


def _frames(waiting: Any) -> Iterator[tuple[FrameType, int]]:
    """Of a coroutine and what it awaits, as far as Python shows it: compiled ones have no frames."""
    while waiting is not None:
        for kind in ("cr", "gi", "ag"):
            if hasattr(waiting, f"{kind}_frame"):
                frame = getattr(waiting, f"{kind}_frame")
                if frame is not None:
                    yield frame, frame.f_lineno
                waiting = getattr(waiting, {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}[kind])
                break
        else:
            return


def _lines(frames: Iterator[tuple[FrameType, int]]) -> str:
    return "".join(traceback.StackSummary.extract(frames).format())
