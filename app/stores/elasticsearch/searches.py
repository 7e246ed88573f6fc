"""Reading and deleting documents, whatever they are: by search in slices, by name, by query."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.errors import StoreError, StoreRefused
from app.stores.elasticsearch.connection import ElasticsearchConnection

__all__ = ["ElasticsearchSearches"]

AT_ONCE = 20_000
"""Documents that one query deletes: it answers within seconds, and writes get in between."""
_NAMED_AT_ONCE = 200
"""Documents that one request names."""
_KEEP_ALIVE = "5m"
_DELETE_S = 300.0
_MAYBE = {"ignore_unavailable": "true", "allow_no_indices": "true"}


class ElasticsearchSearches:
    """On one connection. Searches see all that was acknowledged, and find nothing in an index that is not there."""

    def __init__(self, connection: ElasticsearchConnection) -> None:
        self._connection = connection

    async def refresh(self, pattern: str) -> None:
        """Makes visible what was written. A user who may only read goes without: then the last second may lack."""
        with suppress(StoreRefused):
            await self._connection.call("POST", f"/{pattern}/_refresh", params=_MAYBE)

    async def search(self, pattern: str, body: Mapping[str, Any], *, refresh: bool = True) -> dict[str, Any]:
        if refresh:
            await self.refresh(pattern)
        return await self._connection.call("POST", f"/{pattern}/_search", body, params=_MAYBE)

    async def slices(
        self, pattern: str, body: dict[str, Any], *, frozen: bool = True
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """All that `body` finds, in lists of its `size`, which may change between them. Who may stop before the end closes it.

        `frozen`: what is there when it begins. Without it, `sort` is by fields that together are unique.
        """
        await self.refresh(pattern)
        path, params = f"/{pattern}/_search", _MAYBE
        if frozen:
            asked = {"keep_alive": _KEEP_ALIVE, **_MAYBE}
            pit = (await self._connection.call("POST", f"/{pattern}/_pit", params=asked))["id"]
            path, params = "/_search", {}
            body |= {"sort": body.get("sort", [{"_shard_doc": "asc"}]), "track_total_hits": False}
        try:
            while True:
                if frozen:
                    body["pit"] = {"id": pit, "keep_alive": _KEEP_ALIVE}
                size, answer = body["size"], await self._connection.call("POST", path, body, params=params)
                pit, found = answer.get("pit_id", pit if frozen else None), answer["hits"]["hits"]
                if found:
                    yield found
                if len(found) < size:
                    return
                body["search_after"] = found[-1]["sort"]
        finally:
            if frozen:
                await self._connection.call("DELETE", "/_pit", {"id": pit}, ignore=(404,))

    async def delete(self, index: str, names: Sequence[str]) -> None:
        """By `_id`; what is not there is no error."""
        for begin in range(0, len(names), _NAMED_AT_ONCE):
            some = names[begin : begin + _NAMED_AT_ONCE]
            lines = "".join(f'{{"delete":{{"_index":"{index}","_id":"{name}"}}}}\n' for name in some)
            status, answer = await self._connection.bulk(lines.encode(), {"refresh": "true"})
            told = [result["delete"] for result in answer["items"]] if status < 300 else []
            if status >= 300 or any(one["status"] not in (200, 404) for one in told):
                raise StoreError(
                    f"Elasticsearch at {self._connection.where} deletes nothing: {self._connection.reason(answer)}"
                )

    async def delete_found(self, pattern: str, query: Mapping[str, Any], doing: str = "delete from") -> int:
        """How many documents went. What is left was written anew meanwhile, or is blocked."""
        await self._connection.call("POST", f"/{pattern}/_refresh", params=_MAYBE, doing=doing)
        params = {"conflicts": "proceed", "refresh": "true", "slices": "auto", "scroll_size": "5000", **_MAYBE}
        gone = 0
        while True:
            answer = await self._connection.call(
                "POST",
                f"/{pattern}/_delete_by_query",
                {"query": query},
                params={**params, "max_docs": str(AT_ONCE)},
                doing=doing,
                timeout_s=_DELETE_S,
            )
            gone += answer["deleted"]
            if answer["deleted"] == 0:
                return gone
