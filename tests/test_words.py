"""One fact has one text, wherever people read it."""

from __future__ import annotations

import inspect
import io
import re
from html.parser import HTMLParser

from app.client.answer import answer
from app.client.text import answer_json, answer_text
from app.domain import deliveries
from app.domain.records import Delivery
from app.output.screen import ScreenTable
from app.stores.contract import Store
from app.web.deliveries.views import delivery_link
from app.words import EVIDENCE, REASONS, REJECTS, VERDICTS, condition_text, reason_text, verdict_sentence
from tests.stores.records import delivery
from tests.web import conftest
from tests.web.conftest import Client

client, producer, settings, status, store = (
    conftest.client,
    conftest.producer,
    conftest.settings,
    conftest.status,
    conftest.store,
)

COMPLETE = [
    delivery(1, verdict="complete", evidence=evidence, reason=None, missing=[], doubtful=[[0, 9]], size_known=known)
    for evidence in EVIDENCE
    for known in (True, False)
]
OTHERS = [
    delivery(1, verdict=verdict, evidence=evidence, reason=reason, missing=[[3, 8]])
    for reason in (*REASONS, "of another program")
    for verdict in ("partial", "unknown")
    for evidence in ("ranges", "learned")
]


class _Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.parts).split())

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def on_screen(one: Delivery) -> str:
    file = io.StringIO()
    table = ScreenTable(file=file, width=300)
    table.write(one)
    table.finish()
    return file.getvalue()


async def test_client_page_table_and_json_say_one_sentence(client: Client, store: Store) -> None:
    for number, every in enumerate((*COMPLETE, *OTHERS)):
        one = every._replace(request=f"GET /{number}", last=every.last + number)
        sentence = verdict_sentence(one)
        told = answer(one.key, [one], [], 0, None, False)
        assert answer_text(told, "").endswith(f"\n{sentence}\n")
        assert f'"sentence": "{sentence}"' in answer_json(told, "")
        assert await store.writes.write_deliveries([one]) == []
        [found] = (await (await client.get("/deliveries/?limit=1")).json())["deliveries"]
        assert (found["request"], found["sentence"]) == (one.request, sentence)
        page = await client.get(delivery_link(*one.key))
        assert f"{one.verdict} {sentence}" in _Text(await page.text()).text
        if one.reason in REASONS:
            assert one.reason is not None
            clause = reason_text(one.verdict, one.reason)
            assert f"{one.reason}: {clause}" in on_screen(one) and clause in sentence
        elif one.verdict == "complete" and (condition := condition_text(one.evidence)):
            assert f"{one.evidence}: {condition}" in on_screen(one)
            assert condition.partition("this total")[0] in sentence
    newest = _Text(await (await client.get("/")).text()).text
    assert all(verdict_sentence(one) in newest for one in OTHERS[-20:])


def test_sentences_are_short_and_begin_with_the_answer() -> None:
    for one in (*COMPLETE, *OTHERS):
        sentence = verdict_sentence(one)
        assert re.match({"complete": "Whole[:,] ", "partial": "Not whole: "}.get(one.verdict, "Unknown: "), sentence)
        for part in re.split(r"[:;]", sentence):
            assert len(part.split()) <= 20, part
    for words in (
        *VERDICTS.values(),
        *EVIDENCE.values(),
        *REJECTS.values(),
        *(each.clause for each in REASONS.values()),
    ):
        assert len(words.split()) <= 20 and not re.search(r"\b(lacks?|is no|are no|tells?|told)\b", words), words


def test_every_reason_that_a_verdict_can_have_has_its_clause() -> None:
    named = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', inspect.getsource(deliveries)))
    assert set(REASONS) <= named
    rows = re.findall(
        r"^\| [0-9]+ \|.*\| (?:unknown|partial|complete; strict: unknown) \| ([a-z_, ]+?) \|",
        deliveries.__doc__ or "",
        re.M,
    )
    assert {reason for row in rows for reason in row.split(", ")} == set(REASONS)


def test_one_missing_byte_is_and_more_are_missing() -> None:
    one = delivery(1, verdict="partial", reason="gap", missing=[[3, 3]])
    assert verdict_sentence(one) == "Not whole: bytes in the middle are missing; 1 byte is missing."
    more = one._replace(missing=[[3, 3], [5, 6]])
    assert verdict_sentence(more).endswith("; 3 bytes are missing.")
