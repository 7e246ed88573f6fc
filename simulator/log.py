"""A whole simulated log, held in columns: about 70 bytes a line, so that millions of lines fit in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from simulator.catalog import Client, File, make_clients, make_files
from simulator.lines import HEADS, agent_as_written, line_writer
from simulator.stories import Request, pause_before_session, tell
from simulator.truth import Shot, WindowRule, answers

__all__ = ["SHAPES", "LogPlan", "SimulatedLog"]

SHAPES = ("mixed", "sequential", "reverse", "random")
_FIRST_TIME = 1_595_808_000  # Monday, 27 July 2020, 00:00 UTC
_DAY_S = 86_400


class LogPlan(NamedTuple):
    """What a simulated log is a function of."""

    lines: int
    """Data lines, head lines not counted; at least 0."""
    seed: int = 1
    shape: str = "mixed"
    """mixed: by time, as a busy server writes, a few lines late; sequential: strictly by time; reverse: by time, latest first;
    random: shuffled."""
    format: str = "weblog_tsv"


class SimulatedLog:
    """The lines of a plan and, key by key, their true answers."""

    def __init__(
        self,
        plan: LogPlan,
        rule: WindowRule | None = None,
        tell_answer: Callable[[dict[str, Any]], object] | None = None,
        sizes_known: bool = False,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Draws every hit of the plan; `tell_answer` gets each true delivery, in windows by `rule`, as it is drawn.

        `sizes_known`: the answers may use the true sizes of the files though the log does not name them.
        `on_progress` gets the number of lines drawn so far.
        """
        self.plan = plan
        rng = Random(f"{plan.seed} {plan.lines}")
        self.clients = make_clients(rng, max(3, plan.lines // 40))
        self.files = make_files(rng, max(3, plan.lines // 100))
        self._rule = rule or WindowRule()
        self._tell_answer = tell_answer
        self._sizes_known = sizes_known
        self._span_s = int(min(40, 3 + plan.lines / 100_000) * _DAY_S)
        self._visits = [array("q") for _ in range(9)]
        self._draw(rng, on_progress or (lambda _: None))
        self._order = _order(rng, plan.shape, self._visits[0])

    # -- drawing
    def _draw(self, rng: Random, on_progress: Callable[[int], object]) -> None:
        taken: set[int] = set()
        drawn = 0
        while drawn < self.plan.lines:
            client, file = self._free_pair(rng, taken)
            hits = self._visit(rng, self.files[file])[: self.plan.lines - drawn]
            self._keep(client, file, hits)
            drawn += len(hits)
            if len(taken) & 1023 == 0:
                on_progress(drawn)
        on_progress(drawn)

    def _free_pair(self, rng: Random, taken: set[int]) -> tuple[int, int]:
        """A client and a file that it has not fetched yet; some files are much more popular than others."""
        many = len(self.files)
        while True:
            client = int(rng.random() * len(self.clients))
            file = int(rng.random() ** 2 * many)
            pair = client * many + file
            if pair not in taken:
                taken.add(pair)
                return client, file
            if len(taken) >= many * len(self.clients):  # a log of a handful of lines
                self.clients += make_clients(rng, 2 * len(self.clients))[len(self.clients) :]

    def _visit(self, rng: Random, file: File) -> list[tuple[int, Request]]:
        """All that one client ever asks of one file, as (time, request)."""
        with_bytes = self.plan.format == "combined_range"
        time = _FIRST_TIME + int(rng.random() * self._span_s)
        told: list[tuple[int, Request]] = []
        sessions = 1
        draw = rng.random()
        if draw < 0.06:
            sessions = 2 if draw < 0.045 else 3
        for session in range(sessions):
            if session:
                time += pause_before_session(rng)
            for number, request in enumerate(tell(rng, file.size_bytes, with_bytes)):
                time += request[0] if number else 0
                told.append((time, request))
        return told

    def _keep(self, client: int, file: int, hits: list[tuple[int, Request]]) -> None:
        if not hits:
            return
        times, requests = zip(*hits, strict=True)
        _, *columns = zip(*requests, strict=True)
        for column, values in zip(
            self._visits, (times, [client] * len(hits), [file] * len(hits), *columns), strict=True
        ):
            column.extend(values)
        if self._tell_answer:
            shots = [self._shot(time, request) for time, request in hits if request[1] in (200, 206) and not request[6]]
            who, what = self.clients[client], self.files[file]
            size = what.size_bytes if self._sizes_known else -1
            key = (who.ip_address, agent_as_written(self.plan.format, who.user_agent), self.request_of(what))
            for answer in answers(key, shots, self._rule, size):
                self._tell_answer(answer)

    def _shot(self, time: int, request: Request) -> Shot:
        _, status, lo, hi, sent, total, _ = request
        if self.plan.format == "combined_range":
            return Shot(time, lo, hi, sent, total, status == 200 and lo < 0)
        return Shot(time, lo, hi, -1, -1)

    # -- reading
    def request_of(self, file: File) -> str:
        """The request as the key of a delivery names it."""
        return file.path if file.bare and self.plan.format == "weblog_tsv" else f"GET {file.path}"

    def sizes(self) -> Iterator[tuple[str, int]]:
        """(request, bytes of the whole file) for every file."""
        return ((self.request_of(file), file.size_bytes) for file in self.files)

    def head(self) -> str:
        """The head lines, or an empty text."""
        return HEADS[self.plan.format]

    def blocks(self, lines: int = 4096) -> Iterator[str]:
        """The data lines in the plan's order, some thousand at a time."""
        write = line_writer(self.plan.format)
        line_at = self._line_at
        order = self._order
        for start in range(0, len(order), lines):
            yield "".join([line_at(number, write) for number in order[start : start + lines]])

    def _line_at(self, number: int, write: Callable[..., str]) -> str:
        times, clients, files, statuses, los, his, sents, totals, heads = self._visits
        client: Client = self.clients[clients[number]]
        file: File = self.files[files[number]]
        if heads[number]:
            request = f"HEAD {file.path} HTTP/1.1"
        elif file.bare and self.plan.format == "weblog_tsv":
            request = file.path
        else:
            request = f"GET {file.path} HTTP/1.1" if number & 3 else f"GET {file.path} HTTP/2.0"
        return write(
            times[number], client.ip_address, client.user_agent, request,
            statuses[number], los[number], his[number], sents[number], totals[number],
        )  # fmt: skip


def _order(rng: Random, shape: str, times: array[int]) -> array[int]:
    """The numbers of the hits in the order in which the log has them."""
    if shape == "random":
        order = list(range(len(times)))
        rng.shuffle(order)
        return array("q", order)
    written = times
    if shape == "mixed":  # a line is written when its response ends: some seconds later, at times much later
        written = array("q", [time + int(rng.random() * (4 if rng.random() < 0.99 else 1800)) for time in times])
    order = sorted(range(len(times)), key=written.__getitem__)
    return array("q", reversed(order) if shape == "reverse" else order)
