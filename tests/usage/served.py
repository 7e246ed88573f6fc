"""Real servers in a thread of the test."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

__all__ = ["gone_after", "listening", "served_by_uvicorn"]


def listening() -> socket.socket:
    """On a free port."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found


@contextlib.contextmanager
def served_by_uvicorn(app: Any, **options: Any) -> Iterator[int]:
    """The port of a uvicorn that serves the application."""
    place = listening()
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
    thread.start()
    try:
        yield place.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        place.close()


def gone_after(port: int, path: str, size: int, method: str = "GET") -> None:
    """A client that leaves after so many bytes of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        got = 0
        while got < size:
            got += len(connection.recv(4096))
