"""`python -m app formats`: the log formats with an example of each."""

from __future__ import annotations

import sys

import click

from app.domain.formats import FORMATS
from app.domain.formats.base import Format

__all__ = ["command"]


@click.command("formats")
@click.option("--names", is_flag=True, help="The names only, one a line.")
def command(names: bool) -> None:
    """List the log formats, each with an example."""
    text = "\n".join(FORMATS) if names else "\n\n".join(map(_described, FORMATS.values()))
    click.get_binary_stream("stdout").write((text + "\n").encode())
    sys.stdout.flush()


def _described(log_format: Format) -> str:
    example = "\n".join(f"    {line}" for line in log_format.example.splitlines())
    return f"{log_format.name}\n  {log_format.title}\n{example}"
