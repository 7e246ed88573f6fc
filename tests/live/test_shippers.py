"""Filebeat and syslog-ng, by their pages, ship a growing log line by line, through their own death and a rotation."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from tests.flow.test_flow import simulate
from tests.live.rsyslog import feed, read_until, reader
from tests.live.shipper import PAGES, Shipper, of_page
from tests.services.server import DEFAULT_CACHE

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
BROKER = os.environ.get("WEBLOGS_BROKER", "kafka://127.0.0.1:9092").removeprefix("kafka://")
LINES = 10_000
SLOW_LINES = 3_000
"""For a shipper that waits for Kafka after each line."""


SYSLOG_NG_UNPACK = """set -e
mkdir -p "$1.new"; cd "$1.new"; chmod 777 .
apt-get download -q syslog-ng-core syslog-ng-mod-rdkafka
for package in *.deb; do dpkg-deb -x "$package" .; done
mv "$1.new" "$1"
"""
"""Debian installs either rsyslog or syslog-ng. So the packages are unpacked beside what is installed."""


class SyslogNg(Shipper):
    """One syslog-ng that ships one file."""

    page = "ship-with-syslog-ng.md"

    def __init__(self, folder: Path, log: Path) -> None:
        self._state = folder / "state"
        places = {"/var/log/nginx/access.log": str(log), "127.0.0.1:9092": BROKER}
        super().__init__(folder, of_page(self.page, "syslog-ng", places))

    @classmethod
    def place(cls) -> str:
        root = DEFAULT_CACHE / "syslog-ng"
        if not root.exists():
            done = subprocess.run(
                ["sh", "-c", SYSLOG_NG_UNPACK, "unpack", str(root)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        return str(root / "usr" / "sbin" / "syslog-ng")

    def _beside(self, *words: str) -> list[str]:
        """With the libraries and modules of what was unpacked."""
        place = self.place()
        libraries = Path(place).parents[1] / "lib" / "syslog-ng"
        return ["env", f"LD_LIBRARY_PATH={libraries}", place, f"--module-path={next(libraries.glob('[0-9]*'))}", *words]

    def command(self) -> list[str]:
        places = {
            "/var/lib/weblogs-syslog-ng": str(self._state),
            "/run/weblogs-syslog-ng": str(self._state / "run"),
            "/etc/weblogs/syslog-ng.conf": str(self.configuration),
        }
        _, start = of_page(self.page, "sh", places).splitlines()
        return self._beside(*start.split()[1:])

    def checking(self) -> list[str]:
        return self._beside("-s", "-f", str(self.configuration))


FILEBEAT_BUILD = """set -e
mkdir -p "$1"; cd "$1"
go mod download github.com/elastic/beats/v7@$2
cp -R "$(go env GOMODCACHE)/github.com/elastic/beats/v7@$2" source
chmod -R u+w source; cd source
CGO_ENABLED=0 go build -o ../filebeat.new ./filebeat
mv ../filebeat.new ../filebeat
"""
FILEBEAT_VERSION = "v7.17.29"


class Filebeat(Shipper):
    """One Filebeat that ships one file. FILEBEAT names the program; else it is on the path, or built by `go`."""

    program = os.environ.get("FILEBEAT") or "filebeat"
    packages = "filebeat, from Elastic's repository"

    def __init__(self, folder: Path, log: Path) -> None:
        places = {"/var/log/nginx/access.log": str(log), "127.0.0.1:9092": BROKER}
        super().__init__(folder, of_page("ship-with-filebeat.md", "yaml", places))

    @classmethod
    def place(cls) -> str:
        cache = DEFAULT_CACHE / f"filebeat-{FILEBEAT_VERSION}"
        if found := shutil.which(cls.program) or shutil.which(cache / "filebeat"):
            return found
        if shutil.which("go") is None:
            pytest.skip("no Filebeat here, and no go to build it: set FILEBEAT to the program")
        built = subprocess.run(
            ["sh", "-c", FILEBEAT_BUILD, "build", str(cache), FILEBEAT_VERSION],
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
        assert built.returncode == 0, built.stderr[-2000:]
        return str(cache / "filebeat")

    def _with_folders(self, *words: str) -> list[str]:
        folders = ["--path.home", str(self._folder), "--path.data", str(self._folder / "state")]
        return [self.place(), *words, "-c", str(self.configuration), *folders]

    def command(self) -> list[str]:
        return self._with_folders("run", "--strict.perms=false")

    def checking(self) -> list[str]:
        return self._with_folders("test", "config")


SHIPPERS = pytest.mark.parametrize("shipper", [SyslogNg, Filebeat])


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """Simulated, without the head line, each once."""
    log, _ = simulate(tmp_path, LINES)
    return list(dict.fromkeys(log.read_bytes().splitlines()[1:]))


@pytest.fixture
def consumer() -> Iterator[KafkaConsumer]:
    with reader(BROKER) as made:
        yield made


@SHIPPERS
def test_a_shipper_finds_nothing_wrong_with_the_configuration_of_its_page(
    tmp_path: Path, shipper: type[SyslogNg] | type[Filebeat]
) -> None:
    said = shipper(tmp_path, tmp_path / "access.log").check()
    assert "error" not in said.lower() and "warning" not in said.lower()


@SHIPPERS
def test_every_line_arrives_under_one_id_though_the_shipper_is_killed_and_the_log_rotates(
    tmp_path: Path, lines: list[bytes], consumer: KafkaConsumer, shipper: type[SyslogNg] | type[Filebeat]
) -> None:
    log = tmp_path / "access.log"
    log.touch()
    if shipper is SyslogNg:
        lines = lines[:SLOW_LINES]
    half, late = len(lines) // 2, len(lines) * 3 // 4
    found: dict[str, bytes] = {}
    with shipper(tmp_path / "shipper", log) as shipping:
        feed(log, lines[:half], pause_s=0.0002)
        read_until(consumer, 1, found)
        shipping.kill()
        feed(log, lines[half:late])
        shipping.start()
        read_until(consumer, late, found)
        log.rename(tmp_path / "access.log.1")
        feed(log, lines[late:], pause_s=0.0002)
        read_until(consumer, len(lines), found)
    assert sorted(found.values()) == sorted(lines)


def test_two_files_of_one_name_share_no_ids_though_their_lines_have_the_same_offsets(
    tmp_path: Path, lines: list[bytes], consumer: KafkaConsumer
) -> None:
    """Filebeat before 8.10 has no fingerprint of files; an id of it and the offset was `null:OFFSET`."""
    log = tmp_path / "access.log"
    one, other = ([line.ljust(400)[:399] for line in some] for some in (lines[:50], lines[50:100]))
    log.touch()
    found: dict[str, bytes] = {}
    with Filebeat(tmp_path / "shipper", log):
        feed(log, one)
        read_until(consumer, len(one), found)
        log.rename(tmp_path / "access.log.1")
        feed(log, other)
        read_until(consumer, len(one) + len(other), found)
    assert sorted(found.values()) == sorted(one + other)
    assert not [name for name in found if "null" in name or "undefined" in name]


def test_the_pages_name_these_tests() -> None:
    for page in ("ship-with-syslog-ng.md", "ship-with-filebeat.md"):
        assert "`tests/live/test_shippers.py`" in (PAGES / page).read_text()
