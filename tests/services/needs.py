"""What the start scripts need of the machine."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.services.errors import ServiceError

__all__ = ["check_needs", "java_version"]

INSTALL = "on Debian: apt-get install openjdk-17-jre-headless maven"


def java_version() -> int | None:
    """The major version of the `java` on the path; None without one."""
    java = shutil.which("java")
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else None


def check_needs(kind: str, *, fetched: bool) -> None:
    """Raises ServiceError without Java 17 (Kafka and Elasticsearch take later ones, too), and without Maven where it has to fetch."""
    version = java_version()
    if version is None or version < 17 or (kind == "cassandra" and version != 17):
        there = "there is no java" if version is None else f"java is version {version}"
        raise ServiceError(f"{kind} needs Java 17 and {there} here; {INSTALL}")
    if not fetched and shutil.which("mvn") is None:
        raise ServiceError(f"{kind} is fetched with Maven and there is no mvn here; {INSTALL}")
