"""What stands around the code: the Makefile, the requirements, the scripts, and what must not be in a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

GIT = shutil.which("git")
SCRIPTS = (
    ("init.sh", "sh"),
    (".ci/run", "bash"),
    *((f"tests/services/{kind}/start.sh", "bash") for kind in ("kafka", "elasticsearch", "cassandra")),
)
TEXT = {".py", ".md", ".sql", ".html", ".css", ".js", ".toml", ".txt", ".sh", ".tsv", ".example", ""}


def tracked() -> list[Path]:
    """The project's files."""
    assert GIT, "git is needed"
    told = subprocess.run([GIT, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in told.split("\0") if name and (ROOT / name).is_file()]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_checksums_of_kafka_python_are_made_in_c() -> None:
    from kafka.record import util

    assert util.crc32c_c is not None, "in Python they cost more than all else that a replay does"


def test_requirements_are_pinned() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.match(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]* *(#.+)?$", line)] == []


def test_every_requirement_says_why() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not line.partition("#")[2].strip()] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|root|home/[a-z]+|Users/[a-z]+)/")
    named = []
    for path in tracked():
        if path.suffix in TEXT and path != Path(__file__):
            text = path.read_text(errors="replace")
            named += [f"{path.relative_to(ROOT)}: {match[0]}" for match in places.finditer(text)]
    assert named == []


def test_make_alone_prints_help_for_every_target() -> None:
    done = make()
    assert done.returncode == 0, done.stderr
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    told = set(re.findall(r"^  ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony
    assert targets == told == set(phony[1].split())


def test_a_target_takes_as_long_in_contributing_as_in_the_help_of_make() -> None:
    told = dict(
        re.findall(
            r"^\| `make ([a-z-]+)` \|.*\| (\d+ (?:s|min)) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
        )
    )
    helped = dict(
        re.findall(r"^([a-z-]+):[^#\n]*## [^(\n]*\((\d+ (?:s|min))\)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert len(told) >= 9 and told == {target: helped.get(target) for target in told}


@pytest.mark.parametrize(
    "target",
    [
        "setup",
        "run",
        "run-usage",
        "test",
        "test-long",
        "test-live",
        "test-servers",
        "coverage",
        "bench",
        "lint",
        "services",
        "services-stop",
    ]
    + ["run-standalone-app", "run-standalone-app-debug", "run-es-app", "run-es-app-debug"]
    + [f"manual-{verb}-{kind}-es" for verb in ("map", "load", "drop") for kind in ("raw", "reduced")],
)
def test_every_target_sets_up_first_and_uses_the_python_of_the_project(target: str, tmp_path: Path) -> None:
    told = make("-n", target, f"READY={tmp_path}/never")
    assert told.returncode != 0 or "./init.sh" in told.stdout  # a stamp that cannot be made asks for the set-up
    commands = [
        re.sub(r"^([A-Z_]+=\S+ )+", "", line)
        for line in make("-n", target).stdout.splitlines()
        if "Nothing to be done" not in line
    ]
    assert {line.split()[0] for line in commands} <= {".venv/bin/python", "sh", "rm"}


@pytest.mark.parametrize("target", ["kafka-elk", "kafka-elk-down"])
def test_the_targets_for_docker_say_in_one_sentence_that_it_is_not_there(target: str) -> None:
    told = make(target, "DOCKER=/nosuch/docker")
    assert told.returncode != 0 and told.stdout == ""
    sentence = f"make {target}: docker compose is missing. Install Docker, or use make services and make run-es-app"
    assert told.stderr.splitlines()[0] == sentence


def test_only_a_yes_lets_the_dropping_targets_go_without_asking() -> None:
    for kind in ("raw", "reduced"):
        assert "--yes" not in make("-n", f"manual-drop-{kind}-es").stdout
        assert make("-n", f"manual-drop-{kind}-es", "YES=1").stdout.rstrip().endswith("--yes")


def test_the_scripts_are_valid_and_can_be_executed() -> None:
    for script, shell in SCRIPTS:
        assert (ROOT / script).stat().st_mode & 0o111, script
        subprocess.run([shell, "-n", script], cwd=ROOT, check=True)


def test_ci_runs_what_it_must() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    steps = [
        "setup",
        "audit",
        "lint",
        "test COV=1",
        "test-long N=50000",
        "test-live N=5000 KILLS=1",
        "test-servers",
    ]
    assert re.findall(r"^step make (.+)", text, re.MULTILINE) == steps
    assert "set -euo pipefail" in text


def test_init_refuses_without_a_python_in_one_sentence(tmp_path: Path) -> None:
    for name in ("init.sh", "requirements.txt", "requirements.lock", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    script = (tmp_path / "init.sh").read_text().replace("/usr/bin/python3.11", "/nosuch/python3.11")
    (tmp_path / "init.sh").write_text(script)
    done = subprocess.run(
        ["sh", "init.sh"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no Python 3.11 found" in done.stderr and "PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


TABLES = {"app/domain/formats/json_profiles.py", "app/settings.py", "app/web/service/openapi.py", "app/words.py"}
"""Long because they are one table, which is read by its rows."""


def test_no_file_is_so_long_that_nobody_reads_it() -> None:
    roots = ("app", "agents", "tables", "simulator")
    code = [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in roots]
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in code}
    assert {name for name, size in sizes.items() if size > (32_000 if name in TABLES else 16_000)} == set()
