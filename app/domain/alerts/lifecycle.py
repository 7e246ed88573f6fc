"""The life of one alert: inactive, pending, firing, and inactive again; and the notices that tell it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

from app.domain.alerts.judging import Finding
from app.domain.alerts.rules import Rule

__all__ = ["FIRING", "RESOLVED", "Alert", "Notice", "advanced", "text_of"]

FIRING, RESOLVED = "firing", "resolved"


@dataclass(slots=True)
class Alert:
    """Of one rule and series. Times are event times."""

    state: Literal["inactive", "pending", "firing"] = "inactive"
    since: float = 0.0
    """When it began to hold."""
    held: float = 0.0
    """When it held last."""
    told: float | None = None
    """When it was told last; None: nobody knows of it yet."""
    times: int = 0
    """How often it was told."""
    value: float = 0.0
    limit: float = 0.0
    detail: str = ""


class Notice(NamedTuple):
    """What people are told."""

    id: str
    """64 hex digits: the same alert, told the same time, has the same id, whoever computes it."""
    rule: str
    kind: str
    severity: str
    series: dict[str, str]
    status: str
    """`firing` or `resolved`."""
    at: float
    """Event time, UTC seconds."""
    since: float
    times: int
    """1 for the first notice of an alert, 2 for the next."""
    value: float
    limit: float
    text: str


def advanced(
    alert: Alert, rule: Rule, series: Mapping[str, str], at: float, finding: Finding, *, silenced: bool
) -> Iterator[Notice]:
    """Move the alert on to this time; yields at most one notice. An alert that ends while it is pending was never told."""
    if finding.holds:
        if alert.state == "inactive":
            alert.state, alert.since, alert.told, alert.times = "pending", at, None, 0
        alert.held, alert.value, alert.limit, alert.detail = at, finding.value, finding.limit, finding.detail
        if alert.state == "pending" and at - alert.since >= rule.for_s:
            alert.state = "firing"
    elif alert.state == "pending":
        alert.state = "inactive"
    elif alert.state == "firing" and at - alert.held >= rule.keep_firing_for_s:
        alert.state = "inactive"
        if alert.told is not None:  # who was told that it began is told that it ended, silence or not
            yield _notice(alert, rule, series, at, RESOLVED, finding)
        return
    due = alert.told is None or (rule.realert_s > 0 and at - alert.told >= rule.realert_s)
    if alert.state == "firing" and due and not silenced:
        alert.told = at
        alert.times += 1
        yield _notice(alert, rule, series, at, FIRING, Finding(True, alert.value, alert.limit, alert.detail))


def _notice(alert: Alert, rule: Rule, series: Mapping[str, str], at: float, status: str, finding: Finding) -> Notice:
    named = dict(sorted(series.items()))
    identity = json.dumps([rule.name, named, alert.since, status, alert.times])
    return Notice(
        sha256(identity.encode()).hexdigest(),
        rule.name,
        rule.kind,
        rule.severity,
        named,
        status,
        at,
        alert.since,
        alert.times,
        finding.value,
        finding.limit,
        text_of(rule, named, status, finding),
    )


def text_of(rule: Rule, series: Mapping[str, str], status: str, finding: Finding) -> str:
    """For people.

    >>> text_of(Rule(name="slow", kind="latency"), {"route": "/"}, FIRING, Finding(True, 91_000, 50_000))
    'slow (route /) firing: 91,000, limit 50,000'
    """
    whose = ", ".join(f"{name} {value}" for name, value in sorted(series.items()))
    text = f"{rule.name}{f' ({whose})' if whose else ''} {status}: {finding.value:,.6g}, limit {finding.limit:,.6g}"
    return f"{text} ({finding.detail})" if finding.detail else text
