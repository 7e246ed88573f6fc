"""Real clients, and what each has on disk afterwards."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.servers.process import HOST, program
from tests.servers.web_servers import WebServer

__all__ = ["Client", "Received", "joined"]

CLIENT_S = 60.0
Ranges = list[tuple[int, int]]


@dataclass(frozen=True)
class Received:
    """What a client has of one file."""

    file: str
    size: int
    ranges: Ranges
    """First and last byte, inclusive, sorted, joined."""
    request: str = ""
    """As logged, if it is not `GET /file`."""

    @property
    def whole(self) -> bool:
        return self.size == sum(hi - lo + 1 for lo, hi in self.ranges)


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted; ranges that touch or overlap are one, empty ones are left out.

    >>> joined([(5, 9), (0, 4), (20, 19)])
    [(0, 9)]
    """
    out: Ranges = []
    for lo, hi in sorted(each for each in ranges if each[1] >= each[0]):
        if out and lo <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(hi, out[-1][1]))
        else:
            out.append((lo, hi))
    return out


class Client:
    """One person with a user agent of their own; `folder` is where downloads go."""

    def __init__(self, folder: Path, server: WebServer, agent: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.server, self.agent = folder, server, agent
        self._numbers = count()

    def received(self, file: str, pieces: Iterable[tuple[int, Path]], request: str = "") -> Received:
        """`pieces`: where in the file each download begins, and the download.

        A download as long as the file is the whole file: servers may answer so when a range was asked for. Raises AssertionError if
        a download is not what the file has there.
        """
        source = self.server.files / file
        size = source.stat().st_size
        ranges = []
        with source.open("rb") as original:
            for start, path in pieces:
                got = path.read_bytes() if path.exists() else b""
                start = 0 if len(got) == size else start
                original.seek(start)
                assert got == original.read(len(got)), (
                    f"{self.agent}: {path.name} is not what {file} has from byte {start}"
                )
                ranges.append((start, start + len(got) - 1))
        return Received(file, size, joined(ranges), request)

    def new_path(self) -> Path:
        return self.folder / f"download-{next(self._numbers)}"

    def curl(
        self, file: str, *options: str, tls: bool = False, path: Path | None = None, codes: tuple[int, ...] = (0,)
    ) -> Path:
        """To the end."""
        out = path or self.new_path()
        done = subprocess.run(
            self._curl(file, *options, tls=tls, out=out), capture_output=True, text=True, timeout=CLIENT_S, check=False
        )
        assert done.returncode in codes, done.stderr
        return out

    def last_modified(self, file: str) -> str:
        """Asked for under another user agent."""
        command = [program("curl", "curl"), "-sSI", "-A", "probe", f"{self.server.url}/{file}"]
        heads = subprocess.run(
            command, capture_output=True, text=True, timeout=CLIENT_S, check=True
        ).stdout.splitlines()
        return next(head.partition(":")[2].strip() for head in heads if head.lower().startswith("last-modified:"))

    def curl_killed(
        self, file: str, at: int, *options: str, tls: bool = False, rate: str = "20M", path: Path | None = None
    ) -> Path:
        """Killed when it has `at` bytes or more, which is before the end."""
        out = path or self.new_path()
        process = subprocess.Popen(
            self._curl(file, "--limit-rate", rate, "-N", *options, tls=tls, out=out), stderr=subprocess.DEVNULL
        )
        return self._killed(process, out, lambda: _bytes_in(out), at)

    def wget_killed(self, file: str, at: int, rate: str = "20M") -> Path:
        out = self.new_path()
        process = subprocess.Popen([*self._wget(file, out), f"--limit-rate={rate}"])
        return self._killed(process, out, lambda: _bytes_in(out), at)

    def _killed(self, process: subprocess.Popen[bytes], out: Path, progress: Callable[[], int], at: int) -> Path:
        give_up = time.monotonic() + CLIENT_S
        while progress() < at:
            assert process.poll() is None, f"{self.agent}: ended before it was killed"
            assert time.monotonic() < give_up, f"{self.agent}: has {progress()} bytes after {CLIENT_S} s"
            time.sleep(0.005)
        process.kill()
        process.wait()
        return out

    def _curl(self, file: str, *options: str, tls: bool, out: Path) -> list[str]:
        url = self.server.tls_url if tls else self.server.url
        return [program("curl", "curl"), "-sSk", "-A", self.agent, *options, "-o", str(out), f"{url}/{file}"]

    def wget(self, file: str, *options: str, path: Path | None = None) -> Path:
        out = path or self.new_path()
        done = subprocess.run(
            [*self._wget(file, out), *options], capture_output=True, text=True, timeout=CLIENT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return out

    def _wget(self, file: str, out: Path) -> list[str]:
        return [
            program("wget", "wget"),
            "-q",
            "--tries=1",
            "-U",
            self.agent,
            "-O",
            str(out),
            f"{self.server.url}/{file}",
        ]

    def aria2c(self, file: str, *options: str) -> Path:
        out = self.new_path()
        command = [
            program("aria2c", "aria2"),
            "-q",
            "--no-conf",
            "--file-allocation=none",
            "-U",
            self.agent,
            "-d",
            str(out.parent),
        ]
        done = subprocess.run(
            [*command, "-o", out.name, *options, f"{self.server.url}/{file}"],
            capture_output=True,
            text=True,
            timeout=CLIENT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return out

    def raw(self, file: str, *heads: str, stop_at: int, method: str = "GET", buffer_bytes: int = 65_536) -> Path:
        """Reads `stop_at` bytes of the body over HTTP/1.1, then resets the connection. Its own buffer is small: the rest waits at the server."""
        out = self.new_path()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            connection.settimeout(CLIENT_S)
            connection.connect((HOST, self.server.port))
            lines = [
                f"{method} /{file} HTTP/1.1",
                f"Host: {HOST}:{self.server.port}",
                f"User-Agent: {self.agent}",
                *heads,
            ]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                got = connection.recv(4096)
                assert got, f"{self.agent}: no answer"
                buffer += got
            body = bytearray(buffer.partition(b"\r\n\r\n")[2])
            while len(body) < stop_at and (got := connection.recv(min(65_536, stop_at - len(body)))):
                body += got
            time.sleep(0.2)  # the server fills its buffers
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        out.write_bytes(body[:stop_at])
        return out


def _bytes_in(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
