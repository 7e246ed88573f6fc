"""`usage check` names each record and each file; `usage repair` brings back what the topic or a spool still has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.archiving.check import Places, check_usage
from app.archiving.files import FILES
from app.archiving.loading import load_dataset
from app.archiving.manifests import sha256_of
from app.domain.usage.sides import Period
from app.errors import InputError
from app.settings import FileKind
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from tests import ROOT
from tests.archiving.world import World, record

P1 = [record("p1", seq, f"u{seq}") for seq in range(1, 12)] + [record("p1", 12, kind="stop")]
P2 = [record("p2", seq) for seq in range(1, 7)] + [record("p2", 7, kind="stop")]


def test_lost_and_late_records_of_two_producers_are_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send([one for one in P1 if one.seq not in (5, 6, 11)] + [P1[9]])
    world.send([P2[at - 1] for at in (1, 2, 4, 3, 5, 6, 7)], at_once=1)
    world.archived()
    assert world.lines() == [
        "archive: p1 missing 5-6 and 11",
        "topic: p1 missing 5-6 and 11",
        "topic: p1 doubled 10",
        "archive: p1 9 of 12",
        "topic: p1 9 of 12",
        "archive: p2 order 4 before 3",
        "topic: p2 order 4 before 3",
        "archive: p2 7 of 7",
        "topic: p2 7 of 7",
    ]
    assert world.check().exit_code == 1


@pytest.mark.parametrize("fault", ["gone", "altered"])
def test_a_file_that_is_gone_or_altered_is_named_and_repaired_from_the_topic_into_a_new_file(
    tmp_path: Path, fault: str
) -> None:
    world = World(tmp_path)
    world.send(P1 + P2)
    world.archived()
    done = max(world.files, key=lambda each: each.rows)
    path = world.archive / done.file
    whole = path.read_bytes()
    if fault == "gone":
        path.unlink()
        why = "is gone"
    else:
        path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
        why = "was altered: its SHA-256 is not that of its manifest"
    assert world.lines()[0] == f"{done.file} {why}; it held {done.rows} records"
    assert world.check().exit_code == 1
    before = path.read_bytes() if path.exists() else None
    count, report = world.repair()
    assert (count, report.exit_code, report.problems) == (done.rows, 0, [])
    assert (path.read_bytes() if path.exists() else None) == before
    assert world.repair()[0] == 0 and world.check().exit_code == 0


@pytest.mark.parametrize("kind", FILES)
def test_a_repair_writes_the_form_that_the_archive_is_set_to_and_the_worker_knows_what_was_repaired(
    tmp_path: Path, kind: FileKind
) -> None:
    world = World(tmp_path)
    world.rules = world.rules._replace(kind=kind)
    world.send(P1)
    world.archived()
    for done in world.files:
        (world.archive / done.file).unlink()
    world.send(P1)  # again, as after a kill: what was repaired is not archived twice
    with pytest.raises(InputError, match=r"is gone or was altered; run `python -m app usage repair`$"):
        world.archived()
    assert world.repair()[0] > 0  # the rest is on its way
    assert {path.suffix for path in (world.archive / "repairs").glob("repair-*") if path.suffix != ".json"} == {
        f".{kind}"
    }
    world.archived()
    assert [line for line in world.lines() if line.startswith("archive: ")] == ["archive: p1 12 of 12"]


def spooled(folder: Path, count: int) -> list[int]:
    log = UsageLog(UsageOptions(service="shop", spool=folder, machine="m1"))
    numbers = [log.record("request", user_id="u") for _ in range(count)]
    assert log.stop()
    return numbers


def test_what_only_a_spool_has_is_on_the_way_if_it_was_not_sent_and_missing_if_it_was(tmp_path: Path) -> None:
    world, spool = World(tmp_path), tmp_path / "spool"
    world.send(P1)
    world.archived()
    spooled(spool, 3)
    report = world.check(spool)
    assert report.exit_code == 2
    assert any(line.endswith(" on the way 1-5") and line.startswith("archive: ") for line in world.lines(spool))
    (folder,) = spool.iterdir()
    (folder / "sent").write_text(json.dumps([1, 1, 1 << 30]))
    assert world.check(spool).exit_code == 1
    assert any(line.endswith(" missing 1-5") and line.startswith("archive: ") for line in world.lines(spool))
    count, report = world.repair(spool)
    assert count == 5
    assert not any(held.missing for state in report.states for held in state.held if held.side == "archive")


def test_a_segment_of_a_spool_that_was_altered_is_named(tmp_path: Path) -> None:
    world, spool = World(tmp_path), tmp_path / "spool"
    world.send(P1)
    world.archived()
    spooled(spool, 3)
    (path,) = spool.rglob("*.seg")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    assert any(line.startswith(f"{path} is damaged from byte ") for line in world.lines(spool))


def test_after_a_kill_the_mark_in_the_spool_names_what_was_in_memory(tmp_path: Path) -> None:
    world, spool = World(tmp_path), tmp_path / "spool"
    world.send(P1)
    world.archived()
    program = (
        "import os, signal, sys, time; from pathlib import Path; from app.usage.log import UsageLog; from app.usage.options import UsageOptions\n"
        "log = UsageLog(UsageOptions(service='shop', spool=Path(sys.argv[1]), machine='m1'))\n"
        "log.record('request', user_id='u'); time.sleep(0.5); [log.record('request', user_id='u') for _ in range(1000)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(spool)], cwd=ROOT, check=False)
    (state,) = [state for state in world.check(spool).states if state.producer.startswith("shop@")]
    assert state.tail is None and state.made >= 1002
    archive = state.held[0]
    assert archive.missing and archive.missing[-1][1] == state.made


@pytest.mark.long
def test_an_archive_worker_waits_for_its_topic_and_ends_with_0_by_ctrl_c(tmp_path: Path) -> None:
    world = World(tmp_path)
    worker = subprocess.Popen(
        [sys.executable, "-m", "app", "usage", "archive", "--interval", "0"],
        cwd=ROOT,
        env=_environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stderr is not None
    assert worker.stderr.readline() == "there is no topic usage yet; waiting for it\n"
    world.send(P1)
    ended = time.monotonic() + 60
    while not list((tmp_path / "usage").rglob("*.done.json")) and time.monotonic() < ended:
        time.sleep(0.1)
    assert list((tmp_path / "usage").rglob("*.done.json"))
    worker.send_signal(signal.SIGINT)
    _, told = worker.communicate(timeout=60)
    assert (worker.returncode, told.strip()) == (0, "Stopped; the next start goes on from there.")


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"WEBLOGS_BROKER": f"sqlite:///{folder}/log.db", "WEBLOGS_DATA_DIR": str(folder)}


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app", "usage", *arguments],
        cwd=ROOT,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout


@pytest.mark.long
def test_the_commands_archive_check_and_repair(tmp_path: Path) -> None:
    assert run(tmp_path, "archive", "--once") == "there is no topic usage yet\n"
    world = World(tmp_path)
    world.archive = tmp_path / "usage"
    world.send(P1 + P2)
    assert "p1@m/1 on the way 1-12" in run(tmp_path, "check", code=2)
    assert "archived up to" in run(tmp_path, "archive", "--once")
    assert run(tmp_path, "check").splitlines()[-1] == "no differences"
    (world.archive / max(world.files, key=lambda each: each.rows).file).unlink()
    assert "is gone" in run(tmp_path, "check", code=1)
    last = json.loads(run(tmp_path, "check", "--json", code=1).splitlines()[-1])
    assert last["exit_code"] == 1 and len(last["problems"]) == 1
    assert "records repaired" in run(tmp_path, "repair")
    assert run(tmp_path, "check").splitlines()[-1] == "no differences"


HOURS = [record("p", seq, f"u{seq % 3}", time=seq * 600.0) for seq in range(6, 30)]
"""Six an hour: numbers 6 to 29, from 01:00 on."""


def test_a_period_names_only_what_was_made_in_it_and_its_parts_add_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send([one for one in HOURS if one.seq not in (13, 14, 18)], at_once=4)
    world.archived(file_bytes=1)
    assert len(world.files) > 6
    whole = world.check()
    parts = [world.check(period=Period(begin, begin + 3600.0)) for begin in range(0, 21600, 3600)]
    assert [state.held[0].missing for part in parts for state in part.states] == [
        ((1, 5),),
        ((13, 14),),
        ((18, 18),),
        (),
    ]
    (state,) = whole.states
    assert state.held[0].missing == ((1, 5), (13, 14), (18, 18))
    assert sum(part.states[0].made for part in parts if part.states) == state.made == 29
    assert [part.states[0].held[0].by_hour for part in parts if part.states] == [
        {start: state.held[0].by_hour[start]} for start in sorted(state.held[0].by_hour)
    ]
    assert [part.exit_code for part in parts] == [0, 1, 1, 1, 2, 0]  # the last hour has no stop record


def test_the_producer_topic_and_archive_are_counted_by_hour_and_by_day(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.archive = tmp_path / "usage"
    made = [record("p", seq, f"u{seq % 3}", time=82_800.0 + (seq - 1) * 600) for seq in range(1, 13)]
    world.send([one for one in made if one.seq != 3] + [record("p", 13, kind="stop", time=90_001.0)])
    world.archived()
    told = run(tmp_path, "check", "--by", "hour", code=1).splitlines()
    assert [line.split() for line in told[-5:-1]] == [
        ["from", "producer", "made", "archive", "topic"],
        ["1970-01-01T23:00:00Z", "p@m/1", "6", "5", "5"],
        ["1970-01-02T00:00:00Z", "p@m/1", "6", "6", "6"],
        ["1970-01-02T01:00:00Z", "p@m/1", "1", "1", "1"],
    ]
    found = json.loads(run(tmp_path, "check", "--json", "--from", "82800", "--to", "86400", code=1).splitlines()[0])
    assert (found["made"], found["made_by_day"], found["held"][0]["by_day"]) == (6, {"0": 6}, {"0": 5})
    assert found["held"][0]["missing"] == [[3, 3]] and found["tail"] is None


def test_a_period_that_ends_before_it_begins_or_is_no_time_is_refused() -> None:
    asked = CliRunner().invoke
    assert asked(main, ["usage", "check", "--from", "10", "--to", "5"]).exit_code == 2
    refused = asked(main, ["usage", "check", "--from", "yesterday"])
    assert refused.exit_code == 2 and "'yesterday' is no time: write ISO 8601 with a zone" in refused.output


@pytest.mark.parametrize("asked", ["check", "repair"])
def test_a_segment_that_cannot_be_opened_ends_with_5(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    spool = tmp_path / "spool" / "1"
    (spool / "00000001.seg").mkdir(parents=True)
    (spool / "owner").write_text('[1, "p", "m", "1"]')
    monkeypatch.setenv("WEBLOGS_DATA_DIR", str(tmp_path))
    ended = CliRunner().invoke(main, ["usage", asked, "--spool", str(tmp_path / "spool")], catch_exceptions=False)
    assert ended.exit_code == 5 and f"the spool {spool} cannot be read" in ended.stderr


def test_the_records_of_a_spool_that_lost_its_owner_are_seen(tmp_path: Path) -> None:
    """They were never sent, and nobody saw them: nothing differed."""
    log = UsageLog(UsageOptions(service="shop", spool=tmp_path / "spool"))
    log.record("request", user_id="u")
    assert log.stop()
    world = World(tmp_path)
    world.send(P1)
    world.archived()
    (folder,) = (tmp_path / "spool").iterdir()
    (folder / "owner").unlink()
    report = world.check(tmp_path / "spool")
    assert report.exit_code == 1
    assert report.problems == [f"{folder}/owner cannot be read: whose spool it is, is not known"]
    assert [state.made for state in report.states] == [12, 3]


@pytest.mark.parametrize("shut", ["spool/*", "archive/manifests", "archive/manifests/*", "archive/repairs"])
def test_a_folder_that_the_user_may_not_read_ends_the_check_with_5(tmp_path: Path, shut: str) -> None:
    """A spool is made with mode 0700: to another user it held nothing, and so nothing differed."""
    log = UsageLog(UsageOptions(service="shop", spool=tmp_path / "spool"))
    log.record("request", user_id="u")
    assert log.stop()
    world = World(tmp_path)
    world.send(P1)
    world.archived()
    (world.archive / "repairs").mkdir()
    program = """
import os
from click.testing import CliRunner
from app.__main__ import main
asked = ["usage", "check", "--spool", "spool", "--archive", "archive"]
print(CliRunner().invoke(main, asked).output)  # all is imported
if os.getuid() == 0:  # it may read everything
    os.setgroups([])
    os.setuid(65534)
main(asked)
"""
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for path in list(tmp_path.parents)[:-2]:
        path.chmod(path.stat().st_mode | 0o011)
    (folder, *_) = tmp_path.glob(shut)
    folder.chmod(0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WEBLOGS_DATA_DIR": str(tmp_path / "var")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    folder.chmod(0o777)
    assert done.returncode == 5 and "ermission denied" in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["check", "--store", "sqllite"], 2, "there is no store 'sqllite'; there are "),
        (["repair", "--store", "sqllite"], 2, "there is no store 'sqllite'; there are "),
        (["check", "--spool", "https://[::1"], 5, "https://[::1 is no address"),
        (["check", "--archive", "x" * 300], 5, "File name too long"),
        (["repair", "--archive", "x" * 300], 5, "File name too long"),
        (["check", "--archive", "none"], 2, ""),
        (["load", "--to", ""], 2, "--to is empty"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_what_cannot_be_asked_or_read_ends_with_another_code_than_that_of_a_difference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEBLOGS_DATA_DIR", str(tmp_path / "var"))
    ended = CliRunner().invoke(main, ["usage", *asked], catch_exceptions=False)
    assert ended.exit_code == code and said in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_the_first_form_is_read_and_checked(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.archive = ROOT / "tests" / "data" / "forms" / "usage-archive-1"
    with_no_topic = Places(None, "usage", world.storage, "csv", [])
    (state,) = check_usage(with_no_topic).states
    assert (state.made, state.held[0].records, state.held[0].missing) == (5, 5, ())
    assert check_usage(with_no_topic, Period(3603.0, 3605.0)).states[0].made == 2


WATCHED = [record("p", seq, f"u{seq % 3}", monitored=seq % 2 == 0) for seq in range(1, 10)]
WATCHED.append(record("p", 10, kind="stop"))


def test_a_monitored_record_that_is_archived_and_not_in_a_store_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(WATCHED)
    world.archived()
    world.store([WATCHED[7], WATCHED[1]])
    assert world.check().exit_code == 2  # the flow has read nothing: they are on the way
    assert "sqlite: p on the way 4 and 6" in world.lines()
    world.committed("weblogs", "usage")
    assert "sqlite: p missing 4 and 6" in world.lines() and world.check().exit_code == 1
    assert "sqlite: p 2 of 4" in world.lines()
    world.send_monitored([WATCHED[3]])
    assert "sqlite: p missing 6" in world.lines() and "sqlite: p on the way 4" in world.lines()
    world.store([WATCHED[3], WATCHED[5]])
    assert world.check().exit_code == 0 and "sqlite: p 4 of 4" in world.lines()


def test_a_record_that_was_altered_in_a_store_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(WATCHED)
    world.archived()
    world.committed("weblogs", "usage")
    world.store([*WATCHED[1:7:2], WATCHED[7]._replace(uri="/altered")])
    assert "sqlite: p checksum wrong 8" in world.lines() and world.check().exit_code == 1


def test_a_store_gets_back_what_it_is_missing_and_what_was_altered_in_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(WATCHED)
    world.archived()
    world.committed("weblogs", "usage")
    world.store([WATCHED[1], WATCHED[7]._replace(uri="/altered")])
    before = sorted(world.archive.rglob("*"))
    count, report = world.repair()
    assert (count, report.exit_code) == (3, 0) and "sqlite: p 4 of 4" in world.lines()
    assert [path for path in sorted(world.archive.rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def _with_its_sum(world: World, path: Path) -> None:
    """As somebody does it who wants it to look right."""
    for done in (world.archive / "manifests").rglob("*.done.json"):
        told = json.loads(done.read_bytes())
        if told["file"] == path.relative_to(world.archive).as_posix():
            done.write_text(json.dumps(told | {"sha256": sha256_of(path)}))


_DEEP = b'"' + b"[" * 50_000 + b'"'


@pytest.mark.parametrize(
    ("kind", "alter", "why"),
    [
        ("csv", lambda raw: raw.replace(b"\nrequest,", b"\n,", 1), "kind is no"),
        ("csv", lambda raw: raw[: raw.rindex(b"\n", 0, -1) + 1], "it holds other records"),
        ("csv", lambda raw: raw[:-1] + _DEEP + b"\n", "recursion"),
        ("csv", lambda raw: raw + b"\xff\n", "decode"),
        ("csv", lambda raw: b"", "the first line"),
        ("parquet", lambda raw: b"\0" * len(raw), ""),
        ("parquet", lambda raw: raw[:200] + b"\xff" * 300 + raw[500:], ""),
    ],
)
def test_a_file_that_was_altered_with_its_manifest_is_named_not_loaded_and_repaired(
    tmp_path: Path, kind: FileKind, alter: Callable[[bytes], bytes], why: str
) -> None:
    world = World(tmp_path)
    world.rules = world.rules._replace(kind=kind)
    world.send(P1)
    world.archived()
    path = world.archive / world.files[0].file
    path.write_bytes(alter(path.read_bytes()))
    _with_its_sum(world, path)
    report = world.check()
    named = [line for line in report.problems if f"{path.name} was altered, with its manifest" in line and why in line]
    assert named and report.exit_code == 1
    if "other records" not in why:
        loaded = load_dataset(world.storage, tmp_path / "dataset")
        assert any(path.name in line for line in loaded.problems)
    assert world.repair()[1].problems == []
    assert world.check().problems == []


def test_manifests_that_were_exchanged_end_the_check_with_5(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.archive = tmp_path / "usage"
    for at in range(0, len(P1), 5):
        world.send(P1[at : at + 5])
        world.archived()
    every = sorted((world.archive / "manifests").rglob("*.json"))
    for is_done in (True, False):
        one, other = [path for path in every if path.name.endswith(".done.json") == is_done][-2:]
        whole = one.read_bytes()
        one.write_bytes(other.read_bytes())
        with pytest.raises(InputError, match="is that of another file"):
            world.check()
        run(tmp_path, "check", code=5)
        one.write_bytes(whole)
    (world.archive / "manifests" / "\u00b2").mkdir()
    (world.archive / "manifests" / "\u00b2" / "x.json").write_text("x")
    world.check()


def test_a_damaged_manifest_ends_the_check_with_5(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.archive = tmp_path / "usage"
    world.send(P1)
    world.archived()
    next((world.archive / "manifests").rglob("*.done.json")).write_text("{")
    run(tmp_path, "check", code=5)
