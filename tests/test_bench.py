"""The benchmark's own wheels: whose log is shown, and that a quick run leaves nothing out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.failing import BenchError
from bench.quick import lanes
from bench.watching import Watch, Watched


def watched(folder: Path, name: str, code: str) -> Watched:
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        return Watched(
            subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=out, stderr=out), log
        )


def test_of_several_workers_the_log_of_the_one_that_ended_is_shown(tmp_path: Path) -> None:
    works = watched(tmp_path, "works", "input()")
    ends = watched(tmp_path, "ends", "raise SystemExit('because of this')")
    try:
        ends.process.wait()
        with pytest.raises(BenchError, match=r"(?s)code 1 .*ends\.log.*because of this"):
            Watch(lambda: [works, ends], None, lambda: 0, lambda: 0).until(lambda: False, patience_s=60)
    finally:
        works.process.kill()
        works.process.communicate()
        ends.process.communicate()


def test_a_quick_run_has_every_part_once() -> None:
    words = [word for lane in lanes() for modules in lane for word in modules]
    assert sorted(word for word in words if word in PARTS) == sorted(PARTS)
    assert words.count("bench.votes") == 1


def test_peers_are_installed_before_the_parts_that_need_them() -> None:
    assert [lane[0] for lane in lanes() if ["bench.needs"] in lane] == [["bench.needs"]]
