"""What `python -m app run` tells at the end of a replay: what the store holds, and where to look."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from app.domain.records import Delivery
from app.domain.totals import Totals
from app.output.columns import iso_time
from app.output.statistics import delivery_rows, hit_rows, table_lines
from app.settings import Settings
from app.words import (
    condition_text,
    counted_text,
    hints,
    ranges_text,
    reason_label,
    reject_hints,
    verdict_sentence,
    visible,
)

__all__ = ["Findings", "findings", "found_lines", "where_lines"]

_EXAMPLES = 3
_VERDICTS = ("complete", "partial", "unknown")
_RANGES_SHOWN = 5
_WIDTH = 140


class Findings(NamedTuple):
    """What a store holds."""

    counts: Totals
    examples: list[Delivery]
    """At most three, of different verdicts and reasons where there are such."""


async def findings(configured: Settings) -> Findings:
    """Reads the first store of the settings. Raises StoreError."""
    from app.stores import opened_store

    async with opened_store(configured.store_names[0], configured, read_only=True) as store:
        newest = [delivery for verdict in _VERDICTS for delivery in await store.reads.newest_deliveries(50, verdict)]
        return Findings(await store.reads.counts(), _different(newest))


def _different(deliveries: list[Delivery]) -> list[Delivery]:
    """One of each verdict and reason first, so that three examples show three things."""
    kinds: dict[tuple[str, str | None], Delivery] = {}
    for delivery in sorted(deliveries, key=lambda delivery: -delivery.hits):
        kinds.setdefault((delivery.verdict, delivery.reason), delivery)
    chosen = sorted(kinds.values(), key=lambda delivery: _VERDICTS.index(delivery.verdict))
    rest = [delivery for delivery in deliveries if delivery not in chosen]
    return (chosen + rest)[:_EXAMPLES]


def found_lines(found: Findings) -> list[str]:
    """Counts, then the examples."""
    counts = found.counts
    lines = table_lines([*hit_rows(counts), *delivery_rows(counts)])
    lines += [f"hint: {hint}" for hint in reject_hints(counts.rejects, counts.hits) or hints(counts.reasons)]
    for delivery in found.examples:
        lines += ["", *_example(delivery)]
    return lines


def _example(delivery: Delivery) -> list[str]:
    """Key, verdict, ranges: three lines; a fourth, if it is whole under a condition only."""
    size = f" of {delivery.total_bytes:,}" if delivery.total_bytes is not None else ""
    why = f", {reason_label(delivery.reason)}" if delivery.reason else ""
    told = f"bytes {ranges_text(delivery.ranges, _RANGES_SHOWN)}" if delivery.ranges else "no byte ranges"
    if delivery.missing:
        told += f"; missing {ranges_text(delivery.missing, _RANGES_SHOWN)}"
    if delivery.doubtful:
        told += f"; in doubt {ranges_text(delivery.doubtful, _RANGES_SHOWN)}"
    is_conditional = delivery.verdict == "complete" and condition_text(delivery.evidence) is not None
    return [
        visible(f"{delivery.verdict}{why}: {delivery.request}")[:_WIDTH],
        visible(f"  to {delivery.ip_address}, {delivery.user_agent}")[:_WIDTH],
        f"  {told}; {delivery.covered_bytes:,}{size} bytes covered by {counted_text(delivery.hits, 'hit')} from {iso_time(delivery.first)} on",
        *([f"  {verdict_sentence(delivery)}"[:_WIDTH]] if is_conditional else []),
    ]


def where_lines(configured: Settings, found: Findings, page: str | None, log: Path) -> list[str]:
    """The page (None: not served), the client, the SQL file, the worker's log."""
    lines = [f"page    {page}"] if page else []
    printable = [delivery for delivery in found.examples if "".join(delivery[:3]).isprintable()]
    if printable:
        lines.append(f"client  {_client_command(configured, printable[-1])}")
    lines.append(f"SQL     {configured.store_path}: views reduced_weblogs, raw_weblogs, weblogs_rejects")
    return [*lines, f"log     {log}"]


def _client_command(configured: Settings, delivery: Delivery) -> str:
    """To be pasted into a shell in this folder."""
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    words = [
        str(here),
        "-m",
        "app.client",
        "-i",
        delivery.ip_address,
        "-u",
        delivery.user_agent,
        "-r",
        delivery.request,
    ]
    own = (
        ""
        if configured.data_dir == Settings().data_dir
        else f"WEBLOGS_DATA_DIR={shlex.quote(str(configured.data_dir))} "
    )
    return own + shlex.join(words)
