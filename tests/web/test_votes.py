"""`POST /vote/` and `/votes/`: what is answered, and what then stands in a real embedded log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.errors import LogFull
from app.flows.votes import VOTES, Vote, vote_id_of
from app.messages.events import read_events
from app.settings import Settings
from app.stores.contract import Store
from app.transports.embedded.file import log_path
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from app.transports.producers import MessageProducer
from app.web.counted.event_fields import BadEvent, Ballot, PostedVote, read_form, read_vote, read_votes_body, vote_of
from app.web.counted.event_intake import EventIntake
from app.web.service.parts import PARTS
from tests.properties import examples
from tests.together import together
from tests.web.conftest import Client, ToldStatus, served


def logged(settings: Settings) -> list[Vote]:
    """Every vote in the topic, as it is on disk."""
    log = EmbeddedLog(log_path(settings.broker))
    try:
        partitions = log.partitions("votes") if "votes" in log.topics else 0
        values = [record.value or b"" for partition in range(partitions) for record in log.read("votes", partition, 0)]
    finally:
        log.close()
    found = [read_events(VOTES, value) for value in values]
    assert not any(read.bad for read in found)
    return [vote for read in found for vote in read.events]


async def voted(client: Client, status: int, payload: object, path: str = "/vote/") -> dict[str, Any]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    answer = await client.post(path, data=data, headers={"Content-Type": "application/json"})
    body = await answer.json()
    assert answer.status == status, body
    assert body["success"] is (status == 200)
    if status != 200:
        assert isinstance(body["error_message"], str) and body["error_message"]
    return body


async def test_a_vote_is_durable_when_it_is_answered_and_has_an_id(client: Client, settings: Settings) -> None:
    before = time.time()
    first = await voted(client, 200, {"candidate_id": 2})
    second = await voted(
        client, 200, {"candidate_id": 2, "opinion": "test", "user_id": 7, "kiosk_id": "hall", "vote_id": "mine"}
    )
    assert second == {"success": True, "vote_id": "mine"}
    found = {vote.vote_id: vote for vote in logged(settings)}
    assert found.keys() == {first["vote_id"], "mine"}
    assert found["mine"][:2] + found["mine"][3:] == ("mine", 2, "hall", "7", "test")
    assert all(before <= vote.time <= time.time() for vote in found.values())


async def test_a_form_is_taken_as_json_is(client: Client, settings: Settings) -> None:
    for body in (
        b"candidate_id=3&opinion=a+b%26&kiosk_id=&user_id=u",
        b'{"candidate_id": 3, "opinion": "a b&", "user_id": "u"}',
    ):
        answer = await client.post("/vote/", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == 200
    assert {vote[1:2] + vote[3:] for vote in logged(settings)} == {(3, None, "u", "a b&")}


async def test_a_vote_without_an_id_takes_the_hash_of_its_kiosk_and_time(client: Client) -> None:
    at = int(time.time()) - 60
    given = {"candidate_id": 1, "kiosk_id": "hall", "vote_time": at}
    ids = [(await voted(client, 200, given))["vote_id"] for _ in range(2)]
    assert ids == [vote_id_of("hall", float(at))] * 2
    del given["vote_time"]
    assert len({(await voted(client, 200, given))["vote_id"] for _ in range(2)}) == 2


@together(
    ("payload", "says"),
    [
        ({"opinion": "test"}, "candidate_id is required!"),
        ({"candidate_id": None}, "candidate_id is required!"),
        (b"", "candidate_id is required!"),
        ({"candidate_id": 4}, "There is no candidate 4"),
        ({"candidate_id": 10**30}, "ids are 0 to 9007199254740991"),
        ({"candidate_id": "2"}, "is not a vote: Expected `int"),
        ({"candidate_id": 2.5}, "is not a vote"),
        (b'{"candidate_id": ', "is no JSON"),
        (b"\xff", "is no JSON"),
        (b'{"a":' * 12_000, "is no JSON"),
        ([1], "is not a vote"),
        ({"candidate_id": 2, "vote_time": 1}, "s ago; at most 172800 s are taken"),
        ({"candidate_id": 2, "vote_time": 9e9}, "ahead of the server's clock"),
        ({"candidate_id": 2, "vote_time": "2020-01-01T00:00:00"}, "is no time: write ISO 8601 with a zone"),
        ({"candidate_id": 2, "user_id": "x" * 257}, "user_id has 257 characters; at most 256"),
        ({"candidate_id": 2, "opinion": "x" * 4097}, "opinion has 4097 characters"),
        ({"candidate_id": 2, "kiosk_id": ["x"]}, "is not a vote"),
    ],
)
async def test_a_bad_vote_is_refused_in_one_sentence_and_stands_nowhere(
    client: Client, settings: Settings, payload: bytes | dict[str, Any] | list[Any], says: str
) -> None:
    assert says in (await voted(client, 400, payload))["error_message"]
    assert logged(settings) == []


async def test_the_refusal_without_a_candidate_is_that_of_the_examples(client: Client) -> None:
    answer = await client.post("/vote/", json={"opinion": "test"})
    assert (answer.status, await answer.json()) == (
        400,
        {"success": False, "error_message": "candidate_id is required!"},
    )


async def test_too_large_a_vote_is_refused(client: Client) -> None:
    assert (
        "larger than 65536 bytes"
        in (await voted(client, 413, {"candidate_id": 2, "opinion": "x" * 70_000}))["error_message"]
    )


async def test_many_votes_are_taken_all_or_none(client: Client, settings: Settings) -> None:
    body = await voted(client, 200, [{"candidate_id": 1 + i % 3, "vote_id": f"v{i}"} for i in range(10_000)], "/votes/")
    assert body["votes"] == 10_000 and body["vote_ids"] == [f"v{i}" for i in range(10_000)]
    assert len(logged(settings)) == 10_000
    bad = [{"candidate_id": 1}, {"candidate_id": 9}, {}]
    body = await voted(client, 400, bad, "/votes/")
    assert [error["index"] for error in body["errors"]] == [1, 2]
    refused: object
    for refused in ([], {}, b"", [{"candidate_id": 1}] * 10_001, [[1]]):
        await voted(client, 400, refused, "/votes/")
    assert len(logged(settings)) == 10_000


async def test_requests_that_arrive_together_share_one_append(client: Client, settings: Settings) -> None:
    answers = await asyncio.gather(
        *(client.post("/vote/", json={"candidate_id": 1, "vote_id": str(i)}) for i in range(300))
    )
    assert {answer.status for answer in answers} == {200}
    assert {vote.vote_id for vote in logged(settings)} == {str(i) for i in range(300)}
    log = EmbeddedLog(log_path(settings.broker))
    messages = sum(log.ends()["votes", partition] for partition in range(log.partitions("votes")))
    log.close()
    assert messages < 150


async def test_one_vote_a_user_needs_a_user_and_keeps_a_users_votes_together(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    own = msgspec.structs.replace(settings, vote_one_per_user=True)
    async with served(store, status, producer, own) as client:
        assert "user_id is required" in (await voted(client, 400, {"candidate_id": 2}))["error_message"]
        for i in range(20):
            await voted(client, 200, {"candidate_id": 2, "user_id": "u1", "vote_id": f"v{i}"})
    log = EmbeddedLog(log_path(settings.broker))
    ends = [log.ends()["votes", partition] for partition in range(log.partitions("votes"))]
    log.close()
    assert sorted(ends)[:-1] == [0] * (len(ends) - 1)


class SlowProducer:
    """A producer whose writes take as long as the test says."""

    def __init__(self, inner: MessageProducer) -> None:
        self.inner = inner
        self.delay_s = 0.0

    def partitions(self, topic: str) -> int:
        return self.inner.partitions(topic)

    def append(self, messages: Sequence[Message]) -> None:
        time.sleep(self.delay_s)
        self.inner.append(messages)

    def close(self) -> None:
        self.inner.close()


async def test_when_writes_wait_too_long_others_are_told_503_and_what_was_accepted_stays(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    slow = SlowProducer(producer)
    own = msgspec.structs.replace(settings, overload_after=0.2)
    async with served(store, status, slow, own) as client:
        await voted(client, 200, {"candidate_id": 2, "vote_id": "before"})
        slow.delay_s = 0.6
        waiting = asyncio.create_task(client.post("/vote/", json={"candidate_id": 2, "vote_id": "accepted"}))
        await asyncio.sleep(0.4)
        refused = await client.post("/vote/", json={"candidate_id": 2, "vote_id": "refused"})
        assert refused.status == 503 and int(refused.headers["Retry-After"]) > 0
        assert (await refused.json())["vote_id"] == "refused"
        assert (await waiting).status == 200
        slow.delay_s = 0.0
        await voted(client, 200, {"candidate_id": 2, "vote_id": "after"})
    assert {vote.vote_id for vote in logged(settings)} == {"before", "accepted", "after"}


async def test_a_log_that_is_full_answers_503(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    class Full(SlowProducer):
        def append(self, messages: Sequence[Message]) -> None:
            raise LogFull("full")

    async with served(store, status, Full(producer), settings) as client:
        body = await voted(client, 503, {"candidate_id": 2, "vote_id": "v"})
        assert body == {"success": False, "error_message": "full", "vote_id": "v"}


async def test_what_waits_is_bounded(producer: MessageProducer) -> None:
    intake = EventIntake(producer, 2.0)
    with pytest.raises(LogFull):
        await intake.append("votes", [("k", Vote("v", 1, 1.0))] * 200_001)
    await intake.close()


async def test_the_page_with_one_button_votes_for_its_candidate_once_however_often_it_is_pressed(
    client: Client, settings: Settings
) -> None:
    page = await (await client.get("/vote_to_2")).text()
    assert page.count("<button>") == 1 and 'action="/vote/"' in page
    vote_id = page.partition('name="vote_id" value="')[2].partition('"')[0]
    for _ in range(2):
        form = {"candidate_id": "2", "vote_id": vote_id}
        answer = await client.post("/vote/", data=form, headers={"Accept": "text/html"})
        assert answer.status == 200 and "Thank you" in await answer.text()
    assert {vote[:2] for vote in logged(settings)} == {(vote_id, 2)}
    for unknown in ("9", "x", "2²", "1" * 40):
        assert (await client.get(f"/vote_to_{unknown}")).status == 404


async def test_another_sites_page_can_not_vote(client: Client, settings: Settings) -> None:
    answer = await client.post("/vote/", json={"candidate_id": 2}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403 and logged(settings) == []


async def test_candidates_are_changed_with_the_token_only_and_replace_the_demo_list(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    async with served(store, status, producer, settings) as client:
        assert (await client.post("/candidates/", json={"id": 7, "name": "Ada"})).status == 403
        assert [one["id"] for one in (await (await client.get("/candidates/")).json())["candidates"]] == [1, 2, 3]
    own = msgspec.structs.replace(settings, admin_token="secret")
    async with served(store, status, producer, own) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
            assert (await client.post("/candidates/", json={"id": 7, "name": "Ada"}, headers=headers)).status == 401
            assert (await client.get("/users/", headers=headers)).status == 401
        good = {"Authorization": "Bearer secret"}
        assert (
            await client.post(
                "/candidates/", json=[{"id": 7, "name": "Ada"}, {"id": 8, "name": "x" * 256}], headers=good
            )
        ).status == 200
        assert (await client.post("/users/", json={"id": "u1", "name": "Grace"}, headers=good)).status == 200
        for bad in ({"id": 7}, {"id": -1, "name": "x"}, {"id": 1, "name": ""}, {"id": 1, "name": "x" * 257}, b"["):
            data = bad if isinstance(bad, bytes) else json.dumps(bad)
            assert (await client.post("/candidates/", data=data, headers=good)).status == 400
        await voted(client, 200, {"candidate_id": 7})
        await voted(client, 400, {"candidate_id": 2})
        assert (await (await client.get("/users/", headers=good)).json()) == {"users": [{"id": "u1", "name": "Grace"}]}
        await asyncio.sleep(0.5)
        await parts_add(client, store)
        await voted(client, 200, {"candidate_id": 99})


async def parts_add(client: Client, store: Store) -> None:
    """Another process adds a candidate: known within a moment."""
    await store.ledgers.put_names("candidates", {"99": "Late"})
    assert 99 not in client.app[PARTS].names._candidates


BALLOT = Ballot(1_000_000.0, {1, 2, 3}, 172_800, 300)


@limits(deadline=None, max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(PostedVote.__struct_fields__), inner), max_leaves=8).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_body_gives_a_vote_or_one_sentence(body: bytes) -> None:
    for read in (read_vote, read_form):
        try:
            vote = vote_of(read(body), BALLOT)
        except BadEvent as error:
            assert str(error)
        else:
            assert vote.candidate_id in (1, 2, 3) and vote.vote_id
            assert 1_000_000.0 - 172_800 <= vote.time <= 1_000_300.0
    try:
        read_votes_body(body)
    except BadEvent as error:
        assert str(error)
