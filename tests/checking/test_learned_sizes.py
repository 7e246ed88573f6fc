"""`check` takes a size that may have been learned when a delivery was written as right; `repair` judges by the sizes of now."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.sizes import LearnedSize
from app.settings import load
from tests.checking.world import World, some_lines


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Deliveries that were written before any size was learned; a size is now."""
    world = World(tmp_path)
    world.settings = load(world.environment | {"WEBLOGS_LEARN_SIZES": "1"})
    world.send(some_lines())
    world.size_of = lambda request, time: LearnedSize(1000)
    return world


def totals(world: World) -> set[int | None]:
    return {record.total_bytes for record in world.content()[2]}


def test_deliveries_from_before_a_size_was_learned_or_by_an_earlier_one_are_no_differences(world: World) -> None:
    assert world.found() == []
    world.repair()
    assert totals(world) == {1000}
    world.size_of = lambda request, time: LearnedSize(2000)
    assert world.found() == []
    world.trim()
    assert world.found() == []
    world.repair()
    assert totals(world) == {2000}
    assert world.repair().mended.total() == 0


def test_where_the_worker_learns_no_sizes_none_is_taken_as_right(world: World) -> None:
    world.repair()
    world.size_of = lambda request, time: None
    world.settings = load(world.environment)
    assert {kind for _, kind in world.found()} == {"altered"}


def test_a_size_that_somebody_gave_holds_for_what_was_written_before(world: World) -> None:
    world.size_of = lambda request, time: 1000
    assert {kind for _, kind in world.found()} == {"altered"}


@pytest.mark.parametrize(
    "change",
    [
        "verdict = 'complete'",
        "total_bytes = 30",
        "total_bytes = -5",
        "evidence = 'learned'",
        "ranges = '0-1'",
        "missing = '', total_bytes = 60",
    ],
)
def test_a_delivery_that_its_own_size_does_not_explain_is_altered(world: World, change: str) -> None:
    assert world.sql(f"UPDATE deliveries SET {change} WHERE delivery_no = 2") == 1
    assert world.found() == [("delivery", "altered")]


def test_hits_that_name_a_size_are_not_judged_by_what_a_record_says(tmp_path: Path) -> None:
    world = World(tmp_path, size_of=lambda request, time: 1000)
    world.settings = load(world.environment | {"WEBLOGS_LEARN_SIZES": "1"})
    world.send(some_lines())
    assert world.found() == []
    assert world.sql("UPDATE deliveries SET total_bytes = 999 WHERE delivery_no = 1") == 1
    assert world.found() == [("delivery", "altered")]
