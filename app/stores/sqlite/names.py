"""Numbers for keys and sources: a hit's row names its key by a small integer. Used in the writer's thread, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from sys import intern

from app.stores.identities import AnyKey, key_name
from app.stores.sqlite.bulk import Insert, lookup
from app.stores.sqlite.rows import stored

__all__ = ["KEPT_CHARS", "KEPT_KEYS", "KEPT_SOURCES", "KeyNumbers"]

KEPT_KEYS = 131_072
"""Keys remembered, give or take a batch."""
KEPT_CHARS = 32 << 20
"""Characters in them: keys may be long."""
KEPT_SOURCES = 1024
"""Sources remembered."""

_INSERT_KEYS = Insert("keys", "key_no, name, ip_address, user_agent, request")


class KeyNumbers:
    """key → key_no and source → source_no, with bounded memories of the last ones.

    Keys are remembered in two generations: when the young one is full it becomes the old one, and what was not asked for
    since is gone. That costs a key one look-up in a dict, where an exact order of use costs three times as much.
    """

    def __init__(self) -> None:
        self._young: dict[AnyKey, int] = {}
        self._old: dict[AnyKey, int] = {}
        self._young_chars = 0
        self._sources: dict[str, int] = {}

    def forget(self) -> None:
        """After a transaction that was rolled back, or one that removed keys."""
        self._young, self._old, self._young_chars = {}, {}, 0
        self._sources.clear()

    def key_numbers(self, connection: sqlite3.Connection, keys: Iterable[AnyKey]) -> dict[AnyKey, int]:
        """A number for each key (no key twice), new ones entered."""
        numbers: dict[AnyKey, int] = {}
        unknown: dict[bytes, AnyKey] = {}
        young, old = self._young.get, self._old.pop
        for key in keys:
            number = young(key)
            if number is None:
                number = old(key, None)
                if number is None:
                    unknown[key_name(*key)] = key
                    continue
                self._remember(key, number)
            numbers[key] = number
        if unknown:
            for name, number in self._enter(connection, unknown):
                key = unknown[name]
                numbers[key] = number
                self._remember(key, number)
        if len(self._young) > KEPT_KEYS // 2 or self._young_chars > KEPT_CHARS // 2:
            self._young, self._old, self._young_chars = {}, self._young, 0
        return numbers

    def _remember(self, key: AnyKey, number: int) -> None:
        agent = key[1] and intern(key[1])  # one text for all keys that have it
        self._young[key[0], agent, key[2]] = number
        self._young_chars += len(key[0] or "") + len(key[1] or "") + len(key[2] or "")

    def _enter(self, connection: sqlite3.Connection, unknown: dict[bytes, AnyKey]) -> list[tuple[bytes, int]]:
        names = list(unknown)
        found = [
            (names[at], number)
            for at, number in lookup(connection, "keys", ("name",), ("t.key_no",), [(name,) for name in names])
        ]
        have = {name for name, _ in found}
        number = connection.execute("SELECT ifnull(max(key_no), 0) FROM keys").fetchone()[0]
        rows = []
        for name, key in unknown.items():
            if name not in have:
                number += 1
                rows.append((number, name, *key))
                found.append((name, number))
        if refused := _INSERT_KEYS.run(connection, rows):
            raise ValueError(f"key {rows[refused[0][0]][2:]!r:.200}: {refused[0][1]}")
        return found

    def source_number(self, connection: sqlite3.Connection, source: str) -> int:
        """A number for the source, entered where it is new."""
        number = self._sources.get(source)
        if number is None:
            text = stored(source)
            connection.execute("INSERT INTO sources (source) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            number = connection.execute("SELECT source_no FROM sources WHERE source = ?", (text,)).fetchone()[0]
            if len(self._sources) >= KEPT_SOURCES:
                del self._sources[next(iter(self._sources))]
            self._sources[source] = number
        return number
