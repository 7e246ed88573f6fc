"""What a group has not read and never will: messages deleted before, and lines of `weblogs` that left nothing behind."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.checking.report import CheckReport, Difference
from app.checking.shares import Share, TooMany, by_shares
from app.domain.fields import HIT
from app.errors import UnknownForm
from app.flows.deliveries import LINES, REJECTS, TOKENS
from app.flows.registry import progress_topic
from app.messages.forms import DamagedMessage
from app.messages.origins import Lines, headers_of
from app.messages.progress import GroupProgress, Loss
from app.messages.records import decode_rejects
from app.messages.tokens import decode_tokens
from app.settings import Settings
from app.sources.files.read_options import format_options
from app.steps.tokenizer import Tokenizer
from app.stores.contract import Store
from app.transports.broker_view import BrokerView
from app.transports.progress_reader import ProgressReader

__all__ = ["compare_lines", "report_losses", "unnoted_losses"]

MOST_LINES = 8_000_000
"""Lines whose ids are kept at a time: about 200 MB."""
_MASK = (1 << 64) - 1
_RAW_ID = HIT.at["raw_id"]


def report_losses(reader: BrokerView, settings: Settings, report: CheckReport) -> list[Loss]:
    """Every loss that nobody has acknowledged is a difference. Gives all losses, those acknowledged too. Blocking."""
    for sentence in reader.problems():
        report.add(Difference("topics", "topic", "altered", "settings", sentence))
    progress, unnoted = unnoted_losses(reader, settings)
    losses = [*progress.losses.values(), *unnoted]
    for loss in losses:
        if loss.acknowledged is None:
            name = f"{loss.topic}/{loss.partition} {loss.first} to {loss.last}"
            report.add(Difference(loss.group, "message span", "missing", name, str(loss)))
        else:
            report.skipped.append(f"{loss} This was acknowledged.")
    return losses


def unnoted_losses(reader: BrokerView, settings: Settings) -> tuple[GroupProgress, list[Loss]]:
    """What workers have noted, and what none did: deleted beyond what was read, or an offset that somebody else moved forward. Blocking."""
    committed = {group: reader.committed(group) for group in reader.groups()}
    progress = ProgressReader(reader, progress_topic(settings.flow_id)).refresh()  # marks are written before offsets
    found = []
    for group, topics in reader.groups().items():
        for topic in topics:
            for partition, (first, _) in reader.bounds(topic).items():
                own, mark = committed[group].get((topic, partition)), progress.marks.get((group, topic, partition))
                read = min((offset for offset in (own, mark) if offset is not None), default=0)
                end = max(own or 0, first)
                if read < end and (group, topic, partition, read) not in progress.losses:
                    found.append(Loss(group, topic, partition, read, end - 1, 0.0))
    return progress, found


async def compare_lines(
    reader: BrokerView, settings: Settings, stores: Sequence[Store], losses: Sequence[Loss], report: CheckReport
) -> None:
    """Below the committed offset, each line of `weblogs` is a hit, a reject or a head: read again, it must be found as such."""
    if not await asyncio.to_thread(reader.bounds, LINES):
        return
    comparison = _LineComparison(reader, settings, stores, losses)
    missing: Counter[tuple[int, int]] = Counter()
    lines = 0
    async for share_lines, found in by_shares(comparison.compare):
        lines += share_lines
        missing.update(found)
    if lines:
        report.compared["topic", LINES, "line"] += lines
    if comparison.unknown:
        report.skipped.append(
            f"{LINES}: {comparison.unknown:,} lines are in no topic any more, and no store keeps all raw records"
        )
    for (partition, offset), count in sorted(missing.items()):
        why = f"{count:,} of its lines are neither hits nor rejects"
        report.add(Difference(LINES, "message", "missing", f"{LINES}/{partition} {offset}", why))


class _LineComparison:
    def __init__(self, reader: BrokerView, settings: Settings, stores: Sequence[Store], losses: Sequence[Loss]) -> None:
        self._reader, self._settings = reader, settings
        self._stores = [store for store in stores if settings.store_raw == "all"]
        self._lost = [loss for loss in losses if loss.group == settings.flow_id and loss.topic == LINES]
        group = settings.flow_id
        self._end = {at: offset for (topic, at), offset in reader.committed(group).items() if topic == LINES}
        self._first = {at: first for at, (first, _) in reader.bounds(LINES).items()}
        self.unknown = 0

    async def compare(self, share: Share) -> tuple[int, Counter[tuple[int, int]]]:
        """How many lines of a share there are, and by message how many of them are nowhere."""
        wanted, messages, starts = await asyncio.to_thread(self._wanted, share)
        found = await asyncio.to_thread(self._found, share)
        ids = np.frombuffer(wanted, np.uint64)
        places = np.flatnonzero(~np.isin(ids, np.frombuffer(found, np.uint64)))
        left = {int(ids[place]) for place in places}
        if not left:
            return len(ids), Counter()
        if not self._stores:
            self.unknown += len(left)
            return len(ids), Counter()
        for store in self._stores:
            async for hit in store.reads.all_hits():
                left.discard(int(hit.raw_id, 16) & _MASK)
            async for reject in store.reads.all_rejects():
                left.discard(int(reject.raw_id, 16) & _MASK)
        missing: Counter[tuple[int, int]] = Counter()
        for place in places:
            if int(ids[place]) in left:
                missing[messages[bisect_right(starts, int(place)) - 1]] += 1
        return len(ids), missing

    def _wanted(self, share: Share) -> tuple[array[int], list[tuple[int, int]], list[int]]:
        """Ids of the lines below the committed offset; the messages that have some, and where the ids of each begin."""
        own = self._settings
        tokenizer = Tokenizer(own.partitions, own.format, format_options(own), max_line_bytes=own.max_line_bytes)
        topic = f"{LINES}@{self._reader.incarnation(LINES)}"
        ids, messages, starts = array("Q"), [], array("Q")
        for each in self._reader.messages(LINES, self._first, {at: self._end.get(at, 0) for at in self._first}):
            if any(loss.partition == each.partition and loss.first <= each.offset <= loss.last for loss in self._lost):
                continue
            lines = Lines(topic, each.partition, each.offset, each.timestamp, each.value, headers_of(each.headers))
            tokenized = tokenizer.tokenize([lines])
            before = len(ids)
            groups = (group for token in tokenized.tokens.values() for group in token.groups)
            self._take(ids, (hit[_RAW_ID] for group in groups for hit in group.hits()), share)
            self._take(ids, (reject.raw_id for reject in tokenized.rejects), share)
            if len(ids) > before:
                messages.append((each.partition, each.offset))
                starts.append(before)
        return ids, messages, list(starts)

    def _found(self, share: Share) -> array[int]:
        """Ids of the hits and rejects that are in their topics, each maybe more than once."""
        ids = array("Q")
        for topic in (TOKENS, REJECTS):
            for _, _, value in self._reader.read(topic):
                try:
                    if topic == TOKENS:
                        groups = decode_tokens(value).groups
                        self._take(ids, (hit[_RAW_ID] for group in groups for hit in group.hits()), share)
                    else:
                        self._take(ids, (reject.raw_id for reject in decode_rejects(value)), share)
                except (DamagedMessage, UnknownForm):
                    continue  # somebody else's message: compared, and named, elsewhere
        return ids

    @staticmethod
    def _take(ids: array[int], raw_ids: Any, share: Share) -> None:
        numbers = (int(raw_id, 16) & _MASK for raw_id in raw_ids)
        ids.extend(number for number in numbers if share.takes(number))
        if len(ids) > MOST_LINES:
            raise TooMany
