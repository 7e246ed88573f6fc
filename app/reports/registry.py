"""The questions of reports as values, for the command line, HTTP and tests. Nothing is imported for an answer before it is asked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from app.output.reports.report import Report

__all__ = ["BY", "LATENCY_BY", "QUESTIONS", "TRANSFER_BY", "Question"]

BY = ("hour", "day", "status", "method", "extension")
TRANSFER_BY = (*BY, "path")
LATENCY_BY = ("path", "status", "hour")


class Question(NamedTuple):
    """A question to hits, or to the deliveries that are made of them."""

    title: str
    module: str = "questions"
    """Where in app.reports the function is that answers it; it bears the question's name."""
    of_deliveries: bool = False

    def answer(self, name: str, asked: Any, **own: Any) -> Report:
        """The report. `asked`: Asked, or Deliveries if `of_deliveries`; `own`: the question's own parameters, by name."""
        report: Report = getattr(import_module(f"app.reports.{self.module}"), name.replace("-", "_"))(asked, **own)
        return report


def _of_deliveries(title: str) -> Question:
    return Question(title, "delivery_questions", True)


QUESTIONS = {
    "requests": Question("Requests by hour, day, status, method or extension."),
    "hosts": Question("The hosts with most requests, and how many hosts there are."),
    "transfer": Question("Bytes sent, by extension, path, day, hour, status or method."),
    "countries": Question("The countries of clients, and how many requests they cover."),
    "clients": Question("The user agents with most requests, and which are crawlers."),
    "families": Question("Families of user agents by ua-parser, such as Firefox.", "families"),
    "crawlers": Question("The crawlers with most requests; AI crawlers are told apart."),
    "not-found": Question("The paths that were asked for and are not there."),
    "referers": Question("The hosts whose pages led to the files.", "field_questions"),
    "hotlinks": Question("Images, sound and films that pages of other hosts load.", "field_questions"),
    "latency": Question(
        "How long responses took: p50, p95 and p99. If no line tells it, the exit code is 5.", "field_questions"
    ),
    "visitors": Question("Visitors by day: addresses together with user agents."),
    "files": _of_deliveries("The files with most deliveries: whole, partial, unknown, bytes sent and wasted."),
    "why": _of_deliveries("Why deliveries are not known to be whole: the reasons of all verdicts."),
    "classes": _of_deliveries(
        "How clients fetched files: at once, resumed, in parallel segments, by a player with seeks, as a probe."
    ),
    "curve": _of_deliveries("How many deliveries reached 10 … 100 % of a file."),
    "heat": _of_deliveries("How many deliveries fetched each part of a file, by week."),
    "waste": _of_deliveries("Bytes of what was never whole, sent more than once, or sent to crawlers."),
    "titles": Question("HLS and DASH titles: which segments their clients lack.", "titles"),
    "qoe": Question(
        "How playback of HLS and DASH went: throughput and stalls, estimated; measured where CMCD is logged.",
        "playback",
    ),
}
