"""Simulated calls: the same for the same seed, whole but for what the truth says is lost, and of the season that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.domain.usage.records import is_intact, record_of
from app.domain.usage.sequences import judge
from app.domain.usage.sides import Side
from simulator.commands.usage import records_of
from simulator.usage import FAULTS, SimulatedUsage, UsagePlan, hourly, season

PLAN = UsagePlan(1_772_409_600.0, hours=2, per_hour=200.0, seed=3)


def test_the_same_seed_makes_the_same_records_and_another_others() -> None:
    assert list(SimulatedUsage(PLAN).records()) == list(SimulatedUsage(PLAN).records())
    assert list(SimulatedUsage(PLAN).records()) != list(SimulatedUsage(PLAN._replace(seed=4)).records())


def test_only_what_the_truth_names_is_missing_and_the_sums_are_those_of_the_records() -> None:
    simulated = SimulatedUsage(PLAN)
    made = list(records_of(simulated))
    truth = simulated.truth()
    assert all(map(is_intact, made)) and [record.time for record in made] == sorted(record.time for record in made)
    side = Side("topic")
    for record in made:
        side.see(record)
    lost = next(fault for fault in truth["faults"] if fault["kind"] == "lost")
    for state in judge([side], {}):
        (held,) = state.held
        wanted = ((lost["first_lost"], lost["last_lost"]),) if state.producer == lost["producer"] else ()
        assert tuple(held.missing) == wanted and not held.doubled and not held.altered
    assert {fault["kind"] for fault in truth["faults"]} == set(FAULTS)
    assert sum(arrived for _, arrived in truth["producers"].values()) == len(made)
    assert sum(truth["statuses"].values()) == truth["answers"] <= truth["calls"] == sum(n for _, n in truth["hours"])
    silent = next(fault for fault in truth["faults"] if fault["kind"] == "silent")
    spoken = [record.time for record in made if record.start_id == silent["producer"].partition("/")[2]]
    assert max(spoken) < silent["begin"] and "stop" not in {
        record.kind for record in made if silent["producer"].endswith(record.start_id)
    }


def test_hours_follow_the_season_with_the_noise_that_is_asked_for() -> None:
    plan = PLAN._replace(hours=26 * 168, per_hour=20_000.0)
    counts = hourly(plan)
    expected = 20_000 * season(np.arange(plan.hours) + int(plan.begin // 3600))
    errors = counts / expected - 1
    assert abs(errors.mean()) < 0.01 and 0.09 < errors.std() < 0.11


def test_the_command_writes_messages_of_the_topic_and_the_truth_and_counts_without_records(tmp_path: Path) -> None:
    run = CliRunner().invoke
    arguments = [
        "usage",
        "--hours",
        "1",
        "--per-hour",
        "50",
        "--quiet-week",
        "-o",
        f"{tmp_path}/a",
        "--truth",
        f"{tmp_path}/truth",
    ]
    result = run(main, ["simulate", *arguments])
    assert result.exit_code == 0, result.output
    messages = [json.loads(line) for line in (tmp_path / "a").read_text().splitlines()]
    records = [record_of(row, form) for form, rows in messages for row in rows]
    truth = json.loads((tmp_path / "truth").read_text())
    assert truth["calls"] == sum(record.kind == "request" for record in records)
    assert result.stderr.startswith(f"{len(records):,} records of {truth['calls']:,} calls in ")
    assert run(main, ["simulate", "usage", "--hours", "48", "--counts", f"{tmp_path}/counts"]).exit_code == 0
    assert len((tmp_path / "counts").read_text().splitlines()) == 49


@pytest.mark.parametrize("arguments", [["--from", "yesterday"], ["--hours", "0"], ["--noise", "2"]])
def test_what_is_asked_wrongly_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["simulate", "usage", *arguments]).exit_code == 2
