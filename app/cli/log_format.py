"""How commands that read logs are told the format: --format, --log-format, --server-config and --bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from app.domain.formats.format_strings import FormatTextError, compiled
from app.errors import SettingsError

__all__ = ["format_named", "log_format_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def log_format_options(command: Command) -> Command:
    """Adds the four options to a command."""
    command = click.option(
        "--bytes",
        "bytes_kind",
        type=click.Choice(["body", "with-headers", "announced"]),
        help="What the byte column counts, if the log cannot tell.  [default: WEBLOGS_BYTES]",
    )(command)
    command = click.option(
        "--server-config",
        metavar="FILE[:NAME]",
        help="Take the log format from nginx's or Apache's configuration: the one that its log is written in, or NAME.",
    )(command)
    command = click.option(
        "--log-format",
        metavar="TEXT",
        help="The log format as the server is configured with it, as in '%h %l %u %t \"%r\" %>s %O'; nginx:TEXT and the"
        " like name the server.  [default: WEBLOGS_LOG_FORMAT]",
    )(command)
    return click.option(
        "--format",
        "-f",
        "format_name",
        help="Log format, or auto; `python -m app formats` lists them.  [default: WEBLOGS_FORMAT]",
    )(command)


def format_named(
    format_name: str | None, log_format: str | None, server_config: str | None, files: Sequence[str]
) -> str | None:
    """The name of the chosen format, None if no option chooses one. Says on stderr what was taken and passed over.

    Raises SettingsError if a text cannot be used, UsageError if two options choose.
    """
    if sum(choice is not None for choice in (format_name, log_format, server_config)) > 1:
        raise click.UsageError("--format, --log-format and --server-config each choose the format: give one of them")
    if server_config is not None:
        from app.sources.files.server_config import configured_format

        found = configured_format(server_config, files)
        click.echo(found.said, err=True)
        log_format = found.text
    if log_format is None:
        return format_name
    try:
        made = compiled(log_format)
    except FormatTextError as error:
        raise SettingsError(f"--{'log-format' if server_config is None else 'server-config'}: {error}") from None
    for sentence in made.warnings:
        click.echo(f"{made.server}: {sentence}", err=True)
    return made.format.name
