"""rsyslogd with the configuration of its how-to page, as a process that can be killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

__all__ = ["Rsyslog", "feed"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ship-with-rsyslog.md"
INSTALL = "rsyslogd is not there: apt-get install rsyslog rsyslog-kafka"


class Rsyslog:
    """One rsyslogd that ships one file. `folder` holds its state; it is killed when the context ends."""

    def __init__(self, folder: Path, broker: str, log: Path) -> None:
        """`broker`: HOST:PORT."""
        found = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
        assert found, INSTALL
        self._program, self._folder, self.log = found, folder, log
        (folder / "state").mkdir(parents=True, exist_ok=True)
        shown = re.search(r"^```rsyslog\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        assert shown
        text = shown[1]
        for place, here in (
            ("/var/lib/weblogs-rsyslog", str(folder / "state")),
            ("/var/log/nginx/access.log", str(log)),
            ("127.0.0.1:9092", broker),
        ):
            assert place in text, f"{PAGE.name} does not name {place}"
            text = text.replace(place, here)
        self.configuration = folder / "rsyslog.conf"
        self.configuration.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> str:
        """What rsyslogd says of the configuration; raises AssertionError where it finds it wrong."""
        done = subprocess.run([self._program, "-N1", "-f", str(self.configuration)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        pid_file = self._folder / "rsyslogd.pid"
        pid_file.unlink(missing_ok=True)
        with (self._folder / "rsyslogd.log").open("ab") as printed:
            command = [self._program, "-n", "-f", str(self.configuration), "-i", str(pid_file)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def text(self) -> str:
        """What it printed."""
        return (self._folder / "rsyslogd.log").read_text(errors="replace")

    def __enter__(self) -> Rsyslog:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


def feed(log: Path, lines: list[bytes], pause_s: float = 0.0) -> None:
    """Append lines to a file one by one, each at once on its way, as a web server does."""
    with log.open("ab", buffering=0) as out:
        for line in lines:
            out.write(line + b"\n")
            if pause_s:
                time.sleep(pause_s)
