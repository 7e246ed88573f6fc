"""Writes a report to the screen, to standard output in a form, or to a file by its ending; a file is whole or not there."""

from __future__ import annotations

import sys
from pathlib import Path

from app.errors import WrongOutput
from app.output.replacing import STDOUT, Replacement, explained
from app.output.reports.report import Report

__all__ = ["ENDINGS", "check_report_ending", "write_report"]

ENDINGS = (".csv", ".tsv", ".json", ".parquet", ".xlsx", ".svg", ".html")


def check_report_ending(path: Path) -> str:
    """The ending of a file that can be written; WrongOutput that lists them for another."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise WrongOutput(f"{path}: name a file that ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    return ending


def write_report(report: Report, path: Path | None, *, bare: bool = False, formulas: bool = False) -> None:
    """To `path`, or to the screen. Raises OutputError if the system refuses."""
    if path is None:
        from app.output.reports.screen import print_report

        with explained(STDOUT):
            print_report(report)
            sys.stdout.flush()
        return
    ending = check_report_ending(path)
    with Replacement(path) as replacement, explained(path):
        _write(report, replacement.path, ending, bare, formulas)


def _write(report: Report, path: Path, ending: str, bare: bool, formulas: bool) -> None:
    if ending in (".parquet", ".xlsx"):
        from app.output.reports.sheets import write_parquet, write_xlsx

        (write_parquet if ending == ".parquet" else write_xlsx)(report, path)
    elif ending in (".svg", ".html"):
        from app.output.reports.pictures import as_html, as_svg

        path.write_bytes(as_svg(report) if ending == ".svg" else as_html(report))
    else:
        from app.output.reports.text import as_csv, as_json, as_tsv

        if ending == ".json":
            path.write_bytes(as_json(report))
        else:
            path.write_bytes((as_csv if ending == ".csv" else as_tsv)(report, bare, formulas))
