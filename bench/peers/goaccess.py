"""GoAccess of Debian: its own panels as a JSON report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["command", "hits_of"]

_FORMATS = {
    "weblog_tsv": ("%^\t%d %t\t%h\t%u\t%r\t%s\t%^", "%Y-%m-%d", "%H:%M:%S"),
    "combined_range": ('%h %^[%d:%t %^] "%r" %s %b "%R" "%u" "%^"', "%d/%b/%Y", "%H:%M:%S"),
}


def command(log: Path, out: Path, form: str) -> list[str]:
    """What runs it on one log."""
    lines, date, time = _FORMATS[form]
    formats = ["--log-format", lines, "--date-format", date, "--time-format", time]
    return [
        "goaccess",
        str(log),
        "-o",
        str(out),
        *formats,
        "--no-progress",
        "--no-global-config",
        "--max-items",
        "100000",
        "--json-pretty-print",
    ]


def hits_of(report: dict[str, Any]) -> dict[str, int]:
    """Path -> hits, of the panels of files: pages, static files, those not found. A path stands in one of them."""
    found: dict[str, int] = {}
    for panel in ("requests", "static_requests", "not_found"):
        for row in report.get(panel, {}).get("data", ()):
            found[row["data"]] = found.get(row["data"], 0) + row["hits"]["count"]
    return found
