"""The service that runs the server in the worker, and what holds for every answer."""

from __future__ import annotations

import socket
from typing import Never

import aiohttp
import msgspec
import pytest

from app.errors import SettingsError
from app.settings import Settings
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.web.service.server import WebService
from tests.web.conftest import Client, ToldStatus, application, served


async def test_port_0_takes_a_free_port_and_tells_it(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    service = WebService(application(store, status, producer, settings), settings)
    await service.start()
    assert service.port > 0
    async with aiohttp.ClientSession() as session, session.get(service.url) as answer:
        assert answer.status == 200
    await service.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0


async def test_a_port_in_use_is_one_sentence_with_the_address_and_the_next_step(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = msgspec.structs.replace(settings, web_port=other.getsockname()[1])
        service = WebService(application(store, status, producer, taken), taken)
        with pytest.raises(
            SettingsError, match=rf"127\.0\.0\.1:{taken.web_port}: address already in use; .*WEBLOGS_WEB_PORT"
        ):
            await service.start()


async def test_an_address_that_is_not_ours_is_one_sentence(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    for host in ("192.0.2.1", "no such host"):
        elsewhere = msgspec.structs.replace(settings, web_host=host, web_open=True)
        service = WebService(application(store, status, producer, elsewhere), elsewhere)
        with pytest.raises(SettingsError, match=rf"{host}:0: .*WEBLOGS_WEB_HOST"):
            await service.start()


@pytest.mark.parametrize(
    ("path", "accept", "content_type"),
    [
        ("/nothing", "text/html,*/*", "text/html"),
        ("/nothing", "application/json", "application/json"),
        ("/deliveries/a/b", "text/html", "application/json"),
        ("/weblogs/more", "text/html", "application/json"),
        ("/weblogsmore", "*/*", "text/html"),
    ],
)
async def test_an_unknown_path_is_404_in_the_form_that_the_client_reads(
    client: Client, path: str, accept: str, content_type: str
) -> None:
    answer = await client.get(path, headers={"Accept": accept})
    assert answer.status == 404
    assert answer.content_type == content_type


@pytest.mark.parametrize("path", ["/", "/deliveries/", "/health/", "/metrics", "/nothing", "/delivery", "/weblogs/"])
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "aiohttp" not in answer.headers["Server"]


async def test_an_error_inside_is_500_in_json_without_a_traceback_and_is_logged(
    store: Store, producer: MessageProducer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def snapshot(self) -> Never:
            raise RuntimeError("secret detail")

        async def standing(self) -> None:
            return None

    async with served(store, Broken(), producer, settings) as client:
        answer = await client.get("/health/")
        text = await answer.text()
        assert answer.status == 500
        assert answer.content_type == "application/json"
        assert "secret" not in text and "Traceback" not in text
        page = await client.get("/")
        assert page.status == 500
        assert "secret" not in await page.text()
    assert "secret detail" in caplog.text
