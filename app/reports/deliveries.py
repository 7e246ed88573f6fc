"""The deliveries of inputs for a report: of the hits of logs, of a file of `report index`, or of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import pyarrow as pa

from app.domain.records import Delivery
from app.errors import InputError
from app.reports.batches import Batch, rows_batch
from app.reports.facts import Facts
from app.reports.filters import Sieve
from app.reports.hit_order import HitOrder, class_of
from app.reports.hits import PLAIN_NAMES, in_log_order
from app.reports.judged import Step, steps_in
from app.reports.open_hits import NO_HITS, Judging, OpenHits
from app.reports.reading import Indices, Inputs, index_tables, open_index
from app.reports.zones import LogClock

__all__ = ["deliveries", "steps_of"]

_BATCH = 10_000
_MERGED_ROWS = 1_000_000
"""So many hits are merged at a time."""


def deliveries(
    inputs: Inputs, judging: Judging, sieve: Sieve, facts: Facts, is_ordered: bool = False
) -> Iterator[Batch]:
    """Every delivery that is asked for, with the offset from UTC that its log writes at its first hit; `facts` is complete after the last one.

    Where lines of one quarter of an hour write several offsets, it is the commonest of those read so far. `is_ordered`: with
    how clients fetched each.
    """
    clock = LogClock()
    order = HitOrder() if is_ordered else None
    if inputs.kept is not None:
        yield from _told(_batches(inputs.kept.deliveries(facts, order), order), sieve, facts, clock)
        return
    indices = Indices(inputs, facts)
    read = [_steps_of_index(path, inputs, judging, facts, is_ordered) for path in indices.paths]  # each when it comes
    if indices.logs:  # clients may go on in another one
        read.append(steps_of(_tables_of_logs(inputs, facts, indices), judging, is_ordered, inputs.processes))
    for noted, batches in chain.from_iterable(read):
        clock.add(noted.as_rows)
        yield from _told(batches, sieve, facts, clock)
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)


def _batches(found: Iterable[Delivery], order: HitOrder | None) -> Iterator[Batch]:
    """Of deliveries that were judged one by one; `order` is turned to each when it comes."""
    some: list[Delivery] = []
    classes: list[str] = []
    for delivery in found:
        some.append(delivery)
        if order is not None:
            classes.append(class_of(delivery.user_agent, delivery.hits, order.ranges))
        if len(some) == _BATCH:
            yield rows_batch(some, classes)
            some, classes = [], []
    if some:
        yield rows_batch(some, classes)


def steps_of(tables: Iterable[pa.Table], judging: Judging, is_ordered: bool, processes: int = 0) -> Iterator[Step]:
    """The deliveries of hits that come as tables, a source after the other, each in the order of its log."""
    hits, clock = OpenHits(judging, is_ordered, processes), LogClock()
    some: list[pa.Table] = []
    for table in tables:
        if some and sum(one.num_rows for one in some) + table.num_rows > _MERGED_ROWS:
            whole, some = some, []
            yield clock, hits.take(whole)
            clock = LogClock()
        clock.note(table.column("time").to_numpy(), table.column("zone_s").to_numpy().astype(np.int64))
        some.append(in_log_order(table))
    yield clock, hits.take(some or [NO_HITS], is_last=True)


def _steps_of_index(path: str, inputs: Inputs, judging: Judging, facts: Facts, is_ordered: bool) -> Iterator[Step]:
    """The deliveries that a file of hits has, or those of its hits; of one that cannot be read to its end those until there."""
    try:
        with open_index(path, PLAIN_NAMES) as index:
            found = steps_in(path, index, judging, is_ordered, inputs.on_progress)
            if found is not None:
                facts.add(index.facts)
                yield from found
                return
    except InputError as error:
        facts.errors.append(str(error))
        return
    yield from steps_of(_tables_of_index(path, inputs, facts), judging, is_ordered, inputs.processes)


def _tables_of_index(path: str, inputs: Inputs, facts: Facts) -> Iterator[pa.Table]:
    try:
        yield from index_tables(path, PLAIN_NAMES, facts, inputs.on_progress)
    except InputError as error:
        facts.errors.append(str(error))


def _tables_of_logs(inputs: Inputs, facts: Facts, indices: Indices) -> Iterator[pa.Table]:
    from app.reports.logs import HitsOfLog, log_parts

    plain = inputs._replace(paths=indices.logs).with_fields("")
    for _, part in log_parts(plain, HitsOfLog(PLAIN_NAMES), facts, indices):
        facts.add(part.facts)
        yield part.table


def _told(found: Iterable[Batch], sieve: Sieve, facts: Facts, clock: LogClock) -> Iterator[Batch]:
    for every in found:
        batch = every._replace(offset_s=sieve.offsets_s(every.first, clock))
        batch = batch.chosen(sieve.takes(batch))
        if batch.deliveries:
            facts.counted += int(batch.hits.sum())
            ends = sieve.offsets_s(batch.last, clock)
            for times, offsets in ((batch.first, batch.offset_s), (batch.last, ends)):
                for time, choose in ((times.min(), np.min), (times.max(), np.max)):
                    moment = float(time), int(choose(offsets[times == time]))
                    facts.span(moment, moment)
            yield batch
