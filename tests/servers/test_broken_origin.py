"""An origin that breaks off behind a server: what the server logs, and that nothing is called whole because of it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.servers.cases import Case
from tests.servers.certificate import make_certificate
from tests.servers.clients import CLIENT_S, Client, Received
from tests.servers.process import HOST, program
from tests.servers.running import Run
from tests.servers.web_servers import Apache, Haproxy, Lighttpd, Nginx, WebServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(280), pytest.mark.xdist_group("broken")]
SIZE, SENT = 5_000_000, 1_200_000
_KIND = "Content-Type: application/octet-stream\r\n"
_HEADS = {
    "length": f"HTTP/1.1 200 OK\r\n{_KIND}Content-Length: {SIZE}\r\n\r\n",
    "range": f"HTTP/1.1 206 Partial Content\r\n{_KIND}Content-Range: bytes 0-{SIZE - 1}/{SIZE}\r\nContent-Length: {SIZE}\r\n\r\n",
    "chunked": f"HTTP/1.1 200 OK\r\n{_KIND}Transfer-Encoding: chunked\r\n\r\n{SENT:x}\r\n",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    """The port of a server that breaks each response off."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked = b""
                    while b"\r\n\r\n" not in asked and (got := connection.recv(65_536)):
                        asked += got
                    kind = next((kind for kind in _HEADS if f"/{kind}.bin".encode() in asked), None)
                    if kind is not None:
                        connection.sendall(_HEADS[kind].encode() + b"x" * SENT)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


class _Origin:
    """In the place of the nginx behind HAProxy."""

    def __init__(self, port: int) -> None:
        self.port = port


class _Haproxy(Haproxy):
    behind: ClassVar[int]

    def start(self) -> None:
        self.origin = _Origin(self.behind)  # type: ignore[assignment]  # its port is all that is asked for
        WebServer.start(self)


def _server(name: str, place: Path, port: int) -> WebServer:
    certificate, folder = make_certificate(place), place / f"broken-{name}"
    if name == "haproxy":
        _Haproxy.behind = port
        return _Haproxy(folder, place / "files", certificate)
    modules = "\n".join(
        f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so" for each in ("proxy", "proxy_http")
    )
    kinds: dict[str, tuple[type[WebServer], str]] = {
        "nginx": (
            Nginx,
            f"location ~ length|range|chunked {{ proxy_pass http://{HOST}:{port}; proxy_http_version 1.1; }}",
        ),
        "apache": (Apache, f"{modules}\nProxyPass / http://{HOST}:{port}/"),
        "lighttpd": (
            Lighttpd,
            f'server.modules += ( "mod_proxy" )\nproxy.server = ( "" => (( "host" => "{HOST}", "port" => {port} )) )',
        ),
    }
    kind, extra = kinds[name]
    return kind(folder, place / "files", certificate, extra=extra)


def _fetch(client: Client, kind: str) -> Received:
    """curl knows that it has less, and says so by its exit code."""
    out = client.new_path()
    asked = ["-r", "0-"] if kind == "range" else []
    url = f"{client.server.url}/{kind}.bin"
    done = subprocess.run(
        [program("curl", "curl"), "-s", "-A", client.agent, *asked, "-o", str(out), url], timeout=CLIENT_S
    )
    assert (done.returncode, out.stat().st_size) == (18, SENT)
    return Received(f"{kind}.bin", SIZE, [(0, SENT - 1)])


def _case(kind: str) -> Case:
    return Case(kind, lambda client: _fetch(client, kind))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("nginx", ("length", "range", "chunked")),
        ("apache", ("length", "range", "chunked")),
        ("lighttpd", ("length", "range")),  # of a chunked one it makes a shorter file, and no client can know
        ("haproxy", ("length", "range", "chunked")),
    ],
)
def test_a_response_whose_origin_broke_off_is_not_whole_whatever_the_server_calls_it(
    name: str, kinds: tuple[str, ...], place: Path, origin: int
) -> None:
    cases = [_case(kind) for kind in kinds]
    run = Run(_server(name, place, origin), cases)
    for case in cases:
        assert not run.received(case).whole
        (found,) = run.deliveries(case)
        told = f"{found}\n" + "\n".join(run.lines(case))
        assert found["verdict"] == ("partial" if name == "haproxy" and case.name != "chunked" else "unknown"), told
        if name != "haproxy":
            assert found["reason"] == ("size_unknown" if case.name == "chunked" else "ended_early"), told
