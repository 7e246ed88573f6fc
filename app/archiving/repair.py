"""Putting back into the archive what it lacks and another place has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain

import msgspec

from app.archiving.check import ARCHIVE, Places, UsageReport, check_usage, in_topic, whole_files
from app.archiving.files import FILES, read_file
from app.archiving.manifests import FORM, Done, Manifests, sha256_of, spanned
from app.archiving.spools import spools_at
from app.domain.byteranges import Ranges, add, contains, union
from app.domain.usage.records import USAGE, UsageRecord, is_intact, producer_of
from app.errors import InputError
from app.usage.spool import Damage

__all__ = ["repair_usage"]


def repair_usage(places: Places) -> tuple[int, UsageReport]:
    """Write what the archive lacks and the topic or a spool has into a new file, and into the stores what they lack of monitored calls.

    Returns how many records, and what is left. Old files are not touched. Raises as check_usage.
    """
    report = check_usage(places)
    count = _repair_archive(places, report)
    for name in places.stores:
        if wanted := _wanted(report, name):
            count += places.mend(name, _Found(chain(_elsewhere(places), _in_archive(places)), wanted))
    return count, check_usage(places) if count or report.lost_files else report


def _wanted(report: UsageReport, side: str) -> dict[str, Ranges]:
    """By producer what is missing or altered on a side."""
    found = {
        state.producer: union(held.missing, held.altered)
        for state in report.states
        for held in state.held
        if held.side == side
    }
    return {name: ranges for name, ranges in found.items() if ranges}


def _in_archive(places: Places) -> Iterator[UsageRecord]:
    for _, path in whole_files(places.archive, UsageReport([], [], [], [])):
        with suppress(InputError):  # the check has named it
            yield from read_file(path)


def _repair_archive(places: Places, report: UsageReport) -> int:
    wanted = _wanted(report, ARCHIVE)
    if not wanted and not report.lost_files:
        return 0
    archive, form = places.archive, FILES[places.kind]
    archive.prepare()
    written = archive.scratch(f"repairs/repair.{places.kind}")
    found = _Found(_elsewhere(places), wanted)
    try:
        rows = form.write(written, found)
        if not rows and not report.lost_files:
            return 0
        sha256, size = sha256_of(written), written.stat().st_size
        name = f"repairs/repair-{sha256[:16]}{'' if rows else f'-{len(Manifests(archive).repairs())}'}"
        file = f"{name}.{places.kind}"
        archive.put(file, written)
    finally:
        written.unlink(missing_ok=True)
    done = Done(
        FORM,
        file,
        size,
        sha256,
        rows,
        form.written_by,
        USAGE.form,
        found.producers,
        [],
        [],
        found.times,
        report.lost_files,
    )
    archive.create(f"{name}.done.json", msgspec.json.encode(done))
    return rows


class _Found:
    """Of some records the intact ones that are wanted, each once."""

    def __init__(self, records: Iterable[UsageRecord], wanted: Mapping[str, Ranges]) -> None:
        self._records, self._wanted = records, wanted
        self._taken: dict[str, Ranges] = {}
        self.producers: dict[str, tuple[int, int]] = {}
        self.times: tuple[float, float] | None = None

    def __iter__(self) -> Iterator[UsageRecord]:
        for record in self._records:
            name, seq = producer_of(record), record.seq
            taken = self._taken.get(name, ())
            if not contains(self._wanted.get(name, ()), seq, seq) or contains(taken, seq, seq) or not is_intact(record):
                continue
            self._taken[name] = add(taken, seq, seq)
            first, last = self.producers.get(name, (seq, seq))
            self.producers[name] = min(first, seq), max(last, seq)
            self.times = spanned(self.times, record.time)
            yield record


def _elsewhere(places: Places) -> Iterator[UsageRecord]:
    """From the topic, then from the spools."""
    yield from (record for _, _, record in in_topic(places, []))
    for _, records in spools_at(places.spools, places.spool_token):
        yield from (found for _, found in records if not isinstance(found, Damage))
