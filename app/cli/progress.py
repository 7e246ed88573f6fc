"""Progress on standard error: a bar on a terminal, a line every few seconds elsewhere, nothing where it is not wanted."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from app.words import counted_text, visible

if TYPE_CHECKING:
    from app.sources.replay.run import Progress

__all__ = ["Screen", "open_screen"]

_STATUS_EVERY_S = 5.0


class Screen(Protocol):
    """Where progress is shown; calls may come from any thread. A context manager."""

    def say(self, text: str) -> None:
        """A sentence on a line of its own."""

    def read(self, path: str, done_bytes: int, size_bytes: int | None) -> None:
        """How much of a file is read."""

    def records(self, store: str, done: int, total: int | None) -> None:
        """How many records of a store are read."""

    def sent(self, progress: Progress) -> None:
        """How much of a file is sent."""

    def waiting(self, messages: int) -> None:
        """How many messages are not in the store yet."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Lines:
    """For logs and pipes."""

    def __init__(self, quiet: bool, reads: bool) -> None:
        self._quiet, self._reads = quiet, reads
        self._started = self._said = time.monotonic()

    def say(self, text: str) -> None:
        if not self._quiet:
            click.echo(text, err=True)

    def read(self, path: str, done_bytes: int, size_bytes: int | None) -> None:
        if self._reads:
            self._seldom(f"{visible(path)}: {done_bytes:,}{_of(size_bytes)} bytes read")

    def records(self, store: str, done: int, total: int | None) -> None:
        if self._reads:
            self._seldom(f"{store}: {done:,}{_of(total)} records read")

    def sent(self, progress: Progress) -> None:
        rate = progress.lines / max(time.monotonic() - self._started, 1e-9)
        self._seldom(
            f"{progress.path}: {progress.consumed_bytes:,}{_of(progress.size_bytes)} bytes read, "
            f"{counted_text(progress.lines, 'line')} sent, {rate:,.0f} lines/s"
        )

    def waiting(self, messages: int) -> None:
        if messages:
            self._seldom(f"{counted_text(messages, 'message')} on the way to the store")

    def _seldom(self, text: str) -> None:
        now = time.monotonic()
        if now - self._said >= _STATUS_EVERY_S:
            self._said = now
            self.say(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Bars:
    """For a terminal: one bar a file."""

    def __init__(self, transient: bool) -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        from app.output.console import Console

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._bars = RichProgress(*columns, console=Console(stderr=True), refresh_per_second=5, transient=transient)
        self._tasks: dict[str, Any] = {}
        self._most = 0
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def read(self, path: str, done_bytes: int, size_bytes: int | None) -> None:
        self._show(visible(path), done_bytes, size_bytes, f"{done_bytes / 1e6:,.1f}{_megabytes_of(size_bytes)} MB")

    def records(self, store: str, done: int, total: int | None) -> None:
        self._show(store, done, total, f"{done:,}{_of(total)} records")

    def sent(self, progress: Progress) -> None:
        rate = progress.lines / max(time.monotonic() - self._started, 1e-9)
        note = f"{counted_text(progress.lines, 'line')} sent, {rate:,.0f} lines/s"
        self._show(progress.path, progress.consumed_bytes, progress.size_bytes, note)

    def waiting(self, messages: int) -> None:
        self._most = max(self._most, messages)
        self._show("storing", self._most - messages, max(self._most, 1), f"{counted_text(messages, 'message')} to go")

    def _show(self, name: str, done: int, total: int | None, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, note=note)
        self._bars.update(self._tasks[name], completed=done, total=total, note=note)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()


def _of(size_bytes: int | None) -> str:
    return f" of {size_bytes:,}" if size_bytes else ""


def _megabytes_of(size_bytes: int | None) -> str:
    return f" of {size_bytes / 1e6:,.1f}" if size_bytes else ""


def open_screen(*, quiet: bool = False, transient: bool = False) -> Screen:
    """The screen that fits standard error. `transient`: the bars vanish at the end, and elsewhere reading shows nothing."""
    return _Bars(transient) if sys.stderr.isatty() and not quiet else _Lines(quiet, reads=not transient)
