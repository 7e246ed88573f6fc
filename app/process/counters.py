"""What this process did since it started: plain numbers that agents add to and the web face reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["Counters"]

_MOST_SENTENCES = 100
_OTHERS = "other columns were not read"


class Counters:
    """Counts of one worker process."""

    def __init__(self) -> None:
        self.lines = 0
        self.hits = 0
        self.rejects: Counter[str] = Counter()
        self.foreign: Counter[str] = Counter()
        """Reason -> messages and values of the state that could not be read and were put aside as rejects."""
        self.last_foreign: dict[str, str] = {}
        """Reason -> where the last one stood, and why it could not be read."""
        self.bad_ids: Counter[str] = Counter()
        """Messages whose shipper gave them an id that is none, by what is wrong: app.steps.tokenizer.Tokenized."""
        self.unread: Counter[str] = Counter()
        """What was passed over in lines that are hits, a sentence each -> how many times; see `pass_over`."""
        self.events: Counter[tuple[str, str]] = Counter()
        """(votes or spend, counted, repeats or bad) -> how many came."""
        self.watermarks: dict[str, float] = {}
        """Source name -> highest event time seen."""
        self.losses: dict[tuple[str, str, int, int], Any] = {}
        """Messages that a group could not read, of all workers: app.messages.progress.Loss by its name."""
        self.topic_problems: list[str] = []
        """What is wrong with the topics, a sentence each."""
        self.clock_problem = ""
        """How far the clocks of this machine and of the broker are apart, a sentence; empty where they agree."""
        self.store_problems: dict[str, str] = {}
        """Store -> why its last write failed; empty where it succeeded."""
        self.store_retries: Counter[str] = Counter()
        """Store -> writes that failed and were tried again."""
        self.store_refused: Counter[str] = Counter()
        """Store -> records that it refused for good."""

    def put_aside(self, reason: str, detail: str) -> None:
        """One message, or one value of the state, that became a reject."""
        self.foreign[reason] += 1
        self.last_foreign[reason] = detail

    def pass_over(self, unread: Mapping[str, int]) -> None:
        """What is in no hit. Sentences beyond _MOST_SENTENCES are one: lines may have any number of columns."""
        for sentence, count in unread.items():
            is_kept = sentence in self.unread or len(self.unread) < _MOST_SENTENCES
            self.unread[sentence if is_kept else _OTHERS] += count

    def foreign_problems(self) -> list[str]:
        """A sentence for each kind of what was put aside since the start."""
        return [
            f"{count:,} put aside as rejects ({reason}), the last one: {self.last_foreign[reason]}."
            for reason, count in sorted(self.foreign.items())
        ]
