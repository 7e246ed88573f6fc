"""How a store's agents write: until the store has it, and acknowledged only then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from app.domain.counted import CountedKind
from app.domain.records import Reject
from app.engine.foreign import readable
from app.engine.reading import Agent, acknowledge, batches
from app.engine.sending import send_all
from app.errors import StoreError, StoreUnreachable, UnknownForm
from app.flows.deliveries import REJECTS
from app.messages.events import CountedMessage, decode_counted, gathered
from app.messages.forms import Decode
from app.messages.records import encode_rejects
from app.process.crash_points import crash_point
from app.process.exit import EXIT_REFUSED
from app.process.pauses import pauses
from app.stores.contract import Store
from app.stores.refused import as_reject
from app.transports.messages import Message

__all__ = ["LONGEST_PAUSE_S", "RecordRate", "Storing"]

log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.1
FIRST_OPEN_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
Record = TypeVar("Record")
Read = TypeVar("Read")
Write = Callable[[Sequence[Record]], Awaitable[list[tuple[Record, str]]]]
"""As the stores' contract has it: gives what is refused for good, with the reason."""


class RecordRate:
    """Records a second; 0 is no limit. Knows no clock: times are seconds of any clock that only goes forward.

    >>> pace = RecordRate(100.0)
    >>> pace.pause_s(100, now=5.0), pace.pause_s(50, now=5.0), pace.pause_s(1, now=60.0)
    (0.0, 1.0, 0.0)
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._free_at = float("-inf")

    def pause_s(self, records: int, now: float) -> float:
        """How long to wait before this many records are sent; they count from then on."""
        if not self.rate:
            return 0.0
        begins = max(self._free_at, now)
        self._free_at = begins + records / self.rate
        return begins - now

    def portions(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """Portions of what one second may take, so that each pause is short.

        >>> [list(portion) for portion in RecordRate(2.0).portions("abcde")]
        [['a', 'b'], ['c', 'd'], ['e']]
        """
        most = max(1, int(self.rate)) if self.rate else max(1, len(records))
        for begin in range(0, len(records), most):
            yield records[begin : begin + most]


class Storing:
    """One store, and the app whose agents feed it."""

    def __init__(self, name: str, app: Any, store: Store) -> None:
        """The store is not open yet."""
        self.name, self.app, self.store = name, app, store
        self._outside = app.outside
        self._opened = asyncio.Event()
        self._pace = RecordRate(app.outside.settings.store_rate)

    def agent(
        self,
        topic: str,
        decode: Decode[Read],
        writes: Callable[[list[Read]], Iterable[tuple[Write[Any], Sequence[Any]]]],
    ) -> Agent:
        """An agent that writes what `writes` makes of the messages of a batch, in turn, and then acknowledges the batch."""

        largest_bytes = self.app.outside.settings.read_ahead_bytes // 4  # its records take several times as much

        async def run(stream: Any) -> None:
            async for batch in batches(self.app, stream, largest_bytes):
                for write, records in writes(await readable(self.app, topic, batch, decode)):
                    await self.write_until_taken(write, records)
                    del records  # a batch's records are many: none is kept until the next
                await acknowledge(stream, batch)
                del batch

        return run

    def counted(self, kind: CountedKind[Any]) -> Agent:
        """An agent that writes the events of a kind that count, and the newest of each of their sums."""
        ledgers = self.store.ledgers
        write_events, write_sums = partial(ledgers.write_events, kind), partial(ledgers.write_sums, kind)

        def writes(messages: list[CountedMessage[Any]]) -> Iterable[tuple[Write[Any], Sequence[Any]]]:
            events, sums = gathered(messages)
            return ((write_events, events), (write_sums, sums)) if kind.events_table else ((write_sums, sums),)

        return self.agent(kind.reduced, partial(decode_counted, kind), writes)

    async def open_until_there(self, once: bool = False) -> bool:
        """Open the store; while it is not reachable, wait and try again, unless only `once` is asked for.

        Other errors than StoreUnreachable are raised.
        """
        problems = self._outside.counters.store_problems
        async for pause_s in pauses(FIRST_OPEN_PAUSE_S, LONGEST_PAUSE_S):
            try:
                await self.store.open()
            except StoreUnreachable as error:
                problems[self.name] = str(error)
                if once:
                    log.warning("%s cannot be opened; the flow starts without it: %s", self.name, error)
                    break
                log.warning("%s cannot be opened; retrying in %.1f s: %s", self.name, pause_s, error)
            else:
                problems.pop(self.name, None)
                self._opened.set()
                return True
        return False

    async def write_until_taken(self, write: Write[Record], records: Sequence[Record]) -> None:
        """Write a batch; while the store fails, wait and write it again: writes are idempotent, and the flow waits in its topic.

        What the store refuses for good goes to the rejects with the store's reason. Any other error ends the process.
        """
        if not records:
            return
        await self._opened.wait()
        for portion in self._pace.portions(records):
            await asyncio.sleep(self._pace.pause_s(len(portion), time.monotonic()))
            refused = await self._written(write, portion)
            crash_point("store_written")
            if refused:
                await self._reject(refused)

    async def _written(self, write: Write[Record], records: Sequence[Record]) -> list[tuple[Record, str]]:
        refused: list[tuple[Record, str]] = []
        async for pause_s in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            try:
                refused = await write(records)
                break
            except UnknownForm as error:
                self._outside.die(str(error), code=EXIT_REFUSED)
            except StoreError as error:
                self._outside.counters.store_problems[self.name] = str(error)
                self._outside.counters.store_retries[self.name] += 1
                log.warning("Write to %s failed; retrying in %.1f s: %s", self.name, pause_s, error)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._outside.die(f"{self.name}: unrecoverable error", error)
        self._outside.counters.store_problems.pop(self.name, None)
        return refused

    async def _reject(self, refused: Sequence[tuple[Any, str]]) -> None:
        self._outside.counters.store_refused[self.name] += len(refused)
        now = self._outside.clock()
        rejects = [
            as_reject(self.name, record, reason, now) for record, reason in refused if not isinstance(record, Reject)
        ]
        await send_all(self.app, [Message(REJECTS, 0, None, value, {}, now) for value in encode_rejects(rejects)])
        log.error("%s refused %d records for good, the first because: %s", self.name, len(refused), refused[0][1])
