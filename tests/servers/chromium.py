"""Headless Chromium, told what to do by its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.clients import Client, Received, joined
from tests.servers.files import PAGE
from tests.servers.process import program

__all__ = ["Tab", "browser", "chromium_fetches", "chromium_seeks", "tab_of"]

START_S = 30.0
WAIT_S = 30.0
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--mute-audio",
]
_OPTIONS += [
    "--ignore-certificate-errors",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
]
_SEEK = """new Promise(done => {
  const sound = new Audio('/%s'); sound.preload = 'auto'; window.sound = sound;
  sound.addEventListener('canplay', () => sound.play().catch(() => 0), {once: true});
  setTimeout(() => {
    sound.addEventListener('seeked', () => setTimeout(() => done(true), 1000), {once: true});
    sound.currentTime = sound.duration * %f;
  }, 1500);
})"""
_FETCH = "fetch('/%s', {cache: 'no-store'}).then(answer => answer.arrayBuffer()).then(body => body.byteLength)"


@contextmanager
def browser(folder: Path, *options: str) -> Iterator[str]:
    """The address of its DevTools; profile and log are in `folder`."""
    profile = folder / "profile"
    command = [program("chromium-headless-shell", "chromium-headless-shell"), *_OPTIONS, f"--user-data-dir={profile}"]
    with (folder / "chromium.log").open("wb") as out:
        process = subprocess.Popen([*command, *options, "about:blank"], stdout=out, stderr=out, start_new_session=True)
    try:
        told = profile / "DevToolsActivePort"
        give_up = time.monotonic() + START_S
        while not (told.exists() and len(told.read_text().split()) == 2):
            assert process.poll() is None and time.monotonic() < give_up, (folder / "chromium.log").read_text()[-2000:]
            time.sleep(0.05)
        port, path = told.read_text().split()
        yield f"ws://127.0.0.1:{port}{path}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # Debian's program is a script that runs the browser
        process.wait()


class Tab:
    """One page: sends commands, keeps what the network did for each request."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.session = ""
        self.urls: dict[str, str] = {}
        self.starts: dict[str, int] = {}
        self.bytes: dict[str, int] = {}

    async def read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
                continue
            values = told["params"]
            if told["method"] == "Network.responseReceived":
                heads = {name.lower(): value for name, value in values["response"]["headers"].items()}
                self.urls[values["requestId"]] = values["response"]["url"]
                self.starts[values["requestId"]] = int(heads.get("content-range", "bytes 0-").split()[1].split("-")[0])
            elif told["method"] == "Network.dataReceived":
                self.bytes[values["requestId"]] = self.bytes.get(values["requestId"], 0) + values["dataLength"]

    async def do(self, method: str, **values: Any) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self.session} if self.session else {}
        await self._socket.send_json({"id": self._number, "method": method, "params": values, **session})
        told = await asyncio.wait_for(answer, WAIT_S)
        assert "error" not in told, told
        return dict(told["result"])

    async def run(self, script: str) -> Any:
        """The value of a promise."""
        told = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")


@asynccontextmanager
async def tab_of(address: str) -> AsyncIterator[Tab]:
    """A new page of this browser, empty."""
    async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
        tab = Tab(socket)
        reading = asyncio.create_task(tab.read())
        target = (await tab.do("Target.createTarget", url="about:blank"))["targetId"]
        tab.session = (await tab.do("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        await tab.do("Network.enable")
        await tab.do("Page.enable")
        yield tab
        reading.cancel()


async def _visit(address: str, client: Client, file: str, script: str, tls: bool) -> list[tuple[int, int]]:
    url = client.server.tls_url if tls else client.server.url
    async with tab_of(address) as tab:
        await tab.do("Page.navigate", url=f"{url}/{PAGE}")
        await asyncio.sleep(0.3)
        await tab.run(script)
        await tab.do("Page.navigate", url="about:blank")
        await asyncio.sleep(0.3)
        return [
            (tab.starts[request], tab.starts[request] + tab.bytes.get(request, 0) - 1)
            for request, asked in tab.urls.items()
            if asked == f"{url}/{file}"
        ]


def _received(client: Client, file: str, script: str, tls: bool) -> Received:
    with browser(client.folder, f"--user-agent={client.agent}") as address:
        ranges = asyncio.run(_visit(address, client, file, script, tls))
    assert ranges, f"{client.agent}: Chromium asked for nothing"
    return Received(file, (client.server.files / file).stat().st_size, joined(ranges))


def chromium_fetches(client: Client, file: str, *, tls: bool = False) -> Received:
    """A page that fetches the file."""
    return _received(client, file, _FETCH % file, tls)


def chromium_seeks(client: Client, file: str, *, to: float, tls: bool = False) -> Received:
    """A person who plays a sound, then goes to another place in it; `to`: the part of its length, from 0 to 1."""
    return _received(client, file, _SEEK % (file, to), tls)
