"""Records and rules for the tests of alerts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.alerts.engine import Engine
from app.alerts.events import USAGE_FIELDS, Event, event_of
from app.alerts.rules import AlertRules, rules_from
from app.domain.alerts.lifecycle import Notice
from app.domain.usage.records import UsageRecord

__all__ = ["BEGIN", "call", "calls", "engine_of", "notices_of", "rules_of", "told"]

BEGIN = 1_700_006_400.0
"""A whole hour."""


def rules_of(*rules: dict[str, Any], **options: Any) -> AlertRules:
    named = [{"name": rule["kind"], **rule} for rule in rules]
    return rules_from({"step_s": 60, "lateness_s": 120, **options, "rule": named}, USAGE_FIELDS)


def call(seq: int, at_s: float, producer: str = "p1", kind: str = "response", **fields: Any) -> Event:
    """`at_s`: seconds after BEGIN."""
    given: dict[str, Any] = {"uri": "/item", "user_id": "u1", "status": 200, "duration_us": 1000} | fields
    return event_of(UsageRecord(kind, "shop", "m", producer, seq, BEGIN + at_s, 7, "", **given))


def calls(count: int, begin_s: float, end_s: float, first: int = 1, **fields: Any) -> list[Event]:
    """Evenly spread."""
    return [call(first + at, begin_s + (end_s - begin_s) * at / count, **fields) for at in range(count)]


def engine_of(*rules: dict[str, Any], **options: Any) -> Engine:
    return Engine(rules_of(*rules, **options))


def notices_of(engine: Engine, events: Iterable[Event], until_s: float | None = None) -> list[Notice]:
    found = [notice for event in events for notice in engine.see(event)]
    return found if until_s is None else found + engine.advance(BEGIN + until_s)


def told(notices: Iterable[Notice]) -> list[tuple[str, str, float]]:
    """(rule, status, seconds after BEGIN)"""
    return [(notice.rule, notice.status, notice.at - BEGIN) for notice in notices]
