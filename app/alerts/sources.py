"""Where the events come from, oldest first: the topic of the usage log, its archive, a file, the deliveries of a store."""

from __future__ import annotations

import heapq
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.alerts.events import Event, event_of, event_of_delivery
from app.archiving.manifests import Manifests
from app.archiving.storage import Storage
from app.domain.records import Delivery
from app.domain.times import parse_time
from app.errors import UnreadableFile
from app.messages.forms import DamagedMessage, place_of
from app.messages.usage import decode_usage
from app.process.temporary_database import TemporaryDatabase
from app.transports.broker_view import BrokerView

__all__ = ["TakenEvent", "in_order", "of_archive", "of_deliveries", "of_file", "of_topic"]

log = logging.getLogger("app.alerts.sources")
_AT_ONCE = 1000


class TakenEvent(NamedTuple):
    """An event and where reading goes on after it."""

    event: Event
    known_s: float
    """When somebody else than its producer knew of it, UTC seconds: the clock of a producer may be wrong."""
    partition: str = ""
    next_offset: int | None = None
    """With the last event of a message or a file; None: this place is not finished."""


def of_topic(
    another_view: Callable[[], BrokerView | None], topic: str, places: Mapping[str, int]
) -> Iterator[TakenEvent]:
    """The records of a topic from these places to its end as it is now. Raises LogError, UnknownForm. A damaged message is told and passed over."""
    from app.archiving.worker import messages_of

    def of(view: BrokerView, partition: int, begin: int) -> Iterator[TakenEvent]:
        for offset, known_s, value in messages_of(view, topic, partition, begin):
            try:
                events = [event_of(record) for record in decode_usage(value, place_of(topic, partition, offset))]
            except DamagedMessage as error:
                log.warning("%s; it is passed over", error)
                continue
            yield from _placed(events, known_s, str(partition), offset + 1)

    with ExitStack() as stack:
        first = another_view()
        if first is None:
            return
        stack.enter_context(closing(first))
        reading = []
        for partition, (earliest, end) in sorted(first.bounds(topic).items()):
            begin = max(places.get(str(partition), 0), earliest)
            if begin < end and (view := another_view()) is not None:
                reading.append(of(stack.enter_context(closing(view)), partition, begin))
        yield from _merged(reading)


def of_archive(archive: Storage, places: Mapping[str, int]) -> Iterator[TakenEvent]:
    """The records of the finished files of an archive. Raises UnreadableFile, OSError, StoreError."""
    from app.archiving.files import read_file

    manifests = Manifests(archive)

    def of(partition: int) -> Iterator[TakenEvent]:
        for manifest in manifests.of(partition):
            done = manifests.done(manifest)
            if done is None or manifest.last_offset < places.get(str(partition), 0):
                continue
            place = archive.place(done.file)
            try:
                if (path := archive.local(done.file)) is None:
                    raise ValueError("it is gone")
                events = map(event_of, read_file(path))
                yield from _placed(events, parse_time(manifest.created, 0.0), str(partition), manifest.last_offset + 1)
            except (OSError, ValueError) as error:
                raise UnreadableFile(f"{place} cannot be read: {error}; run `python -m app usage check`") from error

    partitions = manifests.partitions()
    if not partitions:
        raise UnreadableFile(f"there is no archive in {archive}")
    return _merged([of(partition) for partition in partitions])


def of_file(path: Path) -> Iterator[TakenEvent]:
    """Messages of the topic in a file, one a line, as `simulate usage -o` writes them. Raises UnreadableFile that names the line."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                for record in decode_usage(line, f"line {number} of {path}"):
                    yield TakenEvent(event_of(record), record.time)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from None


async def of_deliveries(deliveries: AsyncIterator[Delivery], take: Callable[[TakenEvent], None]) -> None:
    """The deliveries that are over, by the time of their last hit. Others may still change their verdict."""
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Delivery).decode
    with TemporaryDatabase("CREATE TABLE deliveries (last REAL, key BLOB, packed BLOB)") as database:
        add = "INSERT INTO deliveries VALUES (?, ?, ?)"
        rows = []
        async for delivery in deliveries:
            if delivery.final:
                rows.append((delivery.last, encode(delivery.key), encode(delivery)))
            if len(rows) >= _AT_ONCE:
                database.add(add, rows)
                rows = []
        database.add(add, rows)
        for (packed,) in database.rows("SELECT packed FROM deliveries ORDER BY last, key"):
            event = event_of_delivery(decode(packed))
            take(TakenEvent(event, event.time))


def _placed(
    events: Iterator[Event] | list[Event], known_s: float, partition: str, following: int
) -> Iterator[TakenEvent]:
    """The last event of a place says where to go on."""
    last = None
    for event in events:
        if last is not None:
            yield TakenEvent(last, known_s, partition)
        last = event
    if last is not None:
        yield TakenEvent(last, known_s, partition, following)


def in_order(taken: TakenEvent) -> float:
    return taken.event.time


def _merged(reading: list[Iterator[TakenEvent]]) -> Iterator[TakenEvent]:
    return heapq.merge(*reading, key=in_order)
