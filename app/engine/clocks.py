"""The clocks of this machine and of the broker: times of messages, windows that close and votes of right clocks depend on them."""

from __future__ import annotations

import logging
from typing import Any

from app.words import clocks_text

__all__ = ["APART_S", "compare_clocks"]

log = logging.getLogger(__name__)
APART_S = 60.0
"""More than that no message takes on its way; from an hour on Kafka refuses messages of a clock that is ahead."""


def compare_clocks(app: Any) -> None:
    """A problem of /health/ as long as they are APART_S apart; an error in the log when that begins. Blocking. Raises LogError."""
    outside = app.outside
    before, brokers = outside.clock(), app.topics_log.clock()
    if brokers is None:
        return
    after = outside.clock()
    own = before if before > brokers else min(brokers, after)  # the broker looked somewhere between
    problem = clocks_text(own, outside.settings.broker, brokers) if abs(own - brokers) > APART_S else ""
    if problem and not outside.counters.clock_problem:
        log.error("%s", problem)
    elif outside.counters.clock_problem and not problem:
        log.warning("The clocks of this machine and of %s agree again.", outside.settings.broker)
    outside.counters.clock_problem = problem
