"""`python -m app run`: a worker, a replay into it, what was found, and the page, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from app.errors import InputError, LogError, SettingsError, StoreError, WorkerError
from app.process.exit import EXIT_INTERRUPTED, asked_to_end
from app.settings import Settings, settings
from app.words import counted_text, waiting_text

if TYPE_CHECKING:
    from app.cli.progress import Screen
    from app.cli.run.worker import WorkerProcess
    from app.sources.replay.run import ReplayResult

__all__ = ["command"]

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "weblogs.tsv"
LOOK_EVERY_S = 0.1
STUCK_S = 120.0
"""This long without a message consumed, though some wait, is the end of waiting."""


class _Interrupted(Exception):
    """Somebody asked for the end before the store held everything."""


@click.command("run")
@click.argument("files", nargs=-1, metavar="[FILE…]")
@click.option("--once", is_flag=True, help="End when the store holds the last line, instead of serving the page.")
def command(files: tuple[str, ...], once: bool) -> None:
    """Start a worker, replay FILEs (default: the bundled sample) into it, print what was found, serve until Ctrl-C.

    Everything lives below WEBLOGS_DATA_DIR. A file that was sent before is not sent again. Exit code 1 when a file could not
    be read to its end or the worker does not run, 130 when Ctrl-C ended it before the store held everything. SIGTERM and
    SIGHUP end it with 0, and with 130 only if --once was promised.
    """
    from app.cli.progress import open_screen
    from app.cli.run.worker import WorkerProcess, refuse_second_worker

    configured = settings()
    paths = files or (_short(SAMPLE),)
    _refuse_unreadable(paths)
    _refuse_other_broker(configured)
    refuse_second_worker(configured)
    with asked_to_end(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as asked:
        screen = open_screen()
        worker = WorkerProcess(configured, screen.say, asked)
        try:
            _run(worker, screen, asked, paths, once)
        except (LogError, StoreError):
            worker.refuse_removed()
            raise
        except _Interrupted:
            click.echo("Stopped before the store held everything; the same command goes on from there.", err=True)
            sys.exit(EXIT_INTERRUPTED if once or asked.by == signal.SIGINT else 0)
        finally:
            worker.stop()


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _refuse_unreadable(paths: tuple[str, ...]) -> None:
    """What can be said before a worker is started for it."""
    for path in paths:
        if path == "-":
            continue
        if not os.path.exists(path):
            raise InputError(f"{path}: there is no such file; name a log file, or none for the bundled sample")
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory; name the log files in it")
        if not os.access(path, os.R_OK):
            raise InputError(f"{path} may not be read by this user")


def _refuse_other_broker(configured: Settings) -> None:
    if not configured.broker.startswith("sqlite:"):
        raise SettingsError(
            f"WEBLOGS_BROKER={configured.broker!r}: `run` starts a worker on the embedded log (sqlite:///FILE); for another broker"
            " start `faust -A app worker` and `python -m app replay FILE` yourself"
        )


def _run(worker: WorkerProcess, screen: Screen, asked: Event, paths: tuple[str, ...], once: bool) -> None:
    from app.cli.run.report import findings, found_lines, where_lines

    configured = settings()
    click.echo(f"Starting a worker in {configured.data_dir}/ …", err=True)
    with screen:
        worker.start()
        started = time.monotonic()
        result = _replay(worker, screen, asked, paths)
        _wait_until_stored(worker, screen, asked)
        seconds = time.monotonic() - started
    if result.errors and not result.files:
        sys.exit(1)
    if result.lines:
        click.echo(
            f"{counted_text(result.lines, 'line')} read, parsed, merged and stored in {seconds:.1f} s: {result.lines / seconds:,.0f} lines/s.\n"
        )
    else:
        click.echo("Nothing new to send. The store holds:\n")
    found = asyncio.run(findings(configured))
    click.echo("\n".join([*found_lines(found), ""]))
    click.echo("\n".join(where_lines(configured, found, None if once else worker.url, worker.log_path)))
    if not once:
        _serve(worker, asked)
    if result.errors:
        sys.exit(1)


def _replay(worker: WorkerProcess, screen: Screen, asked: Event, paths: tuple[str, ...]) -> ReplayResult:
    """Sends the files in a thread, while this one watches the worker."""
    from app.sources.replay.run import ReplayOptions, replay_files
    from app.transports.producers import open_producer

    configured = settings()
    stop = threading.Event()
    done: list[ReplayResult] = []
    failed: list[BaseException] = []

    def send() -> None:
        try:
            with closing(open_producer(configured)) as producer:
                options = ReplayOptions.of(configured, producer)
                options.stop = stop
                # --again is an option of the command replay only
                options.say = lambda text: screen.say(text.partition("; --again")[0])
                done.append(replay_files(paths, producer, options, screen.sent))
        except BaseException as error:  # raised again below, in the thread that answers for it
            failed.append(error)

    thread = threading.Thread(target=send, name="replay", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            worker.watch()
            thread.join(LOOK_EVERY_S)
            if asked.is_set():
                stop.set()
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
    if done[0].stopped or asked.is_set():
        raise _Interrupted
    return done[0]


def _wait_until_stored(worker: WorkerProcess, screen: Screen, asked: Event) -> None:
    """Returns when every group has consumed what was sent and what came of it. Raises WorkerError when nothing moves."""
    from app.transports.drain import Drain
    from app.transports.embedded.file import log_path
    from app.transports.embedded.view import EmbeddedView

    configured = settings()
    with closing(EmbeddedView(log_path(configured.broker))) as log:
        drain = Drain(log)
        before, moved = -1, time.monotonic()
        while (waiting := drain.waiting()) != 0:
            screen.waiting(waiting)
            if waiting != before:
                before, moved = waiting, time.monotonic()
            elif time.monotonic() - moved > STUCK_S:
                raise WorkerError(
                    f"{waiting_text(waiting)} and none was consumed for {STUCK_S:.0f} s. "
                    + (" ".join(worker.problems()) or f"See the worker's log, {worker.log_path}")
                )
            worker.watch()
            if asked.wait(LOOK_EVERY_S):
                raise _Interrupted
        screen.waiting(0)


def _serve(worker: WorkerProcess, asked: Event) -> None:
    click.echo("\nServing until Ctrl-C.")
    while not asked.wait(0.5):
        worker.watch()
    click.echo("Stopping the worker …", err=True)
