"""`check` takes what was written before a size was learned as right, and names what a size judged that later lines contradict."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.sizes import NO_LEARNED_SIZE, LearnedSize
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


def test_deliveries_from_before_a_size_was_learned_are_no_differences_and_repair_judges_them(world: World) -> None:
    assert world.found() == []
    world.repair()
    assert totals(world) == {1000}
    assert world.found() == []
    assert world.repair().mended.total() == 0


@pytest.mark.parametrize(("now", "mended"), [(LearnedSize(2000), 2000), (NO_LEARNED_SIZE, None), (3000, 3000)])
@pytest.mark.parametrize("trimmed", [False, True])
def test_a_verdict_by_a_learned_size_that_later_lines_contradict_is_named_and_repair_mends_it(
    world: World, now: int, mended: int | None, trimmed: bool
) -> None:
    world.repair()
    world.size_of = lambda request, time: now
    if trimmed:
        world.trim()
    found, report = world.check()
    assert {each.kind for each in found} == {"altered"}
    assert report.differences == len(world.content()[2])
    if isinstance(now, LearnedSize):
        assert {each.why for each in found} == {
            "judged by a learned size of 1,000 bytes, which lines contradict that came later"
        }
    world.repair()
    assert totals(world) == {mended}
    assert world.found() == []


def test_a_verdict_by_a_learned_size_that_no_line_tells_of_any_more_stays_right(world: World) -> None:
    world.repair()
    world.size_of = lambda request, time: None
    assert world.found() == []


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
