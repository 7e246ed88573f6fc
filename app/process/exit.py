"""How the worker ends when it cannot go on: at once, with one sentence, so that its supervisor starts it again.

Nothing is lost by it: what was not acknowledged is read again. Going on past a failed write would lose it, because Faust
acknowledges what an agent failed on.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn, Protocol

from app.errors import WeblogsError

__all__ = ["EXIT_CANNOT_GO_ON", "EXIT_REFUSED", "Die", "die"]

EXIT_CANNOT_GO_ON = 70
"""Exit code: start me again."""
EXIT_REFUSED = 78
"""Exit code: the configuration must be fixed first."""

log = logging.getLogger("app.process.exit")


class Die(Protocol):
    """As `die`, which ends the process; one for tests may raise instead."""

    def __call__(self, why: str, error: BaseException | None = None, code: int = EXIT_CANNOT_GO_ON) -> NoReturn: ...


def die(why: str, error: BaseException | None = None, code: int = EXIT_CANNOT_GO_ON) -> NoReturn:
    """End the process now, without finally blocks: nothing half done may be acknowledged on the way out."""
    log.critical(
        "Worker stopped: %s%s",
        why,
        f": {error}" if error else "",
        exc_info=error if not isinstance(error, WeblogsError) else None,
    )
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
