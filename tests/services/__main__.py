"""`python -m tests.services start|stop|status [kafka|elasticsearch|cassandra …]`, and `run -- COMMAND` for a command beside them.

`start` fetches what is not there yet, starts in the background, waits until each answers. `run` starts all three with no data of
earlier runs, on free ports where none is named, gives the command the settings that lead to them, stops them and ends with the
command's exit code.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.errors import ServiceError
from tests.services.server import DEFAULT_BASE, DEFAULT_CACHE, KINDS, START_FAST, Server, make_folder

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.services", description="Real Kafka, Elasticsearch and Cassandra without Docker."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--base", type=Path, default=DEFAULT_BASE, help="folder of their data and logs (%(default)s)")
    shared.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder of what is fetched (%(default)s)")
    for kind, port in KINDS.items():
        shared.add_argument(
            f"--{kind}-port", type=int, default=0, metavar="PORT", help=f"{port}, or where it was started last"
        )
    for verb, told in (
        ("start", "start servers, wait until they answer"),
        ("stop", "stop them; their data stay"),
        ("status", "tell which run; exit code 1 when one does not answer"),
    ):
        verbs.add_parser(verb, parents=[shared], help=told).add_argument(
            "kinds", nargs="*", metavar="KIND", help="all three without one"
        )
    run = verbs.add_parser("run", parents=[shared], help="run a command beside fresh servers")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    return parser


def _servers(options: argparse.Namespace, kinds: list[str]) -> list[Server]:
    return [
        Server(kind, options.base, getattr(options, f"{kind}_port", 0), cache=options.cache) for kind in kinds or KINDS
    ]


def _say(text: str) -> None:
    print(text, flush=True)


def _start(servers: list[Server]) -> None:
    for server in servers:
        _say(f"{server.kind}: {'runs already' if server.running() else 'starting'}, log {server.log}")
        server.start()
    for server in servers:
        server.wait_ready()
        _say(f"{server.kind}: answers on 127.0.0.1:{server.port}, pid {server.pid}")
    _say("\n".join(f"{name}={value}" for server in servers for name, value in server.settings().items()))


def _stop(servers: list[Server]) -> None:
    for server in servers:
        if server.running():
            server.stop()
            _say(f"{server.kind}: stopped")
        else:
            _say(f"{server.kind}: does not run")


def _status(servers: list[Server]) -> int:
    answering = 0
    for server in servers:
        ready = server.ready()
        answering += ready
        state = "answers" if ready else "runs, does not answer" if server.running() else "does not run"
        _say(f"{server.kind}: {state}, 127.0.0.1:{server.port}, pid {server.pid or '-'}, log {server.log}")
    return 0 if answering == len(servers) else 1


@contextmanager
def _alone(base: Path) -> Iterator[None]:
    """One run at a time: the next would take this one's servers away.

    Raises ServiceError when there is another.
    """
    make_folder(base)
    with (base / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another run uses {base}: wait for it, or give --base and ports of your own") from None
        yield


def _fresh(options: argparse.Namespace) -> list[Server]:
    """No data of earlier runs; where no port is given, one that is free."""
    for server in _servers(options, []):
        server.remove()
    return [
        Server(kind, options.base, port, cache=options.cache)
        if (port := getattr(options, f"{kind}_port"))
        else Server.on_free_ports(kind, options.base, cache=options.cache)
        for kind in KINDS
    ]


def _run(options: argparse.Namespace) -> int:
    servers = _fresh(options)
    os.environ.setdefault("SERVICES_JVM", START_FAST)
    try:
        _start(servers)
        environment = {**os.environ, "SERVICES_BASE": str(servers[0].base), "SERVICES_CACHE": str(servers[0].cache)}
        for server in servers:
            environment |= server.settings()
        return subprocess.run(options.command, env=environment, check=False).returncode
    finally:
        _stop(servers)


def main(arguments: list[str]) -> int:
    """Returns the exit code; 1 with a sentence on standard error when a server cannot be had."""
    options = _parser().parse_args(arguments)
    try:
        if options.verb == "run":
            with _alone(options.base):
                return _run(options)
        servers = _servers(options, options.kinds)
        if options.verb == "status":
            return _status(servers)
        {"start": _start, "stop": _stop}[options.verb](servers)
    except ServiceError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
