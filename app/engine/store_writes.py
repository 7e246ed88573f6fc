"""How a store's agents write: until the store has it, and acknowledged only then."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from app.domain.records import Reject
from app.engine.outputs import send_all
from app.errors import StoreError, StoreUnreachable, UnknownStoreForm
from app.messages.records import encode_rejects
from app.process.counters import counters
from app.process.crash_points import crash_point
from app.process.exit import EXIT_REFUSED, die
from app.settings import settings
from app.stores import open_store
from app.stores.pacing import Pace
from app.stores.refused import as_reject
from app.transports.messages import Message

__all__ = ["LONGEST_PAUSE_S", "open_until_there", "stores", "write_until_taken"]

log = logging.getLogger(__name__)
LONGEST_PAUSE_S = 10.0
Record = TypeVar("Record")

stores = {name: open_store(name, settings()) for name in settings().store_names if name in settings().role_names}
"""The stores that this worker feeds, not opened yet."""
_opened: dict[str, asyncio.Event] = {name: asyncio.Event() for name in stores}
_paces = {name: Pace(settings().store_rate) for name in stores}


async def open_until_there(name: str, once: bool = False) -> bool:
    """Open a store; while it is not reachable, wait and try again, unless only `once` is asked for.

    Other errors than StoreUnreachable are raised.
    """
    pause = 0.5
    while True:
        try:
            await stores[name].open()
        except StoreUnreachable as error:
            counters.store_problems[name] = str(error)
            if once:
                return False
            log.warning("%s can not be opened, again in %.1f s: %s", name, pause, error)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE_S)
        else:
            counters.store_problems.pop(name, None)
            _opened[name].set()
            return True


async def write_until_taken(
    app: Any,
    store: str,
    write: Callable[[Sequence[Record]], Awaitable[list[tuple[Record, str]]]],
    records: Sequence[Record],
) -> None:
    """Write a batch; while the store fails, wait and write it again: writes are idempotent, and the flow waits in its topic.

    What the store refuses for good goes to weblogs_rejects with the store's reason. Any other error ends the process.
    """
    if not records:
        return
    await _opened[store].wait()
    pace = _paces[store]
    for portion in pace.portions(records):
        await asyncio.sleep(pace.pause_s(len(portion), time.monotonic()))
        await _write_portion(app, store, write, portion)


async def _write_portion(
    app: Any,
    store: str,
    write: Callable[[Sequence[Record]], Awaitable[list[tuple[Record, str]]]],
    records: Sequence[Record],
) -> None:
    pause = 0.1
    while True:
        try:
            refused = await write(records)
            break
        except UnknownStoreForm as error:
            die(str(error), code=EXIT_REFUSED)
        except StoreError as error:
            counters.store_problems[store] = str(error)
            log.warning("%s took nothing, again in %.1f s: %s", store, pause, error)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE_S)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(f"{store} failed in a way that waiting does not mend", error)
    counters.store_problems.pop(store, None)
    crash_point("store_written")
    if refused:
        rejects = [
            as_reject(store, record, reason, time.time())
            for record, reason in refused
            if not isinstance(record, Reject)
        ]
        values = encode_rejects(rejects)
        await send_all(app, [Message("weblogs_rejects", 0, None, value, {}, time.time()) for value in values])
        log.error("%s refused %d records for good, the first because: %s", store, len(refused), refused[0][1])
