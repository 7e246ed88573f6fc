"""Notices reach each channel once: a signed webhook, the topic, an Alertmanager, a file; after refusals, kills and replays, too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from app.__main__ import main
from app.alerts.channels import channels_of, signature
from app.alerts.run import AlertRun
from app.alerts.sources import TakenEvent
from app.archiving.files import FILES
from app.domain.alerts.lifecycle import Notice
from app.domain.usage.records import USAGE
from app.errors import InputError, SettingsError
from app.messages.notices import decode_notices
from app.settings import FileKind, Settings, child_environment, settings
from app.transports.broker_view import open_view
from app.usage.brokers import messages
from app.usage.sending import packed_record
from tests import ROOT
from tests.alerts.making import BEGIN, call, calls, rules_of
from tests.alerts.receiving import Receiver, alertmanager
from tests.archiving.world import World

RULE = {"kind": "any", "where": {"status": 500}, "window_s": 60}
TOML = '[[rule]]\nname = "any"\nkind = "any"\nwhere = { status = 500 }\nwindow_s = 60\n'
EVENTS = sorted(
    [*calls(60, 0, 3600), call(100, 600, status=500), call(101, 1800, status=500)], key=lambda one: one.time
)
UNTIL = str(BEGIN + 7200)
SECRET = b"hunter2-hunter2"


def run_of(folder: Path, **notify: Any) -> AlertRun:
    rules = rules_of(RULE, notify=notify)
    own = Settings(broker=f"sqlite:///{folder}/log.db", data_dir=folder)
    return AlertRun(rules, folder / "state", channels_of(rules.notify, own, folder / "notices.jsonl"))


def all_seen(run: AlertRun) -> None:
    run.take_all(TakenEvent(event, event.time) for event in EVENTS)
    run.advance(BEGIN + 7200)
    run.settle()


def in_file(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "notices.jsonl").read_text().splitlines()]


def secret_of(folder: Path) -> str:
    (folder / "secret").write_bytes(SECRET + b"\n")
    return str(folder / "secret")


def test_a_webhook_gets_each_notice_once_signed_and_again_while_it_fails(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.answers = [503, 500, 204, 429]
    with receiver.serving() as url, run_of(tmp_path, webhook=url, webhook_secret_file=secret_of(tmp_path)) as run:
        all_seen(run)
        assert run.state.outbox["webhook"] == []
    notices = in_file(tmp_path)
    assert [notice["status"] for notice in notices] == ["firing", "resolved", "firing", "resolved"]
    taken = [heads["Idempotency-Key"] for heads, _ in receiver.got]
    assert list(dict.fromkeys(taken)) == [notice["id"] for notice in notices] and len(taken) == 4 + 3
    for heads, body in receiver.got:
        assert heads["X-Signature"] == signature(SECRET, heads["X-Timestamp"], body)
        assert json.loads(body)["id"] == heads["Idempotency-Key"]


def test_what_a_receiver_does_not_take_waits_and_what_it_refuses_is_counted(tmp_path: Path) -> None:
    receiver = Receiver()
    notify = {"webhook_secret_file": secret_of(tmp_path), "tries": 1}
    with run_of(tmp_path, webhook="http://127.0.0.1:9/", **notify) as run:
        all_seen(run)
        assert len(run.state.outbox["webhook"]) == 4
    receiver.answers = [400]
    with receiver.serving() as url, run_of(tmp_path, webhook=url, **notify) as run:
        run.settle()
        assert run.state.outbox["webhook"] == [] and run.state.undelivered == 1
    assert len(receiver.got) == 4 and len(in_file(tmp_path)) == 4


def test_the_topic_has_each_notice_once_even_if_a_run_does_not_know_that_it_sent_it(tmp_path: Path) -> None:
    with run_of(tmp_path, topic=True) as run:
        all_seen(run)
        told = decoded(tmp_path)
    (tmp_path / "state").unlink()  # what was sent is forgotten, and all is seen again
    with run_of(tmp_path, topic=True) as run:
        all_seen(run)
    assert decoded(tmp_path) == told and {notice.id for notice in told} == {one["id"] for one in in_file(tmp_path)}
    assert len(in_file(tmp_path)) == len(told) == 4


def decoded(folder: Path) -> list[Notice]:
    view = open_view(Settings(broker=f"sqlite:///{folder}/log.db"))
    assert view is not None
    with closing(view):
        return sorted(each for _, _, value in view.read("usage_notices") for each in decode_notices(value))


def test_a_line_that_a_kill_cut_is_written_again(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        all_seen(run)
    whole = (tmp_path / "notices.jsonl").read_bytes()
    (tmp_path / "notices.jsonl").write_bytes(whole[:-40])
    (tmp_path / "state").unlink()
    with run_of(tmp_path) as run:
        all_seen(run)
    assert (tmp_path / "notices.jsonl").read_bytes() == whole


def test_lines_of_the_notices_that_somebody_altered_are_passed_over(tmp_path: Path) -> None:
    altered = b'{"id": "a\n{"id" 5}\n{"id": ' + b"[" * 100_000 + b"\n[]\n"
    (tmp_path / "notices.jsonl").write_bytes(altered)
    with run_of(tmp_path) as run:
        all_seen(run)
    told = (tmp_path / "notices.jsonl").read_bytes()
    assert told.startswith(altered) and len(told) > len(altered)


def test_one_process_at_a_time_has_the_state_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    with run_of(tmp_path), pytest.raises(SettingsError, match="another process has the state"):
        run_of(tmp_path)
    (tmp_path / "state").write_bytes(b"\xc1")
    with pytest.raises(InputError, match="state cannot be read"):
        run_of(tmp_path)


def test_a_clock_that_runs_ahead_does_not_move_event_time(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        run.take_all(TakenEvent(event, event.time) for event in EVENTS[:10])
        run.take(TakenEvent(call(500, 10**9), BEGIN + 600))
        run.take_all(TakenEvent(event, event.time) for event in EVENTS[10:])
        assert run.ahead == 1 and run.state.late == 0


def test_a_clock_that_begins_in_1970_does_not_move_event_time(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        run.take(TakenEvent(call(500, -BEGIN, "no clock"), BEGIN))
        run.take_all(TakenEvent(event, event.time) for event in EVENTS)
        assert run.ahead == 1 and run.state.late == 0 and run.state.began == BEGIN // 60


def asked(folder: Path, *arguments: str, code: int = 0) -> str:
    settings.cache_clear()
    result = CliRunner(env={"WEBLOGS_DATA_DIR": str(folder)}).invoke(main, ["usage", "alerts", *arguments])
    settings.cache_clear()
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_a_gap_of_years_is_passed_in_one_step_when_nothing_can_change_any_more(tmp_path: Path) -> None:
    with run_of(tmp_path) as run:
        all_seen(run)
        run.advance(BEGIN + 10**9)
        assert run.state.closed == (BEGIN + 10**9 - 120) // 60


def of_events(folder: Path) -> tuple[str, str]:
    """Files of rules and records."""
    packed = [packed_record(event.of) for event in EVENTS]
    (folder / "records").write_bytes(b"".join(value + b"\n" for _, value in messages(packed, 1, USAGE.form)))
    (folder / "rules.toml").write_text(TOML)
    return str(folder / "rules.toml"), str(folder / "records")


@pytest.mark.parametrize("point", [pytest.param("alerts_stored", marks=pytest.mark.long), "alerts_delivered"])
def test_a_kill_loses_no_notice_and_doubles_none(tmp_path: Path, point: str) -> None:
    rules, records = of_events(tmp_path)
    command = [sys.executable, "-m", "app", "usage", "alerts", "--rules", rules, "--records", records, "--until", UNTIL]
    environment = child_environment() | {"WEBLOGS_DATA_DIR": str(tmp_path / "var"), "WEBLOGS_CRASH_AT": point}
    assert subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode == -signal.SIGKILL
    environment.pop("WEBLOGS_CRASH_AT")
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    told = in_file(tmp_path / "var" / "alerts")
    assert [notice["status"] for notice in told] == ["firing", "resolved"] * 2
    assert len({notice["id"] for notice in told}) == 4


@pytest.mark.parametrize("kind", FILES)
def test_topic_and_archive_tell_the_same_and_a_second_look_tells_nothing(tmp_path: Path, kind: FileKind) -> None:
    rules, _ = of_events(tmp_path)
    world = World(tmp_path)
    world.send([event.of for event in EVENTS], 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBLOGS_BROKER", world.address)
        first = asked(tmp_path / "a", "--rules", rules, "--once", "--until", UNTIL)
        assert [line.partition(" ")[2] for line in first.splitlines()[:4]] == [
            "any firing: 1, limit 1",
            "any resolved: 0, limit 1",
        ] * 2
        assert "any" not in asked(tmp_path / "a", "--rules", rules, "--once", "--until", UNTIL)
    world.archived(kind=kind)
    again = asked(tmp_path / "b", "--rules", rules, "--archive", str(world.archive), "--until", UNTIL)
    assert again.splitlines()[:4] == first.splitlines()[:4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no rule"),
        ("[[rule]]\nname = 'a'\nkind = 'ani'", "kind 'ani' is none of any, "),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { stats = 5 }", "'stats' is no field"),
        ("[[rule]]\nname = 'a'\nkind = 'latency'", "latency needs percentile"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwindow_s = 90", "window_s is 90: write a multiple of step_s, 60"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwindows = 90", "'windows' is no name here"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { status = { over = 5 } }", "is no comparison"),
        (TOML + TOML, "two rules are called 'any'"),
        ("[[rule]]\nname = ''\nkind = 'any'", "name is empty"),
        (
            "[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { status = '500' }",
            "status is never '500': write a whole number",
        ),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { status = [500, 'x'] }", "status is never 'x'"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { status = { at_least = '5' } }", "status is never '5'"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { uri = { at_most = 5 } }", "uri is never 5: write a text"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { status = { at_least = nan } }", "status is never nan"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwhere = { monitored = 1 }", "monitored is never 1: write true or false"),
        ("[[rule]]\nname = 'a'\nkind = 'any'\nwindow_s = 1e300", "window_s is 1e+300: write at most 3.16224e+07"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nwindow_s = 7020", "window_s is 7020: a week must be a multiple"),
        ("[[rule]]\nname = 'a'\nkind = 'latency'\npercentile = 9\nlimit = 9", "latency needs field"),
        (
            "[[rule]]\nname = 'a'\nkind = 'latency'\nfield = 'uri'\npercentile = 9\nlimit = 9",
            "field 'uri' holds no numbers",
        ),
        (
            "[[rule]]\nname = 'a'\nkind = 'share_falls'\nwhere = { status = 200 }\nwindow_s = 3600\nbaseline_s = 5400",
            "baseline_s is 5400: write a multiple of window_s, 3600",
        ),
        ("[[rule]]\nname = 'a'\nkind = 'missing_sequence'\nby = ['region']", "write neither where nor by"),
        ("lateness_s = 1e300\n" + TOML, "lateness_s is 1e+300: write at most a year"),
        (TOML + "[[silence]]\nbegin = 5\nend = 5", "a silence begins at 5 and ends at 5: write a later end"),
        (TOML + "limit = nan", "rule 1: limit is nan: write a number"),
        (TOML + "k = inf", "rule 1: k is inf: write a number"),
        ("lateness_s = inf\n" + TOML, "the file: lateness_s is inf: write a number"),
        (TOML + "[[silence]]\nbegin = nan\nend = 0", "silence 1: begin is nan: write a number"),
        (TOML + "[notify]\ntries = 0", "notify: tries is 0: write 1 or more"),
        (TOML + "[notify]\nwebhook = 'http://a/'", "webhook needs webhook_secret_file"),
        (TOML + "[[silence]]\nbegin = 2026-01-01T00:00:00\nend = 0", "begin has no zone"),
    ],
)
def test_a_wrong_rule_is_named_with_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rules.toml").write_text(text)
    result = CliRunner().invoke(main, ["usage", "alerts", "--rules", f"{tmp_path}/rules.toml", "--once"])
    assert result.exit_code == 2 and said in result.output, result.output


def test_a_state_is_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, records = of_events(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEBLOGS_DATA_DIR", str(tmp_path / "var"))
    command = ["usage", "alerts", "--rules", rules, "--records", records, "--state", "own.state"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0 and (tmp_path / "own.state").exists(), result.output
    assert [path.name for path in (tmp_path / "var" / "alerts").iterdir()] == ["notices.jsonl"]


def test_what_cannot_be_read_is_exit_code_5(tmp_path: Path) -> None:
    assert "cannot be read" in asked(tmp_path, "--rules", f"{tmp_path}/none", code=5)
    rules, _ = of_events(tmp_path)
    assert "cannot be read" in asked(tmp_path, "--rules", rules, "--records", f"{tmp_path}/none", code=5)
    deep = tmp_path / "deep.toml"
    deep.write_text(f"a = {'[' * 100_000}")
    assert "deep.toml is no TOML" in asked(tmp_path, "--rules", f"{deep}", code=5)


@pytest.mark.live
def test_an_alertmanager_shows_what_fires_and_ends_what_is_resolved(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as url:
        with run_of(tmp_path, alertmanager=url) as run:
            run.take_all(TakenEvent(event, event.time) for event in EVENTS[:15])
            run.settle()
            run.keep()
            (shown,) = requests.get(f"{url}/api/v2/alerts", timeout=30).json()
            assert shown["labels"] == {"alertname": "any", "kind": "any", "severity": "warning"}
            assert shown["annotations"] == {"summary": "any firing: 1, limit 1"}
            all_seen(run)
            assert run.state.outbox["alertmanager"] == [] and run.state.undelivered == 0
        assert requests.get(f"{url}/api/v2/alerts", timeout=30).json() == []
