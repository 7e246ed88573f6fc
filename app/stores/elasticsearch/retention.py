"""Deleting what was kept long enough, by the time of ingest: whole daily indices where all is old, else by query. No ILM needed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from app.domain.windows import DAY_S
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.documents import FORM
from app.stores.elasticsearch.schema import ElasticsearchSchema, IndexNames
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.ledger_contract import Ledgers

__all__ = ["ElasticsearchRetention"]

_EARLIEST_MS = -8_640_000_000_000_000
_WRITE_BLOCK = "index.blocks.write"
_ONLY_DELETES = "read_only_allow_delete"
_MARK = "dropping"
"""In `_meta` of an index whose writes retention has blocked: an operator's block has none."""

log = logging.getLogger(__name__)


class ElasticsearchRetention:
    """Safe while others write, and from several workers at once."""

    def __init__(
        self,
        connection: ElasticsearchConnection,
        searches: ElasticsearchSearches,
        names: IndexNames,
        schema: ElasticsearchSchema,
        ledgers: Ledgers,
    ) -> None:
        self._connection, self._searches, self._names = connection, searches, names
        self._schema, self._ledgers = schema, ledgers

    async def map(self, kinds: Collection[str]) -> None:
        """Templates anew, fields that are missing added to the indices there are."""
        for kind in kinds:
            await self._schema.put_template(kind, anew=True)
        await self._schema.create()
        for kind in kinds:
            await self._schema.put_mapping(kind)

    async def drop(self, kinds: Collection[str]) -> None:
        """Indices and templates, with all that is in them."""
        for kind in kinds:
            await self._delete_at(f"/_index_template/{self._names.alias(kind)}")
            for index in await self._schema.listed(kind):
                await self._delete_at(f"/{index}")
        self._schema.forget()

    async def _delete_at(self, path: str) -> None:
        await self._connection.call("DELETE", path, doing="drop indices of", ignore=(404,))

    async def retain(self, now: float, raw_days: float, reduced_days: float) -> tuple[int, int]:
        raw, reduced = await self._ledgers.retain(now, raw_days, reduced_days)
        raw += await self._delete("raw", now - raw_days * DAY_S)
        raw += await self._delete("rejects", now - raw_days * DAY_S)
        reduced += await self._delete("reduced", now - reduced_days * DAY_S)
        return raw, reduced

    async def _delete(self, kind: str, before: float) -> int:
        """Documents of a kind that were ingested before that time (UTC seconds); how many went."""
        before_ms = round(max(_EARLIEST_MS, min(-_EARLIEST_MS, before * 1000)))
        query: dict[str, Any] = {"range": {"ingested": {"lt": before_ms}}}
        blocked, marked, full = await self._blocked(kind)
        for index, how in blocked.items():
            log.warning("the Elasticsearch index %s is blocked (%s): nothing is deleted from it", index, how)
        gone = 0
        if kind == "raw":
            for index in await self._schema.listed("raw"):
                if index != self._names.first("raw") and index not in blocked:
                    gone += await self._drop_old(
                        index, query, before_ms, marked=index in marked, takes_writes=index not in full
                    )
        if blocked or full:
            query = {"bool": {"filter": query, "must_not": {"terms": {"_index": [*blocked, *full]}}}}
        return gone + await self._searches.delete_found(self._names.pattern(kind), query)

    async def _blocked(self, kind: str) -> tuple[dict[str, str], set[str], set[str]]:
        """The indices that somebody else has blocked, and how; those that retention has marked; those that only take deletes.

        The last are what Elasticsearch makes of all indices on a full disk: what is dropped there makes room.
        """
        wanted = "*.settings.index.blocks,*.mappings._meta"
        found = await self._connection.call("GET", f"/{self._names.pattern(kind)}", params={"filter_path": wanted})
        marked = {index for index, each in found.items() if each.get("mappings", {}).get("_meta", {}).get(_MARK)}
        others: dict[str, set[str]] = {}
        for index, each in found.items():
            blocks = each.get("settings", {}).get("index", {}).get("blocks", {})
            on = {name for name, value in blocks.items() if str(value).lower() == "true"}
            others[index] = on - {"write"} if index in marked else on
        full = {index for index, on in others.items() if on == {_ONLY_DELETES}}
        blocked = {index: ", ".join(sorted(on)) for index, on in others.items() if on and index not in full}
        return blocked, marked, full

    async def _drop_old(
        self, index: str, query: Mapping[str, Any], before_ms: int, *, marked: bool, takes_writes: bool
    ) -> int:
        """Drops the index where all in it is old, or it is old itself and empty; how many documents went.

        Writes are blocked before it is looked at again: what comes in between the look and the end would be lost though it was
        acknowledged. Writers wait, and find the index gone. `marked`: a process that died here may have left its block.
        """
        documents = await self._documents_all_old(index, query, before_ms)
        if documents is None and marked and takes_writes:
            await self._block(index, None)
        if documents is not None and takes_writes:
            await self._block(index, True)
            documents = await self._documents_all_old(index, query, before_ms)
            if documents is None:
                await self._block(index, None)
        if documents is None:
            return 0
        await self._connection.call("DELETE", f"/{index}", doing="delete from", ignore=(404,))
        self._schema.forget()
        log.info("the Elasticsearch index %s was past its retention: dropped, with %d documents", index, documents)
        return documents

    async def _block(self, index: str, on: bool | None) -> None:
        """The mark comes before the block, and goes after it."""
        meta = {"form": FORM} | ({_MARK: True} if on else {})
        steps = (f"/{index}/_mapping", {"_meta": meta}), (f"/{index}/_settings", {_WRITE_BLOCK: on})
        for path, body in steps if on else steps[::-1]:
            await self._connection.call("PUT", path, body, doing="delete from", ignore=(404,))

    async def _documents_all_old(self, index: str, query: Mapping[str, Any], before_ms: int) -> int | None:
        """How many documents it has, or None where not all are old."""
        await self._connection.call("POST", f"/{index}/_refresh", ignore=(404,))
        body = {"size": 0, "track_total_hits": True, "aggs": {"old": {"filter": query}}}
        answer = await self._connection.call("POST", f"/{index}/_search", body, ignore=(404,))
        if "hits" not in answer:
            return None
        documents = answer["hits"]["total"]["value"]
        if documents:
            return documents if documents == answer["aggregations"]["old"]["doc_count"] else None
        settings = await self._connection.call("GET", f"/{index}/_settings/index.creation_date", ignore=(404,))
        made = int(settings[index]["settings"]["index"]["creation_date"]) if index in settings else before_ms
        return 0 if made < before_ms else None
