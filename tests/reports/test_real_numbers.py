"""The numbers of public logs, computed beforehand by other means; the folder REAL_LOGS holds the logs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.reports import field_questions, questions
from app.reports.filters import Filters
from app.reports.logs import write_index
from app.reports.questions import Asked
from app.reports.reading import Inputs
from tests.reports.logs import column, head, total
from tests.test_real_logs import real

pytestmark = pytest.mark.real_logs
JPEG = ("jpeg", "jpg")


@pytest.fixture(params=["log", "two processes", "index"], scope="module")
def how(request: pytest.FixtureRequest) -> Any:
    """Every number is the same from the log in one process and in two, and from the file of its hits."""
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hits")


class Asking:
    def __init__(self, how: str, folder: Path) -> None:
        self._how, self._folder = how, folder

    def __call__(self, name: str, top: int | None = None, **filters: Any) -> Asked:
        path, processes = real(name), 2 if self._how == "two processes" else 0
        if self._how == "index":
            path = self._folder / f"{name}.parquet"
            if not path.exists():
                write_index(Inputs([str(real(name))]), path)
        return Asked(Inputs([str(path)], processes=processes), Filters(**filters), top)


@pytest.fixture
def asking(how: str, folder: Path) -> Asking:
    return Asking(how, folder)


def test_the_apache_log_has_its_lines_hits_reject_and_statuses(asking: Asking) -> None:
    report = questions.requests(asking("apache_logs"), "status")
    told = head(report)
    assert (told["lines"], told["hits"], told["rejects"], told["bad_columns"]) == (10_000, 9999, 1, 1)
    assert told["zone"] == "the log's, +00:00"
    statuses = {200: 9125, 206: 45, 301: 164, 304: 445, 403: 2, 404: 213, 416: 2, 500: 3}
    assert column(report, "requests") == statuses and total(report, "bytes") == 2_747_282_505


def test_days_and_the_busiest_hour_of_the_apache_log(asking: Asking) -> None:
    days = column(questions.requests(asking("apache_logs"), "day"), "requests")
    assert days == {"2015-05-17": 1632, "2015-05-18": 2893, "2015-05-19": 2896, "2015-05-20": 2578}
    hours = questions.requests(asking("apache_logs"), "hour")
    assert total(hours, "busiest hour") == "2015-05-19 19:00 with 136 requests"
    assert len(hours.rows) == 84 and sum(column(hours, "requests").values()) == 9999


def test_hosts_of_the_apache_log_and_of_two_whole_days(asking: Asking) -> None:
    report = questions.hosts(asking("apache_logs", top=5))
    assert total(report, "hosts") == 1753
    assert list(column(report, "requests").items()) == [
        ("66.249.73.135", 482), ("46.105.14.53", 364), ("130.237.218.86", 357), ("75.97.9.59", 273), ("50.16.19.13", 113)
    ]  # fmt: skip
    days = questions.hosts(asking("apache_logs", first_day=date(2015, 5, 18), last_day=date(2015, 5, 19)))
    assert [total(days, name) for name in ("requests", "bytes", "hosts")] == [5789, 1_454_463_497, 1107]


def test_transfer_of_the_apache_log(asking: Asking) -> None:
    report = questions.transfer(asking("apache_logs", extensions=JPEG), "day")
    assert (total(report, "bytes"), total(report, "requests")) == (119_776_455, 261)
    assert list(column(report, "bytes").values()) == [24_798_940, 32_128_070, 23_726_880, 39_122_565]
    by_extension = column(questions.transfer(asking("apache_logs"), "extension"), "bytes")
    assert list(by_extension)[:2] == ["log", "jar"]
    assert [by_extension[name] for name in ("log", "jar", "png")] == [1_303_362_072, 717_629_595, 142_096_988]


def test_countries_of_the_apache_log(asking: Asking) -> None:
    report = questions.countries(asking("apache_logs"), None, False)
    found = column(report, "requests")
    assert [found[code] for code in ("US", "FR", "DE", "SE", "IN", "CN")] == [3971, 873, 520, 442, 421, 416]
    assert report.rows[-1][:2] == ("XX", 20) and "iptocc 3.3.170" in dict(report.head).values()
    some = questions.countries(asking("apache_logs"), 50, False)
    assert (total(some, "requests covered"), total(some, "requests")) == (3656, 9999)
    assert total(some, "the last of them") == "128.118.108.67, 2.241.35.167, 208.43.251.181"
    assert f"{total(some, 'share covered'):.4f}" == "0.3656"


def test_crawlers_of_the_apache_log(asking: Asking) -> None:
    report = questions.crawlers(asking("apache_logs"))
    assert (total(report, "requests of crawlers"), total(report, "agents of crawlers")) == (1955, 74)
    assert "crawler-user-agents 1.67.0" in dict(report.head).values()
    assert total(questions.hosts(asking("apache_logs", no_bots=True)), "requests") == 9999 - 1955


def test_referers_and_hotlinks_of_the_apache_log(asking: Asking) -> None:
    report = field_questions.referers(asking("apache_logs", top=5))
    assert list(column(report, "requests").items()) == [
        ("www.semicomplete.com", 3038), ("semicomplete.com", 2001), ("www.google.com", 228), ("www.google.fr", 46), ("www.google.co.uk", 37)
    ]  # fmt: skip
    assert [total(report, name) for name in ("hosts", "requests without a referer", "requests")] == [154, 4072, 9999]
    others = field_questions.referers(asking("apache_logs"), ("semicomplete.com",))
    assert total(others, "requests of these hosts") == 5927 - total(others, "requests of own hosts")
    hotlinks = field_questions.hotlinks(asking("apache_logs"), ("semicomplete.com",))
    assert (total(hotlinks, "hotlinks"), total(hotlinks, "hosts"), total(hotlinks, "files")) == (166, 43, 17)
    assert hotlinks.rows[0][:2] == ("www.google.com", 52)


def test_the_head_of_july_1995(asking: Asking) -> None:
    statuses = questions.requests(asking("nasa_jul95_head.log"), "status")
    assert column(statuses, "requests") == {200: 3566, 302: 193, 304: 216, 404: 25}
    assert (head(statuses)["hits"], total(statuses, "bytes")) == (4000, 91_255_662)
    assert head(statuses)["zone"] == "the log's, -04:00"
    hosts = questions.hosts(asking("nasa_jul95_head.log", top=3))
    assert total(hosts, "hosts") == 416
    assert column(hosts, "requests") == {"kristina.az.com": 77, "teleman.pr.mcs.net": 58, "palona1.cns.hp.com": 49}
    jpeg = questions.transfer(asking("nasa_jul95_head.log", extensions=JPEG), "extension")
    assert (total(jpeg, "bytes"), total(jpeg, "requests")) == (11_269_468, 192)
    some = questions.countries(asking("nasa_jul95_head.log"), 50, False)
    assert f"{total(some, 'share covered'):.4f}" == "0.3615"


def test_the_head_of_august_1995(asking: Asking) -> None:
    report = questions.hosts(asking("nasa_aug95_head.log", top=2))
    told = head(report)
    assert (told["hits"], told["rejects"], total(report, "hosts"), total(report, "bytes")) == (
        1841,
        89,
        185,
        29_779_939,
    )
    assert column(report, "requests") == {"ix-min1-02.ix.netcom.com": 75, "uplherc.upl.com": 70}
    some = questions.countries(asking("nasa_aug95_head.log"), 50, False)
    assert f"{total(some, 'share covered'):.4f}" == "0.6100"
