"""Many small cases in one test. As a test each, they cost more in set-up and reports than in what they prove."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any

import pytest

SHOWN = 10
"""Failures of a test that are told in full. The others are named."""


def together(
    names: str | Sequence[str], cases: Iterable[Any], ids: Iterable[str] | Callable[[Any], object] = lambda value: value
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As `pytest.mark.parametrize`, but one test: it runs every case, then fails with the names of those that failed.

    Cases share the fixtures of the test: a rule that needs a patch of its own for each case cannot use this.
    Two of these on one test run each case of one with each of the other.
    """
    columns = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [tuple(case) if len(columns) > 1 else (case,) for case in cases]
    if not rows:
        raise ValueError(f"no cases for {names}")
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(columns)} values are wanted: {row!r}")
    named = ["-".join(map(str, map(ids, row))) for row in rows] if callable(ids) else list(ids)

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        runs = len(rows) * getattr(test, "cases", 1)  # of all lists so far
        calls = [(name, dict(zip(columns, row, strict=True))) for name, row in zip(named, rows, strict=True)]

        @wraps(test)
        def run(**fixtures: Any) -> None:
            failed: list[tuple[str, Exception]] = []
            for name, values in calls:
                with noted(failed, name):
                    test(**fixtures, **values)
            told(failed, runs)

        @wraps(test)
        async def run_async(**fixtures: Any) -> None:
            failed: list[tuple[str, Exception]] = []
            for name, values in calls:
                with noted(failed, name):
                    await test(**fixtures, **values)
            told(failed, runs)

        made: Any = run_async if iscoroutinefunction(test) else run
        del made.__wrapped__  # pytest would take its arguments for fixtures
        left = [each for name, each in signature(test).parameters.items() if name not in columns]
        made.__signature__ = signature(test).replace(parameters=left)
        made.cases = runs
        return made

    return decorate


@contextmanager
def noted(failed: list[tuple[str, Exception]], name: str) -> Iterator[None]:
    """Put what ends a case among those that failed."""
    try:
        yield
    except CasesError as inner:
        failed += [(f"{each}-{name}", error) for each, error in inner.failed]
    except Exception as error:
        failed.append((name, error))
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        failed.append((name, AssertionError(str(error)).with_traceback(error.__traceback__)))


def told(failed: list[tuple[str, Exception]], of: int) -> None:
    if failed:
        raise CasesError(failed, of)


class CasesError(ExceptionGroup[Exception]):
    """Cases that failed, with their names."""

    failed: list[tuple[str, Exception]]

    def __new__(cls, failed: list[tuple[str, Exception]], of: int) -> CasesError:
        text = f"{len(failed)} of {of} cases failed: " + "; ".join(name for name, _ in failed)
        made = super().__new__(cls, text, [error for _, error in failed[:SHOWN]])
        made.failed = failed
        for name, error in failed[:SHOWN]:
            error.__notes__ = [f"in the case {name}"]
        return made
