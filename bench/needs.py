"""The peers' own environment, .venv-bench, and whether every peer is there. Made and checked by `python -m bench.needs`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from bench.failing import BenchError
from bench.processes import ROOT

__all__ = ["PEER_PYTHON", "check", "pinned", "prepare", "versions"]

FOLDER = ROOT / ".venv-bench"
PEER_PYTHON = FOLDER / "bin" / "python"
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
_READY = FOLDER / ".ready"
_INSTALLED = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"


def pinned() -> dict[str, str]:
    """Name -> version of what bench/requirements.txt asks for."""
    return dict(re.findall(r"^([a-z-]+)==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE))


def prepare() -> None:
    """Make or complete .venv-bench, install goaccess where this is Debian and root asks. Raises BenchError."""
    stamp = REQUIREMENTS.read_text()
    if not (_READY.exists() and _READY.read_text() == stamp and PEER_PYTHON.exists()):
        print("bench: making .venv-bench from bench/requirements.txt (a minute or so) …", flush=True)
        venv.EnvBuilder(with_pip=False, clear=FOLDER.exists()).create(FOLDER)  # the project's pip can fill it
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(PEER_PYTHON),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        if subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=False).returncode != 0:
            raise BenchError(
                "pip could not install bench/requirements.txt into .venv-bench: see above; run `make bench` again then"
            )
        _READY.write_text(stamp)
    if shutil.which("goaccess") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("bench: apt-get install goaccess …", flush=True)
        quiet = {
            "stdout": subprocess.DEVNULL,
            "check": False,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        if subprocess.run(["apt-get", "install", "-y", "-q", "goaccess"], **quiet).returncode != 0:  # type: ignore[call-overload]
            subprocess.run(["apt-get", "update", "-q"], **quiet)  # type: ignore[call-overload]
            subprocess.run(["apt-get", "install", "-y", "-q", "goaccess"], **quiet)  # type: ignore[call-overload]


def check() -> None:
    """Raises BenchError with one sentence where a peer is missing or another version."""
    if not PEER_PYTHON.exists():
        raise BenchError("there is no .venv-bench with the peers: run `make bench`, or `python -m bench.needs`")
    told = subprocess.run([str(PEER_PYTHON), "-c", _INSTALLED], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise BenchError(".venv-bench does not work: remove it (rm -r .venv-bench) and run `make bench`")
    installed = json.loads(told.stdout)
    for name, version in pinned().items():
        if installed.get(name) != version:
            raise BenchError(
                f"the peer {name} {version} is missing from .venv-bench ({installed.get(name, 'none')} is there): run `python -m bench.needs`"
            )
    if shutil.which("goaccess") is None:
        raise BenchError("the peer goaccess is missing: on Debian, apt-get install goaccess")


def versions() -> dict[str, str]:
    """Name -> version of everything that was compared."""
    goaccess = subprocess.run(["goaccess", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[
        0
    ]
    ours = {name: importlib.metadata.version(name) for name in ("faust-streaming", "aiokafka", "pyarrow")}
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.split('"')[1]
    jars = sorted(path.name for path in _jars().glob("kafka-clients-*.jar"))
    kafka = jars[-1].removeprefix("kafka-clients-").removesuffix(".jar") if jars else "not fetched"
    return {
        "Python": sys.version.split()[0],
        **ours,
        **pinned(),
        "goaccess": goaccess.split("- ")[-1].rstrip("."),
        "Java": java,
        "Kafka": kafka,
    }


def _jars() -> Path:
    from tests.services.server import DEFAULT_CACHE

    return DEFAULT_CACHE / "kafka" / "jars"


if __name__ == "__main__":
    try:
        prepare()
        check()
    except BenchError as error:
        sys.exit(f"bench: {error}")
