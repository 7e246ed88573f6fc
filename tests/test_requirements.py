"""requirements.txt and requirements.lock agree, and every file that is installed has a hash."""

from __future__ import annotations

import re
from importlib.metadata import distribution

from tests import ROOT
from tests.audit import EXCEPTIONS, differences, locked, pinned

LOCK = (ROOT / "requirements.lock").read_text()
WANTED = (ROOT / "requirements.txt").read_text()


def test_every_requirement_is_in_the_lock_with_its_version_and_what_runs_is_a_part_of_its_own() -> None:
    wanted, lock = (text.partition("\n# What tests.\n")[0] for text in (WANTED, LOCK))
    assert len(pinned(lock)) > len(pinned(wanted)) > 20 and pinned(wanted).items() <= pinned(lock).items()
    assert len(pinned(WANTED)) > len(pinned(wanted)) and pinned(WANTED).items() <= pinned(LOCK).items()


def test_every_entry_of_the_lock_has_hashes() -> None:
    assert [name for name, hashes in locked(LOCK).items() if not hashes] == []


def test_no_address_of_a_registry_is_in_the_requirements() -> None:
    assert not re.search(r"https?:|index-url|find-links", LOCK + WANTED)


def test_init_and_the_image_install_by_hash_only() -> None:
    for file in ("init.sh", "docker/Dockerfile"):
        installs = re.findall(r"pip install .*", (ROOT / file).read_text())
        assert installs and all("--require-hashes" in each for each in installs)


def test_the_audit_tells_what_differs() -> None:
    one = distribution("msgspec")
    assert list(differences("msgspec==0.0.1 \\\n    --hash=sha256:" + 64 * "0" + "\n", [one])) == [
        f"msgspec is installed as {one.version}; the lock has 0.0.1"
    ]
    assert list(differences("", [one])) == [f"msgspec=={one.version} is installed and not in the lock"]
    assert list(differences("gone==1\n", [])) == ["gone has no hash in the lock", "gone==1 is not installed"]
    assert all(EXCEPTIONS.values())
