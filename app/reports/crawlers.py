"""Which crawler an agent is, by the list crawler-user-agents and its tags: the first pattern that is found in it."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

__all__ = ["AI_TAG", "Crawler", "crawler_of", "list_version"]

AI_TAG = "ai-crawler"
_ESCAPES = re.compile(r"\\(.)")
_MOST_AGENTS = 1 << 17


class Crawler(NamedTuple):
    """One entry of the list."""

    name: str
    """Its pattern as people read it."""
    tags: tuple[str, ...]

    @property
    def is_ai(self) -> bool:
        return AI_TAG in self.tags


def list_version() -> str:
    """Name and version, for the head of a report."""
    from importlib.metadata import version  # slow to load, and few questions need it

    return f"crawler-user-agents {version('crawler-user-agents')}"


@cache
def _patterns() -> tuple[re.Pattern[str], list[tuple[re.Pattern[str], Crawler]]]:
    """One pattern for all, which tells quickly what is no crawler, and each by itself."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    listed = [
        (entry["pattern"], Crawler(_ESCAPES.sub(r"\1", entry["pattern"]), tuple(entry.get("tags", ()))))
        for entry in CRAWLER_USER_AGENTS_DATA
    ]
    return re.compile("|".join(f"(?:{pattern})" for pattern, _ in listed)), [
        (re.compile(pattern), crawler) for pattern, crawler in listed
    ]


@lru_cache(maxsize=_MOST_AGENTS)
def crawler_of(agent: str) -> Crawler | None:
    """The crawler that an agent names; None if it names none of the list."""
    any_of, each = _patterns()
    if any_of.search(agent) is None:
        return None
    return next(crawler for pattern, crawler in each if pattern.search(agent))
