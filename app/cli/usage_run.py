"""`python -m app usage run`: a service under the usage log's middleware, some calls, the archive, the check, the alerts."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.usage_archive import archive_of

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["usage_run"]

ROOT = Path(__file__).resolve().parents[2]
_CALLS, _USERS = 300, 5
_PATHS = ("/items/1", "/items/2", "/items/7", "/items/99", "/")
_START_S, _STOP_S, _LOOK_S = 60.0, 30.0, 5.0


@click.command("run")
@click.option("--once", is_flag=True, help="Stop when the calls are archived and checked.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port of the service; 0: a free one."
)
def usage_run(once: bool, port: int) -> None:
    """Start samples/usage_service.py, a FastAPI application that records its calls, call it, archive the records and check them.

    Without --once it goes on until Ctrl-C, and archives what you call in the meantime. Exit codes are those of `usage check`.
    """
    from app.cli.run.worker import free_port
    from app.settings import settings

    own = settings()
    port = free_port("127.0.0.1", port, "service", "--port ")
    spool = own.data_dir / "usage-spool"
    try:
        with _service(own, spool, port) as url:
            click.echo(f"{_called(port):,} calls by {_USERS} users, some answered 404 and 500.\n")
            if not once:
                _serve(url)
    except KeyboardInterrupt:
        click.echo("\nStopping the service …", err=True)
    _shown("archive", "--once")
    code = _shown("check", "--spool", str(spool))
    click.echo(f"\nfiles   {archive_of(own, None)}: the archive and its manifests")
    click.echo(f"alerts  {_command('alerts', '--rules', 'samples/alerts.toml', '--once')}")
    click.echo("yours   docs/how-to/record-calls.md: three lines in your own service")
    sys.exit(code)


def _serve(url: str) -> None:
    click.echo(f"page    {url}\n\nServing until Ctrl-C; each {_LOOK_S:.0f} s what was called is archived.")
    while True:
        time.sleep(_LOOK_S)
        _asked("archive", "--once")


@contextmanager
def _service(own: Settings, spool: Path, port: int) -> Iterator[str]:
    """Its address while it runs. At the end it stops in order, so that its last record says that nothing comes after it."""
    from app.errors import WorkerError

    own.data_dir.mkdir(parents=True, exist_ok=True)
    path = own.data_dir / "usage-service.log"
    command = [sys.executable, "-m", "uvicorn", "usage_service:app", "--app-dir", "samples", "--port", str(port)]
    environment = {**_environment(), "USAGE_SPOOL": str(spool.resolve()), "USAGE_BROKER": own.broker}
    with path.open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, process_group=0)
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(port):
            code = process.poll()
            if code is not None or time.monotonic() > deadline:
                what = (
                    f"did not answer within {_START_S:.0f} s" if code is None else f"did not start (exit code {code})"
                )
                last = path.read_bytes()[begin:].decode("utf-8", "replace").strip().splitlines()[-3:] or [
                    "nothing is in its log"
                ]
                raise WorkerError(f"the service {what}: {' | '.join(last)}; its log is {path}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={"x-user": "user-1"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _called(port: int) -> int:
    """Calls of some users; some find nothing, some fail."""
    for number in range(_CALLS):
        connection = HTTPConnection("127.0.0.1", port, timeout=30)  # uvicorn ends it after an exception
        heads = {"x-user": f"user-{number % _USERS + 1}"}
        if number % 10 == 3:
            connection.request("POST", "/orders?token=secret", body=b'{"item": 1}', headers=heads)
        else:
            path = "/broken" if number % 50 == 7 else _PATHS[number % len(_PATHS)]
            connection.request("GET", path, headers=heads)
        connection.getresponse().read()
        connection.close()
    return _CALLS


def _command(*words: str) -> str:
    python = Path(sys.executable)
    here = python.relative_to(ROOT) if python.is_relative_to(ROOT) else python
    return shlex.join([str(here), "-m", "app", "usage", *words])


def _shown(*words: str) -> int:
    """Run a command of `usage` as a person would, and show it."""
    click.echo(f"$ {_command(*words)}")
    done = _asked(*words)
    click.echo(done.stdout + done.stderr, nl=False)
    return done.returncode


def _asked(*words: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "app", "usage", *words]
    return subprocess.run(asked, env=_environment(), capture_output=True, text=True, check=False, process_group=0)


def _environment() -> dict[str, str]:
    """The service is started from another folder than its code."""
    from app.settings import child_environment

    known = child_environment()
    return {**known, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), known.get("PYTHONPATH", ""))))}
