"""The benchmark's own wheels: whose log is shown, and that a quick run leaves nothing out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.failing import BenchError
from bench.processes import run_to_end
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


def test_the_memory_of_a_command_is_its_own_and_not_that_of_what_started_it(tmp_path: Path) -> None:
    held = bytearray(b"x") * (300 << 20)
    small = run_to_end([sys.executable, "-c", "pass"], tmp_path / "small.log")
    large = run_to_end([sys.executable, "-c", "bytearray(b'x') * (400 << 20)"], tmp_path / "large.log")
    assert small.rss_bytes < 100 << 20 < len(held) < 400 << 20 < large.rss_bytes


def test_a_command_that_fails_or_is_missing_is_named_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"-c print\(7\); exit\(3\) ended with exit code 3:\n7"):
        run_to_end([sys.executable, "-c", "print(7); exit(3)"], tmp_path / "a.log")
    with pytest.raises(BenchError, match="no-such-program ended with exit code 127:"):
        run_to_end(["no-such-program"], tmp_path / "b.log")
