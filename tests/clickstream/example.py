"""Twenty-five events of ten users, and what they come to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

__all__ = ["ARTICLES", "BACK", "BY_DAY", "CLICKSTREAM", "COHORT", "DAY", "LIKED_BY_EVENTS", "LIKED_BY_USERS"]

FOLDER = Path(__file__).resolve().parents[1] / "data" / "clickstream"
CLICKSTREAM, ARTICLES = FOLDER / "clickstream.csv", FOLDER / "articles.csv"
DAY = date(2017, 4, 1)
LIKED_BY_USERS = [
    ("111111", "First, of all", 2, 3),
    ("111112", "Second", 1, 1),
    ("999999", "", 1, 1),
]
"""Article, title, users, events."""
LIKED_BY_EVENTS = LIKED_BY_USERS
COHORT, BACK, PERCENT = 7, 4, 57.14
BY_DAY = [1, 1, 0, 1, 1, 0, 1]
