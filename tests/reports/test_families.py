"""Families of user agents: each with its rule's name, those that no rule knows together, the list with its version."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from app.reports.families import families, family_of
from tests.reports.logs import asked, column, head, index_of, line, total, written

CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (CHROME.format("120.0.0.0"), "Chrome"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("\x1b[2J", "Other"),
        ("", "Other"),
    ],
)
def test_the_family_of_an_agent(agent: str, family: str) -> None:
    assert family_of(agent) == family


def test_clients_by_family_add_up_their_agents_and_name_the_list(tmp_path: Path) -> None:
    agents = [CHROME.format("120.0"), CHROME.format("121.0"), "Firefox/130.0", "???"]
    path = written(tmp_path / "a.log", [line(agent=agent, sent=at) for at, agent in enumerate(agents)])
    for one in (path, index_of(path)):
        report = families(asked(one))
        assert column(report, "requests") == {"Chrome": 2, "Firefox": 1, "Other": 1}
        assert list(column(report, "agents").values()) == [2, 1, 1]
        assert column(report, "bytes")["Chrome"] == 1
        assert [total(report, name) for name in ("families", "agents", "requests")] == [3, 4, 4]
        assert head(report)["list"] == f"ua-parser-builtins {version('ua-parser-builtins')}"
