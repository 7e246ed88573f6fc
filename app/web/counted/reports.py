"""`GET /reports/…`: the questions of `report` to what the worker has stored, with the same numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import date
from typing import Any, NamedTuple

from aiohttp import web

from app.domain.requests import extension_of
from app.errors import SettingsError, StoreError
from app.reports.registry import BY as ALL_BY
from app.reports.registry import QUESTIONS
from app.web.service.answers import ApiError, check_parameters
from app.web.service.parts import PARTS, WebParts

__all__ = ["BY", "DEFAULT_TOP", "MAX_TOP", "REPORTS", "REPORT_S", "Parameters", "answer_report"]

REPORT_S = 20.0
"""A store that needs longer to tell the sums or the deliveries counts as not answering."""
DEFAULT_TOP, MAX_TOP = 20, 10_000
BY = {
    "requests": ALL_BY,
    "transfer": ("extension", "path", "day"),
}
"""What each is counted by, the first if nothing is asked for."""
_SERIES = ("hour", "day")
_MOST_EXTENSIONS = 50


class Parameters(NamedTuple):
    """What a question may be asked with."""

    by: str = ""
    first_day: date | None = None
    last_day: date | None = None
    top: int | None = None
    extensions: tuple[str, ...] = ()
    early_stopping: int | None = None


class _Question(NamedTuple):
    title: str
    takes: tuple[str, ...] = ()
    """Beside from, to and top."""


REPORTS: dict[str, _Question] = {
    "requests": _Question("Requests by hour, day, status, method or extension.", ("by",)),
    "hosts": _Question("The hosts with most requests."),
    "transfer": _Question("Bytes sent by extension, path or day.", ("by", "ext")),
    "countries": _Question("Requests by the client's country.", ("early_stopping",)),
    "files": _Question("Files by deliveries: whole, partial, unknown.", ("ext",)),
}
"""By the last part of their paths."""


async def answer_report(request: web.Request) -> web.Response:
    """A report as `report -o FILE.json` writes it; made anew as often as the results of votes."""
    parts = request.app[PARTS]
    name = request.path.strip("/").rpartition("/")[2]
    asked = _parameters(request, name)
    if name != "files" and not parts.settings.count_requests:
        raise ApiError(404, "Requests are not counted: start the worker with WEBLOGS_COUNT_REQUESTS=true.")
    try:
        entry = await parts.results.report(f"{name}:{asked!r}", lambda: _made(parts, name, asked))
    except SettingsError as error:
        raise ApiError(400, f"{error}.") from None
    return web.Response(text=entry.value, content_type="application/json")


async def _made(parts: WebParts, name: str, parameters: Parameters) -> str:
    """The report as JSON. Raises StoreError, TimeoutError, and SettingsError for what is not counted."""
    loop = asyncio.get_running_loop()
    end = loop.time() + REPORT_S

    def call(reading: Coroutine[Any, Any, Any]) -> Any:
        if parts.stopping():
            reading.close()
            raise StoreError("The worker is stopping.")
        future = asyncio.run_coroutine_threadsafe(reading, loop)
        try:
            return future.result(max(0.0, end - loop.time()))
        except TimeoutError:
            future.cancel()
            raise

    def ask() -> str:
        from app.output.reports.text import as_json
        from app.reports.delivery_questions import Deliveries
        from app.reports.filters import Filters
        from app.reports.kept import KeptSums
        from app.reports.open_hits import Judging
        from app.reports.questions import Asked
        from app.reports.reading import Inputs

        filters = Filters(
            extensions=parameters.extensions,
            first_day=parameters.first_day,
            last_day=parameters.last_day,
            zone="UTC",
        )
        kept = KeptSums(call, parts.store, parts.settings)
        asked = Asked(Inputs((), kept=kept), filters, parameters.top)
        subject = Deliveries(asked, Judging(kept.rules)) if QUESTIONS[name].of_deliveries else asked
        own: dict[str, Any] = {"by": parameters.by} if name in BY else {}
        if name == "countries":
            own = {"early_stopping": parameters.early_stopping, "resolve": False}
        return as_json(QUESTIONS[name].answer(name, subject, **own)).decode()

    return await asyncio.to_thread(ask)


def _parameters(request: web.Request, name: str) -> Parameters:
    query, takes = request.query, REPORTS[name].takes
    check_parameters(request, ("from", "to", "top", *takes))
    choices = BY.get(name, ("",))
    by = query.get("by", choices[0])
    if by not in choices:
        raise ApiError(400, f"Nothing is counted by {by[:40]!r}; there are {', '.join(choices)}.")
    first_day, last_day = (_day(query.get(end), end) for end in ("from", "to"))
    if first_day and last_day and last_day < first_day:
        raise ApiError(400, f"to {last_day} is before from {first_day}.")
    extensions = tuple(sorted({part.strip().lower().lstrip(".") for part in query.get("ext", "").split(",")} - {""}))
    if "ext" in query and (not extensions or any(extension_of(f"GET /a.{one}") != one for one in extensions)):
        raise ApiError(400, f"ext is extensions as mp3,jpeg, not {query['ext'][:40]!r}.")
    if len(extensions) > _MOST_EXTENSIONS:
        raise ApiError(400, f"At most {_MOST_EXTENSIONS} extensions can be asked for.")
    return Parameters(
        by,
        first_day,
        last_day,
        _number(query.get("top"), "top", None if by in _SERIES else DEFAULT_TOP),
        extensions,
        _number(query.get("early_stopping"), "early_stopping", None),
    )


def _day(text: str | None, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise ApiError(400, f"{name} is a day as 2015-05-18, not {text!r:.40}.") from None


def _number(text: str | None, name: str, default: int | None) -> int | None:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_TOP):
        raise ApiError(400, f"{name} is an integer from 1 to {MAX_TOP}, not {text[:40]!r}.")
    return int(text)
