"""How the groups of commands list what is in them, and what they say of a name that none has."""

from __future__ import annotations

from difflib import get_close_matches

import click

__all__ = ["Listed", "Suggesting"]

_LONGEST = 400


class Suggesting(click.Group):
    """A group that names the commands that are spelled much like one that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := get_close_matches(args[0], self.list_commands(ctx), n=2):
                error.message += f" Did you mean {' or '.join(near)}?"
            raise


class Listed(Suggesting):
    """A group that lists its commands with their first sentences whole: click cuts them to one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(_LONGEST)) for name, each in found if each is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
