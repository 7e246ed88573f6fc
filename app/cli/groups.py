"""How the groups of commands list what is in them."""

from __future__ import annotations

import click

__all__ = ["Listed"]

_LONGEST = 400


class Listed(click.Group):
    """A group that lists its commands with their first sentences whole: click cuts them to one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(_LONGEST)) for name, each in found if each is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
