"""A crawler is named by the first pattern of the list that is found in the agent."""

from __future__ import annotations

import re

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from app.reports.crawlers import crawler_of

PATTERNS = [re.compile(entry["pattern"]) for entry in CRAWLER_USER_AGENTS_DATA]
AGENTS = [agent for entry in CRAWLER_USER_AGENTS_DATA[::6] for agent in entry.get("instances", ())[:1]]
ODD = [
    "",
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/60.0",
    "curl/8.0",
    "a curl/8.0",
    "Wget/1",
    "AdsBot-Google",
    "x\\.y(z)",
]


def test_the_first_pattern_names_it_whether_it_is_a_plain_text_or_not() -> None:
    for agent in [*AGENTS, *ODD]:
        wanted = next((pattern.pattern for pattern in PATTERNS if pattern.search(agent)), None)
        found = crawler_of(agent)
        assert (found and found.name) == (wanted and re.sub(r"\\(.)", r"\1", wanted))
