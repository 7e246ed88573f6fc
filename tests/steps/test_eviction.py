"""When a delivery is over: watermarks source by source, the time to live, and what eviction leaves behind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.deliveries import STAGE_FINAL, version
from app.domain.records import Delivery
from app.domain.watermarks import Clock, source_number
from app.domain.windows import WINDOWS, Rules
from app.errors import SettingsError
from app.messages.state_values import key_bytes
from app.messages.tokens import HitGroup, TokenMessage
from app.steps.merger import CLOCK, RULES
from app.stores.sqlite.store import SqliteStore
from tests.domain.reducing import OneByOne
from tests.properties import first
from tests.steps.flow import (
    BASE_S,
    HOUR_S,
    KEY,
    TTL_S,
    Key,
    Line,
    NewestVersions,
    Worker,
    advance_of,
    message,
    reduced,
    run_with_crashes,
)
from tests.steps.test_permutations import key_of, with_repeats

SHORT = Rules("last_touch", 10 * HOUR_S, 5 * HOUR_S)
TICK = message([], tick=True)


def lines_of(source: str, hours: Sequence[float], key: Key = KEY) -> list[Line]:
    return [Line(BASE_S + hour * HOUR_S, at * 10, at * 10 + 9, at * 100, key, source) for at, hour in enumerate(hours)]


class Flow(Worker):
    """A worker whose records are kept, and which sweeps at every tick."""

    def __init__(self, rules: Rules = SHORT, **options: Any) -> None:
        self.records: list[Delivery] = []
        super().__init__(rules, self.records.extend, **options)

    def read(self, lines: Sequence[Line], now: float = 0.0, ended: bool = False, unordered: bool = False) -> None:
        self.take(message(lines, now, unordered=unordered, ended=ended))

    def tick(self, now: float = 0.0) -> list[Delivery]:
        """The final records of a sweep."""
        self.merger = self._make()
        count = len(self.records)
        self.take(message([], now, tick=True))
        return [record for record in self.records[count:] if record.final]

    def end_of(self, source: str) -> None:
        groups = [HitGroup.of(source, source_number(source), source, advance_of((), ended=True), [])]
        self.take(TokenMessage(0.0, groups))

    @property
    def keys(self) -> set[bytes]:
        return {key for key in self.state if key[:1] != b"\0"}

    def visible(self) -> dict[Key, list[Delivery]]:
        store = NewestVersions()
        store.write(self.records)
        return store.visible()


def test_an_evicted_delivery_gets_a_final_record_and_leaves_the_state() -> None:
    flow = Flow()
    flow.read(lines_of("a", [0, 1]))
    assert flow.tick() == []
    flow.read(lines_of("a", [0, 1, 15.9], key_of(1))[2:])
    assert flow.tick() == []
    flow.read(lines_of("a", [0, 1, 16, 16], key_of(1))[3:])
    (final,) = flow.tick()
    assert (final[:3], final.hits, final.version) == (KEY, 2, version(2, STAGE_FINAL))
    assert flow.keys == {key_bytes(key_of(1))}


def test_the_tombstone_goes_with_the_final_record() -> None:
    flow = Flow()
    flow.read([*lines_of("a", [0]), *lines_of("a", [0, 40], key_of(1))[1:]])
    (step,) = [step for step in flow.merger.steps(0, flow.state, [TICK]) if step.records]
    assert [(record.final, record[:3]) for record in step.records] == [(True, KEY)]
    assert step.changes[key_bytes(KEY)] is None


def test_each_source_has_its_own_watermark() -> None:
    flow = Flow()
    flow.read(lines_of("slow", [0, 1]))
    flow.read(lines_of("fast", [0, 500], key_of(1)))
    assert [record[:3] for record in flow.tick()] == [key_of(1)]
    assert key_bytes(KEY) in flow.keys


def test_the_slowest_live_source_of_a_delivery_decides() -> None:
    flow = Flow()
    flow.read(lines_of("slow", [0, 1]))
    flow.read(lines_of("fast", [3, 500]))
    assert flow.tick() == []
    flow.read(lines_of("slow", [0, 1, 300], key_of(1))[2:])
    assert [(record.hits, record.window_start) for record in flow.tick()] == [(3, BASE_S)]


def test_an_ended_source_holds_nobody_back() -> None:
    flow = Flow()
    flow.read(lines_of("slow", [0, 1]))
    flow.read(lines_of("fast", [3, 500]))
    flow.end_of("slow")
    assert [record.hits for record in flow.tick()] == [3]


def test_of_ended_sources_the_one_that_came_farthest_decides() -> None:
    flow = Flow()
    flow.read(lines_of("one", [0, 1]))
    flow.read(lines_of("two", [3, 17]))
    flow.end_of("one")
    flow.end_of("two")
    assert flow.tick() == []
    flow.read(lines_of("two", [0, 0, 18], key_of(1))[2:], ended=True)
    assert [record.hits for record in flow.tick()] == [3]


def test_lines_in_an_order_of_somebodys_choice_move_no_watermark() -> None:
    flow = Flow()
    flow.read(lines_of("a", [0, 1]), unordered=True)
    flow.read(lines_of("a", [0, 0, 5000], key_of(1))[2:], unordered=True)
    assert flow.tick() == []


@pytest.mark.parametrize("window", WINDOWS)
def test_a_file_that_is_physically_reversed_closes_nothing_early(window: str) -> None:
    rules = Rules(window, 10 * HOUR_S, 5 * HOUR_S)
    hours = sorted((random.Random(1).uniform(0, 400) for _ in range(120)), reverse=True)
    lines = [line._replace(key=key_of(at % 3)) for at, line in enumerate(lines_of("reversed", hours))]
    flow = Flow(rules)
    for at in range(0, 120, 3):
        flow.read(lines[at : at + 3])
        assert flow.tick() == []
    assert flow.visible() == reduced(lines, rules)


@pytest.mark.parametrize("window", WINDOWS)
def test_yesterdays_file_may_come_after_todays(window: str) -> None:
    rules = Rules(window)
    chance = random.Random(2)
    today = lines_of("today", sorted(chance.uniform(24, 48) for _ in range(30)))
    yesterday = lines_of("yesterday", sorted(chance.uniform(0, 24) for _ in range(30)))
    flow = Flow(rules)
    for lines in (today, yesterday):
        for at in range(0, 30, 5):
            flow.read(lines[at : at + 5])
            assert flow.tick() == []
        flow.end_of(lines[0].source)
        assert flow.tick() == []
    assert flow.visible() == reduced([*today, *yesterday], rules)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_log_of_2015_beside_one_of_1995_disturbs_neither(window: str) -> None:
    rules = Rules(window, 10 * HOUR_S, 5 * HOUR_S)
    chance = random.Random(3)
    flow, lines = Flow(rules), []
    old_hours = sorted(chance.uniform(-219_000, -218_800) for _ in range(60))
    new_hours = sorted(chance.uniform(-43_900, -43_700) for _ in range(60))
    logs = [
        lines_of("1995", old_hours, key_of(1)),
        lines_of("2015", new_hours, key_of(2)),
        lines_of("2015b", new_hours[:30], key_of(1)),
    ]
    finals = []
    for at in range(0, 60, 4):
        for log in logs:
            if log[at : at + 4]:
                flow.read(log[at : at + 4])
                lines += log[at : at + 4]
            finals += flow.tick()
    assert flow.visible() == reduced(lines, rules)
    assert {record.user_agent for record in finals} == (set() if window == "all" else {"agent 1", "agent 2"})


def test_what_nothing_touched_for_the_time_to_live_is_final() -> None:
    flow = Flow(Rules("all"))
    flow.read(lines_of("a", [0]), now=1000.0)
    flow.read(lines_of("b", [0], key_of(1)), now=2000.0)
    assert flow.tick(1000.0 + TTL_S) == []
    assert [record[:3] for record in flow.tick(1001.0 + TTL_S)] == [KEY]
    assert flow.keys == {key_bytes(key_of(1))}
    assert [key for key in flow.state if key.startswith(CLOCK)] == [CLOCK + b"%d" % source_number("b")]
    assert [record[:3] for record in flow.tick(2001.0 + TTL_S)] == [key_of(1)]
    assert set(flow.state) == {RULES}


def test_a_state_swept_lately_is_not_swept_again() -> None:
    """Looking at every entry takes its time: it is worth it when event time came a 24th of length and lateness further."""
    flow = Flow()
    flow.read([*lines_of("a", [0], key_of(1)), *lines_of("b", [0], key_of(2))])

    def ticked_at(source: str, hour: float, now: float = 0.0) -> int:
        count = len(flow.records)
        group = HitGroup.of("", source_number(source), "", advance_of(lines_of(source, [hour])), [])
        flow.take(TokenMessage(now, [group], tick=True))
        return len(flow.records) - count

    assert ticked_at("a", 14) == 0
    assert ticked_at("a", 15.1) == 1
    assert ticked_at("b", 15.3) == 0
    assert ticked_at("b", 15.3, TTL_S / 24) == 1


async def test_a_late_hit_opens_a_new_delivery_and_its_older_version_is_refused(tmp_path: Path) -> None:
    flow = Flow()
    lines = [*lines_of("a", [0, 1, 2]), *lines_of("a", [0, 0, 0, 40], key_of(1))[3:]]
    flow.read(lines)
    assert len(flow.tick()) == 1
    late = [Line(BASE_S, 500, 599, 5000), Line(BASE_S + HOUR_S / 2, 600, 699, 5100)]
    flow.read(late[:1])
    assert flow.records[-1].version < version(3, STAGE_FINAL)
    flow.read(late[1:])
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    for record in flow.records:
        await store.writes.write_deliveries([record])
    (kept,) = await store.reads.deliveries_of(*KEY)
    await store.close()
    assert (kept.hits, kept.final, kept.ranges) == (3, True, [[0, 29]])
    assert len(flow.keys) == 2


@pytest.mark.parametrize("window", ["last_touch", "first_touch", "day"])
def test_a_sweep_goes_in_slices_of_whole_keys(window: str) -> None:
    rules = Rules(window, 10 * HOUR_S, 5 * HOUR_S)
    flow = Flow(rules, max_step_bytes=1)
    flow.read([line for number in range(20) for line in lines_of(f"source {number}", [0, 1], key_of(number))])
    for number in range(20):
        flow.read(lines_of(f"source {number}", [0, 1, 90], key_of(number))[2:])
    flow.merger = flow._make()
    steps = []
    for step in flow.merger.steps(0, flow.state, [TICK]):
        steps.append(step)
        flow.apply(step.changes)
    assert len(steps) == 20
    for records, changes, _ in steps:
        keys = {key_bytes(record[:3]) for record in records}
        assert keys == {key for key in changes if not key.startswith(b"\0")}
        assert len(keys) == 1


@pytest.mark.parametrize("window", first(1, WINDOWS))
def test_the_standalone_reduction_finds_the_same_deliveries_final(window: str) -> None:
    rules = Rules(window, 10 * HOUR_S, 5 * HOUR_S)
    for seed in range(25):
        chance = random.Random(seed)
        flow, reduction = Flow(rules), OneByOne(rules)
        hours = dict.fromkeys("abc", BASE_S)
        places = dict.fromkeys("abc", 0)
        for _ in range(30):
            name = chance.choice("abc")
            lines = []
            for _ in range(chance.randint(1, 4)):
                hours[name] += chance.choice((0, 1, 5, 9.5, 11)) * HOUR_S
                time = hours[name] - chance.choice((0, 0, 0, 2, 4)) * HOUR_S
                lines.append(Line(time, 0, 9, places[name], key_of(chance.randrange(4)), name))
                places[name] += 10
            ended = chance.random() < 0.1
            flow.read(lines, ended=ended)
            ids = [int(line.raw_id[:16], 16) for line in lines]
            reduction.add([line.hit for line in lines], ids, source_number(name), advance_of(lines, ended=ended))
            assert sorted(flow.tick()) == sorted(reduction.sweep())
        left = {key_bytes(key) for key, entry in reduction.open.items()}
        assert left == flow.keys


def in_order_log(chance: random.Random, keys: Sequence[Key]) -> list[Line]:
    """A log in order whose deliveries are over again and again while it is read."""
    hour, lines = 0.0, []
    for at in range(chance.randint(5, 30)):
        hour += chance.choice((0, 1, 2, 3, 7, 9.5, 12, 20))
        jitter = chance.choice((0, 0, 0, 1, 4)) if hour > 4 else 0
        lines.append(
            Line(
                BASE_S + (hour - jitter) * HOUR_S,
                lo := chance.randrange(50) * 10,
                lo + 15,
                at * 100,
                chance.choice(keys),
            )
        )
    return lines


@pytest.mark.parametrize("window", first(1, WINDOWS))
def test_what_a_crash_repeats_after_its_eviction_changes_nothing(window: str) -> None:
    """The tokenizer and the merger repeat lines whose deliveries were evicted in between: no second, smaller delivery is left."""
    rules = Rules(window, 10 * HOUR_S, 5 * HOUR_S)
    crashes = finals = 0
    for seed in range(120):
        chance = random.Random(seed)
        lines = in_order_log(chance, [key_of(1), key_of(2)])
        log = []
        for group in with_repeats(lines, chance):
            log += [message(group, unordered=False), TICK][: chance.randint(1, 2)]
        store = NewestVersions()
        crashes += run_with_crashes(
            Worker(rules, store.write, max_step_bytes=chance.choice((1, 1500, 4 << 20))), log, chance
        )
        finals += sum(record.final for windows in store.held.values() for record in windows.values())
        assert store.visible() == reduced(lines, rules), seed
    assert crashes > 150
    assert finals > 100 or window == "all"


def test_a_whole_log_read_again_after_its_eviction_changes_nothing() -> None:
    flow = Flow()
    lines = in_order_log(random.Random(4), [key_of(1), key_of(2)])
    for size in (3, 1, 50):
        for at in range(0, len(lines), size):
            flow.read(lines[at : at + size])
            flow.tick()
        assert flow.visible() == reduced(lines, SHORT)


@pytest.mark.parametrize("late_hour", [5, 9.5, -3, 12])
def test_a_hit_later_than_the_lateness_takes_nothing_from_the_windows_still_open(late_hour: float) -> None:
    """first_touch, the window 0-10 evicted, 10-20 open: the late hit gets a window of its own, or joins the open one."""
    rules = Rules("first_touch", 10 * HOUR_S, 0.0)
    flow = Flow(rules)
    flow.read(lines_of("a", [0, 9, 10.5, 13]))
    assert [record.window_start for record in flow.tick()] == [BASE_S]
    flow.read([Line(BASE_S + late_hour * HOUR_S, 700, 799, 900)])
    flow.tick()
    flow.read([Line(BASE_S + 16 * HOUR_S, 800, 899, 1000)])
    flow.tick()
    flow.read([Line(BASE_S + 17 * HOUR_S, 900, 999, 1100)])
    found = {(delivery.window_start - BASE_S) / HOUR_S: delivery.hits for delivery in flow.visible()[KEY]}
    assert found == ({0: 2, 10.5: 5} if late_hour == 12 else {0: 2, late_hour: 1, 10.5: 4})


def test_a_state_cut_by_other_windows_is_refused_in_a_sentence() -> None:
    flow = Flow()
    flow.read(lines_of("a", [0]))
    other = Flow(Rules("day"))
    other.state = flow.state
    with pytest.raises(SettingsError, match="WEBLOGS_WINDOW=last_touch, WEBLOGS_WINDOW_LENGTH=36000"):
        other.tick()


def test_a_source_is_given_as_much_time_as_it_was_seen_out_of_order() -> None:
    clock = Clock()
    clock.observe(advance_of(lines_of("a", [0, 5, 2])), 10.0)
    assert clock.passed(0.0) == BASE_S + 2 * HOUR_S
    assert clock.passed(9 * HOUR_S) == BASE_S - 4 * HOUR_S
    clock.observe(advance_of(lines_of("a", [1, 6])), 10.0)
    assert clock.passed(0.0) == BASE_S + 2 * HOUR_S


def test_a_batch_observed_again_never_sets_a_clock_forward() -> None:
    clock = Clock()
    batches = [advance_of(lines_of("a", hours)) for hours in ([0, 5, 2], [4, 8], [9])]
    for advance in batches:
        clock.observe(advance, 10.0)
    before = clock.highest, clock.passed(0.0)
    for advance in batches:
        clock.observe(advance, 10.0)
        assert clock.highest == before[0]
        assert clock.passed(0.0) <= before[1]
