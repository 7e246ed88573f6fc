"""`python -m app candidates`: who can be voted for, in every store of the settings."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.groups import Listed
from app.errors import InputError
from app.messages.names import checked_names
from app.output.text import as_read, harmless
from app.settings import settings
from app.stores import opened_store
from app.stores.contract import Store
from app.words import counted_text

__all__ = ["command"]


def _on_each(work: Callable[[Store], Awaitable[Any]]) -> list[Any]:
    """What `work` returns on every store of the settings."""

    async def run(name: str) -> Any:
        async with opened_store(name, settings()) as store:
            return await work(store)

    return [asyncio.run(run(name)) for name in settings().store_names]


def _put(names: Mapping[str, str]) -> None:
    _on_each(lambda store: store.ledgers.put_names("candidates", names))


@click.group("candidates", cls=Listed)
def command() -> None:
    """Who can be voted for. While nobody was added, a demo list of candidates 1 to 3 is in force. A worker knows changes within seconds."""


@command.command("add")
@click.argument("candidate_id")
@click.argument("name")
def add(candidate_id: str, name: str) -> None:
    """Add one, or give it another name. CANDIDATE_ID is an integer."""
    names = checked_names("candidates", [(candidate_id, name)])
    _put(names)
    for number, said in names.items():
        click.echo(f"candidate {number}: {said}")


@command.command("list")
def list_() -> None:
    """Print id and name, tab-separated, from the first store of the settings."""
    found = _on_each(lambda store: store.ledgers.names("candidates"))[0]
    if not found:
        name = settings().store_names[0]
        click.echo(
            f"No candidate was added to the store {name} (WEBLOGS_STORES): the demo list 1 to 3 is in force.", err=True
        )
    for number, name in sorted(found.items(), key=lambda item: int(item[0])):
        click.echo(f"{number}\t{harmless(name)}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=False))
def import_(file: Path) -> None:
    """Add all of FILE: CSV, or tab-separated (.tsv), with id and name a line; a first line `id,name` is skipped. All or none."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = [row for row in csv.reader(opened, delimiter="\t" if file.suffix == ".tsv" else ",") if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if lines and [cell.strip().lower() for cell in lines[0][:2]] == ["id", "name"]:
        lines = lines[1:]
    if wrong := [row for row in lines if len(row) < 2]:
        raise InputError(f"{file}: a line needs an id and a name, not {','.join(wrong[0])[:60]!r}")
    names = checked_names("candidates", [(row[0], as_read(row[1])) for row in lines])
    if not names:
        raise InputError(f"{file} has no candidates")
    _put(names)
    click.echo(f"{counted_text(len(names), 'candidate')} of {file} added")
