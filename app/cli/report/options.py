"""What all reports over files are asked with: inputs, log format, days, filters, output."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.exit_codes import end_with
from app.cli.log_format import AskedFormat, log_format_options
from app.cli.progress import Screen, open_screen
from app.cli.reading import (
    MOST_PROCESSES,
    read_options,
    reading_processes,
    size_function,
    spare_inputs,
    unwinding_at_sigterm,
)
from app.domain.windows import WINDOWS
from app.errors import InputError, NotLogged, SettingsError
from app.output.reports.writing import ENDINGS, check_report_ending, write_report
from app.process.memory import keep_freed, no_collection
from app.settings import settings
from app.stores import STORES

if TYPE_CHECKING:
    from app.output.reports.report import Report
    from app.reports.kept import KeptStore
    from app.reports.questions import Asked

__all__ = ["ROWS", "Day", "judging_options", "late_progress", "log_options", "output_options", "own_option", "report_command"]  # fmt: skip

Command = TypeVar("Command", bound=Callable[..., Any])
_PROGRESS_AFTER_S = 1.0
_KEPT_BYTES = 64 << 20
"""Of memory that is free."""
_STATUS = re.compile(r"[1-5](?:xx|[0-9]{2})|0")
_COUNTRY = re.compile(r"[A-Z]{2}")
_EXTENSION = re.compile(r"[a-z0-9_-]{1,16}")
ROWS = click.IntRange(1, 10**9)
_HOST = re.compile(r"[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\]")


class Day(click.ParamType):
    """A day: 2015-05-18."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write one as 2015-05-18", param, ctx)


class _List(click.ParamType):
    name = "list"

    def __init__(self, pattern: re.Pattern[str], example: str, change: Callable[[str], str]) -> None:
        self._pattern, self._example, self._change = pattern, example, change

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(self._change(name.strip()) for name in value.split(",") if name.strip()))
        wrong = [name for name in names if not self._pattern.fullmatch(name)]
        if wrong or not names:
            self.fail(f"{(wrong or [value])[0]!r} cannot be used; write as in {self._example}", param, ctx)
        return names


def _checked(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value:
        check_report_ending(value)
    return value


_OPTIONS = (
    click.option("--from", "first_day", type=Day(), metavar="DATE", help="Count from this day on, as in 2015-05-18."),
    click.option("--to", "last_day", type=Day(), metavar="DATE", help="Count up to this day, the day included."),
    click.option("--tz", default="", metavar="ZONE", help="The zone of days and hours, as Europe/Berlin, UTC or +05:30.  [default: what each line writes]"),
    click.option("--top", type=ROWS, metavar="N", help="Show the N greatest rows; equal ones by name.  [default: all]"),
    click.option("--status", "statuses", type=_List(_STATUS, "404,5xx", str.lower), metavar="LIST", help="Count these statuses only, as in 404,5xx."),
    click.option("--ext", "extensions", type=_List(_EXTENSION, "mp3,jpeg", lambda name: name.lower().lstrip(".")), metavar="LIST", help="Count these extensions only, as in mp3,jpeg."),
    click.option("--country", "countries", type=_List(_COUNTRY, "DE,FR", str.upper), metavar="LIST", help="Count addresses of these countries only, as in DE,FR; XX is unknown."),
    click.option("--no-bots", is_flag=True, help="Leave out crawlers, by the list crawler-user-agents."),
    click.option("--geoip", default="", metavar="FILE.mmdb", help="Take countries from a file in the format of MaxMind.  [default: the list of iptocc]"),
)  # fmt: skip
_READ, _WRITTEN = ("sizes", "geoip", "episodes", "data_centres"), ("output", "certify", "left_out")
"""Options that name files."""
_OUTPUT = (
    click.option("-o", "--output", type=click.Path(path_type=Path), callback=_checked, help=f"Write the report to a file: {', '.join(ENDINGS)}."),
    click.option("--bare", is_flag=True, help="Write .csv and .tsv without the head: names of columns and rows only."),
)  # fmt: skip
_PROCESSES = (
    click.option("--processes", type=click.IntRange(1, MOST_PROCESSES), help="Number of processes that read lines. 1: no other process.  [default: cores]"),
    click.option("--quiet", "-q", is_flag=True, help="No progress bar."),
)  # fmt: skip

_STORES = (
    click.option("--store", type=click.Choice(list(STORES)), help="Read what the worker has put into this store, in place of files; days and hours are those of UTC."),
    click.option("--counted", is_flag=True, help="With --store: take the sums that a worker with WEBLOGS_COUNT_REQUESTS keeps, not each hit."),
)  # fmt: skip


_JUDGING = (
    click.option("--sizes", type=click.Path(path_type=Path), help="True sizes: request, tab, bytes a line.  [default: WEBLOGS_SIZES]"),
    click.option("--learn-sizes", is_flag=True, help="Read the logs twice: first find the sizes of files in them, as `reduce` does. Not for files of hits."),
    click.option("--window", type=click.Choice(WINDOWS), help="How hits are cut into deliveries.  [default: WEBLOGS_WINDOW]"),
)  # fmt: skip


own_option = click.option(
    "--own", type=_List(_HOST, "example.com,example.org", str.lower), default=(), metavar="LIST",
    help="Leave out these hosts and those below them, as in example.com,example.org.",
)  # fmt: skip


def output_options(function: Command) -> Command:
    """Where a report goes; the function takes `output`, whose ending is known, and `bare`."""
    for option in reversed(_OUTPUT):
        function = option(function)
    return function


def log_options(function: Callable[..., Any], stores: bool = False) -> Callable[..., Any]:
    """The inputs and how they are read; the function takes `inputs` and `quiet` in their place. `stores`: one may stand for files."""

    @wraps(function)
    def command(
        files: tuple[str, ...],
        asked_format: AskedFormat,
        processes: int | None,
        store: str | None = None,
        counted: bool = False,
        **others: Any,
    ) -> Any:
        with no_collection():
            from app.reports.reading import Inputs

        if bool(files) == bool(store):
            raise click.UsageError(
                f"Name {'a FILE or --store, not both' if files else 'a FILE' + ', or --store' * stores}."
            )
        if counted and not store:
            raise click.UsageError("--counted asks a store: name it with --store")
        spare_inputs((*files, *map(others.get, _READ)), map(others.get, _WRITTEN))
        configured = settings()
        read = read_options(asked_format, files, configured)
        keep_freed(_KEPT_BYTES)
        if not store:
            with no_collection(), unwinding_at_sigterm():
                return function(inputs=Inputs(files, read, reading_processes(files, processes)), **others)
        from app.reports.kept import kept_in

        with unwinding_at_sigterm(), kept_in(store, configured, counted) as kept:
            return function(inputs=Inputs((), read, kept=kept), **others)

    for option in reversed((*_PROCESSES, *(_STORES if stores else ()))):
        command = option(command)
    return click.argument("files", nargs=-1, required=not stores, metavar="[FILE…]" if stores else "FILE…")(
        log_format_options(command)
    )


def report_command(function: Callable[..., Report]) -> Callable[..., None]:
    """A function from what is asked to a report as a command that prints or writes it, with the options of all reports."""

    @partial(log_options, stores=True)
    @wraps(function)
    def command(
        inputs: Any,
        first_day: date | None,
        last_day: date | None,
        tz: str,
        top: int | None,
        statuses: tuple[str, ...] | None,
        extensions: tuple[str, ...] | None,
        countries: tuple[str, ...] | None,
        no_bots: bool,
        geoip: str,
        output: Path | None,
        bare: bool,
        quiet: bool,
        **own: Any,
    ) -> None:
        from app.reports.filters import Filters, Sieve
        from app.reports.questions import Asked

        if first_day and last_day and last_day < first_day:
            raise click.UsageError(f"--to {last_day} is before --from {first_day}")
        zone = tz or "UTC" * (inputs.kept is not None)
        filters = Filters(statuses or (), extensions or (), countries or (), no_bots, first_day, last_day, zone, geoip)
        Sieve(filters)
        errors: list[str] = []
        with late_progress(quiet, inputs.kept) as on_progress:
            asked: Asked = Asked(inputs._replace(on_progress=on_progress, errors=errors), filters, top)
            try:
                report = function(asked, **own)
            except NotLogged as error:
                raise NotLogged("\nError: ".join([str(error), *errors])) from error
        if errors and not any(name == "lines" and value for name, value in report.head):
            raise InputError("\nError: ".join(errors))
        write_report(report, output, bare=bare, formulas=settings().output_formulas)
        end_with(errors)

    command = output_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def judging_options(function: Callable[..., Report]) -> Callable[..., Report]:
    """Adds how deliveries are judged to a function of a report; it takes `question` in place of `asked`."""

    @wraps(function)
    def command(asked: Asked, sizes: Path | None, learn_sizes: bool, window: str | None, **own: Any) -> Report:
        from app.reports.delivery_questions import Deliveries
        from app.reports.open_hits import Judging
        from app.reports.reading import is_index
        from app.sources.identity.sizes import with_learned

        if asked.filters.statuses:
            raise SettingsError("--status counts hits; this report counts deliveries: leave it out")
        if asked.inputs.kept is not None and (sizes or learn_sizes or window):
            raise SettingsError(
                "a store's deliveries are judged already: leave --sizes, --learn-sizes and --window out"
            )
        configured = settings()
        size_of = size_function(sizes, configured)
        rules = configured.rules._replace(window=window or configured.window)
        if learn_sizes:
            from app.reducing.learning import learn, not_read_twice, sizes_in

            if any(map(is_index, asked.inputs.paths)):
                raise SettingsError("--learn-sizes reads logs: name the log instead of the file of its hits")
            logs = [path for path in asked.inputs.paths if path not in not_read_twice(asked.inputs.paths)]
            learned = dict(learn(logs, asked.inputs.read, [], asked.inputs.on_progress).sizes())
            size_of = with_learned(sizes_in(learned), size_of)
        return function(Deliveries(asked, Judging(rules, size_of)), **own)

    for option in reversed(_JUDGING):
        command = option(command)
    return command


@contextmanager
def late_progress(quiet: bool, kept: KeptStore | None = None) -> Iterator[Callable[[str, int, int | None], None]]:
    """Shows progress on standard error if it is a terminal, and reading takes longer than a second: of files, or of a store."""
    started = time.monotonic()
    with ExitStack() as stack:
        screens: list[Screen] = []

        def on_progress(path: str, done: int, size: int | None) -> None:
            if not screens and time.monotonic() - started >= _PROGRESS_AFTER_S:
                screens.append(stack.enter_context(open_screen(quiet=quiet, transient=True)))
            for screen in screens:
                (screen.read if kept is None else screen.records)(path, done, size)

        if kept is not None:
            kept.on_progress = on_progress
        yield on_progress
