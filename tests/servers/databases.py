"""Real PostgreSQL and MariaDB on free loopback ports, run by an ordinary user in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.ports import free_port
from tests.servers.process import HOST, START_S, Program, program

__all__ = ["DATABASES", "Database", "MariaDb", "Postgres"]

CLIENT_S = 60.0


def _as_ordinary(command: list[str]) -> list[str]:
    """Database servers refuse to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]


class Database:
    """A server with an empty database."""

    name = ""
    sql = ""
    """Folder of its statements in docs/sql/."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        self._server = Program(
            _as_ordinary(self._made()), folder.parent / f"{self.name}.log", [self.port], signal.SIGINT
        )

    def _made(self) -> list[str]:
        """Makes the data and gives the command of the server."""
        raise NotImplementedError

    def client(self) -> list[str]:
        """The command that runs the statements of its standard input and prints rows with tabs."""
        raise NotImplementedError

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def run(self, statements: Path, place: Path) -> list[list[str]]:
        """The rows that a file of statements gives, word for word, run in `place`."""
        with statements.open() as file:
            done = subprocess.run(
                self.client(), stdin=file, cwd=place, capture_output=True, text=True, timeout=CLIENT_S, check=False
            )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def _prepare(self, command: list[str]) -> None:
        done = subprocess.run(
            _as_ordinary(command), cwd=self.folder, capture_output=True, text=True, timeout=CLIENT_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Postgres(Database):
    name = sql = "postgresql"

    def _made(self) -> list[str]:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert found, "postgres is missing: apt-get install postgresql"
        self._programs, data = found[-1], str(self.folder / "data")
        options = ["--auth=trust", "--username=clicks", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._prepare([str(self._programs / "initdb"), *options, "-D", data])
        return [str(self._programs / "postgres"), "-D", data, "-h", HOST, "-p", str(self.port), "-k", ""]

    def client(self) -> list[str]:
        options = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
        return [
            str(self._programs / "psql"),
            "-h",
            HOST,
            "-p",
            str(self.port),
            "-U",
            "clicks",
            "-d",
            "postgres",
            *options,
        ]

    def start(self) -> None:
        super().start()
        give_up = time.monotonic() + START_S
        ready = [str(self._programs / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:  # it listens before it lets anybody in
            assert time.monotonic() < give_up, "postgres does not take connections"
            time.sleep(0.05)


class MariaDb(Database):
    name, sql = "mariadb", "mysql"

    def _made(self) -> list[str]:
        data = str(self.folder / "data")
        install = program("mariadb-install-db", "mariadb-server")
        self._prepare([install, "--no-defaults", "--auth-root-authentication-method=normal", f"--datadir={data}"])
        return [
            program("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--datadir={data}",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            "--local-infile=1",
        ]

    def client(self) -> list[str]:
        options = ["--batch", "--skip-column-names", "--local-infile=1", "--default-character-set=utf8mb4"]
        return [
            program("mariadb", "mariadb-server"),
            "--no-defaults",
            f"--host={HOST}",
            f"--port={self.port}",
            "--user=root",
            *options,
            "test",
        ]


DATABASES = (Postgres, MariaDb)
