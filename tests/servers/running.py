"""Runs cases on a server and gathers what each client has and what the server logged."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.cases import Case
from tests.servers.clients import Client, Received
from tests.servers.web_servers import LogForm, WebServer

__all__ = ["Outcome", "run_cases", "written_lines"]

AT_ONCE = 3


@dataclass(frozen=True)
class Outcome:
    """What became of a case: what the client has, or why it failed."""

    case: Case
    agent: str
    received: Received | None
    failure: str = ""


def run_cases(server: WebServer, cases: Iterable[Case], prefix: str = "") -> dict[str, Outcome]:
    """Starts the server, runs the cases, stops it. By name of the case."""
    server.start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(lambda case: _run(server, case, prefix), cases))
    finally:
        server.stop()
    return {outcome.case.name: outcome for outcome in outcomes}


def _run(server: WebServer, case: Case, prefix: str) -> Outcome:
    agent = f"{prefix or server.name}-{case.name}"
    try:
        return Outcome(case, agent, case.run(Client(server.folder / "clients" / case.name, server, agent)))
    except Exception:  # the test of this case reports it
        return Outcome(case, agent, None, traceback.format_exc())


def lines_of(log: Path, agent: str) -> list[str]:
    """The lines of one client."""
    text = log.read_text(errors="surrogateescape")
    return [line for line in text.splitlines() if f'"{agent}"' in line]


def written_lines(label: str, form: LogForm, outcomes: dict[str, Outcome]) -> Iterator[dict[str, Any]]:
    """Lines with their truth, as tests/data/cases/servers_more.jsonl has them."""
    for outcome in outcomes.values():
        assert outcome.received is not None, f"{outcome.agent}: {outcome.failure}"
        if outcome.case.no_download:
            continue
        kept = [line for line in lines_of(form.log, outcome.agent) if outcome.received.file in line]
        yield {
            "server": label,
            "format": form.format,
            "options": list(form.options),
            "byte_column": form.byte_column,
            "case": outcome.case.name,
            "size": outcome.received.size,
            "whole": outcome.received.whole,
            "encoded": outcome.case.encoded,
            "received": [list(each) for each in outcome.received.ranges],
            "lines": kept,
        }
