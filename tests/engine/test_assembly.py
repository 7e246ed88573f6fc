"""The assembly: what the registry lists is put together, once, from what is given to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.engine.partition import MemoryPart
from app.errors import LogError, LogLocked, SettingsError, WeblogsError
from app.flows.registry import KEEPINGS, STAGES, TABLES, TOPICS
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from app.settings import Settings
from app.worker import assembly as assembly_module
from app.worker.assembly import Assembly, assemble
from tests import ROOT
from tests.engine.test_storing import SmallStore
from tests.engine.world import Ended, World


@pytest.fixture
def quiet(world: World) -> World:
    def open_store(name: str, settings: Settings, *, read_only: bool = False) -> Any:
        world.opened.append(name)
        return SmallStore()

    world.outside = world.outside._replace(
        open_store=open_store, parts_of=lambda table, settings: lambda partition, log: MemoryPart()
    )
    return world


def with_settings(world: World, **options: Any) -> Any:
    return world.outside._replace(settings=Settings(data_dir=world.outside.settings.data_dir, **options))


def agents_of(app: Any) -> dict[str, str]:
    return {name: agent.channel.get_topic_name() for name, agent in app.agents.items()}


def test_the_flow_and_each_store_have_the_agents_and_topics_of_the_registry(quiet: World) -> None:
    made: Assembly = assemble(with_settings(quiet, stores="sqlite,cassandra", count_requests=True))
    assert agents_of(made.app) == {stage.agent: stage.reads for stage in STAGES}
    assert tuple(made.tables) == TABLES and set(TABLES) <= set(made.app.tables.data)
    assert list(made.storings) == ["sqlite", "cassandra"] == quiet.opened
    for name, storing in made.storings.items():
        assert storing.app.conf.id == f"weblogs-{name}"
        assert agents_of(storing.app) == {keeping.agent: keeping.reads for keeping in KEEPINGS}
    assert [app.conf.id for app in made.apps] == ["weblogs", "weblogs-sqlite", "weblogs-cassandra"]


def test_no_agent_takes_the_hits_a_second_time_where_requests_are_not_counted(quiet: World) -> None:
    made = assemble(with_settings(quiet, count_requests=False))
    assert set(agents_of(made.app)) == {stage.agent for stage in STAGES} - {"count_requests"}
    assert tuple(made.tables) == TABLES


def test_a_worker_of_a_store_alone_has_no_flow(quiet: World) -> None:
    outside = with_settings(quiet, broker="kafka://127.0.0.1:1", roles="sqlite")._replace(
        register_transport=lambda _settings: quiet.outside.register_transport(quiet.outside.settings)
    )
    made = assemble(outside)
    assert made.app.conf.id == "weblogs-sqlite" and made.tables == {} and made.apps == [made.app]
    assert agents_of(made.app) == {keeping.agent: keeping.reads for keeping in KEEPINGS}


def test_two_workers_can_be_put_together_in_one_process(quiet: World) -> None:
    first, second = assemble(quiet.outside), assemble(quiet.outside)
    assert first.app is not second.app and first.tables["byte_ranges"] is not second.tables["byte_ranges"]


@pytest.mark.parametrize(
    ("error", "on_kafka", "code"),
    [
        (LogLocked("another worker"), False, EXIT_REFUSED),
        (LogError("the disk"), False, EXIT_REFUSED),
        (LogError("the broker"), True, EXIT_CANNOT_GO_ON),
        (SettingsError("a topic"), True, EXIT_REFUSED),
        (PermissionError(13, "denied"), False, EXIT_REFUSED),
    ],
)
def test_a_worker_that_may_not_start_ends_with_the_code_of_its_reason(
    quiet: World, error: Exception, on_kafka: bool, code: int
) -> None:
    class Log:
        def prepare(self, topics: list[str], groups: list[str]) -> None:
            assert topics == list(TOPICS) and groups == ["weblogs"]
            raise error

    class OneApp:
        class conf:
            id = "weblogs"
            datadir = quiet.outside.settings.data_dir / "faust"

        topics_log = Log()

    outside = with_settings(quiet, broker="kafka://h:1") if on_kafka else quiet.outside
    apps: Any = [OneApp()]
    with pytest.raises(Ended):
        assembly_module._prepare(outside, apps)
    assert [told for _, told in quiet.ends.told] == [code]


def test_an_agent_that_cannot_be_imported_stops_the_start(quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly_module, "STAGES", [STAGES[0]._replace(agent="no_such_agent")])
    with pytest.raises(ModuleNotFoundError, match="no_such_agent"):
        assemble(quiet.outside)


@pytest.mark.parametrize("wrong", [{"stores": "garbage"}, {"json_fields": "a=b=c,,"}], ids=str)
def test_a_setting_whose_fault_shows_only_in_the_assembly_is_refused_with_one_sentence(
    world: World, wrong: dict[str, str]
) -> None:
    """By its kind the worker's start ends with 78."""
    with pytest.raises(WeblogsError) as caught:
        assemble(with_settings(world, **wrong))
    assert str(caught.value) and "\n" not in str(caught.value)


IMPORT_ALL = """
import gc, importlib, pkgutil, sys
import agents, app, tables

for package in (agents, app, tables):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import faust, mode

made = [type(one).__name__ for one in gc.get_objects() if isinstance(one, (faust.App, mode.Service))]
print(made)
"""


def test_no_import_reads_settings_or_makes_an_app_a_table_or_a_service(tmp_path: Path) -> None:
    wrong = os.environ | {"WEBLOGS_NO_SUCH_SETTING": "1"}  # who reads the settings raises
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
