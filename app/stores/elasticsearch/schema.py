"""Templates, indices and aliases: their names; made where they are missing, by as many workers at once as there are; dropped on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from app.domain.windows import DAY_S
from app.errors import StoreError
from app.settings import Settings
from app.stores.contract import KINDS
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.documents import DOCUMENTS

__all__ = ["DAILY_INDICES", "VISIBLE", "ElasticsearchSchema", "IndexNames"]

DAILY_INDICES = 366
"""Daily raw indices at a time; a day beyond that becomes an alias of the index `other`, so that hostile dates do not fill the cluster."""
VISIBLE: dict[str, Any] = {"bool": {"must_not": {"term": {"superseded": True}}}}
"""The filter of the alias reduced_weblogs."""
_THERE = {"resource_already_exists_exception", "invalid_index_name_exception"}
"""What the server says where another worker was faster: there is an index, or an alias, of that name."""
_OTHER = "other"
"""The raw index for times outside of the calendar that daily indices cover, and for days beyond the number of daily indices."""
_END = 4_102_444_800
"""1 January 2100."""
_ALIASES = {"raw": "raw_weblogs", "reduced": "reduced_weblogs", "rejects": "weblogs_rejects"}


class IndexNames:
    """What everything is called, all behind one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.raw, self.reduced, self.rejects = (prefix + _ALIASES[kind] for kind in KINDS)
        self._day = lru_cache(4096)(lambda day: f"{self.raw}-{datetime.fromtimestamp(day * DAY_S, UTC):%Y.%m.%d}")

    def alias(self, kind: str) -> str:
        return self.prefix + _ALIASES[kind]

    def pattern(self, kind: str) -> str:
        """All indices of a kind."""
        return self.alias(kind) + "-*"

    def first(self, kind: str) -> str:
        """The index that `open` creates: the only one of its kind, but for the raw days."""
        return f"{self.alias(kind)}-{_OTHER if kind == 'raw' else 1}"

    def raw_index(self, time: float) -> str:
        """The index of a hit by its event time (UTC seconds): the same hit always goes to the same one.

        >>> names = IndexNames("")
        >>> names.raw_index(1596213967.5), names.raw_index(-1e300)
        ('raw_weblogs-2020.07.31', 'raw_weblogs-other')
        """
        return self._day(int(time // DAY_S)) if 0 <= time < _END else self.first("raw")


class ElasticsearchSchema:
    """What stands on the server, and what this process knows of it.

    `check` gives the kinds of which an index lacks fields, and raises UnknownStoreForm for an index of another form.
    """

    def __init__(
        self,
        connection: ElasticsearchConnection,
        names: IndexNames,
        settings: Settings,
        check: Callable[[], Awaitable[set[str]]],
    ) -> None:
        self._connection = connection
        self._names = names
        self.check = check
        self.settings = {
            "number_of_shards": settings.elasticsearch_shards,
            "number_of_replicas": settings.elasticsearch_replicas,
        }
        self._days: set[str] = set()

    def forget(self) -> None:
        """Indices may be gone: look again."""
        self._days.clear()

    def _index(self, kind: str) -> dict[str, Any]:
        """Settings, mapping and alias of an index of that kind."""
        settings: dict[str, Any] = dict(self.settings)
        alias: dict[str, Any] = {}
        if kind == "reduced":
            settings["gc_deletes"] = "-1"  # a deleted record's version must not refuse the same record written anew
            alias = {"filter": VISIBLE, "is_write_index": True}
        return {
            "settings": {"index": settings},
            "mappings": DOCUMENTS[kind].mapping(),
            "aliases": {self._names.alias(kind): alias},
        }

    async def create(self) -> None:
        """All that is missing: templates, indices, fields of indices. Raises UnknownStoreForm before anything is made."""
        lacking = await self.check()
        for kind in KINDS:
            await self.put_template(kind, anew=kind in lacking)
            if kind in lacking:
                await self.put_mapping(kind)
            await self.ensure(self._names.alias(kind), self._names.first(kind), self._index(kind))

    async def ensure(self, alias: str, first: str, index: Mapping[str, Any]) -> None:
        """The alias, on an index of that body where there is none."""
        if await self.aliased(alias):
            return
        has_room = await self.create_index(first, index)
        if await self.aliased(alias):
            return
        if not has_room:
            raise StoreError(f"Elasticsearch at {self._connection.where} has no room for the index {first}")
        add = {"index": first, "alias": alias, **index["aliases"][alias]}
        answer = await self._connection.call(
            "POST", "/_aliases", {"actions": [{"add": add}]}, doing="map", ignore=(400,)
        )
        if "error" in answer:
            raise StoreError(
                f"Elasticsearch at {self._connection.where} lets {alias} be no alias: {self._connection.reason(answer)}; "
                "reindex and delete the index of that name"
            )

    async def aliased(self, alias: str) -> bool:
        """Whether there is such an alias."""
        return "error" not in await self._connection.call("GET", f"/_alias/{alias}", ignore=(404,))

    async def put_template(self, kind: str, anew: bool = False) -> None:
        path = f"/_index_template/{self._names.alias(kind)}"
        if not anew and (await self._connection.call("GET", path, ignore=(404,))).get("index_templates"):
            return
        index = self._index(kind)
        if kind != "raw":  # of the others one index has the alias, and no other may be the one that is written to
            del index["aliases"]
        template = {"index_patterns": [self._names.pattern(kind)], "priority": 200, "template": index}
        await self._connection.call("PUT", path, template, doing="map")

    async def create_index(self, index: str, body: Mapping[str, Any]) -> bool:
        """False where the server has no room for another one."""
        answer = await self._connection.call("PUT", f"/{index}", body, doing="map", ignore=(400,))
        error = answer.get("error")
        if error is None or error["type"] in _THERE:
            return True
        if error["type"] == "validation_exception":
            return False
        raise StoreError(
            f"cannot create the index {index} in Elasticsearch at {self._connection.where}: {self._connection.reason(answer)}"
        )

    async def put_mapping(self, kind: str) -> None:
        path = f"/{self._names.pattern(kind)}/_mapping"
        await self._connection.call("PUT", path, DOCUMENTS[kind].mapping(), doing="map")

    async def listed(self, kind: str) -> dict[str, Any]:
        """The concrete indices of a kind, with their aliases."""
        return await self._connection.call("GET", f"/{self._names.pattern(kind)}/_alias")

    async def ensure_days(self, indices: Collection[str]) -> None:
        """Those of the raw indices that are missing."""
        for may_create in (True, True, False):
            if not (wanted := sorted(set(indices) - self._days)):
                return
            standing = await self.listed("raw")
            self._days = standing.keys() | {name for index in standing.values() for name in index["aliases"]}
            room, for_other = DAILY_INDICES + 1 - len(standing), []
            for index in (each for each in wanted if may_create and each not in self._days):
                if room > 0 and await self.create_index(index, self._index("raw")):
                    room -= 1
                else:
                    for_other.append(index)
            if for_other:
                await self._add_to_other(for_other)
        if lacking := sorted(set(indices) - self._days):
            raise StoreError(
                f"Elasticsearch at {self._connection.where} has no index {lacking[0]} and did not let us create it"
            )

    async def _add_to_other(self, indices: list[str]) -> None:
        """Aliases for days that get no index of their own: once a day is there, it stays there."""
        other = self._names.first("raw")
        await self.create_index(other, self._index("raw"))
        actions = [{"add": {"index": other, "alias": index, "is_write_index": True}} for index in indices]
        await self._connection.call("POST", "/_aliases", {"actions": actions}, doing="map", ignore=(400,))
