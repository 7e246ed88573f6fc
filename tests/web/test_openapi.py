"""The description of the HTTP interface beside what is served."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.fields import DELIVERY, HIT, REJECT, Table
from app.stores.contract import Store
from app.web.service.openapi import document
from tests.web.conftest import Client
from tests.web.records import deliveries, pieces
from tests.web.test_access import PUBLIC, READ, WRITE, guarded, routes, status_of

__all__ = ["guarded"]


def operations() -> dict[tuple[str, str], Any]:
    """(method, path as it is asked in tests) → what is described."""
    return {
        (method.upper(), re.sub(r"\{[^}]+\}", "1", path)): operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def described(method: str, path: str) -> Any:
    """Of `/path`, `/path/` and `/path.csv` one is described for all."""
    plain = re.sub(r"\.(json|csv|svg|png)$", "", path) if path.startswith("/voting_distribution") else path
    known = operations()
    found = [known.get((method, each)) for each in (path, plain, plain.rstrip("/"), plain.rstrip("/") + "/")]
    return next((each for each in found if each is not None), None)


async def test_every_route_is_described_and_nothing_else_is(client: Client) -> None:
    served = {(method, path) for method, path in routes(client) if method != "HEAD"}
    assert [route for route in sorted(served) if described(*route) is None] == []
    assert [each for each in operations() if each not in served and (each[0], each[1].rstrip("/")) not in served] == []


async def test_what_is_refused_before_a_handler_is_described_on_every_path(guarded: Client) -> None:
    refusals: list[tuple[int, dict[str, str]]] = [
        (421, {"Host": "evil.example"}),
        (400, {"Host": "a b"}),
        (401, {}),
        (403, {"Origin": "http://evil.example"}),
    ]
    seen = set()
    for (method, path), operation in operations().items():
        for status, headers in refusals:
            if (status == 401 and path in PUBLIC) or (status == 403 and method == "GET"):
                assert status != 401 or "401" not in operation["responses"] or path == "/login", path
                continue
            assert await status_of(guarded, method, path, **headers) == status, (method, path)
            assert str(status) in operation["responses"], (method, path, status)
            seen.add(status)
    assert seen == {400, 401, 403, 421}


@pytest.mark.parametrize("table", [DELIVERY, HIT, REJECT], ids=lambda table: table.record.__name__)
def test_the_schema_of_a_record_has_the_fields_of_its_table(table: Table) -> None:
    schema = document()["components"]["schemas"][table.record.__name__]
    for field in table.fields:
        described = schema["properties"][field.name]
        assert field.name in schema["required"]
        assert field.optional == ({"type": "null"} in described.get("anyOf", []))
        assert described["description"] and "](" not in described["description"]


async def test_a_delivery_has_the_fields_of_its_schema_and_no_others(client: Client, store: Store) -> None:
    assert await store.writes.write_deliveries(deliveries(pieces([(0, 9), (50, 99)], 100))) == []
    schema = document()["components"]["schemas"]["Delivery"]
    for path, more in (("/deliveries/", set()), ("/deliveries/?lo=0&hi=9", {"contains"})):
        [told] = (await (await client.get(path)).json())["deliveries"]
        assert set(told) == set(schema["required"]) | more
        assert set(schema["properties"]) == set(schema["required"]) | {"contains"}


async def test_the_description_says_which_paths_need_no_token(guarded: Client) -> None:
    for (method, path), operation in operations().items():
        assert (operation.get("security") == []) == (path in PUBLIC), path
        if path not in PUBLIC:
            token = READ if method == "GET" else WRITE
            assert await status_of(guarded, method, path, Authorization=f"Bearer {token}") != 403, path
