"""The console that tables and bars are printed on."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

import rich.console

__all__ = ["Console"]


class Console(rich.console.Console):
    """Rich's, but a reader that leaves is for the command to judge: Rich ends the process with 1, which is an answer of `check`."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
