"""python -m app settings: every setting, its value here, default, unit and meaning."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("settings")
@click.option("--markdown", is_flag=True, help="As the table of docs/reference/settings.md.")
def command(markdown: bool) -> None:
    """Print every setting with default, unit and meaning; a value that differs from the default is marked.

    Settings come from the environment, then from the file .env in the working directory.
    """
    from app.settings import PREFIX, rows, settings

    if markdown:
        click.echo("| setting | default | unit | meaning |\n|---|---|---|---|")
        for row in rows():
            click.echo(f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.unit} | {row.meaning} |")
        return
    from rich.table import Table

    from app.output.console import Console

    table = Table("setting", "value", "default", "unit", "meaning", box=None, pad_edge=False)
    now = settings()
    for row in rows():
        value = row.shown(getattr(now, row.name.removeprefix(PREFIX).lower()))
        own = value != row.default and row.name != f"{PREFIX}BROKER"
        table.add_row(row.name, f"{value} *" if own else value, row.default, row.unit, row.meaning)
    Console(width=None if Console().is_terminal else 200).print(table)
