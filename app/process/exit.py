"""How the worker ends when it cannot go on: at once, with one sentence, so that its supervisor starts it again.

Nothing is lost by it: what was not acknowledged is read again. Going on past a failed write would lose it, because Faust
acknowledges what an agent failed on.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import NoReturn, Protocol

from app.errors import WeblogsError

__all__ = [
    "EXIT_CANNOT_GO_ON",
    "EXIT_INTERRUPTED",
    "EXIT_READER_LEFT",
    "EXIT_REFUSED",
    "AskedToEnd",
    "Die",
    "asked_to_end",
    "blame_removal",
    "code_of",
    "die",
    "end_when_asked",
    "removal",
]

EXIT_CANNOT_GO_ON = 70
"""Exit code: start me again."""
EXIT_REFUSED = 78
"""Exit code: the configuration must be fixed first."""
EXIT_INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended before its end: as shells have it, and none that means an answer."""
EXIT_READER_LEFT = 141
"""Exit code of a command whose reader left before its end: as shells have it, and no answer either."""

log = logging.getLogger("app.process.exit")


def end_when_asked() -> None:
    """SIGTERM before the engine listens to it ends the process with 0: nothing is under way. SIGHUP does what SIGTERM does, at any time."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


class AskedToEnd(Event):
    """Set by the first signal that asks for the end."""

    by = 0
    """Its number."""


@contextmanager
def asked_to_end(*numbers: int) -> Iterator[AskedToEnd]:
    """An event that these signals set meanwhile; a second SIGINT does not wait."""
    asked = AskedToEnd()

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.by = asked.by or number
        asked.set()

    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Die(Protocol):
    """As `die`, which ends the process; one for tests may raise instead."""

    def __call__(self, why: str, error: BaseException | None = None, code: int = EXIT_CANNOT_GO_ON) -> NoReturn: ...


def code_of(error: BaseException, code: int) -> int:
    """The exit code for an error that would end the worker with `code`: a full disk may have room again at the next start."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return EXIT_CANNOT_GO_ON
        if isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            return EXIT_CANNOT_GO_ON
        cause = cause.__cause__
    return code


_removed: Callable[[], str] = str
_removed_code = EXIT_REFUSED


def blame_removal(removed: Callable[[], str], code: int = EXIT_REFUSED) -> None:
    """From now on `removed` is asked when the process ends: a sentence if what it works on was taken away, which explains any error.

    `code`: what the process then ends with.
    """
    global _removed, _removed_code
    _removed, _removed_code = removed, code


def removal() -> str:
    """The sentence of blame_removal; empty while all is there."""
    return _removed()


def die(why: str, error: BaseException | None = None, code: int = EXIT_CANNOT_GO_ON) -> NoReturn:
    """End the process now, without finally blocks: nothing half done may be acknowledged on the way out."""
    if removed := removal():
        why, error, code = removed, None, _removed_code
    log.critical(
        "Worker stopped: %s%s",
        why,
        f": {error}" if error else "",
        exc_info=error if not isinstance(error, WeblogsError) else None,
    )
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
