"""A canary for spending: it pays in real time, asks the worker for its sums, and tells by metrics whether they are the same."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from typing import Any
from urllib.parse import quote

import click

from app.errors import WorkerError
from app.settings import Settings
from simulator.commands.posting import bearer
from simulator.spend import SpendPlan

__all__ = ["Canary"]

CHECK_EVERY_S = 2.0
SETTLE_S = 5.0
"""A sum that still differs after this long counts as wrong."""
_REQUEST_S = 10.0


class Canary:
    """Users of its own, whose names begin with the second in which it started."""

    def __init__(
        self, url: str, plan: SpendPlan, metrics_port: int, for_s: float | None, patience_s: float, own: Settings
    ) -> None:
        """`own`: whose tokens are sent."""
        self._read, self._write = bearer(own.web_token), bearer(own.token_to_write)
        self._url, self._plan, self._port, self._for_s, self._patience_s = (
            url.rstrip("/"),
            plan,
            metrics_port,
            for_s,
            patience_s,
        )
        self._prefix = f"canary-{int(time.time())}-"
        self._rng = random.Random(plan.seed)
        self._cents: Counter[str] = Counter()
        self._sent = 0
        self._since: dict[str, float] = {}
        """user -> since when the worker's sum differs"""
        self._waiting: dict[str, dict[str, Any]] = {}
        """Payments that were not taken yet, by id."""

    def run(self) -> int:
        """Until Ctrl-C, or for the given time: 1 if a sum was wrong at the end or a payment was dropped."""
        metrics = _Metrics(self._port)
        click.echo(
            f"canary: {self._plan.users} users called {self._prefix}…, metrics at http://127.0.0.1:{metrics.port}/metrics",
            err=True,
        )
        try:
            self._pay(metrics)
            deadline = time.monotonic() + self._patience_s
            while (self._waiting or self._check(metrics)) and time.monotonic() < deadline:
                self._send(metrics)
                time.sleep(0.5)
            wrong = self._check(metrics)
        except KeyboardInterrupt:
            wrong = self._check(metrics)
        finally:
            metrics.close()
        click.echo(
            f"{self._sent:,} payments, {sum(self._cents.values()) / 100:,.2f}; {len(self._waiting)} dropped; {wrong} sums differ"
        )
        return 1 if wrong or self._waiting else 0

    def _pay(self, metrics: _Metrics) -> None:
        gap_s = self._plan.mean_gap_s / self._plan.users  # many users with exponential gaps are one with shorter ones
        end = float("inf") if self._for_s is None else time.monotonic() + self._for_s
        check_at = time.monotonic() + CHECK_EVERY_S
        while (now := time.monotonic()) < end:
            time.sleep(min(self._rng.expovariate(1 / gap_s), max(0.0, end - now), CHECK_EVERY_S))
            if time.monotonic() < end:
                paid: dict[str, Any] = {
                    "transaction_id": f"{self._sent}",
                    "user_id": f"{self._prefix}{self._rng.randint(1, self._plan.users)}",
                    "time": round(time.time(), 3),
                    "cents": self._rng.randint(self._plan.min_cents, self._plan.max_cents),
                }
                self._sent += 1
                self._waiting[paid["transaction_id"]] = paid
            self._send(metrics)
            if time.monotonic() >= check_at:
                self._check(metrics)
                check_at = time.monotonic() + CHECK_EVERY_S

    def _send(self, metrics: _Metrics) -> None:
        some = list(self._waiting.values())[:1000]
        if not some:
            return
        request = urllib.request.Request(
            f"{self._url}/spending/", json.dumps(some).encode(), {"Content-Type": "application/json", **self._write}
        )
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_S):
                pass
        except urllib.error.HTTPError as error:
            if 400 <= error.code < 500:
                raise WorkerError(f"{self._url} refuses it: {error.read().decode(errors='replace')[:300]}") from None
        except OSError:
            pass  # the worker is away: it is sent again with the next
        else:
            for paid in some:
                del self._waiting[paid["transaction_id"]]
                self._cents[paid["user_id"]] += paid["cents"]
            metrics.sent(sum(paid["cents"] for paid in some), len(some))
        metrics.waiting(len(self._waiting))

    def _check(self, metrics: _Metrics) -> int:
        """How many users' sums the worker tells otherwise, for longer than a moment."""
        now, seen, missing = time.monotonic(), 0, 0
        for user, cents in list(self._cents.items()):
            told = self._told(user)
            seen += told or 0
            if told == cents:
                self._since.pop(user, None)
            else:
                self._since.setdefault(user, now)
                missing += cents - (told or 0)
        wrong = sum(now - since > SETTLE_S for since in self._since.values())
        metrics.checked(seen, missing, wrong)
        return len(self._since) if self._for_s is not None and self._sent and not self._waiting else wrong

    def _told(self, user: str) -> int | None:
        try:
            asked = urllib.request.Request(f"{self._url}/spending/{quote(user, safe='')}/sum", headers=self._read)
            with urllib.request.urlopen(asked, timeout=_REQUEST_S) as answer:
                return json.load(answer)["cents"]
        except (OSError, ValueError, KeyError):
            return None


class _Metrics:
    """What Prometheus reads."""

    def __init__(self, port: int) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

        registry = CollectorRegistry()
        self._sent_cents = Counter("weblogs_canary_sent_cents", "Cents that the worker has taken.", registry=registry)
        self._sent_payments = Counter(
            "weblogs_canary_sent_payments", "Payments that the worker has taken.", registry=registry
        )
        self._waiting = Gauge(
            "weblogs_canary_waiting_payments", "Payments that it has not taken yet.", registry=registry
        )
        self._seen = Gauge("weblogs_canary_seen_cents", "Cents in the worker's sums.", registry=registry)
        self._missing = Gauge(
            "weblogs_canary_missing_cents",
            "Cents sent and not in the worker's sums; below 0: too many.",
            registry=registry,
        )
        self._wrong = Gauge(
            "weblogs_canary_wrong_sums", f"Users whose sum differs for more than {SETTLE_S:g} s.", registry=registry
        )
        self._checked = Gauge(
            "weblogs_canary_checked_timestamp_seconds", "When the sums were compared last.", registry=registry
        )
        try:
            self._server, self._thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise WorkerError(
                f"the metrics cannot be served on port {port}: {error.strerror}; take another --metrics-port"
            ) from None
        self.port = self._server.server_port

    def sent(self, cents: int, payments: int) -> None:
        self._sent_cents.inc(max(0, cents))
        self._sent_payments.inc(payments)

    def waiting(self, payments: int) -> None:
        self._waiting.set(payments)

    def checked(self, seen: int, missing: int, wrong: int) -> None:
        self._seen.set(seen)
        self._missing.set(missing)
        self._wrong.set(wrong)
        self._checked.set(time.time())

    def close(self) -> None:
        threading.Thread(target=self._server.shutdown).start()
        self._thread.join(5)
        self._server.server_close()
