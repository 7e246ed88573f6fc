"""A report as .parquet, with its head as metadata, and as .xlsx, with its head on a sheet of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.output.reports.report import Column, Report, kind_of
from app.words import writable

__all__ = ["write_parquet", "write_xlsx"]

_INT64 = 1 << 63


def write_parquet(report: Report, path: Path) -> None:
    """A column of integers beyond 64 bits is one of texts with all digits. The metadata `weblogs` is the JSON without the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from app.output.reports.text import as_json

    columns = list(zip(*report.rows, strict=True)) or [() for _ in report.columns]
    arrays = [_array(column, values) for column, values in zip(report.columns, columns, strict=True)]
    about = json.loads(as_json(report._replace(rows=[])))
    table = pa.Table.from_arrays(arrays, report.names).replace_schema_metadata({"weblogs": json.dumps(about)})
    pq.write_table(table, str(path), compression="zstd")


def _array(column: Column, values: tuple[Any, ...]) -> Any:
    import pyarrow as pa

    if column.kind == "text":
        return pa.array([None if value is None else writable(value) for value in values], pa.string())
    if column.kind in ("share", "seconds", "money"):
        return pa.array(values, pa.float64())
    if any(value is not None and not -_INT64 <= value < _INT64 for value in values):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values, pa.int64())


def write_xlsx(report: Report, path: Path, rows_to_draw: int = 30) -> None:
    """Two sheets: the report with a chart of its first rows, and `about`. Texts are never formulas or links."""
    import xlsxwriter

    from app.output.xlsx import SHEET_ROWS, PlainSheet, cell_text, is_exact

    book = xlsxwriter.Workbook(str(path), {"in_memory": True})
    bold = book.add_format({"bold": True})
    formats = {"share": book.add_format({"num_format": "0.00%"}), "seconds": book.add_format({"num_format": "0.000"})}
    formats["money"] = book.add_format({"num_format": "#,##0.00"})
    whole = book.add_format({"num_format": "#,##0"})
    about = book.add_worksheet("about", PlainSheet)
    sheet = book.add_worksheet(report.name[:31], PlainSheet)

    def put(page: Any, row: int, column: int, value: Any, kind: str) -> None:
        if isinstance(value, str) or (value is not None and not is_exact(value)):
            page.write_string(row, column, cell_text(str(value)))
        elif value is not None:
            page.write_number(row, column, value, formats.get(kind, whole))

    about.write_string(0, 0, report.title, bold)
    told = [*report.head, *report.totals, *(("", sentence) for sentence in report.definitions)]
    for row, (name, value) in enumerate(told, 1):
        put(about, row, 0, name, "text")
        put(about, row, 1, value, kind_of(value))
    about.set_column(0, 0, 28)
    about.set_column(1, 1, 60)
    sheet.freeze_panes(1, 0)
    shown = report.rows[: SHEET_ROWS - 2]
    for at, column in enumerate(report.columns):
        sheet.set_column(at, at, 40 if column.kind == "text" and at == 0 else 16)
        sheet.write_string(0, at, column.name, bold)
        for row, values in enumerate(shown, 1):
            put(sheet, row, at, values[at], column.kind)
    if len(shown) < len(report.rows):
        sheet.write_string(
            SHEET_ROWS - 1, 0, f"This sheet is full; {len(report.rows) - len(shown):,} rows are left out."
        )
    if report.drawn and report.rows:
        chart = book.add_chart({"type": "column" if report.is_series else "bar"})
        last, at = min(len(shown), rows_to_draw), report.names.index(report.drawn)
        chart.add_series(
            {
                "name": report.drawn,
                "categories": [sheet.name, 1, 0, last, 0],
                "values": [sheet.name, 1, at, last, at],
            }
        )
        chart.set_legend({"none": True})
        chart.set_title({"name": report.title, "overlay": False})
        if not report.is_series:
            chart.set_y_axis({"reverse": True})
        sheet.insert_chart(1, len(report.columns) + 1, chart)
    sheet.activate()
    book.close()
