"""From messages of lines to messages of hits: the work of the agent tokenize_lines, apart from Faust.

What it gives depends on the messages alone: read again after a crash they give the same hits with the same ids.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from app.domain.formats import FormatOptions
from app.domain.formats.base import AUTO
from app.domain.key_hits import KEY_FIELDS
from app.domain.lines import BadAt, ReadLines, decode
from app.domain.records import FOREIGN, Reject, all_raw_ids, raw_ids
from app.domain.watermarks import Advance, Clocks, source_number
from app.errors import UnknownForm
from app.messages.headers import Headers
from app.messages.origins import (
    LINES_A_MESSAGE_BITS,
    Lines,
    Origin,
    check_form,
)
from app.messages.splitting import clean
from app.messages.tokens import HitGroup, TokenMessage
from app.steps.message_lines import COLUMNS_FROM_BYTES, MAX_LINE_BYTES, MessageReader, Run

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns
    from app.messages.packed_hits import PackedHits

__all__ = ["Tokenized", "Tokenizer", "partition_of"]

_REMEMBERED_IDS = 50_000
_SHOWN_BYTES = 4096


class Tokenized(NamedTuple):
    """What some messages of one partition give."""

    tokens: dict[int, TokenMessage]
    """By partition of weblogs_tokens."""
    rejects: list[Reject]
    lines: int
    hits: int
    bad_ids: Counter[str]
    """Messages by what is wrong with the id that their shipper gave: empty (it names no line), shared (another line has it)."""
    unread: Counter[str]
    """What was passed over in lines that are hits: a sentence, and how many times."""


def partition_of(
    ip_address: str | None, user_agent: str | None, request: str | None, raw_id: str, partitions: int
) -> int:
    """Where the hits of a key meet; hits without a key go anywhere, always the same way."""
    if ip_address is None or user_agent is None or request is None:
        return crc32(raw_id.encode()) % partitions
    return crc32(f"{ip_address}\t{user_agent}\t{request}".encode("utf-8", "surrogatepass")) % partitions


class Tokenizer:
    """Keeps the watermark of each source it read, and the format of sources that do not name theirs."""

    def __init__(
        self,
        partitions: int,
        format_name: str = AUTO,
        options: FormatOptions = FormatOptions(),
        columns_from_bytes: int = COLUMNS_FROM_BYTES,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._partitions = partitions
        self._reader = MessageReader(format_name, options, columns_from_bytes, max_line_bytes)
        self._given: dict[bytes, str] = {}
        self.clocks = Clocks()
        self.names: dict[int, str] = {}
        """Number of a clock -> name of its source, for people."""

    def tokenize(self, messages: Iterable[Lines]) -> Tokenized:
        """The hits and rejects of messages of one partition.

        Raises UnknownForm if the headers of one are in a form of a later version; any other unknown form makes a reject.
        """
        groups: dict[int, dict[tuple[str, int], HitGroup]] = {}
        rejects: list[Reject] = []
        lines = hits = 0
        now = 0.0
        bad_ids: Counter[str] = Counter()
        self._reader.unread = unread = Counter[str]()
        for run in self._reader.runs(messages):
            message = run.messages[0]
            try:
                check_form(message)
            except UnknownForm as error:
                if error.is_newer:
                    raise
                rejects.append(_foreign(message, str(error)))
                lines += 1
                continue
            for part, read in self._reader.readings(run):
                now = max(now, part.last_arrived)
                bad_ids.update(filter(None, map(self._bad_id, part.messages, part.origins)))
                by_line = read if isinstance(read, ReadLines) else read.other
                lines, hits = lines + read.lines, hits + read.lines - by_line.heads - len(by_line.rejects)
                for some in (read, by_line)[: 1 + (by_line is not read)]:
                    unread.update(some.unread)
                if by_line.rejects:
                    rejects += _rejects(part.messages[0], part.origins[0].source, by_line.rejects)
                self._spread(part, read, groups)
        tokens = {partition: TokenMessage(now, list(found.values())) for partition, found in groups.items()}
        return Tokenized(tokens, rejects, lines, hits, bad_ids, unread)

    def _bad_id(self, message: Lines, origin: Origin) -> str | None:
        """What is wrong with an id that is given, as far as is remembered; what the message gives does not depend on it."""
        given = message.headers.get(Headers.ID)
        if given is None:
            return None
        if not origin.source.startswith("id:"):
            return "empty" if Headers.SOURCE not in message.headers else None
        known = self._given.get(given)
        if known is None:
            if len(self._given) >= _REMEMBERED_IDS:
                self._given.clear()
            self._given[given] = origin.source
        return "shared" if known not in (None, origin.source) else None

    def tick(self, now: float, forget_before: float) -> TokenMessage:
        """The time and the watermark of every source; sources not heard of since `forget_before` are forgotten."""
        for number in self.clocks.forget(forget_before):
            self.names.pop(number, None)
        groups = [
            HitGroup.of(
                "",
                number,
                self.names.get(number, ""),
                Advance(math.inf, clock.highest, clock.disorder_s, clock.ended, clock.unordered),
                [],
            )
            for number, clock in self.clocks.of.items()
        ]
        return TokenMessage(now, groups, tick=True)

    def _spread(
        self, run: Run, read: ReadLines | LineColumns, groups: dict[int, dict[tuple[str, int], HitGroup]]
    ) -> None:
        message, origin = run.messages[0], run.origins[0]
        ended, unordered = Headers.END in message.headers, Headers.UNORDERED in message.headers
        number = source_number(origin.clock)
        advance = Advance(read.lowest, read.highest, read.disorder_s, ended, unordered)
        clock = self.clocks.observe(number, advance, run.last_arrived)
        self.names[number] = origin.name
        known = Advance(read.lowest, clock.highest, clock.disorder_s, ended, unordered)

        source = _SourceGroups(origin, number, known, groups)
        if not isinstance(read, ReadLines):
            self._add_rows(read.other.hits, read.other.positions, read.other.logged_requests, source)
            for partition, block in self._columns(read).items():
                source.group(partition).columns.append(block)
        elif len(run.messages) == 1:
            self._add_rows(read.hits, read.positions, read.logged_requests, source)
        else:
            for indices in run.by_source():
                start, stop = indices.start, indices.stop
                logged = {at - start: text for at, text in read.logged_requests.items() if start <= at < stop}
                positions = [origin.position for origin in run.origins[start:stop]]
                own = source._replace(origin=run.origins[start])
                self._add_rows(read.hits[start:stop], positions, logged, own)
        if ended:
            for partition in range(self._partitions):
                source.group(partition)

    def _add_rows(
        self,
        hits: Sequence[tuple[Any, ...]],
        positions: Sequence[int],
        logged_requests: Mapping[int, str],
        source: _SourceGroups,
    ) -> None:
        """Hits of one source that were read line by line, to the groups of their partitions."""
        rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        partitions = self._partitions
        ids = all_raw_ids(source.origin.source, positions)
        logged: Iterable[str | None] = repeat(None, len(ids))
        if logged_requests:
            logged = map(logged_requests.get, range(len(ids)))
        for hit, ends in zip(hits, zip(ids, positions, logged, strict=True), strict=True):
            ip_address, user_agent, request = hit[KEY_FIELDS]
            rows[partition_of(ip_address, user_agent, request, ends[0], partitions)].append(hit + ends)
        for partition, some in rows.items():
            source.group(partition).rows += some

    def _columns(self, read: LineColumns) -> dict[int, PackedHits]:
        """Hits that were read as columns, by partition."""
        from app.columns.hits import HitColumns

        found = HitColumns.of_lines([read]).by_partition(lambda key: partition_of(*key, "", self._partitions))
        return {partition: hits.to_message() for partition, hits in found.items()}


def _foreign(message: Lines, why: str) -> Reject:
    source, shown = f"{message.topic}/{message.partition}", clean(decode(message.value[:_SHOWN_BYTES]))
    position = message.offset << LINES_A_MESSAGE_BITS
    return Reject(FOREIGN, why, shown, raw_ids(source)(position), source, position, message.timestamp)


def _rejects(message: Lines, source: str, found: Iterable[BadAt]) -> list[Reject]:
    identify = raw_ids(source)
    return [
        Reject(bad.reason, bad.detail, clean(bad.line), identify(bad.position), source, bad.position, message.timestamp)
        for bad in found
    ]


class _SourceGroups(NamedTuple):
    """The groups that one source has in the messages of each partition."""

    origin: Origin
    clock: int
    advance: Advance
    groups: dict[int, dict[tuple[str, int], HitGroup]]
    """By partition, and by source and clock: a source that has no name may stand in several partitions of `weblogs`."""

    def group(self, partition: int) -> HitGroup:
        """Made if there is none; what is said of the source's time is taken in."""
        known = self.groups.setdefault(partition, {})
        source, _, name, _, _ = self.origin
        group = known.get((source, self.clock))
        if group is None:
            group = known[source, self.clock] = HitGroup.of(source, self.clock, name, self.advance, [])
        else:
            group.advance_to(self.advance)
        return group
