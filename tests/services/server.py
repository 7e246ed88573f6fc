"""One real server, started by its script under a folder of its own, in the background, so that tests can kill it. Linux only.

A server outlives the process that started it; who holds `Server` of the same kind and base finds it again. The folder of a server is
BASE/KIND, with `-secured` behind it where a password is asked for: data, settings, `server.log`. What Maven fetches is kept once for
all bases, in `cache`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.services.errors import ServiceError
from tests.services.needs import check_needs
from tests.services.probes import PROBES

__all__ = ["CASSANDRA_PASSWORD", "DEFAULT_BASE", "DEFAULT_CACHE", "KINDS", "START_FAST", "Server", "make_folder"]

HERE = Path(__file__).resolve().parent
DEFAULT_BASE = Path(tempfile.gettempdir()) / "weblogs-services"
DEFAULT_CACHE = Path(os.environ.get("SERVICES_CACHE") or DEFAULT_BASE / "cache")
START_FAST = "-XX:TieredStopAtLevel=1"
"""SERVICES_JVM for tests that start servers again and again: half the CPU for it, less speed when warm."""
KINDS = {"kafka": 9092, "elasticsearch": 9200, "cassandra": 9042}
"""Kind -> its standard port."""
CASSANDRA_PASSWORD = "cassandra"
"""A new Cassandra with logins knows one user, cassandra, with this password."""
MARK = "SERVICE_FOLDER"
FETCHED = {"kafka": "jars/.complete", "elasticsearch": "home/.complete", "cassandra": "jars/.complete"}
GONE_S = 60.0
POLL_S = 0.2


class Server:
    """A server of one kind under a base folder, on a port of 127.0.0.1. It needs further ports: see `ports`.

    `password` turns logins on: Kafka gets a second listener, SASL_SSL with SCRAM-SHA-512 for the user weblogs, on port + 2, and its
    CA in `ca`; Elasticsearch the user elastic; Cassandra the user cassandra, whose password is always CASSANDRA_PASSWORD.
    Raises ServiceError with one sentence where it cannot do what it is asked.
    """

    def __init__(
        self, kind: str, base: Path = DEFAULT_BASE, port: int = 0, *, password: str = "", cache: Path = DEFAULT_CACHE
    ) -> None:
        if kind not in KINDS:
            raise ServiceError(f"no server is called {kind!r}: there are {', '.join(KINDS)}")
        self.kind, self.base, self.password, self.cache = kind, base.absolute(), password, cache.absolute()
        self.folder = self.base / (f"{kind}-secured" if password else kind)
        self.port = port or self._known().get("port") or KINDS[kind]

    @classmethod
    def beside(cls, kind: str) -> Server:
        """The server that `python -m tests.services run` started for the command that this process belongs to."""
        if base := os.environ.get("SERVICES_BASE"):
            return cls(kind, Path(base))
        raise ServiceError(
            "no servers stand beside this process: start it by `python -m tests.services run -- COMMAND`"
        )

    @classmethod
    def on_free_ports(cls, kind: str, base: Path, *, password: str = "", cache: Path = DEFAULT_CACHE) -> Server:
        """A server beside any other that may run on this machine: from 10,000 above the standard port on, where nobody listens."""
        for port in range(KINDS[kind] + 10_000, KINDS[kind] + 20_000, 10):
            made = cls(kind, base, port, password=password, cache=cache)
            if not made._taken():
                return made
        raise ServiceError(f"no free ports for {kind}")

    # -- where things are

    @property
    def ports(self) -> dict[str, int]:
        """What else it listens on, by the names that its script knows."""
        return {
            "kafka": {
                "KAFKA_PORT": self.port,
                "KAFKA_CONTROLLER_PORT": self.port + 1,
                "KAFKA_SASL_PORT": self.port + 2,
                "KAFKA_PROXIED_PORT": self.port + 3,
            },
            "elasticsearch": {"ES_HTTP_PORT": self.port, "ES_TRANSPORT_PORT": self.port + 100},
            "cassandra": {"CASS_PORT": self.port, "CASS_STORAGE_PORT": self.port - 2042},
        }[self.kind]

    @property
    def proxy_port(self) -> int:
        """Kafka: where clients of KAFKA_PROXIED_PORT are told to come; nobody listens there but a proxy of a test."""
        return self.port + 4

    @property
    def log(self) -> Path:
        """What the server and its script print."""
        return self.folder / "server.log"

    @property
    def ca(self) -> Path:
        """Kafka with logins: the certificate of the CA."""
        return self.folder / "tls" / "ca.pem"

    @property
    def pid(self) -> int | None:
        """The server itself, while it runs: for Elasticsearch not its launcher. While it is being fetched, the script."""
        return self._server_pid() or self._launcher_pid()

    def settings(self) -> dict[str, str]:
        """The WEBLOGS_ variables that lead to it."""
        if self.kind == "elasticsearch":
            login = (
                {"WEBLOGS_ELASTICSEARCH_USER": "elastic", "WEBLOGS_ELASTICSEARCH_PASSWORD": self.password}
                if self.password
                else {}
            )
            return {"WEBLOGS_ELASTICSEARCH_URL": f"http://127.0.0.1:{self.port}"} | login
        if self.kind == "cassandra":
            login = (
                {"WEBLOGS_CASSANDRA_USER": "cassandra", "WEBLOGS_CASSANDRA_PASSWORD": CASSANDRA_PASSWORD}
                if self.password
                else {}
            )
            return {"WEBLOGS_CASSANDRA_HOSTS": "127.0.0.1", "WEBLOGS_CASSANDRA_PORT": str(self.port)} | login
        if not self.password:
            return {"WEBLOGS_BROKER": f"kafka://127.0.0.1:{self.port}"}
        return {
            "WEBLOGS_BROKER": f"kafka://127.0.0.1:{self.port + 2}",
            "WEBLOGS_KAFKA_SECURITY": "sasl_ssl",
            "WEBLOGS_KAFKA_SASL": "SCRAM-SHA-512",
            "WEBLOGS_KAFKA_USER": "weblogs",
            "WEBLOGS_KAFKA_PASSWORD": self.password,
            "WEBLOGS_KAFKA_CA": str(self.ca),
        }

    # -- start and stop

    def running(self) -> bool:
        """Its process is there; whether it answers, `ready` tells."""
        return self.pid is not None

    def ready(self) -> bool:
        """It answers its clients."""
        return self.running() and PROBES[self.kind](
            self.port, CASSANDRA_PASSWORD if self.kind == "cassandra" else self.password
        )

    def start(self) -> None:
        """Start it unless it runs; `wait_ready` waits for it. Its data are those that it had."""
        if self.running():
            return
        check_needs(self.kind, fetched=(self.cache / self.kind / FETCHED[self.kind]).exists())
        for name in self._taken():
            port = self.ports[name]
            raise ServiceError(
                f"port {port} ({name} of {self.kind}) is taken by another program: stop it, or choose another port"
            )
        for folder in (self.base, self.cache, self.folder):
            make_folder(folder)
        # Through a shell that ends at once: the server is nobody's child, as a daemon, and nobody has to wait for it.
        begun = subprocess.run(
            [
                "/bin/sh",
                "-c",
                '"$0" </dev/null >>"$1" 2>&1 & echo $!',
                str(HERE / self.kind / "start.sh"),
                str(self.log),
            ],
            cwd=self.folder,
            env={**os.environ, **self._environment()},
            stdout=subprocess.PIPE,
            start_new_session=True,
            check=True,
        )
        known = self._state_file.with_suffix(".new")
        known.write_text(json.dumps({"pid": int(begun.stdout), "port": self.port}))
        known.replace(self._state_file)

    def wait_ready(self, patience_s: float = 900.0) -> None:
        """Until it answers. The first start fetches it: that takes as long as the network does.

        Raises ServiceError with the end of its log when it ended, or did not answer in time.
        """
        deadline = time.monotonic() + patience_s
        while not self.ready():
            if not self.running() and not self._runs_after(POLL_S):
                raise ServiceError(f"{self.kind} ended while it started; the end of {self.log}:\n{self._end_of_log()}")
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{self.kind} did not answer for {patience_s:.0f} s; the end of {self.log}:\n{self._end_of_log()}"
                )
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL to the server itself, and wait until it is gone."""
        if pid := self.pid:
            _signal(pid, signal.SIGKILL)
        self._wait_gone(GONE_S)

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended; SIGKILL to all of it when it takes more than a minute."""
        if not self.running():
            return
        self.resume()
        if pid := self._launcher_pid() or self._server_pid():
            _signal(pid, signal.SIGTERM)
        if not self._wait_gone(GONE_S):
            for pid in (self._server_pid(), self._launcher_pid()):
                if pid:
                    _signal(pid, signal.SIGKILL)
            self._wait_gone(GONE_S)

    def pause(self) -> None:
        """SIGSTOP: it holds its connections and answers nobody, once this returns.

        On a busy machine it takes moments until the kernel has stopped the last thread, and a thread that runs yet may answer.
        Raises ServiceError where it does not run, or does not stop.
        """
        pid = self.pid
        if pid is None:
            raise ServiceError(f"{self.kind} does not run")
        _signal(pid, signal.SIGSTOP)
        deadline = time.monotonic() + GONE_S
        while not _is_stopped(pid):
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.kind} was not stopped within {GONE_S:.0f} s")
            time.sleep(0.01)

    def resume(self) -> None:
        """SIGCONT."""
        if pid := self.pid:
            _signal(pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its folder, with all data; what was fetched stays."""
        self.stop()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    # -- inside

    def _runs_after(self, seconds: float) -> bool:
        """Looks again later: while one program becomes another by exec, its environment reads as empty."""
        time.sleep(seconds)
        return self.running()

    def _taken(self) -> list[str]:
        """Names of the ports where somebody listens."""
        return [
            name
            for name, port in self.ports.items()
            if (name != "KAFKA_SASL_PORT" or self.password) and _is_taken(port)
        ]

    @property
    def _state_file(self) -> Path:
        return self.folder / "server.json"

    def _known(self) -> dict[str, int]:
        try:
            return json.loads(self._state_file.read_text())
        except (OSError, ValueError):
            return {}

    def _environment(self) -> dict[str, str]:
        own = {name: str(port) for name, port in self.ports.items()} | {MARK: str(self.folder)}
        fetched = self.cache / self.kind
        if self.kind == "kafka":
            login = {"KAFKA_SASL": "1", "KAFKA_PASSWORD": self.password} if self.password else {}
            folders = {"KAFKA_ROOT": str(self.folder), "KAFKA_JARS": str(fetched / "jars")}
            return own | login | folders | {"KAFKA_PROXY_PORT": str(self.proxy_port)}
        if self.kind == "elasticsearch":
            return own | {
                "ES_BASE": str(self.folder),
                "ES_INSTALL": str(fetched / "home"),
                "ES_PASSWORD": self.password,
            }
        return own | {
            "CASS_ROOT": str(self.folder),
            "CASS_JARS": str(fetched / "jars"),
            "CASS_AUTH": "1" if self.password else "",
        }

    def _launcher_pid(self) -> int | None:
        return self._checked(self._known().get("pid"))

    def _server_pid(self) -> int | None:
        if self.kind != "elasticsearch":
            return self._launcher_pid()
        try:
            return self._checked(int((self.folder / "tmp" / "es.pid").read_text()))
        except (OSError, ValueError):
            return None

    def _checked(self, pid: int | None) -> int | None:
        """The pid if that process is this server, and no other one that got its number."""
        if not pid:
            return None
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return None
        return pid if f"{MARK}={self.folder}".encode() in environment and state != "Z" else None

    def _wait_gone(self, patience_s: float) -> bool:
        """Until it has ended and nobody listens on its ports: the last of its threads closes them, some moments after the first is gone."""
        deadline = time.monotonic() + patience_s
        while self._server_pid() or self._launcher_pid() or self._taken():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_stopped(pid: int) -> bool:
    """Every thread of it is stopped. Raises ServiceError where it has ended."""
    states = []
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            states.append(thread.read_text().rpartition(")")[2].split()[0])
    if not states:
        raise ServiceError(f"process {pid} has ended")
    return set(states) <= {"T", "t"}


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_folder(folder: Path) -> None:
    """A folder of this user's that Elasticsearch's user can pass through.

    Raises ServiceError where somebody else owns it (what lies there is run), or where a folder above it is closed.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o755)
            each.chmod(0o755)
    if folder.stat().st_uid != os.geteuid():
        raise ServiceError(f"{folder} belongs to another user: choose another folder with --base")
    if os.geteuid() == 0:
        for each in (*folder.parents, folder):
            if not each.stat().st_mode & 0o001:
                raise ServiceError(
                    f"{each} is closed to other users, and Elasticsearch does not run as root: choose another --base"
                )
