"""The cache that several workers share: Redis, by WEBLOGS_CACHE=redis://HOST:PORT/NUMBER."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import msgspec

from app.errors import SettingsError
from app.messages.forms import UNREADABLE
from app.web.counted.cached import Found

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["RedisCache", "open_cache"]

log = logging.getLogger(__name__)
TIMEOUT_S = 1.0
COMPLAIN_EVERY_S = 30.0
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Found).decode
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

T = TypeVar("T")


def open_cache(settings: Settings) -> RedisCache | None:
    """The cache of the settings; None: each worker keeps its own in memory. Raises SettingsError for another kind."""
    if settings.cache == "memory":
        return None
    if not settings.cache.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError(f"WEBLOGS_CACHE={settings.cache!r}: write memory or redis://HOST:PORT/NUMBER")
    return RedisCache(settings.cache, f"weblogs:{settings.flow_id}:")


class RedisCache:
    """The Shared protocol. While Redis is away every worker makes its own results."""

    def __init__(self, url: str, prefix: str) -> None:
        from redis.asyncio import Redis

        try:
            self._redis: Any = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        except ValueError as error:
            raise SettingsError(f"WEBLOGS_CACHE={url!r}: {error}") from None
        self._prefix = prefix
        self._token = uuid4().hex
        self._complained = float("-inf")

    async def get(self, name: str) -> Found | None:
        value = await self._tried(self._redis.get(self._prefix + name), None)
        try:
            return None if value is None else _decode(value)
        except UNREADABLE:  # another version of this program wrote it
            return None

    async def put(self, name: str, found: Found, keep_s: float) -> None:
        await self._tried(self._redis.set(self._prefix + name, _encode(found), px=max(1, int(keep_s * 1000))), None)

    async def try_lock(self, name: str, hold_s: float) -> bool:
        taken = self._redis.set(f"{self._prefix}{name}:lock", self._token, nx=True, px=max(1, int(hold_s * 1000)))
        return bool(await self._tried(taken, True))

    async def unlock(self, name: str) -> None:
        await self._tried(self._redis.eval(_UNLOCK, 1, f"{self._prefix}{name}:lock", self._token), None)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _tried(self, call: Awaitable[T], otherwise: T) -> T:
        from redis.exceptions import RedisError

        try:
            return await call
        except (RedisError, OSError) as error:
            if time.monotonic() > self._complained + COMPLAIN_EVERY_S:
                self._complained = time.monotonic()
                log.warning("the cache does not answer, results are made here: %s", error)
            return otherwise
