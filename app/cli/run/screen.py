"""The progress of `python -m app run`: sending, then storing. A bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from app.sources.replay.files import Progress

__all__ = ["Screen", "open_screen"]

_STATUS_EVERY_S = 5.0


class Screen(Protocol):
    """Where progress is shown, on standard error; calls may come from any thread. A context manager."""

    def say(self, text: str) -> None:
        """A sentence of its own line."""

    def sent(self, progress: Progress) -> None:
        """How far the replay is."""

    def waiting(self, messages: int) -> None:
        """So many messages are not in the store yet."""

    def __enter__(self) -> Screen: ...

    def __exit__(self, *error: object) -> None: ...


class _Plain:
    def __init__(self) -> None:
        self._told: float | None = None

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def sent(self, progress: Progress) -> None:
        share = f" of {progress.size_bytes:,}" if progress.size_bytes else ""
        self._sometimes(
            f"{progress.path}: {progress.consumed_bytes:,}{share} bytes read, {progress.lines:,} lines sent"
        )

    def waiting(self, messages: int) -> None:
        self._sometimes(f"{messages:,} messages are on their way to the store")

    def _sometimes(self, text: str) -> None:
        now = time.monotonic()
        if self._told is None:
            self._told = now
        elif now - self._told >= _STATUS_EVERY_S:
            self._told = now
            self.say(text)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Bars:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
        )
        self._bars = RichProgress(*columns, console=Console(stderr=True), refresh_per_second=5)
        self._tasks: dict[str, Any] = {}
        self._most = 0

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def sent(self, progress: Progress) -> None:
        self._show(progress.path, progress.consumed_bytes, progress.size_bytes, f"{progress.lines:,} lines sent")

    def waiting(self, messages: int) -> None:
        self._most = max(self._most, messages)
        self._show("storing", self._most - messages, max(self._most, 1), f"{messages:,} messages to go")

    def _show(self, name: str, done: int, total: int | None, told: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, told=told)
        self._bars.update(self._tasks[name], completed=done, total=total, told=told)

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()


def open_screen() -> Screen:
    """The screen that fits standard error."""
    return _Bars() if sys.stderr.isatty() else _Plain()
