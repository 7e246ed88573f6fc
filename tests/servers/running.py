"""Runs cases on a server and gathers what each client has, what the server logged, and what `reduce` says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.servers.cases import CASES, Case
from tests.servers.clients import Client, Received
from tests.servers.web_servers import LogForm, WebServer

__all__ = ["Outcome", "Run", "run_cases", "written_lines"]

AT_ONCE = 3
REDUCE_S = 60.0


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


def lines_of(log: Path, agent: str, file: str) -> list[str]:
    """The lines of one client about one file."""
    text = log.read_text(errors="surrogateescape")
    return [line for line in text.splitlines() if f'"{agent}"' in line and file in line]


class Run:
    """The cases of `make test-servers` on one server, with the page's lines."""

    def __init__(self, server: WebServer, cases: Iterable[Case] = CASES) -> None:
        self.cases = [case for case in cases if server.http2 or not case.http2]
        self.form = server.forms[0]
        self._folder = server.folder
        self._done: dict[tuple[str, ...], subprocess.CompletedProcess[str]] = {}
        self._outcomes = run_cases(server, self.cases)

    def received(self, case: Case) -> Received:
        """Raises AssertionError if the case failed."""
        outcome = self._outcomes[case.name]
        assert outcome.received is not None, outcome.failure
        return outcome.received

    def lines(self, case: Case) -> list[str]:
        return lines_of(self.form.log, self._outcomes[case.name].agent, self.received(case).file)

    def deliveries(self, case: Case, *options: str) -> list[dict[str, Any]]:
        """Those of the case's client and file, with further options of `reduce`."""
        agent, file = self._outcomes[case.name].agent, self.received(case).file
        found = self._reduced(*options)
        return [each for each in found if each["user_agent"] == agent and each["request"].endswith(f"/{file}")]

    def _reduced(self, *options: str) -> list[dict[str, Any]]:
        out = self._folder / f"deliveries{len(options)}.jsonl"
        self._app("reduce", "-q", "-o", str(out), *options)
        return [json.loads(line) for line in out.read_text().splitlines()]

    @cached_property
    def _parsed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._app("parse").splitlines()]

    @property
    def parsed(self) -> list[dict[str, Any]]:
        """All hits."""
        return [each["hit"] for each in self._parsed if "hit" in each]

    def rejects(self) -> list[dict[str, Any]]:
        return [each for each in self._parsed if "reject" in each]

    def _app(self, command: str, *options: str) -> str:
        """What a command of the app prints for the log of the page's lines, which it is told to read as the page says.

        It is run once: if it fails, each test that asks fails with the same words.
        """
        arguments = (command, str(self.form.log), *self.form.options, *options)
        if arguments not in self._done:
            self._done[arguments] = subprocess.run(
                [sys.executable, "-m", "app", *arguments],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=REDUCE_S,
                check=False,
            )
        done = self._done[arguments]
        assert done.returncode == 0, done.stderr
        return done.stdout


def written_lines(label: str, form: LogForm, outcomes: dict[str, Outcome]) -> Iterator[dict[str, Any]]:
    """Lines with their truth, as tests/data/cases/servers_more.jsonl has them."""
    for outcome in outcomes.values():
        assert outcome.received is not None, f"{outcome.agent}: {outcome.failure}"
        if outcome.case.no_download:
            continue
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
            "lines": lines_of(form.log, outcome.agent, outcome.received.file),
        }
