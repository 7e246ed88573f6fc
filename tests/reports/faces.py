"""The faces of a question: the log, a store's hits, its sums, its deliveries, and the HTTP interface of the worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from app.output.reports.report import Report
from app.output.reports.text import as_json
from app.reports import delivery_questions, questions
from app.reports.delivery_questions import Deliveries
from app.reports.filters import Filters
from app.reports.kept import kept_in
from app.reports.questions import Asked
from app.reports.reading import Inputs
from app.reports.registry import BY
from app.settings import Settings

__all__ = ["Answers", "assert_one_answer", "assert_served"]

QUESTIONS: dict[str, Callable[[Asked], Report]] = {
    **{f"requests?by={by}": lambda asked, by=by: questions.requests(asked, by) for by in BY},  # type: ignore[misc]  # mypy infers no lambda with a default
    **{f"transfer?by={by}": lambda asked, by=by: questions.transfer(asked, by) for by in ("extension", "path", "day")},  # type: ignore[misc]
    "hosts": questions.hosts,
    "countries": lambda asked: questions.countries(asked, None, False),
    "files": lambda asked: delivery_questions.files(Deliveries(asked)),
}
"""By path below /reports/."""
_OF_HITS = ("requests?by=hour", "requests?by=status", "transfer?by=extension", "hosts")
"""Each of these reads all hits of a store; the other questions take the same way."""
TOP = 20
"""Rows where the HTTP interface shows so many by itself."""
Answers = dict[str, tuple[Any, Any]]
"""By path: rows and totals."""


def _answer(question: Callable[[Asked], Report], name: str, inputs: Inputs) -> tuple[Any, Any]:
    top = None if name in ("requests?by=hour", "requests?by=day", "transfer?by=day") else TOP
    told = json.loads(as_json(question(Asked(inputs, Filters(zone="UTC"), top))))
    return told["rows"], told["totals"]


def assert_one_answer(log: Path, store: str, settings: Settings) -> Answers:
    """What the log says; a store says the same by its hits, and by its sums and deliveries."""
    answers = {name: _answer(question, name, Inputs([str(log)])) for name, question in QUESTIONS.items()}
    for counted, names in ((False, _OF_HITS), (True, tuple(QUESTIONS))):
        with kept_in(store, settings, counted) as kept:
            for name in names:
                assert _answer(QUESTIONS[name], name, Inputs((), kept=kept)) == answers[name], (store, counted, name)
    assert all(rows for rows, _ in answers.values())
    return answers


def assert_served(url: str, answers: Answers) -> None:
    """The worker at this address says it, too."""
    for name, answer in answers.items():
        with urlopen(f"{url.rstrip('/')}/reports/{name}", timeout=60) as response:
            told = json.load(response)
        assert (told["rows"], told["totals"]) == answer, name
