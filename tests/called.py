"""A command by its `main` in the test's own process: a process of its own starts longer than most commands work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.__main__ import main as app_main
from app.settings import PREFIX, settings
from tests import ROOT

__all__ = ["call_app", "called"]


def called(
    main: Callable[[Sequence[str]], Any],
    arguments: Sequence[object],
    folder: Path,
    own: Mapping[str, object],
    stdin: bytes | Path = b"",
) -> subprocess.CompletedProcess[str]:
    """What a shell would see of it, started in `folder` with its own settings (named without their prefix) and no others.

    `stdin`: bytes come through a pipe, a path is opened.
    """
    written, told = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    command = list(map(str, arguments))
    with (
        pytest.MonkeyPatch.context() as patched,
        redirect_stdout(written),
        redirect_stderr(told),
        _input(stdin) as read,
    ):
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patched.delenv(name)
        for name, value in own.items():
            patched.setenv(PREFIX + name, str(value))
        patched.chdir(folder)
        patched.setattr(sys, "stdin", read)
        settings.cache_clear()
        try:
            code = main(command)
        except SystemExit as ended:
            code = ended.code
        finally:
            settings.cache_clear()
    texts = []
    for stream in (written, told):
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(command, code or 0, *texts)


def call_app(
    arguments: Sequence[object], folder: Path, own: Mapping[str, object], stdin: bytes | Path = b""
) -> subprocess.CompletedProcess[str]:
    """`python -m app` with these arguments; with bytes for its input in a process of its own.

    A child that another thread forks meanwhile would hold the pipe open, and the command would wait for its end.
    """
    if isinstance(stdin, bytes) and stdin:
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        env = others | {"PYTHONPATH": str(ROOT)} | {PREFIX + name: str(value) for name, value in own.items()}
        command = [sys.executable, "-m", "app", *map(str, arguments)]
        ended = subprocess.run(command, input=stdin, cwd=folder, env=env, capture_output=True, check=False)
        return subprocess.CompletedProcess(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def main(words: Sequence[str]) -> None:
        app_main(list(words), prog_name="python -m app")

    return called(main, arguments, folder, own, stdin)


@contextmanager
def _input(given: bytes | Path) -> Iterator[io.TextIOBase]:
    if isinstance(given, Path):
        with given.open() as file:
            yield file
        return
    out, into = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(into, "wb") as pipe:  # a command need not read it
            pipe.write(given)

    writer = Thread(target=write)
    writer.start()
    with os.fdopen(out) as file:
        yield file
    writer.join()
