"""Ends a worker that was suspended for longer than its session: its partitions have another owner by then.

What it had in hand is refused by the broker (see docs/decisions/0009), and what it would begin with now it would only have to give back. A
process that was stopped, or a machine that slept, is noticed by a thread whose short sleep took long.
"""

from __future__ import annotations

import threading
import time

from app.process.exit import die

__all__ = ["watch_standstill"]

_LOOK_EVERY_S = 0.25


def watch_standstill(session_s: float) -> None:
    """Watches this process until it ends."""
    threading.Thread(target=_watch, args=(session_s,), name="standstill", daemon=True).start()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps


def _watch(session_s: float) -> None:
    before = _now()
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = _now()
        if now - before > session_s:
            die(
                f"Process was suspended for {now - before:.1f} s (session timeout {session_s:g} s); its partitions were reassigned. Exiting."
            )
        before = now
