"""`make audit`: what is installed is what requirements.lock names, file by file. Needs no network."""

from __future__ import annotations

import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tests import ROOT

__all__ = ["EXCEPTIONS", "differences", "locked", "pinned"]

EXCEPTIONS = {
    "pip": "comes with Python's venv",
    "setuptools": "comes with Python's venv",
}
"""Distributions that are known not to be in the lock, with the reason."""
_NAME = re.compile(r"([A-Za-z0-9._-]+)==([^\s\\;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Name -> version."""
    return {normal(found[1]): found[2] for line in text.splitlines() if (found := _NAME.match(line))}


def locked(text: str) -> dict[str, set[str]]:
    """Name -> hashes."""
    hashes: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if found := _NAME.match(line):
            name = normal(found[1])
            hashes[name] = set()
        if name:
            hashes[name] |= set(_HASH.findall(line))
    return hashes


def differences(lock: str, installed: Iterable[Distribution]) -> Iterator[str]:
    """A sentence each."""
    versions = pinned(lock)
    found = {normal(each.metadata["Name"]): each for each in installed}
    for name, hashes in sorted(locked(lock).items()):
        if not hashes:
            yield f"{name} has no hash in the lock"
    for name in sorted(versions.keys() - found.keys()):
        yield f"{name}=={versions[name]} is not installed"
    for name, each in sorted(found.items()):
        if name in EXCEPTIONS:
            continue
        if name not in versions:
            yield f"{name}=={each.version} is installed and not in the lock"
        elif each.version != versions[name]:
            yield f"{name} is installed as {each.version}; the lock has {versions[name]}"
        yield from _changed_files(name, each)


def _changed_files(name: str, installed: Distribution) -> Iterator[str]:
    for file in installed.files or ():
        if file.hash is None or file.hash.mode != "sha256":
            continue
        path = Path(str(file.locate()))
        if not path.is_file():
            yield f"{name}: {file} is missing"
        elif urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode() != file.hash.value:
            yield f"{name}: {file} was changed after it was installed"


def main() -> int:
    told = list(differences((ROOT / "requirements.lock").read_text(), distributions()))
    print("\n".join(told) or "what is installed is what requirements.lock names")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
