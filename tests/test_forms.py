"""Files of form 1 as they were written once, read by this version; and any other form is named and refused with exit 78.

A change of a form adds a file of the last one here, and a decoder for it.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from app.engine.partition import RocksPart
from app.engine.state_forms import NumberedState, StateForms
from app.errors import UnknownForm
from app.flows.deliveries import DELIVERIES
from app.flows.registry import changelog_topic
from app.process.exit import EXIT_REFUSED
from app.sources.identity.registry import FolderRegistry
from app.transports.embedded.log import EmbeddedLog
from app.transports.kafka.worker_id import worker_id
from tables.byte_ranges import FORMS as BYTE_RANGES
from tests import ROOT
from tests.called import call_app
from tests.flow.running import Flow

KEPT = ROOT / "tests" / "data" / "forms"
FOR_EVER = float("inf")
FINGERPRINT = (1024, "ab" * 16, 0)
DELIVERY = b'["1","a","r"]'


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A copy, which the readers may change."""
    return Path(shutil.copytree(KEPT, tmp_path / "forms"))


# -- form 1 is read


def test_checkpoints_of_form_1(kept: Path) -> None:
    registry = FolderRegistry(kept / "sources-1")
    record, followed = registry.load(FINGERPRINT), registry.followed("/logs/access.log")
    assert record is not None and followed is not None
    assert (record.lines, record.unended, record.head, record.path) == (3, (5, 6), ("#Fields: a",), "/logs/access.log")
    assert followed.unfinished == [FINGERPRINT]


def test_the_name_of_a_worker_of_form_1(kept: Path) -> None:
    assert worker_id(kept / "worker-1") == "0123456789abcdef" * 2


def test_a_state_on_disk_of_form_1(kept: Path) -> None:
    part = RocksPart(kept / "part-1", "log", FOR_EVER)
    assert part.next_offset == 7
    assert dict(NumberedState(part, StateForms(newest=1), "here").items()) == {b"\0rules": b"rules", DELIVERY: b"entry"}
    part.close()


def test_a_log_of_form_1_with_its_changelog(kept: Path) -> None:
    with closing(EmbeddedLog(kept / "log-1.db")) as log:
        (record,) = log.read("weblogs", 0, 0)
        assert record.value == b"a line\n" and log.committed("weblogs") == {("weblogs", 0): 1}
        (pairs,) = log.read_changelog(changelog_topic("weblogs", DELIVERIES.tables[0]), 0)
        StateForms(newest=1).check(pairs, "here")
        assert pairs == [(b"k", b"\1v"), (b"gone", None)]


# -- any other form is refused


def _checkpoint(kept: Path) -> Path:
    return next((kept / "sources-1" / "1024").glob("*.json"))


def _with_checkpoint(kept: Path, form: bytes) -> None:
    path = _checkpoint(kept)
    path.write_bytes(path.read_bytes().replace(b'"form":1', form))
    FolderRegistry(kept / "sources-1").load(FINGERPRINT)


def _with_worker_id(kept: Path, form: bytes) -> None:
    path = kept / "worker-1" / "worker-id"
    number = form.rpartition(b":")[2]
    path.write_bytes(number + b" " + path.read_bytes().partition(b" ")[2])
    worker_id(kept / "worker-1")


@pytest.mark.parametrize("form", [b'"form":0', b'"form":2', b'"other":1'], ids=["older", "newer", "none"])
def test_a_checkpoint_of_another_form_is_refused(kept: Path, form: bytes) -> None:
    with pytest.raises(UnknownForm, match=r"^the checkpoint .*; this program knows form 1; "):
        _with_checkpoint(kept, form)


@pytest.mark.parametrize("form", [b'"form":0', b'"form":2'], ids=["older", "newer"])
def test_a_name_of_a_worker_of_another_form_is_refused(kept: Path, form: bytes) -> None:
    with pytest.raises(UnknownForm, match=r"^the worker's name in .* has form [02]; this program knows form 1; "):
        _with_worker_id(kept, form)


def test_a_name_of_a_worker_without_a_form_is_refused(kept: Path) -> None:
    (kept / "worker-1" / "worker-id").write_text("0123456789abcdef" * 2)
    with pytest.raises(UnknownForm, match=r"has no form number"):
        worker_id(kept / "worker-1")


def test_a_replay_over_a_checkpoint_of_another_form_ends_with_the_sentence_and_its_own_code(tmp_path: Path) -> None:
    log, var = tmp_path / "access.log", tmp_path / "var"
    log.write_bytes(b'10.0.0.1 - - [01/Jan/2020:00:00:01 +0000] "GET /f HTTP/1.1" 200 100 "-" "agent"\n')
    first = call_app(["replay", "--quiet", log], tmp_path, {"DATA_DIR": var})
    assert first.returncode == 0, first.stderr
    checkpoints = [path for path in var.rglob("*.json") if b'"form":1' in path.read_bytes()]
    assert checkpoints
    for path in checkpoints:
        path.write_bytes(path.read_bytes().replace(b'"form":1', b'"form":2'))
    second = call_app(["replay", "--quiet", log], tmp_path, {"DATA_DIR": var})
    assert second.returncode == EXIT_REFUSED
    assert "has form 2; this program knows form 1; use the program that wrote it, or another place" in second.stderr


@pytest.mark.long
@pytest.mark.parametrize("form", [0, BYTE_RANGES.newest + 1], ids=["older", "newer"])
def test_a_worker_on_a_state_of_another_form_ends_with_the_sentence_and_its_own_code(tmp_path: Path, form: int) -> None:
    with Flow(tmp_path / "var") as flow:
        (table,) = DELIVERIES.tables
        topic = changelog_topic("weblogs", table)
        with closing(EmbeddedLog(flow.folder / "weblogs-log.db")) as log:
            log.create_topic(topic, 4, compacted=True)
            epoch = log.take_ownership(topic, 2)
            log.append_batch(topic, 2, [(DELIVERY, bytes([form]) + b"packed")], epoch)
        worker = flow.start_worker()
        assert worker.wait(60) == EXIT_REFUSED, flow.log_text()
        sentence = f"the state {table}/2 has form {form}; this program knows form {BYTE_RANGES.newest}; use the program that wrote it"
        assert sentence in flow.log_text()
