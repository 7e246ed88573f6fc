"""A seeded state machine: random operations on the state of the merging against an oracle of sets."""

from __future__ import annotations

import pytest

from app.domain.windows import WINDOWS
from tests.domain.state_machine import WEIGHTS, Machine


def run(window: str, seed: int, operations: int) -> Machine:
    machine = Machine(window, seed)
    machine.run(operations)
    assert sum(machine.done.values()) == operations
    assert all(machine.done[name] for name in WEIGHTS)
    assert machine.crashes and machine.evicted_windows
    assert machine.bridges or window == "all"
    return machine


@pytest.mark.parametrize("window", WINDOWS)
def test_random_operations_agree_with_an_oracle_of_sets(window: str) -> None:
    run(window, seed=1, operations=5000)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("window", WINDOWS)
def test_a_million_random_operations_agree_with_an_oracle_of_sets(window: str) -> None:
    """A quarter of them in each window mode, with many seeds."""
    for seed in range(100, 110):
        run(window, seed, operations=25_000)
