"""State is private: whatever makes the data folder makes it so."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.process.folders import make_private
from tests import ROOT
from tests.flow.running import Flow


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_missing_folders_are_private_and_what_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o750)
    make_private(tmp_path / "there" / "a" / "b")
    make_private(tmp_path / "there" / "a" / "b")
    assert [mode(tmp_path / name) for name in ("there", "there/a", "there/a/b")] == [0o750, 0o700, 0o700]


@pytest.mark.long
def test_a_worker_and_every_command_that_makes_the_data_folder_make_it_private(tmp_path: Path) -> None:
    with Flow(tmp_path / "worker") as flow:
        flow.options["DATA_DIR"] = data = tmp_path / "new" / "var"
        flow.start_worker()
        flow.wait_started()
        flow.stop_worker()
        assert mode(data) == 0o700
    for number, command in enumerate(
        (["replay", "-q", "samples/weblogs.tsv"], ["init"], ["candidates", "add", "7", "Ada"])
    ):
        folder = tmp_path / f"var-{number}"
        own = {**os.environ, "WEBLOGS_DATA_DIR": str(folder)}
        subprocess.run([sys.executable, "-m", "app", *command], cwd=ROOT, env=own, check=True, capture_output=True)
        assert not folder.exists() or mode(folder) == 0o700, command
