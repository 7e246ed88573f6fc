"""Any order, grouping and repetition of lines, and any crash, leave the same visible deliveries in a store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from app.domain.records import Delivery
from app.domain.tallies import MAX_HITS
from app.domain.windows import WINDOWS, Rules
from app.stores.sqlite.store import SqliteStore
from tests.properties import every, examples, first, part
from tests.steps.flow import (
    BASE_S,
    HOUR_S,
    KEY,
    Key,
    Line,
    NewestVersions,
    Worker,
    message,
    reduced,
    run_with_crashes,
    visible,
)

NASTY_HOURS = {
    "bridges and cuts that move and come back": (5, 10, 30, 40, -10, 14.5),
    "windows that touch": (0, 24, 48, 23.75, 47.75, -24),
    "a chain closed by its middle": (0, 20, 40, 60, 80, 100),
    "three sessions and their two bridges": (0, 40, 80, 20, 60, 61),
    "the same instant": (0, 0, 24, 24, 12, 12),
    "the cut comes back twice": (0, 23, 25, 47, -2, -24.5),
}
RANGES = ((0, 99), (100, 199), (150, 300), (400, 499), (300, 400), (0, 49))


def lines_at(hours: Iterable[float], key: Key = KEY) -> list[Line]:
    return [
        Line(BASE_S + hour * HOUR_S, *ends, position=at * 100, key=key)
        for at, (hour, ends) in enumerate(zip(hours, RANGES, strict=True))
    ]


def key_of(number: int) -> Key:
    return (KEY[0], f"agent {number}", KEY[2])


async def written_in_order(path: Path, batches: Iterable[Sequence[Delivery]]) -> dict[Key, list[Delivery]]:
    """What a real store shows in the end."""
    store = SqliteStore(path)
    await store.open()
    for batch in batches:
        assert await store.writes.write_deliveries(batch) == []
    found = visible([delivery async for delivery in store.reads.all_deliveries()])
    counts = await store.reads.counts()
    await store.close()
    assert sum(counts.deliveries.values()) == sum(map(len, found.values()))
    return found


QUICK = [
    ("last_touch", "three sessions and their two bridges"),
    ("last_touch", "a chain closed by its middle"),
    ("first_touch", "the cut comes back twice"),
    ("first_touch", "windows that touch"),
]
"""The store's test below has the first set of hours in all modes; the others differ most in these."""


def check_every_permutation(window: str, hours: Sequence[float]) -> None:
    rules = Rules(window)
    lines = lines_at(hours)
    expected = reduced(lines, rules)
    single = {line: message([line]) for line in lines}
    for order in permutations(lines):
        store = NewestVersions()
        worker = Worker(rules, store.write)
        for line in order:
            worker.take(single[line])
        assert store.visible() == expected, [(line.time - BASE_S) / HOUR_S for line in order]


@pytest.mark.parametrize(("window", "name"), every(2, QUICK))
def test_every_permutation_line_by_line_gives_the_same_visible_deliveries(window: str, name: str) -> None:
    check_every_permutation(window, NASTY_HOURS[name])


@pytest.mark.long
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", NASTY_HOURS)
def test_every_permutation_of_all_nasty_hours_gives_the_same_visible_deliveries(window: str, name: str) -> None:
    check_every_permutation(window, NASTY_HOURS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("window", first(1, WINDOWS))
async def test_every_permutation_gives_the_same_visible_deliveries_in_a_real_store(window: str, tmp_path: Path) -> None:
    """All permutations share one store; their records reach it line by line, as the lines come."""
    rules = Rules(window)
    six = lines_at(NASTY_HOURS["bridges and cuts that move and come back"])
    expected = [values[3:] for values in reduced(six, rules)[KEY]]
    batches: list[list[Delivery]] = [[] for _ in six]
    orders = part(0, list(permutations(six)), 7)  # 7: each line is met at each place
    for number, order in enumerate(orders):
        sent: list[list[Delivery]] = []
        worker = Worker(rules, sent.append)
        for line in order:
            worker.take(message([line._replace(key=key_of(number))]))
        for batch, records in zip(batches, sent, strict=True):
            batch += records
    found = await written_in_order(tmp_path / "store.db", batches)
    assert len(found) == len(orders) > 100
    assert all([values[3:] for values in some] == expected for some in found.values())


def grouped(lines: Sequence[Line], chance: random.Random) -> list[list[Line]]:
    """Lines as messages hold them: in their order, in groups of any size."""
    groups, rest = [], list(lines)
    while rest:
        size = chance.randint(1, 4)
        groups.append(rest[:size])
        rest = rest[size:]
    return groups


def with_repeats(lines: Sequence[Line], chance: random.Random) -> list[list[Line]]:
    """The messages of a tokenizer that crashed: it goes back to any line, and groups anew from there."""
    at, groups, crashes = 0, [], 0
    while at < len(lines):
        size = chance.randint(1, 4)
        groups.append(list(lines[at : at + size]))
        at += size
        if crashes < 3 and chance.random() < 0.3:
            at, crashes = chance.randint(0, min(at, len(lines))), crashes + 1
    return groups


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("arrange", [grouped, with_repeats])
def test_any_grouping_and_any_repetition_gives_the_same_visible_deliveries(
    window: str, arrange: Callable[..., Any]
) -> None:
    rules = Rules(window)
    for seed in range(60):
        chance = random.Random(seed)
        lines = lines_at(chance.choice(list(NASTY_HOURS.values())))
        chance.shuffle(lines)
        store = NewestVersions()
        worker = Worker(rules, store.write)
        log = [message(group) for group in arrange(lines, chance)]
        while log:
            size = chance.randint(1, 3)
            worker.take(*log[:size])
            log = log[size:]
        assert store.visible() == reduced(lines, rules), seed


def random_lines(chance: random.Random, keys: Sequence[Key], count: int) -> list[Line]:
    """Hits of some clients on a grid of hours, so that windows touch, in any order."""
    return [
        Line(BASE_S + chance.randrange(-30, 90, chance.choice((1, 6, 12))) * HOUR_S, lo := chance.randrange(50) * 10, lo + chance.randrange(40),
             position * 100, chance.choice(keys))
        for position in range(count)
    ]  # fmt: skip


def crashed_log(chance: random.Random, keys: Sequence[Key]) -> list[Line]:
    if chance.random() < 0.5:
        lines = [
            line._replace(position=line.position + 1000 * at)
            for at, key in enumerate(keys)
            for line in lines_at(chance.choice(list(NASTY_HOURS.values())), key)
        ]
        chance.shuffle(lines)
        return lines
    return random_lines(chance, keys, chance.randint(3, 16))


def check_crashes(window: str, seeds: range) -> None:
    rules = Rules(window)
    crashes = 0
    for seed in seeds:
        chance = random.Random(seed)
        lines = crashed_log(chance, [key_of(1), key_of(2)])
        store = NewestVersions()
        worker = Worker(rules, store.write, max_step_bytes=chance.choice((1, 1500, 4 << 20)))
        crashes += run_with_crashes(worker, [message(group) for group in with_repeats(lines, chance)], chance)
        assert store.visible() == reduced(lines, rules), seed
    assert crashes > len(seeds)


@pytest.mark.sampled
@pytest.mark.parametrize("window", WINDOWS)
def test_after_any_crashes_the_visible_deliveries_are_those_of_the_set_of_lines(window: str) -> None:
    """Records of states that were lost again have reached the store; what comes after them must not leave them there."""
    check_crashes(window, range(examples(400)))


@pytest.mark.long
@pytest.mark.parametrize("window", WINDOWS)
def test_after_very_many_crashes_the_visible_deliveries_are_those_of_the_set_of_lines(window: str) -> None:
    check_crashes(window, range(1000, 4000))


@pytest.mark.parametrize("window", WINDOWS)
async def test_after_any_crashes_a_real_store_shows_the_deliveries_of_the_set_of_lines(
    window: str, tmp_path: Path
) -> None:
    """Its writer crashes, too: batches of any size, some written again."""
    rules = Rules(window)
    streams: list[list[Delivery]] = []
    expected: dict[Key, list[Delivery]] = {}
    for seed in range(40):
        chance = random.Random(seed)
        lines = crashed_log(chance, [key_of(2 * seed), key_of(2 * seed + 1)])
        streams.append([])
        run_with_crashes(
            Worker(rules, streams[-1].extend, max_step_bytes=1500),
            [message(group) for group in with_repeats(lines, chance)],
            chance,
        )
        expected |= reduced(lines, rules)
    chance = random.Random(7)
    batches, places = [], [0] * len(streams)
    while any(place < len(stream) for place, stream in zip(places, streams, strict=True)):
        batch: list[Delivery] = []
        for number, stream in enumerate(streams):
            end = places[number] + chance.randint(0, 12)
            batch += stream[places[number] : end]
            places[number] = end if chance.random() < 0.8 or end >= len(stream) else places[number]
        batches.append(batch)
    assert await written_in_order(tmp_path / "store.db", batches) == expected


@pytest.mark.parametrize("window", ["last_touch", pytest.param("first_touch", marks=pytest.mark.long)])
def test_a_delivery_of_too_many_hits_whose_start_moves_leaves_none_behind(window: str) -> None:
    store = NewestVersions()
    worker = Worker(Rules(window), store.write)
    lines = [Line(BASE_S + at / 1000, 3 * at, 3 * at, at) for at in range(MAX_HITS + 5)]
    worker.take(message(lines))
    assert [delivery.reason for delivery in store.visible()[KEY]] == ["fragmented"]
    worker.take(message([Line(BASE_S - HOUR_S, 0, 9, 10**6)]))
    (delivery,) = store.visible()[KEY]
    assert (delivery.reason, delivery.hits) == ("fragmented", MAX_HITS)
    assert delivery.window_start == BASE_S - (HOUR_S if window == "last_touch" else 0)
