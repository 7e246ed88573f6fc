"""`GET /reports/…`: the report's own numbers, over what the worker counted and stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.output.reports.report import Report
from app.output.reports.text import as_json
from app.reports import delivery_questions, questions
from app.reports.delivery_questions import Deliveries
from app.reports.filters import Filters
from app.reports.questions import Asked
from app.reports.reading import Inputs
from app.settings import Settings
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.web.counted.reports import BY, REPORTS
from tests.reports.flowed import store_of
from tests.reports.logs import written
from tests.reports.test_kept import LOG
from tests.web.conftest import Client, ToldStatus, served


@pytest.fixture
async def counting(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings, tmp_path: Path
) -> Any:
    """A client of a worker that counts requests, and the log that went through it."""
    log = written(tmp_path / "a.log", LOG)
    counts = msgspec.structs.replace(settings, count_requests=True)
    await store_of(log, counts, range(3))
    async with served(store, status, producer, counts) as client:
        yield client, log


ASKED: list[tuple[str, Callable[[Asked], Report]]] = [
    *((f"requests?by={by}", lambda asked, by=by: questions.requests(asked, by)) for by in BY["requests"]),
    *((f"transfer?by={by}&top=3", lambda asked, by=by: questions.transfer(asked._replace(top=3), by)) for by in ("extension", "path")),
    ("hosts?top=2", lambda asked: questions.hosts(asked._replace(top=2))),
    ("countries?early_stopping=3", lambda asked: questions.countries(asked, 3, False)),
    ("files/", lambda asked: delivery_questions.files(Deliveries(asked))),
]  # fmt: skip


DAY = date(2015, 5, 17)


@pytest.mark.parametrize("day", [None, DAY], ids=["all", "one day"])
async def test_every_question_answers_as_the_report_on_the_log(counting: Any, day: date | None) -> None:
    client, log = counting
    filters = Filters(zone="UTC", first_day=day, last_day=day)
    days = {} if day is None else {"from": f"{day}", "to": f"{day}"}
    for path, question in ASKED:
        answer = await client.get(f"/reports/{path}", params=days)
        told = json.loads(as_json(question(Asked(Inputs([str(log)]), filters))))
        found = await answer.json()
        assert answer.status == 200 and answer.content_type == "application/json"
        assert (found["rows"], found["totals"]) == (told["rows"], told["totals"]), path
        assert found["rows"]
    assert {path.partition("?")[0].strip("/") for path, _ in ASKED} == set(REPORTS)


async def test_extensions_are_asked_for(counting: Any) -> None:
    client, _ = counting
    found = await (await client.get("/reports/transfer?ext=JPEG,.jpg")).json()
    assert [row["extension"] for row in found["rows"]] == ["jpeg", "jpg"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("requests?by=path", "Nothing is counted by 'path'; there are hour, day, status, method, extension."),
        ("hosts?ext=jpg", "'ext' is no parameter here; there are from, to, top."),
        ("hosts?from=2015-02-30", "from is a day as 2015-05-18, not '2015-02-30'."),
        ("hosts?from=2015-05-02&to=2015-05-01", "to 2015-05-01 is before from 2015-05-02."),
        ("hosts?top=3&top=5", "top is given more than once."),
        ("transfer?ext=", "ext is extensions as mp3,jpeg, not ''."),
        ("transfer?ext=jpg,a/b", "ext is extensions as mp3,jpeg, not 'jpg,a/b'."),
        ("hosts?top=0", "top is an integer from 1 to 10000, not '0'."),
        ("transfer?by=path&ext=" + ",".join(f"x{number}" for number in range(51)), "At most 50 extensions"),
    ],
)
async def test_what_cannot_be_asked_is_a_sentence(counting: Any, path: str, sentence: str) -> None:
    client, _ = counting
    answer = await client.get(f"/reports/{path}")
    assert answer.status == 400 and sentence in (await answer.json())["error_message"]


async def test_a_worker_that_counts_no_requests_says_so_and_tells_of_files(client: Client) -> None:
    answer = await client.get("/reports/hosts")
    assert answer.status == 404 and "WEBLOGS_COUNT_REQUESTS=true" in (await answer.json())["error_message"]
    answer = await client.get("/reports/files")
    assert (answer.status, (await answer.json())["rows"]) == (200, [])


async def test_the_page_links_what_is_counted(counting: Any, client: Client) -> None:
    for one, links in ((counting[0], True), (client, False)):
        text = await (await one.get("/")).text()
        assert ("/reports/hosts" in text) is links and "/reports/files" in text


async def test_a_report_is_made_once_for_many_who_ask(counting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = counting
    made: list[Asked] = []
    hosts = questions.hosts

    def ask(asked: Asked) -> Report:
        made.append(asked)
        return hosts(asked)

    monkeypatch.setattr(questions, "hosts", ask)
    first = await (await client.get("/reports/hosts")).text()
    assert [await (await client.get("/reports/hosts")).text() for _ in range(5)] == [first] * 5
    assert len(made) == 1
