"""How commands that read logs are told the format: --format, --log-format, --server-config and --bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from app.errors import SettingsError

__all__ = ["AskedFormat", "log_format_options"]


class AskedFormat(NamedTuple):
    """What the four options say."""

    format_name: str | None
    log_format: str | None
    server_config: str | None
    bytes_kind: str | None
    """One of BYTES_KINDS."""

    def name(self, files: Sequence[str]) -> str | None:
        """The name of the chosen format, None if no option chooses one. Says on stderr what was taken and passed over.

        Raises SettingsError if a text cannot be used, UsageError if two options choose.
        """
        if sum(choice is not None for choice in self[:3]) > 1:
            raise click.UsageError(
                "--format, --log-format and --server-config each choose the format: give one of them"
            )
        log_format = self.log_format
        if self.server_config is not None:
            from app.sources.files.server_config import configured_format

            found = configured_format(self.server_config, files)
            click.echo(found.said, err=True)
            log_format = found.text
        if log_format is None:
            return self.format_name
        from app.domain.formats.format_strings import FormatTextError, compiled  # slow to load, and seldom needed

        try:
            made = compiled(log_format)
        except FormatTextError as error:
            option = "log-format" if self.server_config is None else "server-config"
            raise SettingsError(f"--{option}: {error}") from None
        for sentence in made.warnings:
            click.echo(f"{made.server}: {sentence}", err=True)
        return made.format.name


_OPTIONS = (
    click.option("--format", "-f", "format_name", help="Log format, or auto; `python -m app formats` lists them.  [default: WEBLOGS_FORMAT]"),
    click.option("--log-format", metavar="TEXT", help="The log format as the server is configured with it, as in '%h %l %u %t \"%r\" %>s %O'; nginx:TEXT and the like name the server.  [default: WEBLOGS_LOG_FORMAT]"),
    click.option("--server-config", metavar="FILE[:NAME]", help="Take the log format from nginx's or Apache's configuration: the one that its log is written in, or NAME."),
    click.option("--bytes", "bytes_kind", type=click.Choice(["body", "with-headers", "announced"]), help="What the byte column counts, if the log cannot tell.  [default: WEBLOGS_BYTES]"),
)  # fmt: skip


def log_format_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the four options to a command; the function takes `asked_format` in their place."""

    @wraps(function)
    def command(
        format_name: str | None,
        log_format: str | None,
        server_config: str | None,
        bytes_kind: str | None,
        **others: Any,
    ) -> Any:
        return function(asked_format=AskedFormat(format_name, log_format, server_config, bytes_kind), **others)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command
