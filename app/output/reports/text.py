"""A report as .csv, .tsv or .json. Numbers have all their digits; a share is a number from 0 to 1; what is absent is empty or null.

The head and the definitions come first, in lines that begin with `# `, unless only the rows are asked for.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from app.output.reports.report import Report
from app.output.text import harmless, tsv_cell
from app.words import visible, writable

__all__ = ["as_csv", "as_json", "as_tsv"]


def _comments(report: Report) -> str:
    lines = [report.title]
    lines += [f"{name}: {value}" for name, value in report.head]
    lines += [f"{name}: {'' if value is None else value}" for name, value in report.totals]
    return "".join(f"# {visible(line)}\n" for line in [*lines, *report.definitions])


def _cells(row: tuple[Any, ...], formulas: bool) -> list[Any]:
    cells = ["" if value is None else value for value in row]
    return [writable(value if formulas else harmless(value)) if isinstance(value, str) else value for value in cells]


def as_csv(report: Report, bare: bool = False, formulas: bool = False) -> bytes:
    """By RFC 4180, UTF-8, quotes around texts. `bare`: rows only; `formulas`: texts stay as they are."""
    out = io.StringIO(newline="")
    # a spreadsheet cuts these lines at commas, too
    about = _comments(report)
    out.write("" if bare else about if formulas else ",".join(map(harmless, about.split(","))))
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(report.names)
    writer.writerows(_cells(row, formulas) for row in report.rows)
    return out.getvalue().encode()


def as_tsv(report: Report, bare: bool = False, formulas: bool = False) -> bytes:
    r"""Tab-separated, UTF-8; tab, line ends and backslash in a text stand as `\t`, `\n`, `\r`, `\\`."""
    lines = ["\t".join(report.names)]
    lines += ["\t".join(tsv_cell(str(cell)) for cell in _cells(row, formulas)) for row in report.rows]
    return (("" if bare else _comments(report)) + "".join(f"{line}\n" for line in lines)).encode()


def as_json(report: Report) -> bytes:
    """One object: `report`, `title`, `head`, `totals`, `definitions`, `columns` with kinds, and `rows` as objects."""
    names = report.names
    value = {
        "report": report.name,
        "title": report.title,
        "head": [{"name": name.strip(), "value": told, "part": name.startswith(" ")} for name, told in report.head],
        "totals": dict(report.totals),
        "definitions": report.definitions,
        "columns": [column._asdict() for column in report.columns],
        "rows": [dict(zip(names, row, strict=True)) for row in report.rows],
    }
    return json.dumps(value, indent=1).encode() + b"\n"
