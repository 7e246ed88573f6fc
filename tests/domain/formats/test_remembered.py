"""The dict behind the parsers' look-ups stays within its bounds."""

from __future__ import annotations

import pytest

from app.domain.formats.remembered import Remembered
from app.domain.formats.values import REQUESTS


def test_a_full_one_starts_again_empty() -> None:
    lengths = Remembered(len, limit=3)
    for text in ("a", "bb", "ccc", "dddd"):
        assert lengths[text] == len(text)
    assert dict(lengths) == {"dddd": 4}


def test_long_texts_are_read_and_not_kept() -> None:
    lengths = Remembered(len, longest=2)
    assert (lengths["ccc"], len(lengths)) == (3, 0)


def test_what_is_seen_again_is_not_read_again() -> None:
    read: list[str] = []

    def upper(text: str) -> str:
        read.append(text)
        return text.upper()

    remembered = Remembered(upper)
    assert [remembered[text] for text in "aba"] == ["A", "B", "A"]
    assert read == ["a", "b"]


def test_nothing_is_kept_of_what_can_not_be_read() -> None:
    numbers = Remembered(int)
    with pytest.raises(ValueError, match="invalid literal"):
        numbers["x"]
    assert len(numbers) == 0


def test_the_requests_of_a_hostile_log_do_not_pile_up() -> None:
    for at in range(33_000):
        assert REQUESTS[f"GET /{at} HTTP/1.1"] == (f"GET /{at}", "GET", 0)
    assert REQUESTS["/" + "x" * 60_000][1] == "GET"
    assert len(REQUESTS) <= 1 << 15
    assert max(map(len, REQUESTS)) <= 512
