"""The state of one partition of a table: in memory, or on disk in RocksDB where it may be larger than memory.

A part on disk remembers up to which offset of the changelog it holds, written in one batch with the changes: it is always what some
beginning of the changelog gives, and only the rest is read after a restart.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from app.engine.short_keys import ShortKeys
from app.errors import UnknownForm
from app.messages.forms import UNREADABLE
from app.process.folders import make_private
from app.settings import Settings
from app.transports.kafka.topics import CHANGELOG_KEEPS_TOMBSTONES_S

if TYPE_CHECKING:
    from rocksdict import Rdict

    from app.transports.messages import Pair

__all__ = ["DeliveriesPart", "MemoryPart", "RocksPart", "StatePart", "counting_parts", "delivery_parts"]

_PLACE = b"\0\0place"
"""Key under which a part on disk keeps where it stands; not part of the state."""
_AGENTS = 1000
"""This many user agents more than twice those in use may be remembered before unused ones are looked for."""
_encode = msgspec.json.Encoder().encode
_FORM = 1
"""Of the folder: what the place says and how."""


class StatePart(Protocol):
    """Keys and values are bytes. Keys that begin with NUL are names of the state's own, not of what it counts."""

    next_offset: int
    """Offset after the last changelog record in it."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The value of each key, None if it has none."""

    def items(self) -> Iterable[tuple[bytes, bytes]]: ...

    def apply(self, pairs: Iterable[Pair], next_offset: int) -> None:
        """Take in changes of the changelog, up to an offset. None deletes."""

    def wipe(self) -> None:
        """Begin with nothing: all is to be read from the changelog."""

    @property
    def entries(self) -> int:
        """Keys that do not begin with NUL, about."""

    def close(self) -> None: ...


class MemoryPart(dict[bytes, bytes]):
    """A dict."""

    def __init__(self) -> None:
        super().__init__()
        self.next_offset = 0
        self._named: set[bytes] = set()

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [*map(self.get, keys)]

    def apply(self, pairs: Iterable[Pair], next_offset: int) -> None:
        named = self._named
        for key, value in pairs:
            if value is None:
                self.pop(key, None)
                named.discard(key)
            else:
                self[key] = value
                if key[0] == 0:
                    named.add(key)
        self.next_offset = next_offset

    def wipe(self) -> None:
        self.clear()
        self._named.clear()
        self.next_offset = 0

    @property
    def entries(self) -> int:
        return len(self) - len(self._named)

    def close(self) -> None:
        """Nothing to close."""


class DeliveriesPart:
    """In memory, for keys of deliveries: see ShortKeys."""

    def __init__(self) -> None:
        self.next_offset = 0
        self._keys = ShortKeys()
        self._values: dict[bytes, bytes] = {}
        self._named: set[bytes] = set()
        self._most_agents = _AGENTS

    def get(self, key: bytes) -> bytes | None:
        short = self._keys.find(key)
        return None if short is None else self._values.get(short)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [*map(self.get, keys)]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """What changes meanwhile may be seen or not; what is gone is not."""
        values, whole = self._values, self._keys.whole
        for short in list(values):
            value = values.get(short)
            if value is not None:
                yield whole(short), value

    def apply(self, pairs: Iterable[Pair], next_offset: int) -> None:
        values, keys = self._values, self._keys
        for key, value in pairs:
            if value is not None:
                values[keys.make(key)] = value
            elif (short := keys.find(key)) is not None:
                values.pop(short, None)
            if key[0] == 0:
                (self._named.discard if value is None else self._named.add)(key)
        if len(keys) > self._most_agents:
            keys.keep_only(values)
            self._most_agents = 2 * len(keys) + _AGENTS
        self.next_offset = next_offset

    def wipe(self) -> None:
        self._keys, self._values = ShortKeys(), {}
        self._named.clear()
        self.next_offset = 0

    @property
    def entries(self) -> int:
        return len(self._values) - len(self._named)

    def close(self) -> None:
        """Nothing to close."""


class RocksPart:
    """A RocksDB folder. Only one process can have it open."""

    def __init__(self, folder: Path, log: str, max_age_s: float, buffer_bytes: int = 16 << 20) -> None:
        """Opens the folder. What it holds is thrown away where it belongs to another log (a topic created anew), or was not
        written for `max_age_s`: by then the log may have forgotten that keys are gone. Raises UnknownForm."""
        from rocksdict import Cache

        self._folder, self._log, self._buffer_bytes = folder, log, buffer_bytes
        self._cache = Cache(64 << 20)
        self._db = self._open()
        self.next_offset = 0
        place = self._db.get(_PLACE)
        if place is not None:
            known_log, offset, written = self._place(place)
            if known_log == log and written > time.time() - max_age_s:
                self.next_offset = offset
            else:
                self.wipe()

    def _place(self, place: bytes) -> tuple[str, int, float]:
        """Log, offset, and when it was written; no log if it is damaged: the changelog has all. Raises UnknownForm."""
        try:
            form, *rest = msgspec.json.decode(place)
            if form == _FORM:
                return msgspec.convert(rest, tuple[str, int, float])
        except UNREADABLE:
            return "", 0, 0.0
        self._db.close()
        raise UnknownForm(f"the state in {self._folder}", form if isinstance(form, int) else None, _FORM)

    def _open(self) -> Rdict:
        from rocksdict import BlockBasedOptions, Options, Rdict

        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_bloom_filter(10, False)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_size(self._buffer_bytes)
        options.set_max_write_buffer_number(2)
        options.set_max_open_files(200)
        options.set_keep_log_file_num(2)
        make_private(self._folder)
        return Rdict(str(self._folder), options=options)

    def wipe(self) -> None:
        """Begin with nothing: all is to be read from the changelog."""
        self._db.close()
        shutil.rmtree(self._folder)
        self._db = self._open()
        self.next_offset = 0

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        values: list[Any] = [*map(self._db.get, keys)]  # a list at once takes RocksDB longer
        return values

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """As they are now: what changes meanwhile is not seen."""
        pairs: Iterable[tuple[Any, Any]] = self._db.items()
        for key, value in pairs:
            if key != _PLACE:
                yield key, value

    def apply(self, pairs: Iterable[Pair], next_offset: int) -> None:
        from rocksdict import WriteBatch

        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_PLACE, _encode((_FORM, self._log, next_offset, time.time())))
        self._db.write(batch)
        self.next_offset = next_offset

    @property
    def entries(self) -> int:
        """RocksDB's estimate, those that begin with NUL included."""
        return int(self._db.property_value("rocksdb.estimate-num-keys") or 0)

    def close(self) -> None:
        self._db.close()


def delivery_parts(table: str, settings: Settings) -> Callable[[int, str], StatePart]:
    """Makes the parts of the table of deliveries: in memory, or on disk where WEBLOGS_TABLE_STORE asks for it on Kafka."""

    def make(partition: int, log: str) -> StatePart:
        if settings.table_store == "memory" or not settings.on_kafka:
            return DeliveriesPart()
        folder = settings.data_dir / "tables" / f"{table}-{partition}"
        return RocksPart(folder, log, 0.9 * CHANGELOG_KEEPS_TOMBSTONES_S)

    return make


def counting_parts(table: str, settings: Settings) -> Callable[[int, str], StatePart]:
    """Makes the parts of a table that counts events: on disk on either broker, unless WEBLOGS_TABLE_STORE is memory.

    Its entries are never read once they are over, so that one whose end was missed does no harm: see app.domain.counting.
    """

    def make(partition: int, log: str) -> StatePart:
        if settings.table_store == "memory":
            return MemoryPart()
        folder = settings.data_dir / "tables" / f"{table}-{partition}"
        return RocksPart(folder, log, 0.9 * CHANGELOG_KEEPS_TOMBSTONES_S, buffer_bytes=4 << 20)

    return make
