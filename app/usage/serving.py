"""`GET /usage/spool`: the spools of a machine over HTTP, for `usage check` and `usage repair` elsewhere. Loopback unless a host is named.

A line of JSON each: the head of a start's folder, then its records, each with the place after it; at the very end a line that says
so, without which an answer was cut off.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import socketserver
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.usage.records import UsageRecord, record_of
from app.errors import UnknownForm, UnreadableFile
from app.usage.options import UsageOptions
from app.usage.spool import Damage, Place, has_segments, is_alive, mark_of, owner_of, records_of, sent_of, spools_of

__all__ = ["PATH", "SpoolHead", "SpoolServer", "lines_of", "read_lines"]

log = logging.getLogger("app.usage.serving")
PATH = "/usage/spool"
FORM = 1
_AT_ONCE = 4
_CONNECTED_AT_ONCE = 32
"""Each has a thread and a file of the service, also one that says nothing."""
_TIMEOUT_S = 60.0
_TRY_AGAIN_S = 5.0
_SEND_BYTES = 64 << 10


class SpoolHead(NamedTuple):
    """What is known of one start beside its records."""

    folder: str
    producer: str | None
    """None: it cannot be read whose it is."""
    is_alive: bool
    sent: Place
    """Up to here the broker has all."""
    mark: int | None
    """The last number that it gave."""

    @classmethod
    def of(cls, folder: Path) -> SpoolHead:
        """Raises OSError, UnknownForm."""
        try:
            alive = is_alive(folder)  # first: what ends meanwhile is alive, and its mark is not taken for its end
        except FileNotFoundError:
            if not has_segments(folder):
                raise
            alive = False  # somebody deleted the owner alone; the records are there
        return cls(str(folder), owner_of(folder), alive, sent_of(folder), mark_of(folder))


def lines_of(root: Path) -> Iterator[bytes]:
    """Everything that the spools below a root hold. Raises OSError, UnknownForm."""
    for folder in spools_of(root):
        with contextlib.suppress(FileNotFoundError):  # all of it was sent, and it was deleted meanwhile
            yield _line({"form": FORM} | SpoolHead.of(folder)._asdict())
            for place, found in records_of(folder):
                damage = [str(found.path), *found[1:]] if isinstance(found, Damage) else None
                yield _line([*place, None if damage else found, damage])
    yield _line({"form": FORM, "end": True})


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def read_lines(
    lines: Iterable[bytes], where: str
) -> Iterator[tuple[SpoolHead, Iterator[tuple[Place, UsageRecord | Damage]]]]:
    """The starts of an answer, each with its records: read them before the next. Raises UnreadableFile for one that is cut off, UnknownForm."""
    rows = _rows(lines, where)
    head = next(rows, None)
    after: list[Any] = []

    def records() -> Iterator[tuple[Place, UsageRecord | Damage]]:
        for row in rows:
            if isinstance(row, dict):
                after.append(row)
                return
            with _no_spool(where):
                segment, offset, record, damage = row
                place = Place(segment, offset)
                if damage is None:
                    found: UsageRecord | Damage = record_of(record)
                else:
                    path, first, end, why = damage
                    found = Damage(Path(f"{where}: {path}"), first, end, why)
            yield place, found

    while isinstance(head, dict) and "end" not in head:
        with _no_spool(where):
            start = SpoolHead(**{name: head[name] for name in SpoolHead._fields})
            start = start._replace(folder=f"{where}: {start.folder}", sent=Place(*start.sent))
        after.clear()
        own = records()
        yield start, own
        for _ in own:  # whatever the caller left
            pass
        head = after[0] if after else None
    if head is None:
        raise UnreadableFile(f"the answer of {where} was cut off; try again")


def _rows(lines: Iterable[bytes], where: str) -> Iterator[dict[str, Any] | list[Any]]:
    for line in lines:
        if not line.endswith(b"\n"):
            return
        with _no_spool(where):
            row = json.loads(line)
            if not isinstance(row, dict | list):
                raise ValueError(f"{line[:40]!r} is no line of it")
            form = row["form"] if isinstance(row, dict) else FORM
        if form != FORM:
            raise UnknownForm(f"the answer of {where}", form, FORM)
        yield row


@contextlib.contextmanager
def _no_spool(where: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableFile(f"{where} answers with what is no spool: {error}") from error


class SpoolServer:
    """One for all processes of a machine that share a spool and a port: the others wait until the one that has it ends."""

    def __init__(self, options: UsageOptions) -> None:
        self._options = options
        self._ends = threading.Event()
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="usage log: spool over HTTP", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int | None:
        """None: another process has it."""
        return None if self._server is None else self._server.server_address[1]

    def _run(self) -> None:
        told = False
        while not self._ends.is_set():
            try:
                with _Server(self._options) as server:
                    self._server = server
                    while not self._ends.is_set():  # not serve_forever: a shutdown that comes before it waits for ever
                        server.handle_request()
                    return
            except OSError as error:
                if not told:
                    log.info("Another process has port %d, or it cannot be used: %s", self._options.spool_port, error)
                told = True
            self._ends.wait(_TRY_AGAIN_S)

    def stop(self) -> None:
        """Answers under way are cut off, and say so."""
        self._ends.set()
        self._thread.join(1.0)

    def forget(self) -> None:
        """In a child after a fork."""
        if self._server is not None:
            self._server.socket.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    timeout = 0.1
    block_on_close = False

    def __init__(self, options: UsageOptions) -> None:
        self.root, self.token = options.spool, options.spool_token.encode()
        self.room = threading.BoundedSemaphore(_AT_ONCE)
        self._connections = threading.BoundedSemaphore(_CONNECTED_AT_ONCE)
        super().__init__((options.spool_host, options.spool_port), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """One above the bound is closed at once."""
        return self._connections.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread for it
            self._connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("A client of the spool left", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT_S
    server_version, sys_version = "usage-spool", ""

    def do_GET(self) -> None:
        scheme, _, sent = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            sent.strip().encode("latin-1", "replace"), self.server.token
        ):
            self._refuse(HTTPStatus.UNAUTHORIZED, "the head Authorization: Bearer TOKEN is missing or wrong")
        elif self.path != PATH:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is only {PATH}")
        elif not self.server.room.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{_AT_ONCE} answers are under way; try again")
        else:
            try:
                self._answer()
            finally:
                self.server.room.release()

    def _answer(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        waiting = bytearray()
        try:
            for line in lines_of(self.server.root):
                waiting += line
                if len(waiting) >= _SEND_BYTES:
                    self.wfile.write(waiting)
                    waiting.clear()
        except (OSError, UnknownForm) as error:  # without the last line the answer is cut off
            log.warning("The spool could not be sent: %s", error)
        self.wfile.write(waiting)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        body = json.dumps({"error": why}).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
