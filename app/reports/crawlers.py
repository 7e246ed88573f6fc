"""Which crawler an agent is, by the list crawler-user-agents and its tags: the first pattern that is found in it."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

__all__ = ["AI_TAG", "Crawler", "crawler_of", "list_version"]

AI_TAG = "ai-crawler"
_ESCAPES = re.compile(r"\\(.)")
_ESCAPED_MARK = re.compile(r"\\[^A-Za-z0-9]")
_SPECIAL = re.compile(r"[\\^$.*+?{}\[\]|()]")
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
def _patterns() -> tuple[re.Pattern[str], list[tuple[str | None, str, Crawler]]]:
    """One pattern for all that are no plain text, and each, with its text if it is one: texts are found ten times as fast."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    listed = []
    for entry in CRAWLER_USER_AGENTS_DATA:
        pattern, text = entry["pattern"], _ESCAPES.sub(r"\1", entry["pattern"])
        is_plain = _SPECIAL.search(_ESCAPED_MARK.sub("", pattern)) is None
        listed.append((text if is_plain else None, pattern, Crawler(text, tuple(entry.get("tags", ())))))
    return re.compile("|".join(f"(?:{pattern})" for text, pattern, _ in listed if text is None)), listed


_found = cache(re.compile)
"""To compile all takes long, and nearly all are plain."""


@lru_cache(maxsize=_MOST_AGENTS)
def crawler_of(agent: str) -> Crawler | None:
    """The crawler that an agent names; None if it names none of the list."""
    any_of, each = _patterns()
    may_fit = any_of.search(agent) is not None
    return next(
        (
            crawler
            for text, pattern, crawler in each
            if (may_fit and _found(pattern).search(agent) is not None if text is None else text in agent)
        ),
        None,
    )
