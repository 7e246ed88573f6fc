"""Results shared by several workers in a real Redis."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.errors import SettingsError
from app.settings import Settings
from app.web.counted.cache_redis import RedisCache, open_cache
from app.web.counted.cached import Cached, Found, Times
from tests.flow.running import Flow
from tests.flow.voting import get, post
from tests.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
SERVER = shutil.which("redis-server")


class Redis:
    """One server, with nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert SERVER, "redis-server is needed: apt-get install redis-server"
        command = [
            SERVER,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_workers_make_a_result_once_between_them_and_none_is_too_old(redis: Redis) -> None:
    caches = [RedisCache(redis.url, "test:") for _ in range(4)]
    made: list[int] = []

    async def make() -> dict[str, int]:
        made.append(1)
        await asyncio.sleep(0.2)
        return {"votes": len(made)}

    workers = [Cached("votes", make, Times(0.5, 2.0), cache) for cache in caches]
    entries = await asyncio.gather(*(worker.get() for worker in workers for _ in range(50)))
    assert {entry.value["votes"] for entry in entries} == {1} and len(made) == 1
    await asyncio.sleep(0.6)
    assert {(await worker.get()).value["votes"] for worker in workers} == {2}
    assert (await workers[3].get(newer_than=time.time())).value == {"votes": 3}
    for cache in caches:
        await cache.close()


async def test_an_entry_is_gone_when_it_is_too_old_and_a_strange_one_is_none(redis: Redis) -> None:
    cache, other = RedisCache(redis.url, "test:"), RedisCache(redis.url, "test:")
    await cache.put("x", Found(1.0, [1, "ü", None]), 0.2)
    assert await cache.get("x") == Found(1.0, [1, "ü", None])
    await asyncio.sleep(0.3)
    assert await cache.get("x") is None
    await cache._redis.set("test:x", b"\xff no JSON")
    assert await cache.get("x") is None
    assert await cache.try_lock("x", 5) and not await other.try_lock("x", 5)
    await other.unlock("x")
    assert not await other.try_lock("x", 5)
    await cache.unlock("x")
    assert await other.try_lock("x", 5)
    await cache.close()
    await other.close()


async def test_while_redis_is_away_every_worker_makes_its_own(redis: Redis) -> None:
    cache = RedisCache(redis.url, "test:")

    async def make() -> int:
        return 7

    redis.stop()
    assert (await Cached("votes", make, Times(0.2, 1.0), cache).get()).value == 7
    redis.start()
    assert (await Cached("votes", make, Times(0.2, 1.0), cache).get()).value == 7
    assert (await cache.get("votes")) is not None
    await cache.close()


def test_a_worker_answers_from_redis_what_another_has_made(redis: Redis, tmp_path: Path) -> None:
    """Two workers, each on an embedded log and store of its own, with one name: the second never reads its store."""
    with Flow(tmp_path / "one", CACHE=redis.url, CACHE_REFRESH=60, CACHE_MAX_AGE=60) as one, Flow(tmp_path / "two", CACHE=redis.url, CACHE_REFRESH=60, CACHE_MAX_AGE=60) as two:  # fmt: skip
        for flow in (one, two):
            flow.start_worker()
            flow.wait_started()
        assert post(one.url(), "/vote/", {"candidate_id": 2})[0] == 200
        expected = [[{"candidate_id": 2, "num_vote": 1}], [{"total_vote_10_min": 1}]]
        assert get(one.url(), "/result/") == expected
        assert get(two.url(), "/result/") == expected


def test_another_kind_of_cache_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert open_cache(settings) is None
    for bad in ("memcached://x", "redis"):
        with pytest.raises(SettingsError, match="write memory or redis://"):
            open_cache(msgspec.structs.replace(settings, cache=bad))
