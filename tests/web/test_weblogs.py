"""`POST /weblogs/`: what is answered, and what then stands in a real embedded log."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import raw_ids
from app.errors import LogError, LogFull
from app.flows.deliveries import LINES as TOPIC
from app.settings import Settings
from app.stores.contract import Store
from app.transports.embedded.file import log_path
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, unpack_headers
from app.transports.producers import MessageProducer, open_producer
from app.web.deliveries.line_intake import LogIntake
from app.web.deliveries.posted import FIRST_LINES, posted_values, source_of_key
from app.web.service.body import MAX_GZIP_MEMBERS
from app.web.service.parts import PARTS
from tests.web.conftest import Client, ToldStatus, served

LINES = b"one\ntwo\nthree"


def logged(settings: Settings) -> list[tuple[dict[str, bytes], bytes]]:
    """Headers and value of every message in the topic, as they are on disk."""
    log = EmbeddedLog(log_path(settings.broker))
    try:
        partitions = log.partitions(TOPIC) if TOPIC in log.topics else 0
        records = [record for partition in range(partitions) for record in log.read(TOPIC, partition, 0)]
        return [(dict(unpack_headers(record.headers)), record.value or b"") for record in records]
    finally:
        log.close()


async def posted(client: Client, status: int, data: bytes, **headers: str) -> dict[str, Any]:
    answer = await client.post(
        "/weblogs/", data=data, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    payload = await answer.json()
    assert answer.status == status, payload
    assert payload["success"] is (status == 200)
    if status != 200:
        assert payload["error_message"]
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0
    return payload


async def test_lines_are_durable_when_the_answer_comes_and_are_counted_in_it(
    client: Client, settings: Settings
) -> None:
    payload = await posted(client, 200, LINES)
    assert payload == {"success": True, "lines": 3, "bytes": 13, "not_read": []}
    assert logged(settings) == [({"form": b"1"}, LINES + b"\n")]


@pytest.mark.parametrize("page", ["tutorial.md", "how-to/post-lines.md", "reference/http.md"])
async def test_the_pages_show_the_answer_to_a_post_as_it_is(client: Client, page: str) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    lines = [line for line in (docs / "tutorial.md").read_text().splitlines() if line.startswith("198.51.100.7 - -")]
    answer = await client.post("/weblogs/", data="".join(f"{line}\n" for line in lines))
    assert (await answer.text()).strip() in (docs / page).read_text()


async def test_the_answer_names_what_is_not_read_of_the_first_lines_in_the_words_of_reduce(client: Client) -> None:
    line = (
        b'192.0.2.1 - - [01/Nov/2020:10:00:00 +0000] "GET /film.mp4 HTTP/1.1" 200 1000 "-" "VLC" "bytes 0-9/10" 0.003\n'
    )
    told = (await posted(client, 200, line * 3 + b"no line\n"))["not_read"]
    assert told == ["column 11 was not read: looks like a request time (3 lines)"]
    told = (await posted(client, 200, line * 5000))["not_read"]
    assert told == [f"column 11 was not read: looks like a request time ({FIRST_LINES} lines)"]
    assert (await posted(client, 200, b"x" * 200_000))["not_read"] == []


async def test_gzip_is_taken_in_one_member_or_several(client: Client, settings: Settings) -> None:
    body = gzip.compress(b"one\n") + gzip.compress(b"two\n") + bytes(17)
    assert (await posted(client, 200, body, Content_Encoding="gzip"))["lines"] == 2
    assert logged(settings) == [({"form": b"1"}, b"one\ntwo\n")]


async def test_a_key_given_twice_gives_the_same_ids_in_the_same_partition(client: Client, settings: Settings) -> None:
    await posted(client, 200, LINES, Idempotency_Key="order 1")
    await posted(client, 200, LINES, Idempotency_Key="order 1")
    await posted(client, 200, LINES, Idempotency_Key="order 2")
    messages = logged(settings)
    ids = {raw_ids(headers["source"].decode())(int(headers["position"])) for headers, _ in messages}
    assert len(messages) == 3
    assert len(ids) == 2
    assert {headers["name"] for headers, _ in messages} == {b"post:order 1", b"post:order 2"}
    assert {headers["source"].decode() for headers, _ in messages} == {
        source_of_key("order 1"),
        source_of_key("order 2"),
    }


@pytest.mark.parametrize("key", ["", "k" * 257])
async def test_a_key_that_is_empty_or_too_long_is_400(client: Client, settings: Settings, key: str) -> None:
    await posted(client, 400, LINES, Idempotency_Key=key)
    assert logged(settings) == []


async def test_a_key_of_256_characters_is_taken(client: Client) -> None:
    await posted(client, 200, LINES, Idempotency_Key="k" * 256)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "identity"),
        (b"", "gzip"),
        (gzip.compress(b""), "gzip"),
        (b"plain text", "gzip"),
        (gzip.compress(LINES)[:-5], "gzip"),
    ],
    ids=["empty", "empty gzip", "gzip of nothing", "no gzip", "cut off"],
)
async def test_an_empty_body_and_broken_gzip_are_400_and_write_nothing(
    client: Client, settings: Settings, data: bytes, encoding: str
) -> None:
    await posted(client, 400, data, Content_Encoding=encoding)
    assert logged(settings) == []


async def test_broken_gzip_is_400_even_where_the_first_member_is_good(client: Client, settings: Settings) -> None:
    await posted(client, 400, gzip.compress(LINES) + b"garbage", Content_Encoding="gzip")
    damaged = bytearray(gzip.compress(LINES * 1000))
    damaged[-6] ^= 1  # in the checksum
    await posted(client, 400, bytes(damaged), Content_Encoding="gzip")
    assert logged(settings) == []


async def test_many_thousand_gzip_members_are_400(client: Client, settings: Settings) -> None:
    await posted(client, 400, gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1), Content_Encoding="gzip")
    assert logged(settings) == []


@pytest.mark.parametrize(
    ("packed", "data", "encoding"),
    [
        ("gzip", gzip.compress(LINES), "identity"),
        ("gzip", gzip.compress(gzip.compress(LINES)), "gzip"),
        ("bzip2", bz2.compress(LINES), "identity"),
        ("xz", lzma.compress(LINES), "identity"),
    ],
    ids=["gzip", "gzip in gzip", "bzip2", "xz"],  # gzip's bytes have the time in them
)
async def test_lines_that_are_still_packed_are_415_and_write_nothing(
    client: Client, settings: Settings, packed: str, data: bytes, encoding: str
) -> None:
    answer = await posted(client, 415, data, Content_Encoding=encoding)
    assert answer["error_message"].startswith(f"The lines are still packed with {packed};")
    assert logged(settings) == []


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x" * 500])
async def test_another_encoding_is_415(client: Client, encoding: str) -> None:
    await posted(client, 415, LINES, Content_Encoding=encoding)


async def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_413(small_client: Client, settings: Settings) -> None:
    lines = b"x" * 49 + b"\n"
    await posted(small_client, 200, lines * 2000)
    await posted(small_client, 413, lines * 2000 + b"y")
    await posted(small_client, 413, gzip.compress(lines * 2000 + b"y"), Content_Encoding="gzip")
    assert b"".join(value for _, value in logged(settings)) == lines * 2000


async def test_a_body_without_a_length_is_bounded_all_the_same(small_client: Client, settings: Settings) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"z" * 9_999 + b"\n"

    answer = await small_client.post("/weblogs/", data=endless())
    assert answer.status == 413
    assert logged(settings) == []


async def test_a_gzip_bomb_is_413_and_gives_back_what_it_held(small_client: Client, settings: Settings) -> None:
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    assert len(bomb) < 100_000
    for _ in range(6):  # more often than the budget of bodies in flight would allow if it leaked
        await posted(small_client, 413, bomb, Content_Encoding="gzip")
    await posted(small_client, 200, LINES)
    assert logged(settings) == [({"form": b"1"}, LINES + b"\n")]


async def test_bodies_in_flight_share_a_budget_and_above_it_a_client_is_told_to_come_again(
    small_client: Client, settings: Settings
) -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"s" * 89_999 + b"\n"
        await go_on.wait()

    waiting = [asyncio.create_task(small_client.post("/weblogs/", data=slow())) for _ in range(4)]
    budget = small_client.app[PARTS].budget
    while budget.left_bytes > 40_000:  # noqa: ASYNC110 - the server tells nobody when a part has come
        await asyncio.sleep(0.01)
    await posted(small_client, 503, b"t" * 90_000)
    go_on.set()
    assert [(await answer).status for answer in waiting] == [200] * 4
    assert budget.left_bytes == 400_000


async def test_a_full_log_is_503_with_the_time_to_come_back_and_nothing_is_dropped(
    store: Store, status: ToldStatus, settings: Settings
) -> None:
    small = msgspec.structs.replace(settings, log_max_bytes=1 << 20)
    small.data_dir.mkdir(parents=True, exist_ok=True)
    producer = open_producer(small)
    taken = 0
    body = (b"r" * 1023 + b"\n") * 400
    async with served(store, status, producer, small) as client:
        for _ in range(10):
            answer = await client.post("/weblogs/", data=body)
            if answer.status == 503:
                break
            taken += 1
        await posted(client, 503, LINES)
    producer.close()
    assert 1 <= taken < 10
    assert sum(len(value) for _, value in logged(settings)) == taken * len(body)


async def test_a_log_that_can_not_be_written_is_503(client: Client, producer: MessageProducer) -> None:
    producer.close()
    await posted(client, 503, LINES)


async def test_another_sites_page_can_not_post_lines(client: Client, settings: Settings) -> None:
    await posted(client, 403, LINES, Sec_Fetch_Site="cross-site")
    assert logged(settings) == []


async def test_reading_the_path_is_405_with_what_is_allowed(client: Client) -> None:
    answer = await client.get("/weblogs/")
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    assert (await answer.json())["success"] is False


async def test_requests_at_once_are_all_durable_and_each_is_whole(client: Client, settings: Settings) -> None:
    bodies = [f"client {n} first\nclient {n} second\n".encode() for n in range(30)]
    answers = await asyncio.gather(*(client.post("/weblogs/", data=body) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert sorted(value for _, value in logged(settings)) == sorted(bodies)


class Recorder:
    """Counts the writes of a producer."""

    def __init__(self, producer: MessageProducer) -> None:
        self.producer = producer
        self.writes: list[int] = []

    def partitions(self, topic: str) -> int:
        return self.producer.partitions(topic)

    def append(self, messages: Sequence[Message]) -> None:
        self.producer.append(messages)
        self.writes.append(len(messages))

    def close(self) -> None:
        self.producer.close()


async def test_requests_that_arrive_during_a_write_share_the_next(
    producer: MessageProducer, settings: Settings
) -> None:
    recorder = Recorder(producer)
    intake = LogIntake(recorder, settings)
    await asyncio.gather(*(intake.append(b"line\n", None) for _ in range(50)))
    await intake.close()
    assert sum(recorder.writes) == 50
    assert len(recorder.writes) <= 2


async def test_a_client_that_goes_away_spoils_nothing_for_the_others(
    producer: MessageProducer, settings: Settings
) -> None:
    intake = LogIntake(producer, settings)
    gone = asyncio.create_task(intake.append(b"gone\n", None))
    stays = asyncio.create_task(intake.append(b"stays\n", None))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    await intake.close()
    assert b"stays\n" in [value for _, value in logged(settings)]


async def test_every_request_of_a_failed_write_is_told_so_and_the_next_write_goes_on(
    producer: MessageProducer, settings: Settings
) -> None:
    class FailsOnce(Recorder):
        def append(self, messages: Sequence[Message]) -> None:
            if not self.writes:
                self.writes.append(0)
                raise LogFull("the log is full")
            super().append(messages)

    intake = LogIntake(FailsOnce(producer), settings)
    outcomes = await asyncio.gather(*(intake.append(b"line\n", None) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LogFull] * 3
    await intake.append(b"later\n", None)
    await intake.close()
    assert logged(settings) == [({"form": b"1"}, b"later\n")]


async def test_after_close_nothing_is_accepted(producer: MessageProducer, settings: Settings) -> None:
    intake = LogIntake(producer, settings)
    await intake.append(LINES, None)
    await intake.close()
    with pytest.raises(LogError):
        await intake.append(LINES, None)


async def test_posts_without_key_take_the_partitions_in_turn(client: Client, settings: Settings) -> None:
    for _ in range(settings.partitions):
        await posted(client, 200, LINES)
    log = EmbeddedLog(log_path(settings.broker))
    assert [log.end_offset(TOPIC, partition) for partition in range(settings.partitions)] == [1] * settings.partitions
    log.close()


@given(st.binary(max_size=3000), st.integers(1024, 2048), st.integers(64, 512))
def test_the_values_of_a_body_are_the_body_cut_at_line_ends(body: bytes, chunk_bytes: int, max_line_bytes: int) -> None:
    settings = Settings(chunk_bytes=chunk_bytes, max_line_bytes=max_line_bytes)
    whole = body if body.endswith(b"\n") else body + b"\n"
    at = 0
    for value, headers in posted_values(body, "key", settings):
        assert int(headers["position"]) == at
        if "too_long" in headers:
            length = int(headers["too_long"])
            assert length > max_line_bytes
            assert value == whole[at : at + min(length, 1024)] and b"\n" not in value
            at += length + whole.startswith(b"\n", at + length)
        else:
            assert whole.startswith(value, at)
            at += len(value)
            assert value.endswith(b"\n")
    assert at == len(whole)


def test_a_body_of_many_messages_names_format_and_head_lines_in_each() -> None:
    head = "#Version: 1.0\n#Fields: date time c-ip cs(User-Agent) cs-method cs-uri-stem sc-status sc-bytes\n"
    body = (head + "2020-07-31 16:46:07 192.0.2.7 Player/1 GET /film 200 100\n" * 100).encode()
    values = list(posted_values(body, None, Settings(chunk_bytes=1024)))
    assert len(values) > 2
    assert b"".join(value for value, _ in values) == body
    assert {headers["format"] for _, headers in values} == {b"w3c"}
    assert {headers["head"].decode() for _, headers in values} == {head.rstrip("\n")}


def test_a_body_of_one_message_is_left_as_it_is() -> None:
    assert list(posted_values(LINES, None, Settings())) == [(LINES + b"\n", {"form": b"1"})]
