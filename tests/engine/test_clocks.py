"""Two clocks that do not agree are told once in the log, and in /health/ as long as it lasts."""

from __future__ import annotations

import logging

import pytest

from app.engine.clocks import APART_S, compare_clocks
from tests.engine.world import NOW, World


@pytest.mark.parametrize(("apart_s", "said"), [(7200.0, "2 h 0 min ahead"), (-7200.0, "2 h 0 min behind")])
def test_clocks_that_do_not_agree_are_told_once_and_both_are_named(
    world: World, caplog: pytest.LogCaptureFixture, apart_s: float, said: str
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        world.app.broker_clock = NOW - apart_s
        compare_clocks(world.app)
    problem = world.counters.clock_problem
    brokers = "10:26:40" if apart_s > 0 else "14:26:40"
    assert f"2020-09-13 12:26:40 UTC, that of {world.outside.settings.broker} 2020-09-13 {brokers} UTC" in problem
    assert said in problem
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.ERROR, problem)]
    world.app.broker_clock = NOW
    compare_clocks(world.app)
    assert world.counters.clock_problem == "" and "agree again" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("apart_s", [APART_S, -APART_S, 0.0, None])
def test_what_a_message_may_take_on_its_way_is_no_problem(world: World, apart_s: float | None) -> None:
    world.app.broker_clock = None if apart_s is None else NOW + apart_s
    compare_clocks(world.app)
    assert world.counters.clock_problem == ""
