"""Requests by the family of user agents, such as Firefox or Googlebot, by the rules of ua-parser."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from app.output.reports.report import Column, Report
from app.reports.counting import Plan
from app.reports.questions import BYTES, REQUEST, Asked, report_of, share
from app.reports.reading import count

__all__ = ["families", "family_of"]

_OTHER = "Other"
"""Agents of no family that the rules know."""


@cache
def _resolver() -> Any:
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    return Resolver(load_lazy_builtins())


def family_of(agent: str) -> str:
    """The first rule that fits names it."""
    from ua_parser import Domain

    found = _resolver()(agent, Domain.USER_AGENT).user_agent
    return _OTHER if found is None else str(found.family)


def families(asked: Asked) -> Report:
    """Requests by family."""
    from importlib.metadata import version  # slow to load, and few questions need it

    counted = count(asked.inputs, Plan(("user_agent",), asked.filters))
    found: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for agent, one, sent in counted.groups.rows("user_agent"):
        of = found[None if agent is None else family_of(agent)]
        of[0] += one
        of[1] += agent is not None
        of[2] += sent
    total = sum(requests for requests, _, _ in found.values())
    ordered = sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0] is None, entry[0] or ""))
    return report_of(
        asked, counted, "families", "Requests by family of client programs",
        (Column("family", "text"), Column("requests"), Column("share", "share"), Column("agents"), Column("bytes", "bytes")),
        [(name, requests, share(requests, total), agents, sent) for name, (requests, agents, sent) in ordered[: asked.top or 20]],
        [
            REQUEST, "A family is that of the first rule of the list that fits the user agent, such as Firefox or Googlebot, whatever its version.",
            f"{_OTHER} are agents that no rule fits. An agent says what it likes: crawlers may name a browser.", BYTES,
        ],
        [f"ua-parser-builtins {version('ua-parser-builtins')}"],
        totals=[("families", len(found.keys() - {None})), ("agents", sum(agents for _, agents, _ in found.values())), ("requests", total)],
        drawn="requests",
    )  # fmt: skip
