"""The statements of docs/sql/, word for word on real databases, answer as `articles` and `retention` do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from simulator.clickstream import HEAD, ClickstreamPlan, SimulatedClickstream
from tests import ROOT
from tests.clickstream.example import ARTICLES, BACK, BY_DAY, CLICKSTREAM, COHORT, LIKED_BY_EVENTS, LIKED_BY_USERS
from tests.servers.databases import DATABASES, Database
from tests.servers.folders import public_folder

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("databases")]


@pytest.fixture(scope="module", params=DATABASES, ids=lambda kind: kind.name)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    with public_folder() as folder:
        made: Database = request.param(folder / request.param.name)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def run(database: Database, name: str, place: Path) -> list[list[str]]:
    return database.run(ROOT / "docs" / "sql" / database.sql / f"{name}.sql", place)


def load(database: Database, clickstream: str, articles: str, place: Path) -> None:
    """Fresh tables with these rows."""
    (place / "clickstream.csv").write_text(clickstream)
    (place / "articles.csv").write_text(articles)
    (place / "drop.sql").write_text("DROP TABLE IF EXISTS clickstream; DROP TABLE IF EXISTS articles;")
    database.run(place / "drop.sql", place)
    run(database, "tables", place)
    run(database, "load", place)


def texts(rows: list[tuple[str, str, int, int]]) -> list[list[str]]:
    return [list(map(str, row)) for row in rows]


def test_the_example_has_the_same_answers(database: Database, tmp_path: Path) -> None:
    load(database, CLICKSTREAM.read_text(), ARTICLES.read_text(), tmp_path)
    assert run(database, "articles_by_users", tmp_path) == texts(LIKED_BY_USERS)
    assert run(database, "articles_by_events", tmp_path) == texts(LIKED_BY_EVENTS)
    assert run(database, "retention", tmp_path) == [[str(COHORT), str(BACK), "57.14"]]
    by_day = run(database, "retention_by_day", tmp_path)
    assert [(row[0], int(row[1])) for row in by_day] == [(str(day), users) for day, users in enumerate(BY_DAY, 1)]
    assert [row[2] for row in by_day] == ["14.29" if users else "0.00" for users in BY_DAY]


def test_a_simulated_clickstream_has_the_true_answers(database: Database, tmp_path: Path) -> None:
    simulated = SimulatedClickstream(ClickstreamPlan(3000, 5, date(2017, 4, 1), bad=0.0))
    rows = "".join(f"{row}\n" for row in simulated.rows())
    titles = "".join(f'{article},"{title.replace(chr(34), chr(34) * 2)}"\n' for article, title in simulated.titles())
    load(database, f"{HEAD}\n{rows}", f"id,title\n{titles}", tmp_path)
    truth = simulated.truth()
    likes = truth["likes"]["2017-04-01"]
    named = dict(simulated.titles())
    for by, at in (("users", 0), ("events", 1)):
        top = sorted(likes, key=lambda article: (-likes[article][at], article))[:10]
        assert run(database, f"articles_by_{by}", tmp_path) == [
            [article, named.get(article, ""), *map(str, likes[article])] for article in top
        ]
    retention = truth["retention"]["2017-04-01"]
    assert run(database, "retention", tmp_path)[0][:2] == [str(retention["cohort"]), str(retention["back"])]
    assert [int(row[1]) for row in run(database, "retention_by_day", tmp_path)] == retention["by_day"]


def test_nobody_back_and_nobody_in_the_cohort_are_no_error(database: Database, tmp_path: Path) -> None:
    load(database, f"{HEAD}\nu1,2017-03-01 00:00:00,OPEN,\n", "id,title\n", tmp_path)
    assert run(database, "articles_by_users", tmp_path) == []
    assert run(database, "retention", tmp_path)[0][:2] == ["0", "0"]
    assert [int(row[1]) for row in run(database, "retention_by_day", tmp_path)] == [0] * 7
