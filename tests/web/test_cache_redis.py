"""A Redis that is not there costs a worker nothing but the sharing. With a real one: tests/live/test_redis_cache.py."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from app.errors import SettingsError
from app.settings import Settings
from app.web.counted.cache_redis import RedisCache, open_cache
from app.web.counted.cached import Cached, Found, Times
from tests.ports import free_port


async def test_every_call_to_a_redis_that_is_away_counts_as_an_empty_cache_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = RedisCache(f"redis://127.0.0.1:{free_port()}/0", "test:")

    async def make() -> int:
        return 7

    with caplog.at_level(logging.WARNING):
        assert await cache.get("x") is None
        await cache.put("x", Found(1.0, 2), 5.0)
        assert await cache.try_lock("x", 5.0)
        await cache.unlock("x")
        assert (await Cached("votes", make, Times(0.2, 1.0), cache).get()).value == 7
    await cache.close()
    assert len([record for record in caplog.records if "the cache does not answer" in record.message]) == 1


def test_another_kind_of_cache_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert open_cache(settings) is None
    for bad in ("memcached://x", "redis", "redis://127.0.0.1:x/0"):
        with pytest.raises(SettingsError, match="WEBLOGS_CACHE"):
            open_cache(msgspec.structs.replace(settings, cache=bad))
