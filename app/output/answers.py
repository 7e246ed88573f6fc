"""Small tables whose rows are in memory: on the screen, or as a .csv, .tsv or .json file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.errors import OutputError
from app.output.replacing import Replacement, explained
from app.output.text import harmless
from app.settings import settings
from app.words import visible

__all__ = ["ANSWER_ENDINGS", "answer_lines", "check_answer_ending", "write_answer"]

ANSWER_ENDINGS = (".csv", ".tsv", ".json")


def answer_lines(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns below their heads, numbers to the right.

    >>> answer_lines(["day", "users"], [["2017-04-02", 1200]])
    ['day         users', '2017-04-02  1,200']
    """
    told = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *told, strict=True)]
    right = [bool(rows) and not any(isinstance(cell, str) for cell in column) for column in zip(*rows, strict=True)]
    right = right or [False] * len(heads)
    return [
        "  ".join(
            f"{cell:>{width}}" if is_number else f"{cell:<{width}}"
            for cell, width, is_number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in (list(heads), *told)
    ]


def _shown(cell: object) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return "-" if cell is None else visible(str(cell))


def check_answer_ending(path: Path) -> None:
    """Raises OutputError that lists the endings for another one."""
    if path.suffix.lower() not in ANSWER_ENDINGS:
        raise OutputError(
            f"{path}: name a file that ends with {', '.join(ANSWER_ENDINGS[:-1])} or {ANSWER_ENDINGS[-1]}"
        )


def write_answer(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]], about: dict[str, Any]) -> None:
    """Write the rows, by the file's ending; .json is an object of `about` and `rows`. Raises OutputError.

    Texts that a spreadsheet would compute are written as `harmless` says.
    """
    check_answer_ending(path)
    replacement = Replacement(path)
    try:
        with (
            explained(path),
            replacement.path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            if path.suffix.lower() == ".json":
                json.dump({**about, "rows": [dict(zip(heads, row, strict=True)) for row in rows]}, file, indent=1)
                file.write("\n")
            else:
                as_they_are = settings().output_formulas
                lines = csv.writer(
                    file,
                    delimiter="," if path.suffix.lower() == ".csv" else "\t",
                    lineterminator="\r\n" if path.suffix.lower() == ".csv" else "\n",
                )
                lines.writerow(heads)
                lines.writerows(
                    [harmless(cell) if isinstance(cell, str) and not as_they_are else cell for cell in row]
                    for row in rows
                )
        replacement.commit()
    finally:
        replacement.discard()
