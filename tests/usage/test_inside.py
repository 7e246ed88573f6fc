"""Records that are made inside of another one: by a finaliser that the collector runs, by a signal's handler, by the end of the interpreter."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from app.usage import start
from tests.usage.reading import opened, records, states
from tests.usage.test_log import run

BEGIN = """
import faulthandler, sys
from pathlib import Path
from app.usage.functions import usage_of
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
faulthandler.dump_traceback_later(30, exit=True)
log = UsageLog(UsageOptions(service="shop", spool=Path(sys.argv[1]), machine="m1", queue_records=1_000_000))
"""


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "block"])
@pytest.mark.parametrize("at", [1, 2, 3, 6], ids=["in the start record", "in the first", "in the second", "later"])
def test_a_record_inside_of_another_one_waits_for_no_lock_and_keeps_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, overflow: str
) -> None:
    """As one that the collector makes, when it ends an abandoned generator."""
    log = opened(tmp_path, overflow=overflow)
    asked: list[None] = []

    def now() -> float:
        if threading.current_thread() is thread:
            asked.append(None)
            if len(asked) == at:
                log.record("request", user_id="inner")
        return time.time()

    thread = threading.Thread(
        target=lambda: [log.record("request", user_id="outer") for _ in range(10)], name="calls", daemon=True
    )
    monkeypatch.setattr(start, "now", now)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and log.stop()
    deadline = time.monotonic() + 10
    while any(state.is_unknown for state in states(tmp_path, with_marks=False)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(state.differs or state.is_unknown for state in states(tmp_path, with_marks=False))
    made = records(tmp_path)
    assert [record.user_id for record in made if record.kind == "request"].count("outer") == 10
    assert [record.user_id for record in made if record.kind == "request"].count("inner") == 1
    for start_id in {record.start_id for record in made}:
        numbers = [record.seq for record in made if record.start_id == start_id]
        assert numbers == sorted(numbers)


def test_a_handler_of_a_signal_may_make_records_at_any_moment(tmp_path: Path) -> None:
    program = """
import signal
made = 0
def handler(*_):
    global made
    made += 1
    log.record("request", user_id="handler")
signal.signal(signal.SIGALRM, handler)
log.record("request", user_id="thread")
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
while made < 20:
    log.record("request", user_id="thread")
signal.setitimer(signal.ITIMER_REAL, 0)
assert log.stop(100)
"""
    run(BEGIN + program, tmp_path)
    assert not any(state.differs for state in states(tmp_path))
    numbers = [record.seq for record in records(tmp_path) if record.kind == "request"]
    assert {record.user_id for record in records(tmp_path)} >= {"handler", "thread"}
    assert numbers == sorted(numbers)


def test_a_call_that_ends_with_the_interpreter_is_recorded_and_the_process_ends(tmp_path: Path) -> None:
    program = """
@usage_of(log)
def rows():
    me = yield
    yield me
abandoned = rows()
next(abandoned)
abandoned.send(abandoned)  # a cycle: only the last collection ends it
"""
    run(BEGIN + program, tmp_path)
    made = records(tmp_path)
    assert [record.outcome for record in made if record.kind == "response"] == ["client_gone"]
    assert not any(state.differs or state.is_unknown for state in states(tmp_path, with_marks=False))
