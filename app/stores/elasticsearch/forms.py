"""Whether the indices that stand on the server have the form and the fields of this program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import UnknownStoreForm
from app.stores.contract import KINDS
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.documents import DOCUMENTS, FORM
from app.stores.elasticsearch.schema import IndexNames
from app.stores.shapes import refuse_shape

__all__ = ["ElasticsearchForms"]


class ElasticsearchForms:
    """Of the indices with these names."""

    def __init__(self, connection: ElasticsearchConnection, names: IndexNames) -> None:
        self._connection, self._names = connection, names

    async def check(self) -> set[str]:
        """The kinds of which an index lacks fields. Raises UnknownStoreForm for an index of another form."""
        lacking = set()
        for kind in KINDS:
            wanted = DOCUMENTS[kind].mapping()["properties"]
            answer = await self._connection.call("GET", f"/{self._names.pattern(kind)}/_mapping", ignore=(404,))
            for index, found in ({} if "error" in answer else answer).items():
                if not isinstance(found, Mapping) or "mappings" not in found:
                    raise self._connection.no_answer(answer)
                mapping = found["mappings"]
                what = f"the index {index} of Elasticsearch at {self._connection.where}"
                form = mapping.get("_meta", {}).get("form")
                standing = mapping.get("properties", {})
                refuse_shape(
                    what,
                    _types(standing),
                    _types(wanted),
                    f"Copy what you need of it, then delete it (DELETE /{index}); `python -m app init` makes it anew, `repair` fills it",
                    whole="form" not in mapping.get("_meta", {}),
                )
                if form != FORM:
                    raise UnknownStoreForm(what, form, FORM)
                if not wanted.keys() <= standing.keys():
                    lacking.add(kind)
        return lacking


def _types(properties: Mapping[str, Any]) -> dict[str, str]:
    return {name: each.get("type", "object") for name, each in properties.items()}
