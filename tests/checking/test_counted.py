"""Votes and spending: whatever is altered behind a store's back is named by `check` and mended by `repair`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.flows.spending import SPENDING
from app.flows.votes import VOTES
from tests.checking.counted_world import CountedWorld, all_counted, some_transactions, some_votes
from tests.checking.test_commands import app
from tests.checking.world import BASE_S
from tests.properties import examples, first

DAMAGES = {
    "a vote deleted": ("DELETE FROM votes WHERE vote_no = 5", ("vote", "missing")),
    "a vote altered": ("UPDATE votes SET candidate_id = 7 WHERE vote_no = 6", ("vote", "altered")),
    "a vote doubled": (
        "INSERT INTO votes (vote_id, candidate_id, time, ingested) SELECT CAST(vote_id AS BLOB), candidate_id, time, 0 FROM votes LIMIT 1",
        ("vote", "doubled"),
    ),
    "an extra vote": (
        f"INSERT INTO votes (vote_id, candidate_id, time, ingested) VALUES ('x', 1, {BASE_S + 5}, 0)",
        ("vote", "extra"),
    ),
    "a transaction deleted": ("DELETE FROM transactions WHERE transaction_no = 5", ("transaction", "missing")),
    "a transaction altered": (
        "UPDATE transactions SET cents = 1e6 WHERE transaction_no = 6",
        ("transaction", "altered"),
    ),
    "a transaction doubled": (
        "INSERT INTO transactions (transaction_id, user_id, time, cents, ingested)"
        " SELECT transaction_id, CAST(user_id AS BLOB), time, cents, 0 FROM transactions LIMIT 1",
        ("transaction", "doubled"),
    ),
    "an extra transaction": (
        f"INSERT INTO transactions (transaction_id, user_id, time, cents, ingested) VALUES ('x', 'u1', {BASE_S + 5}, 1, 0)",
        ("transaction", "extra"),
    ),
    "a window altered": (
        "UPDATE vote_sums SET events = events + 1 WHERE rowid_is_first('window')",
        ("vote sum", "altered"),
    ),
    "a total deleted": ("DELETE FROM vote_sums WHERE rowid_is_first('total')", ("vote sum", "missing")),
    "an hour altered": (
        "UPDATE spend_sums SET amount = 0 WHERE rowid_is_first('hour')",
        ("transaction sum", "altered"),
    ),
    "a sum in a later version": (
        "UPDATE spend_sums SET events = 99, version = 1 << 40 WHERE rowid_is_first('day')",
        ("transaction sum", "altered"),
    ),
    "a total doubled": (
        "INSERT INTO spend_sums SELECT CAST(grp AS BLOB), resolution, start, partition, share, events, amount, repeats,"
        " version, ingested FROM spend_sums WHERE resolution = 'total' LIMIT 1",
        ("transaction sum", "doubled"),
    ),
    "an extra total": (
        "INSERT INTO spend_sums VALUES ('total', 0, 'nobody', 0, 0, 1, 5, 0, 1 << 20, 0)",
        ("transaction sum", "extra"),
    ),
}


def damage(world: CountedWorld, name: str) -> None:
    statement = DAMAGES[name][0]
    table = statement.split()[2 if statement.startswith("DELETE") else 1]
    key = "(resolution, grp, start, partition, share)"
    for resolution in ("window", "total", "hour", "day"):
        statement = statement.replace(
            f"rowid_is_first('{resolution}')",
            f"{key} IN (SELECT resolution, grp, start, partition, share FROM {table} WHERE resolution = '{resolution}' LIMIT 1)",
        )
    if name == "an extra total":
        statement = statement.replace(
            "spend_sums VALUES",
            "spend_sums (resolution, start, grp, partition, share, events, amount, repeats, version, ingested) VALUES",
        )
    if name == "a total doubled":
        statement = statement.replace(
            "INSERT INTO spend_sums",
            "INSERT INTO spend_sums (grp, resolution, start, partition, share, events, amount, repeats, version, ingested)",
            1,
        )
    assert world.sql(statement) == 1, name


@pytest.fixture
def world(tmp_path: Path) -> CountedWorld:
    made = CountedWorld(tmp_path)
    made.count(VOTES, some_votes())
    made.count(SPENDING, some_transactions())
    made.count(VOTES, some_votes(20, 50))  # ten of them come again
    return made


def test_what_was_counted_is_level(world: CountedWorld) -> None:
    found, report = world.check()
    assert found == []
    assert report.compared["store", "sqlite", "vote"] == report.compared["topic", "sqlite", "vote"] == 70
    assert (
        report.compared["store", "sqlite", "transaction sum"]
        == report.compared["topic", "sqlite", "transaction sum"]
        > 60
    )


@pytest.mark.parametrize("name", first(4, DAMAGES))
def test_a_damage_is_named_alone_and_mended(world: CountedWorld, name: str) -> None:
    before = world.with_store(all_counted)
    damage(world, name)
    assert world.found() == [DAMAGES[name][1]]
    world.repair(dry_run=True)
    assert world.found() == [DAMAGES[name][1]], "a dry run mends nothing"
    world.repair()
    assert world.found() == []
    assert world.with_store(all_counted) == before
    world.count(VOTES, some_votes(30, 100))
    world.count(SPENDING, some_transactions(30, 100))
    assert world.found() == [], "later versions show above what was mended"


@pytest.mark.long
@settings(deadline=None, max_examples=examples(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(set(DAMAGES) - {"a total deleted"})), min_size=2, max_size=5, unique=True))
def test_any_damages_together_are_mended(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    world = CountedWorld(tmp_path_factory.mktemp("world"))
    world.count(VOTES, some_votes())
    world.count(SPENDING, some_transactions())
    before = world.with_store(all_counted)
    for name in names:
        damage(world, name)
    assert world.found() != []
    world.repair()
    assert world.found() == []
    assert world.with_store(all_counted) == before


@pytest.mark.long
def test_the_commands_name_and_mend_by_their_exit_codes(world: CountedWorld) -> None:
    assert app(world.folder, "check").returncode == 0
    for name in ("a window altered", "a transaction deleted"):
        damage(world, name)
    done = app(world.folder, "check")
    assert done.returncode == 1
    assert "1 vote sum altered" in done.stdout and "1 transaction missing" in done.stdout
    done = app(world.folder, "repair")
    assert (done.returncode, done.stderr) == (0, "")
    done = app(world.folder, "check")
    assert done.returncode == 0 and "no differences" in done.stdout


def test_without_a_topic_a_sum_is_made_again_from_the_stored_events(tmp_path: Path) -> None:
    now = time.time()
    world = CountedWorld(tmp_path)
    world.count(VOTES, some_votes(begin_s=now - 5000), now)
    world.count(SPENDING, some_transactions(10, begin_s=now - 9000), now)
    world.trim()
    assert world.found() == []
    before = world.with_store(all_counted)
    damage(world, "a window altered")
    damage(world, "an hour altered")
    damage(world, "a total deleted")
    assert world.found() == [("transaction sum", "altered"), ("vote sum", "altered"), ("vote sum", "altered")]
    world.repair()
    assert world.found() == []
    after = world.with_store(all_counted)
    assert [[each[:7] for each in some] for some in after] == [[each[:7] for each in some] for some in before]


def test_without_a_topic_a_lost_event_is_named_and_no_sum_is_made_smaller_for_it(tmp_path: Path) -> None:
    now = time.time()
    world = CountedWorld(tmp_path)
    world.count(VOTES, some_votes(begin_s=now - 5000), now)
    world.trim()
    before = world.with_store(all_counted)
    assert world.sql("DELETE FROM votes WHERE vote_no = 5") == 1
    assert set(world.found()) == {("vote sum", "altered")}
    world.repair()
    assert world.with_store(all_counted)[1] == before[1]
    assert set(world.found()) == {("vote sum", "altered")}


def test_what_is_on_its_way_is_no_difference(world: CountedWorld) -> None:
    world.count(VOTES, some_votes(10, 200), stored=False)
    assert world.found() == []


def test_events_past_their_retention_leave_their_sums(world: CountedWorld) -> None:
    world.trim()
    world.sql("DELETE FROM votes")
    assert world.found() == []


def test_a_topic_created_anew_condemns_nothing_of_before(tmp_path: Path) -> None:
    world = CountedWorld(tmp_path)
    world.count(VOTES, some_votes())
    world.count(SPENDING, some_transactions())
    with world.log() as log:
        path = log.path
    for file in path.parent.glob("weblogs-log.db*"):
        file.unlink()
    again = CountedWorld(tmp_path)
    again.count(VOTES, some_votes(10, 500, BASE_S + 90_000))
    assert {kind for _, kind in again.found()} <= {"altered"}
    before = again.with_store(all_counted)
    again.repair()
    after = again.with_store(all_counted)
    assert [len(some) for some in after] == [len(some) for some in before]
