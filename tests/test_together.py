"""Cases that run in one test are as strict as a test each."""

from __future__ import annotations

import asyncio
from inspect import signature

import pytest

from tests.together import SHOWN, CasesError, together


def test_every_case_runs_and_each_that_fails_is_named_with_its_reason() -> None:
    seen: list[int] = []

    @together("number", range(4), ids=["none", "one", "two", "three"])
    def odd(number: int) -> None:
        seen.append(number)
        assert number % 2, f"{number} is even"

    with pytest.raises(CasesError, match="2 of 4 cases failed: none; two") as told:
        odd()
    assert seen == [0, 1, 2, 3]
    assert [(str(each).partition("\n")[0], each.__notes__) for each in told.value.exceptions] == [
        ("0 is even", ["in the case none"]),
        ("2 is even", ["in the case two"]),
    ]


def test_two_lists_meet_each_with_each_and_a_fixture_stays_an_argument() -> None:
    seen: list[tuple[int, str, str]] = []

    @together("number", [1, 2])
    @together("letter, end", [("a", "x"), ("b", "y")])
    def pairs(number: int, letter: str, end: str, seen: list[tuple[int, str, str]]) -> None:
        seen.append((number, letter, end))
        assert (number, letter) != (2, "b")

    assert list(signature(pairs).parameters) == ["seen"]
    with pytest.raises(CasesError, match="1 of 4 cases failed: b-y-2"):
        pairs(seen=seen)
    assert seen == [(1, "a", "x"), (1, "b", "y"), (2, "a", "x"), (2, "b", "y")]


def test_a_case_that_did_not_raise_or_was_skipped_has_failed() -> None:
    @together("way", ["nothing raised", "skipped", "good"])
    def run(way: str) -> None:
        if way == "skipped":
            pytest.skip("no server")
        if way == "nothing raised":
            with pytest.raises(ValueError, match="x"):
                pass

    with pytest.raises(CasesError, match="2 of 3 cases failed: nothing raised; skipped"):
        run()


def test_of_many_failures_all_are_named_and_the_first_are_told_in_full() -> None:
    @together("number", range(100))
    def none(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(CasesError) as told:
        none()
    assert len(told.value.exceptions) == SHOWN
    assert all(name in str(told.value) for name in map(str, range(100)))


def test_no_cases_are_an_error_and_no_test_that_passes() -> None:
    with pytest.raises(ValueError, match="no cases"):
        together("number", [])
    with pytest.raises(ValueError, match="2 values"):
        together("a, b", [(1, 2, 3)])


async def test_cases_that_wait_for_something_are_told_the_same_way() -> None:
    @together("number", [0, 1, 2])
    @together("word", ["a", "b"])
    async def run(number: int, word: str) -> None:
        await asyncio.sleep(0)
        assert number != 1 or word == "a"

    with pytest.raises(CasesError, match="1 of 6 cases failed: b-1"):
        await run()
