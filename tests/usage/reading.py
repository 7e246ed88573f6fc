"""What a spool holds, for the tests of the producer library."""

from __future__ import annotations

from pathlib import Path

from app.domain.usage.records import UsageRecord
from app.domain.usage.sequences import ProducerState, judge
from app.domain.usage.sides import Side
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from app.usage.spool import Damage, mark_of, owner_of, records_of, spools_of

__all__ = ["calls_of", "opened", "records", "states"]


def opened(root: Path, **options: object) -> UsageLog:
    return UsageLog(UsageOptions(service="shop", spool=root, machine="m1", **options))  # type: ignore[arg-type]  # of many types


def records(root: Path) -> list[UsageRecord]:
    """Of all starts; fails on damage."""
    found = []
    for folder in spools_of(root):
        for _, record in records_of(folder):
            assert not isinstance(record, Damage), record
            found.append(record)
    return found


def states(root: Path, *, with_marks: bool = True) -> list[ProducerState]:
    """What the check says of the spools as a side that should hold all."""
    side = Side("spool")
    for record in records(root):
        side.see(record)
    marks = {owner_of(folder) or "": mark_of(folder) or 0 for folder in spools_of(root)}
    return judge([side], marks if with_marks else {})


def calls_of(log: UsageLog) -> list[tuple[UsageRecord, UsageRecord]]:
    """Request and response of each call, in the order of the requests, after a stop. Every request has one response, and the sequence is whole."""
    assert log.stop()
    made = records(log.options.spool)
    requests = [record for record in made if record.kind == "request"]
    answers = {(record.start_id, record.request_seq): record for record in made if record.kind == "response"}
    assert len(answers) == len(requests) == sum(record.kind == "response" for record in made)
    assert not any(state.differs or state.is_unknown for state in states(log.options.spool, with_marks=False))
    return [(request, answers[request.start_id, request.seq]) for request in requests]
