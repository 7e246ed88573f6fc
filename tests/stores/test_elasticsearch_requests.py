"""Bulk requests are built, and their answers judged, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.engine.storing import RecordRate
from app.stores.elasticsearch import documents
from app.stores.elasticsearch import sending as bulk
from app.stores.elasticsearch.queries import SEARCHED_CHARS, holding_text
from app.stores.elasticsearch.schema import IndexNames
from tests.stores.records import delivery, hit, reject


def _items(count: int) -> list[documents.Item[Any]]:
    return [documents.Item(n, b"x" * 10) for n in range(count)]


def _answer(*results: Any) -> dict[str, Any]:
    items = [
        {"create": {"status": one} if isinstance(one, int) else {"status": one[0], "error": one[1]}} for one in results
    ]
    return {"errors": True, "items": items}


def _error(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "reason": f"because of {kind}", **more}


def test_an_answer_without_errors_needs_no_look_at_its_items() -> None:
    assert bulk.judge(_items(3), {"errors": False, "items": []}) == bulk.Verdicts([], [], [], [], "", "")


def test_documents_of_which_none_is_taken_are_not_at_fault_unless_a_pipeline_refuses_them_on_purpose() -> None:
    alike, taken = (400, _error("document_parsing_exception")), (201, _error("none"))
    unwritten = (400, {"type": "illegal_argument_exception", "reason": "no write index is defined"})
    for results in ([alike] * 20, [unwritten]):
        verdicts = bulk.judge(_items(len(results)), _answer(*results))
        assert verdicts.blame and not verdicts.refused
    poison = (500, _error("fail_processor_exception"))
    for results, refused in (([alike] * 19, 19), ([*[alike] * 19, taken], 19), ([poison] * 20, 20)):
        verdicts = bulk.judge(_items(len(results)), _answer(*results))
        assert not verdicts.blame and len(verdicts.refused) == refused


def test_each_item_is_judged_by_its_status() -> None:
    items = _items(9)
    nested = {
        "caused_by": {"type": "x", "reason": "outer", "caused_by": {"type": "y", "reason": "the innermost cause"}}
    }
    verdicts = bulk.judge(
        items,
        _answer(
            201,
            (409, _error("version_conflict_engine_exception")),
            (429, _error("es_rejected_execution_exception")),
            (503, _error("unavailable_shards_exception")),
            (403, _error("cluster_block_exception")),
            (404, _error("index_not_found_exception")),
            (400, _error("document_parsing_exception", **nested)),
            (400, _error("illegal_argument_exception")),
            200,
        ),
    )
    assert verdicts.conflicts == [items[1]]
    assert verdicts.again == items[2:5]
    assert verdicts.lost == [items[5]]
    assert verdicts.refused == [
        (6, "document_parsing_exception: because of document_parsing_exception (the innermost cause)"),
        (7, "illegal_argument_exception: because of illegal_argument_exception"),
    ]
    assert verdicts.blame == ""


@pytest.mark.parametrize(
    "told", [(403, "security_exception"), (400, "validation_exception"), (400, "index_closed_exception")]
)
def test_what_is_no_fault_of_the_record_refuses_no_record(told: tuple[int, str]) -> None:
    verdicts = bulk.judge(_items(1), _answer((told[0], _error(told[1]))))
    assert verdicts.refused == [] and told[1] in verdicts.blame


def test_a_document_is_two_lines_whatever_is_in_the_record() -> None:
    names, hostile = IndexNames("p-"), 'a"\n{"delete":{}}\r\n\u2028\x00'
    made: list[documents.Item[Any]] = [
        documents.hit_item(hit(1, user_agent=hostile, source=hostile), names.raw_index, 5),
        documents.reject_item(reject(1, line=hostile), names.rejects, 5),
        documents.delivery_item((delivery().id, delivery(user_agent=hostile)), names.reduced, 5, "external"),
    ]
    for item in made:
        lines = item.lines.split(b"\n")
        assert len(lines) == 3 and lines[2] == b""
        assert hostile in json.loads(lines[1]).values()
    assert json.loads(made[0].lines.split(b"\n")[0])["create"]["_index"] == "p-raw_weblogs-2020.07.31"


def test_the_first_of_equal_versions_and_the_highest_of_all_is_sent() -> None:
    refused: list[Any] = []
    given = [
        delivery(8, covered_bytes=1),
        delivery(8, covered_bytes=2),
        delivery(16, window_start=-0.0),
        delivery(8, window_start=0.0),
    ]
    best = documents.newest_of_each([*given, delivery(window_start=float("nan"))], refused)
    assert list(best.values()) == [given[0], given[2]] and len(refused) == 1


def test_times_outside_of_the_calendar_share_one_index() -> None:
    names = IndexNames("")
    assert {names.raw_index(time) for time in (-1.0, -1e300, 4_102_444_800.0, 1e300, float("inf"))} == {
        "raw_weblogs-other"
    }
    assert (
        names.raw_index(0.0) == "raw_weblogs-1970.01.01"
        and names.raw_index(4_102_444_799.9) == "raw_weblogs-2099.12.31"
    )


def test_a_search_for_text_stays_small_however_many_underscores_it_has() -> None:
    assert len(holding_text("_" * 5000)["bool"]["filter"][0]["bool"]["should"]) < 120
    assert max(map(len, json.dumps(holding_text("x" * 9000)).split('"'))) == SEARCHED_CHARS + 2


def test_a_rate_is_kept_on_average_and_a_pause_gives_no_credit() -> None:
    pace, now, waited = RecordRate(1000.0), 100.0, 0.0
    for portion in pace.portions(range(10_500)):
        pause = pace.pause_s(len(portion), now)
        now, waited = now + pause, waited + pause
    assert waited == pytest.approx(10.0)
    assert pace.pause_s(1, now + 1000.0) == 0.0 and pace.pause_s(1, now + 1000.0) == pytest.approx(0.001)


def test_without_a_rate_everything_goes_at_once() -> None:
    pace = RecordRate(0.0)
    assert [len(portion) for portion in pace.portions(range(5000))] == [5000] and pace.pause_s(10**9, 0.0) == 0.0
    assert list(pace.portions([])) == []
