"""What Kibana's data views and saved searches show, Elasticsearch has: compared with the mappings behind the aliases."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from typing import Any

import pytest

from app.settings import settings
from app.stores import open_store
from tests import ROOT

pytestmark = pytest.mark.live
OBJECTS = [json.loads(line) for line in (ROOT / "docker" / "kibana" / "objects.ndjson").read_text().splitlines()]
VIEWS = {each["id"]: each["attributes"] for each in OBJECTS if each["type"] == "index-pattern"}
META = {"_id", "_index", "_source"}


def mapped_fields(alias: str) -> set[str]:
    """Names that all indices behind an alias map, fields of fields included."""
    own = settings()
    request = urllib.request.Request(f"{own.elasticsearch_url.split(',')[0]}/{alias}/_mapping")
    if own.elasticsearch_user:
        login = base64.b64encode(f"{own.elasticsearch_user}:{own.elasticsearch_password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        indices: dict[str, Any] = json.load(answer)
    assert indices, f"no index behind {alias}"
    return set.intersection(*(names_of(each["mappings"]["properties"]) for each in indices.values())) | META


def names_of(properties: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, field in properties.items():
        found.add(prefix + name)
        found |= names_of(field.get("properties", {}) | field.get("fields", {}), f"{prefix}{name}.")
    return found


@pytest.fixture(scope="module", autouse=True)
def mapped() -> None:
    """Templates and indices are there, as `init` makes them."""

    async def make() -> None:
        store = open_store("elasticsearch", settings())
        await store.open()
        await store.close()

    asyncio.run(make())


@pytest.mark.parametrize("view", VIEWS)
def test_the_time_of_a_data_view_is_a_field(view: str) -> None:
    assert VIEWS[view]["timeFieldName"] in mapped_fields(VIEWS[view]["title"])


@pytest.mark.parametrize("search", [each for each in OBJECTS if each["type"] == "search"], ids=lambda each: each["id"])
def test_the_columns_and_the_order_of_a_saved_search_are_fields(search: dict[str, Any]) -> None:
    fields = mapped_fields(VIEWS[search["references"][0]["id"]]["title"])
    attributes = search["attributes"]
    assert {*attributes["columns"], *(name for name, _ in attributes["sort"])} - fields == set()
    query = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
    assert {query.partition(" : ")[0]} - {""} <= fields
