"""Inputs made after public bug reports are read right: all of `parse`, and of `reduce` what no verdict rule decides alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import settings
from tests.cli.reported import CASES, assert_parsed, assert_reduced, case_ids, input_of, reduced
from tests.together import together


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("name", case_ids("parse"))
def test_every_line_is_read_as_it_must_be(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_parsed(name, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", case_ids("reduce"))
def test_every_delivery_is_judged_as_it_must_be(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_reduced(name, tmp_path, monkeypatch)


GOOD = [
    f'198.51.100.{number} - - [31/Jul/2024:10:00:00 +0000] "GET /g{number} HTTP/1.1" 206 500 "-" "P" "bytes {lo}-{lo + 499}/1000"'
    for number in range(1, 50)
    for lo in (0, 500)
] + ['198.51.100.99 - - [31/Jul/2024:10:00:00 +0000] "GET /cut HTTP/1.1" 206 500 "-" "P" "bytes 0-499/1000"']
ODD_LINES = sorted(
    {
        line
        for case in CASES.values()
        for line in input_of(case).replace(b"\xef\xbb\xbf", b"").lstrip(b"\x00").split(b"\n")
        if line
    }
)
ODD_KINDS = [line for at, line in enumerate(ODD_LINES) if not at or line[:40] != ODD_LINES[at - 1][:40]]


@pytest.fixture
def alone(tmp_path: Path) -> set[tuple[str, str, str]]:
    """What is said of the good lines."""
    found, _ = reduced("\n".join(GOOD).encode() + b"\n", tmp_path)
    assert len(found) == 50 and sum(verdict == "complete" for _, _, verdict in found) == 49
    return found


@together("odd", [*ODD_KINDS, b"", b"\x00" * 5000, b"x" * 70_000, b"\xff\xfe", b"{}", b"#Fields: date time"])
@together("place", [0, 1, 50, 99])
def test_99_good_lines_are_judged_as_if_an_odd_one_were_not_there(
    odd: bytes, place: int, alone: set[tuple[str, str, str]], tmp_path: Path
) -> None:
    good = [line.encode() for line in GOOD]
    found, _ = reduced(b"\n".join([*good[:place], odd, *good[place:]]) + b"\n", tmp_path)
    assert alone <= found
    assert len(found) <= len(alone) + 1
