"""The pages of votes and spending show what the store holds, whatever names there are."""

from __future__ import annotations

import doctest
import re
import time

from app.domain.counted import Sum
from app.flows.spending import SPENDING
from app.flows.votes import VOTES
from app.stores.contract import Store
from app.web.counted import distribution, event_views
from app.web.counted.event_views import spend_chart, votes_view
from tests.web.conftest import Client

HOSTILE = '<script>alert(1)</script>"&\u202e'


def test_the_examples_of_the_texts_hold() -> None:
    assert doctest.testmod(event_views).failed == doctest.testmod(distribution).failed == 0


async def fill(store: Store) -> None:
    now = int(time.time())
    start = now // 600 * 600
    await store.ledgers.put_names("candidates", {"1": HOSTILE, "2": "Ada"})
    sums = [Sum(resolution, candidate, at, 0, 0, votes, 0, 3) for candidate, votes in (("1", 30), ("2", 10)) for resolution, at in (("total", 0), ("window", start))]  # fmt: skip
    await store.ledgers.write_sums(VOTES, sums)
    spent = [Sum(resolution, HOSTILE, at, 0, 0, 2, 123456, 0) for resolution, at in (("total", 0), ("minute", now // 60 * 60), ("hour", now // 3600 * 3600), ("day", now // 86400 * 86400))]  # fmt: skip
    await store.ledgers.write_sums(SPENDING, spent)


async def test_the_dashboard_shows_votes_their_distribution_and_the_top_spenders(client: Client, store: Store) -> None:
    empty = await (await client.get("/")).text()
    assert "Top spenders" not in empty and 'id="votes"' not in empty
    await fill(store)
    await client.get("/result/", headers={"Cache-Control": "no-cache"})
    await client.get("/spending/top?limit=10", headers={"Cache-Control": "no-cache"})
    page = await (await client.get("/")).text()
    assert "Top spenders" in page and "1,234.56" in page
    assert re.search(r"Votes <span class=\"dim\">40 in all, 0 in the last 10 minutes", page)
    assert "75.0 %" in page and "6 repeats" in page
    assert "<script>alert" not in page and "&lt;script&gt;" in page


async def test_a_spenders_page_shows_minutes_hours_and_days(client: Client, store: Store) -> None:
    await fill(store)
    answer = await client.get("/spender", params={"user": HOSTILE})
    page = await answer.text()
    assert answer.status == 200 and "<script>alert" not in page
    assert page.count('<svg class="chart"') == 3 and page.count('viewBox="0 0 61 1000"') == 2, "60 minutes, 60 days"
    assert "1,234.56 in 2 transactions" in page
    assert "/spending/%3Cscript%3E" in page
    assert (await client.get("/spender", params={"user": "nobody"})).status == 404
    assert (await client.get("/spender")).status == 400


def test_bars_are_as_high_as_their_values_and_stand_at_their_time() -> None:
    chart = spend_chart({0: 50, 3600: 100, 10_800: 25}, 3600, -7200, 10_801)
    assert chart is not None and chart.highest == "1.00"
    assert [column[:2] for column in chart.columns] == [(2, 500), (3, 1000), (5, 250)]
    assert (chart.slots, chart.begin, chart.end) == (6, -7200, 14_400), "the period is drawn, not what lies in it"
    assert spend_chart({}, 60, 0, 600) is None
    value = {
        "totals": [[1, 3], [2, 1]],
        "windows": [[0, 1, 3], [600, 2, 1]],
        "window_s": 600,
        "last_10_min": 0,
        "repeats": 0,
    }
    view = votes_view(value, {}, 1500.0)
    assert view is not None
    assert [(row.candidate_id, row.width) for row in view.rows] == [(1, 1000), (2, 333)]
    assert view.chart is not None and (view.chart.slots, view.chart.end) == (145, 1800.0), (
        "a day, and the window of now"
    )
    assert [column[:2] for column in view.chart.columns] == [(142, 1000), (143, 333)]
    assert votes_view({**value, "totals": []}, {}, 1500.0) is None
