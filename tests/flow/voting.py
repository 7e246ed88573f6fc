"""Votes and spending against a worker: calls of its HTTP interface, simulated clients, and what then stands in the store."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.domain.counted import added
from app.flows.votes import VOTES, Vote
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from tests import ROOT
from tests.flow.running import Flow


def call(
    url: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, whatever the status is."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def post(url: str, path: str, payload: Any) -> tuple[int, dict[str, Any]]:
    """JSON in, JSON out."""
    status, _, body = call(url, path, json.dumps(payload).encode(), {"Content-Type": "application/json"})
    return status, json.loads(body)


def get(url: str, path: str) -> Any:
    with urllib.request.urlopen(url.rstrip("/") + path, timeout=20) as answer:
        return json.load(answer)


def simulate(flow: Flow, what: str, *arguments: object) -> subprocess.Popen[bytes]:
    """`python -m app simulate WHAT` against the worker of the flow."""
    command = [sys.executable, "-m", "app", "simulate", what, "--patience", "300", *map(str, arguments)]
    with (flow.folder / "simulate.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=flow.environment(), stdout=log, stderr=log)


def kill_while(flow: Flow, client: subprocess.Popen[bytes], kills: int, seed: int, within_s: float) -> int:
    """Kill the worker at random moments while a client sends; how often it was."""
    rng, killed = random.Random(seed), 0
    while killed < kills and client.poll() is None:
        time.sleep(rng.uniform(0.1, within_s))
        flow.kill_worker()
        flow.start_worker()
        killed += 1
        began = time.monotonic()
        if killed % 3:  # every third time it is killed again while it recovers
            while flow.log_text().count("listening on") < 1 + killed * 2 // 3 and time.monotonic() < began + 10:
                time.sleep(0.1)
    return killed


async def _stored_votes(store: Store) -> tuple[dict[str, Vote], dict[str, dict[tuple[str, int], int]]]:
    await store.ping()
    try:
        sums = [each async for each in store.ledgers.all_sums(VOTES)]
        votes = [vote async for vote in store.ledgers.all_events(VOTES)]
    finally:
        await store.close()
    assert len({vote.vote_id for vote in votes}) == len(votes)
    counts = {
        resolution: {
            at: events
            for at, (events, _, _) in added(each for each in sums if each.resolution == resolution).items()
            if events
        }
        for resolution in ("kiosk", "window", "total", "second")
    }
    return {vote.vote_id: vote for vote in votes}, counts


def stored_votes(folder: Path) -> tuple[dict[str, Vote], dict[str, dict[tuple[str, int], int]]]:
    """Votes by id, and by resolution (group, start) -> votes, of the embedded store in a data folder."""
    return asyncio.run(_stored_votes(open_store("sqlite", Settings(data_dir=folder), read_only=True)))


def assert_votes_are_true(
    votes: dict[str, Vote], counts: dict[str, dict[tuple[str, int], int]], truth: dict[str, Any]
) -> None:
    """Per candidate, window and kiosk what the simulator says, and the raw votes the same."""
    assert counts["window"] == {(str(candidate), start): number for start, candidate, number in truth["windows"]}
    assert counts["total"] == {(candidate, 0): number for candidate, number in truth["candidates"].items()}
    assert sum(counts["kiosk"].values()) == sum(counts["second"].values()) == len(votes) == truth["votes"]
    window_s = truth["window_s"]
    kiosks = Counter(
        (f"{vote.candidate_id}/{vote.kiosk_id}", int(vote.time // window_s) * window_s) for vote in votes.values()
    )
    assert counts["kiosk"] == kiosks
