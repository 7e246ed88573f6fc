"""On real Kafka: a worker whose clock is not the broker's says so, at its start and while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.running import run_to_its_end
from tests.live.running import Live
from tests.live.test_kafka_losses import problems, send_lines
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def set_clock(folder: Path, ahead_s: float) -> str:
    """The value of PYTHONPATH for processes whose clock is wrong by what stands in a file there."""
    folder.mkdir(exist_ok=True)
    (folder / "ahead_s").write_text(str(ahead_s))
    (folder / "sitecustomize.py").write_text(
        f"import time\nright = time.time\ntime.time = lambda: right() + float(open({str(folder / 'ahead_s')!r}).read())\n"
    )
    return str(folder)


@pytest.mark.parametrize(("ahead_s", "said"), [(630.0, "it is 10 min "), (-86400.0, "behind")])
def test_a_clock_that_is_wrong_at_the_start_is_told_with_both_clocks(
    tmp_path: Path, broker: Server, monkeypatch: pytest.MonkeyPatch, ahead_s: float, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", set_clock(tmp_path / "clock", ahead_s))
    with Live(tmp_path, broker, FORMAT="combined") as live:
        live.start_worker()
        live.wait_started()
        send_lines(live, 5)
        live.wait_drained()
        (problem,) = problems(live)
        assert "This machine's clock says" in problem and live.settings.broker in problem and said in problem
        told = live.workers["worker"].text()
        assert told.count("This machine's clock says") == 1 and told.index("clock says") < told.index("listening on")


def test_a_clock_that_goes_wrong_under_a_running_worker_is_told_until_it_is_right_again(
    tmp_path: Path, broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", set_clock(tmp_path / "clock", 0))
    with Live(tmp_path, broker, FORMAT="combined") as live:
        live.start_worker()
        live.wait_started()
        assert problems(live) == []
        set_clock(tmp_path / "clock", -330)
        live.wait_until(lambda: any("it is 5 min " in each for each in problems(live)), "the clock in health", 60)
        set_clock(tmp_path / "clock", 0)
        live.wait_until(lambda: problems(live) == [], "a healthy worker", 60)
        assert "agree again" in live.workers["worker"].text()


def test_a_clock_of_which_kafka_takes_no_message_is_named_before_the_worker_ends(
    tmp_path: Path, broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", set_clock(tmp_path / "clock", 7230))
    with Live(tmp_path, broker, FORMAT="combined") as live:
        done = run_to_its_end(live.environment("worker"))
        assert done.returncode == 70, done.stderr
        assert "it is 2 h 0 min ahead" in done.stderr.partition("Worker stopped")[0], done.stderr
