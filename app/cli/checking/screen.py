"""What `check` and `repair` share: opening topics and stores, progress, what is printed, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, cast

import click

from app.checking.report import CheckReport, Difference
from app.cli.reading import size_function
from app.domain.open_deliveries import SizeOf
from app.domain.requests import query_rule
from app.errors import SettingsError
from app.flows.registry import TOPICS
from app.output.statistics import delivery_rows, hit_rows, table_lines
from app.process.memory import collect_seldom
from app.settings import Settings, settings
from app.sources.identity.sizes import Sizes, with_learned
from app.stores.contract import Reads, Store
from app.stores.readable import OnUnreadable
from app.words import counted_text, visible, waiting_text

if TYPE_CHECKING:
    from app.transports.broker_view import BrokerView

__all__ = [
    "DIFFERENT",
    "LEVEL",
    "SHOWN",
    "Listing",
    "WatchedReads",
    "known_sizes",
    "opened",
    "progress",
    "quiet_option",
    "run",
    "store_option",
    "tell",
    "totals",
]

store_option = click.option(
    "--store", "stores", multiple=True, metavar="NAME", help="Only this store; may be given again.  [default: WEBLOGS_STORES]",
)  # fmt: skip
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
LEVEL, DIFFERENT = 0, 1
SHOWN = 20
"""This many differences of each store and kind are named for people."""


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    """Ends the process with the exit code that `work` gives."""
    collect_seldom()
    sys.exit(asyncio.run(work()))


def known_sizes(own: Settings) -> SizeOf:
    """The sizes that a worker of these settings judges by. Raises SettingsError for a file that cannot be read."""
    given = size_function(None, own)
    if not own.learn_sizes:
        return given
    learned = Sizes(own.learned_sizes_path, query_rule(own.query), may_lack=True)
    if (problem := learned.refresh()) is not None:
        raise SettingsError(str(problem))
    return with_learned(learned, given)


@contextlib.asynccontextmanager
async def opened(
    names: tuple[str, ...], *, read_only: bool
) -> AsyncIterator[tuple[Settings, BrokerView | None, list[Store]]]:
    """The settings, the topics, and the stores of these names, or all of WEBLOGS_STORES; closed in the end."""
    from app.stores import opened_store
    from app.transports.broker_view import opened_view

    own = settings()
    async with contextlib.AsyncExitStack() as stack:
        view = stack.enter_context(opened_view(own))
        stores = [
            await stack.enter_async_context(opened_store(name, own, read_only=read_only))
            for name in dict.fromkeys(names or own.store_names)
        ]
        yield own, view, stores


class WatchedReads:
    """The reads of a store that tell how many of its records are read."""

    def __init__(self, store: Store, on_progress: Callable[[str, int], object]) -> None:
        self._name, self._reads = store.name, store.reads
        self._on_progress = on_progress

    @property
    def on_unreadable(self) -> OnUnreadable | None:
        return self._reads.on_unreadable

    @on_unreadable.setter
    def on_unreadable(self, told: OnUnreadable | None) -> None:
        self._reads.on_unreadable = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    def all_hits(self) -> AsyncIterator[Any]:
        return self._told(self._reads.all_hits(), "hits")

    def all_rejects(self) -> AsyncIterator[Any]:
        return self._told(self._reads.all_rejects(), "rejects")

    def all_deliveries(self, superseded: bool = False) -> AsyncIterator[Any]:
        return self._told(self._reads.all_deliveries(superseded), "deliveries")

    async def _told(self, records: AsyncIterator[Any], what: str) -> AsyncIterator[Any]:
        count = 0
        async for record in records:
            yield record
            count += 1
            if count == 2000:
                self._on_progress(f"{what} in {self._name}", count)
                count = 0
        self._on_progress(f"{what} in {self._name}", count)

    @classmethod
    def all_of(cls, stores: list[Store], on_progress: Callable[[str, int], object]) -> list[Store]:
        return [store.read_through(cast(Reads, cls(store, on_progress))) for store in stores]


async def totals(stores: list[Store]) -> int:
    """Records that are in these stores."""
    counts = [await store.reads.counts() for store in stores]
    return sum(each.hits + sum(each.rejects.values()) + sum(each.deliveries.values()) for each in counts)


@contextlib.contextmanager
def progress(total: int, wanted: bool) -> Iterator[Callable[[str, int], object]]:
    """A function that takes what is read and how many records more; shown on a terminal only."""
    if not wanted or not sys.stderr.isatty():
        yield lambda what, count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from app.output.console import Console

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)

        def show(what: str, count: int) -> None:
            if what in TOPICS:
                bar.update(task, description=f"reading {what}")
                return
            done = bar.tasks[0].completed + count
            # more than one look is taken where something differs
            bar.update(
                task, description=f"reading {what}", completed=done, total=max(total, bar.tasks[0].total or 0, done)
            )

        yield show


class Listing:
    """Takes differences as they are found: all as JSON lines, or the first ones of each kind for people."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: dict[tuple[str, str, str], list[Difference]] = {}

    def __call__(self, difference: Difference) -> None:
        if self._as_json:
            click.echo(json.dumps(difference._asdict()))
            return
        shown = self._shown.setdefault(difference[:3], [])
        if len(shown) < SHOWN:
            shown.append(difference)

    def lines(self, report: CheckReport) -> Iterator[str]:
        """What was found, kind by kind, the first ones by name."""
        for (store, record, kind), count in sorted(report.found.items()):
            yield f"{store}: {counted_text(count, record)} {kind}"
            shown = self._shown.get((store, record, kind), [])
            yield from (visible(f"  {each.name}: {each.why}")[:600] for each in shown)
            if count > len(shown):
                yield f"  … and {count - len(shown):,} more; --json names all"


def tell(report: CheckReport, listing: Listing, as_json: bool) -> None:
    """What was compared and what differs, for people or as one last JSON line."""
    if as_json:
        click.echo(json.dumps(_summary(report)))
        return
    for store, totals in report.totals.items():
        rejects = sum(totals.rejects.values())
        click.echo(
            f"{store}: {counted_text(totals.hits + rejects, 'line')}: {counted_text(totals.hits, 'hit')} and {counted_text(rejects, 'reject')}"
        )
        for line in table_lines([*hit_rows(totals), *delivery_rows(totals)]):
            click.echo(f"  {line}")
    for (where, store, record), count in sorted(
        report.compared.items(), key=lambda item: (item[0][1], item[0][2], item[0][0])
    ):
        click.echo(f"{store}: {counted_text(count, record)} in the {where}")
    for store, waiting in report.waiting.items():
        click.echo(
            f"{store}: {waiting_text(sum(waiting.values()))}: " + ", ".join(f"{n:,} in {t}" for t, n in waiting.items())
        )
    for store, count in report.on_the_way.items():
        if count:
            click.echo(f"{store}: {counted_text(count, 'record')} on the way, not counted as different")
    for sentence in report.skipped:
        click.echo(sentence)
    for line in listing.lines(report):
        click.echo(line)


def _summary(report: CheckReport) -> dict[str, Any]:
    def named(counter: Any) -> list[list[Any]]:
        return [[*name, count] for name, count in sorted(counter.items()) if count]

    return {
        "differences": report.differences,
        "found": named(report.found),
        "lines": {
            store: {"hits": totals.hits, "rejects": sum(totals.rejects.values())}
            for store, totals in report.totals.items()
        },
        "statistics": {store: totals.as_json for store, totals in report.totals.items()},
        "compared": named(report.compared),
        "mended": named(report.mended),
        "waiting": report.waiting,
        "on_the_way": {store: count for store, count in report.on_the_way.items() if count},
        "checksums": report.checksums,
        "skipped": report.skipped,
    }
