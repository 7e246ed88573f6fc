"""`python -m app stores`: maps, drops after asking, and deletes what is old."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.__main__ import main
from app.cli import candidates as candidates_command
from app.cli import stores as stores_command
from app.domain.totals import Totals
from app.settings import Settings
from app.stores import open_store
from tests.stores import elastic
from tests.stores.records import delivery, hit, reject


def _run(monkeypatch: pytest.MonkeyPatch, own: Settings, *arguments: str, answer: str = "") -> Result:
    monkeypatch.setattr(stores_command, "settings", lambda: own)
    return CliRunner().invoke(main, ["stores", *arguments], input=answer, catch_exceptions=False)


def _filled(own: Settings, name: str) -> None:
    async def fill() -> None:
        store = open_store(name, own)
        await store.open()
        await store.writes.write_hits([hit(1), hit(2)])
        await store.writes.write_rejects([reject(3)])
        await store.writes.write_deliveries([delivery(8)])
        await store.close()

    asyncio.run(fill())


def _counts(own: Settings, name: str) -> Totals:
    async def count() -> Totals:
        store = open_store(name, own)
        await store.open()
        try:
            return await store.reads.counts()
        finally:
            await store.close()

    return asyncio.run(count())


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.live)])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_drop_asks_and_deletes_only_what_was_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    own = elastic.own_settings(data_dir=tmp_path)
    _filled(own, name)
    refused = _run(monkeypatch, own, "drop", "--store", name, answer="n\n")
    assert refused.exit_code == 1 and "for good?" in refused.output
    assert _counts(own, name).hits == 2
    assert _run(monkeypatch, own, "drop", "--store", name, "--raw", "--yes").output == f"{name}: raw, rejects dropped\n"
    counts = _counts(own, name)
    assert (counts.hits, counts.rejects, counts.deliveries) == (0, {}, {"complete": 1})
    assert _run(monkeypatch, own, "map", "--store", name, "--raw").output == f"{name}: raw, rejects mapped\n"
    assert _run(monkeypatch, own, "drop", "--store", name, answer="y\n").exit_code == 0
    assert _counts(own, name).deliveries == {}
    _run(monkeypatch, own, "drop", "--store", name, "--yes")


def test_retain_deletes_what_is_past_its_retention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    own = elastic.own_settings(data_dir=tmp_path, stores=name)
    _filled(own, name)
    assert _run(monkeypatch, own, "retain").output == f"{name}: 0 raw and 0 reduced records were past their retention\n"
    short = msgspec.structs.replace(own, retention="-1,90")
    assert (
        _run(monkeypatch, short, "retain", "--store", name).output
        == f"{name}: 3 raw and 0 reduced records were past their retention\n"
    )
    _run(monkeypatch, own, "drop", "--store", name, "--yes")


def test_a_missing_store_ends_a_command_with_4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    own = Settings(data_dir=tmp_path / "file")
    monkeypatch.setattr(stores_command, "settings", lambda: own)
    monkeypatch.setattr(candidates_command, "settings", lambda: own)
    for arguments in (
        ["stores", "drop", "--store", "sqlite", "--yes"],
        ["stores", "map", "--store", "sqlite"],
        ["candidates", "add", "4", "Ada"],
        ["candidates", "list"],
    ):
        ended = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert ended.exit_code == 4 and ended.stderr.startswith("Error: "), (arguments, ended.output)
