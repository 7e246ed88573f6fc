"""A shipper with the configuration of its how-to page, as a process that can be killed."""

from __future__ import annotations

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

__all__ = ["Shipper", "of_page"]

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def of_page(page: str, language: str, places: dict[str, str]) -> str:
    """The first block of a language on a page, with what is elsewhere here; each place has to be in it."""
    shown = re.search(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    assert shown, f"{page} has no block of {language}"
    text = shown[1]
    for place, here in places.items():
        assert place in text, f"{page} does not name {place}"
        text = text.replace(place, here)
    return text


class Shipper(ABC):
    """One shipper of one file. `folder` holds its state; it is killed when the context ends."""

    program: ClassVar[str] = ""
    packages: ClassVar[str] = ""
    """Of Debian."""

    def __init__(self, folder: Path, configuration: str) -> None:
        """`configuration`: the text of its file."""
        self._folder = folder
        (folder / "state").mkdir(parents=True, exist_ok=True)
        self.configuration = folder / "shipper.conf"
        self.configuration.write_text(configuration)
        self.configuration.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def place(cls) -> str:
        """Where the program is. Raises AssertionError if it is missing."""
        found = shutil.which(cls.program) or shutil.which(cls.program, path="/usr/sbin:/sbin")
        assert found, f"{cls.program} is not there: apt-get install {cls.packages}"
        return found

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground."""

    @abstractmethod
    def checking(self) -> list[str]:
        """What has it look at its configuration."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Before each start, as the page does it."""

    def check(self) -> str:
        """What it says of the configuration; raises AssertionError if it finds it wrong."""
        done = subprocess.run(self.checking(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self) -> None:
        self.prepare()
        with (self._folder / "shipper.log").open("ab") as printed:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, cwd=self._folder
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """As a service manager does it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(90)

    def text(self) -> str:
        """What it printed."""
        return (self._folder / "shipper.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
