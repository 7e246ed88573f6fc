"""What commands that read logs have in common: their options as values, and what they do with them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.log_format import AskedFormat
from app.domain.formats.base import AUTO
from app.domain.requests import query_rule
from app.errors import InputError, SettingsError, WrongOutput
from app.settings import Settings
from app.sources.files.read_options import ReadOptions, form_of

if TYPE_CHECKING:
    from app.domain.open_deliveries import SizeOf

__all__ = [
    "MOST_PROCESSES",
    "read_options",
    "reading_processes",
    "size_function",
    "spare_inputs",
    "unwinding_at_sigterm",
]

MOST_PROCESSES = 256
_READERS_FROM_BYTES = 1 << 20
"""As they are, compressed or not."""


@contextmanager
def unwinding_at_sigterm() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: what is half written goes away. The exit code is 143, as a shell tells that signal."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def spare_inputs(inputs: Iterable[str | Path | None], outputs: Iterable[str | Path | None]) -> None:
    """Raises WrongOutput if a file that would be written is one that is read: a log cannot be made again."""
    read = [path for path in inputs if path and os.path.exists(path)]
    for output in outputs:
        if output and os.path.exists(output) and any(Path(path).samefile(output) for path in read):
            raise WrongOutput(f"{output}: is an input; name another file to write")


def size_function(sizes: Path | None, configured: Settings) -> SizeOf:
    """From the option, else the setting; SettingsError where the file cannot be used."""
    # what judges is slow to load, and commands that only count do without
    from app.domain.open_deliveries import no_sizes
    from app.sources.identity.sizes import Sizes

    path = sizes or (Path(configured.sizes) if configured.sizes else None)
    try:
        return Sizes(path, query_rule(configured.query)) if path else no_sizes
    except InputError as error:
        raise SettingsError(str(error)) from error


def reading_processes(files: tuple[str, ...], wanted: int | None) -> int:
    """How many processes read for this one: none where little is to be read."""
    if all(os.path.isfile(name) for name in files) and sum(map(os.path.getsize, files)) < _READERS_FROM_BYTES:
        return 0
    count = wanted or _cores()
    return count if count > 1 else 0


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_options(asked: AskedFormat, files: Sequence[str], configured: Settings) -> ReadOptions:
    """From the options of a command, else the settings. Raises SettingsError for a format that cannot be used."""
    format_name = asked.name(files)
    options = ReadOptions.of(configured)
    if asked.bytes_kind is not None:
        options = options._replace(format_options=options.format_options._replace(bytes=asked.bytes_kind))
    if format_name is not None:
        options = options._replace(format=format_name)
    if options.format != AUTO:
        form = form_of(options.format)
        try:
            form.make_parser((), options.format_options)
        except ValueError as error:
            raise SettingsError(f"{error}; correct the setting of the {form.name} format") from None
    return options
