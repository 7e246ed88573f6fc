"""`/deliveries/` as JSON, on a real store."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.records import key_hash, key_text
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.words import verdict_sentence
from tests.together import together
from tests.web.conftest import Client, ToldStatus, served
from tests.web.records import deliveries, pieces

KEY = ("192.0.2.7", "Player_1.0", "GET /film_1.mp4")


@pytest.fixture
async def filled(client: Client, store: Store) -> Client:
    hits = [*pieces([(0, 9), (50, 99)], 100, KEY), *pieces([(0, 99)], 100, ("192.0.2.8", "b", "GET /whole"), start=9)]
    await store.writes.write_hits(hits)
    await store.writes.write_deliveries(deliveries(hits))
    return client


async def json_of(client: Client, path: str, status: int = 200, **params: str) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.content_type == "application/json"
    payload = await answer.json()
    assert answer.status == status, payload
    assert payload["success"] is (status == 200)
    if status != 200:
        assert payload["error_message"]
    return payload


async def test_a_delivery_has_every_field_of_the_record_its_key_hash_and_its_sentence(
    filled: Client, store: Store
) -> None:
    payload = await json_of(filled, "/deliveries/", ip_address=KEY[0], user_agent=KEY[1], request=KEY[2])
    [stored] = await store.reads.deliveries_of(*KEY)
    more = {"key_hash": key_hash(key_text(*KEY)), "sentence": verdict_sentence(stored)}
    assert payload["deliveries"] == [{**stored._asdict(), **more}]


@pytest.mark.parametrize("how", [{"key": key_text(*KEY)}, {"key_hash": key_hash(key_text(*KEY))}])
async def test_a_key_is_found_by_its_text_and_by_its_hash(filled: Client, how: dict[str, Any]) -> None:
    payload = await json_of(filled, "/deliveries/", **how)
    assert [delivery["request"] for delivery in payload["deliveries"]] == [KEY[2]]


async def test_the_newest_come_first_within_the_limit_and_of_the_verdict(filled: Client) -> None:
    newest = await json_of(filled, "/deliveries")
    assert [delivery["request"] for delivery in newest["deliveries"]] == ["GET /whole", KEY[2]]
    assert len((await json_of(filled, "/deliveries/", limit="1"))["deliveries"]) == 1
    partial = await json_of(filled, "/deliveries/", verdict="partial")
    assert [delivery["verdict"] for delivery in partial["deliveries"]] == ["partial"]
    assert (await json_of(filled, "/deliveries/", verdict="unknown"))["deliveries"] == []


@pytest.mark.parametrize(
    ("lo", "hi", "inside"),
    [("0", "9", True), ("50", "99", True), ("0", "10", False), ("10", "49", False), ("0", "99", False)],
)
async def test_a_part_is_contained_only_where_one_range_holds_it_all(
    filled: Client, lo: str, hi: str, inside: bool
) -> None:
    payload = await json_of(filled, f"/deliveries/{key_hash(key_text(*KEY))}", lo=lo, hi=hi)
    assert [delivery["contains"] for delivery in payload["deliveries"]] == [inside]


async def test_contains_is_absent_where_no_part_is_asked(filled: Client) -> None:
    payload = await json_of(filled, f"/deliveries/{key_hash(key_text(*KEY))}")
    assert "contains" not in payload["deliveries"][0]


async def test_keys_that_join_alike_are_listed_as_a_conflict(client: Client, store: Store) -> None:
    keys = [("a", "b_c", "d"), ("a_b", "c", "d")]
    hits = [*pieces([(0, 99)], 100, keys[0]), *pieces([(0, 9)], 100, keys[1], start=5)]
    await store.writes.write_hits(hits)
    await store.writes.write_deliveries(deliveries(hits))
    payload = await json_of(client, "/deliveries/", 409, key="a_b_c_d")
    assert sorted(tuple(key.values()) for key in payload["keys"]) == sorted(keys)
    both = await json_of(client, f"/deliveries/{key_hash('a_b_c_d')}")
    assert len(both["deliveries"]) == 2


@together(
    "params",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "many"},
        {"limit": "9" * 5000},
        {"limit": "٣"},
        {"verdict": "maybe"},
        {"ip_address": "a"},
        {"ip_address": "a", "user_agent": "b", "request": "c", "key": "d"},
        {"key_hash": "xyz"},
        {"colour": "red"},
        {"lo": "1"},
        {"lo": "5", "hi": "4"},
        {"lo": "-1", "hi": "4"},
        {"lo": "9" * 5000, "hi": "9" * 5000},
    ],
)
async def test_a_bad_parameter_is_refused_in_words(filled: Client, params: dict[str, Any]) -> None:
    payload = await json_of(filled, "/deliveries/", 400, **params)
    assert len(payload["error_message"]) < 300


async def test_a_parameter_given_twice_is_refused(filled: Client) -> None:
    answer = await filled.get("/deliveries/?limit=1&limit=2")
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/deliveries/", {"key": "nobody"}),
        ("/deliveries/", {"ip_address": "a", "user_agent": "b", "request": "\x00\u202e"}),
        ("/deliveries/" + "0" * 32, {}),
        ("/deliveries/a/b", {}),
    ],
)
async def test_what_is_not_known_is_404_in_json(filled: Client, path: str, params: dict[str, Any]) -> None:
    await json_of(filled, path, 404, **params)


async def test_an_unreachable_store_is_503_in_json(
    status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    store = open_store("sqlite", settings, read_only=True)
    async with served(store, status, producer, settings) as client:
        for path in ("/deliveries/", "/deliveries/" + "0" * 32):
            answer = await client.get(path)
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert (await answer.json())["success"] is False
    await store.close()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_other_methods_are_refused_with_those_allowed(client: Client, method: str) -> None:
    answer = await client.request(method, "/deliveries/")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert (await answer.json())["success"] is False
