"""The web application on real parts: the SQLite store, the embedded log and its producer, each in a fresh folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from app.transports.broker_view import GroupPositions
from app.transports.producers import MessageProducer, open_producer
from app.web.counted.event_intake import EventIntake
from app.web.counted.names import CandidateNames
from app.web.counted.results import Results
from app.web.deliveries.line_intake import LogIntake
from app.web.service.parts import PARTS
from app.web.service.server import SERVER_OPTIONS, make_web_app
from app.web.service.status import Snapshot, Status

NOW = 1_600_000_000.0

Client = TestClient[web.Request, web.Application]


class ToldStatus:
    """A worker that says what the test wants it to say."""

    def __init__(self) -> None:
        self.told = Snapshot(started=NOW - 100, now=NOW, committed_at=NOW - 1)
        self.stands: GroupPositions | None = GroupPositions({}, {})

    def snapshot(self) -> Snapshot:
        return self.told

    async def standing(self) -> GroupPositions | None:
        return self.stands

    def say(self, **changes: Any) -> None:
        self.told = self.told._replace(**changes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "var", web_port=0)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    store = open_store("sqlite", settings)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def status() -> ToldStatus:
    return ToldStatus()


@pytest.fixture
def producer(settings: Settings) -> Iterator[MessageProducer]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    producer = open_producer(settings)
    yield producer
    producer.close()


def application(
    store: Store, status: Status, producer: MessageProducer, settings: Settings, fed: Sequence[Any] = ()
) -> web.Application:
    """The web application on these parts."""
    events = EventIntake(producer, settings.overload_after)
    results = Results(store, events, settings)
    return make_web_app(
        store, status, LogIntake(producer, settings), settings, events, CandidateNames(store), results, fed=fed
    )


@asynccontextmanager
async def served(
    store: Store, status: Status, producer: MessageProducer, settings: Settings, fed: Sequence[Any] = ()
) -> AsyncIterator[Client]:
    """A client of a server on these parts. `fed`: further stores."""
    app = application(store, status, producer, settings, fed)
    server = TestServer(app)
    await server.start_server(**SERVER_OPTIONS)
    async with TestClient(server) as client:
        yield client
    for intake in (app[PARTS].intake, app[PARTS].events):
        assert isinstance(intake, LogIntake | EventIntake)
        await intake.close()


@pytest.fixture
async def client(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> AsyncIterator[Client]:
    async with served(store, status, producer, settings) as client:
        yield client


@pytest.fixture
async def small_client(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> AsyncIterator[Client]:
    """Takes bodies of at most 100,000 bytes."""
    async with served(store, status, producer, msgspec.structs.replace(settings, web_max_body_bytes=100_000)) as client:
        yield client
