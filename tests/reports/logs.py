"""Logs for reports: lines in the combined format, and what is asked of them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.output.reports.report import Report
from app.reports.batches import Batch
from app.reports.filters import Filters
from app.reports.hit_order import CLASSES
from app.reports.logs import write_index
from app.reports.questions import Asked
from app.reports.reading import Inputs

__all__ = ["asked", "column", "delivered", "head", "index_of", "line", "timed_line", "total", "written"]


def line(
    ip: str = "192.0.2.1",
    request: str = "GET /a.mp3 HTTP/1.1",
    status: int = 200,
    sent: int | str = 100,
    at: str = "18/May/2015:10:00:00 +0000",
    agent: str = "Mozilla/5.0 Firefox/130.0",
    content_range: str = "",
    referer: str = "-",
) -> str:
    """One line; with a Content-Range it is of the format combined_range."""
    end = f' "{content_range}"' if content_range else ""
    return f'{ip} - - [{at}] "{request}" {status} {sent} "{referer}" "{agent}"{end}'


def timed_line(seconds: float | None, request: str = "GET /a.mp3", status: int = 200, minute: int = 0) -> str:
    """One line of JSON, with how long the response took; None: it does not say."""
    told = {} if seconds is None else {"duration_s": seconds}
    at = f"2015-05-18T10:{minute:02}:00Z"
    hit = {
        "time": at,
        "ip_address": "192.0.2.1",
        "user_agent": "curl",
        "request": request,
        "status": status,
        "bytes_sent": 9,
    }
    return json.dumps({**hit, **told})


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{one}\n" for one in lines))
    return path


def index_of(path: Path) -> Path:
    """The file of its hits."""
    index = path.with_suffix(".parquet")
    write_index(Inputs([str(path)]), index)
    return index


def asked(*paths: Path, top: int | None = None, processes: int = 0, **filters: Any) -> Asked:
    return Asked(Inputs([str(path) for path in paths], processes=processes), Filters(**filters), top)


def head(report: Report) -> dict[str, Any]:
    return {name.strip(): value for name, value in report.head}


def column(report: Report, name: str) -> dict[Any, Any]:
    at = report.names.index(name)
    return {row[0]: row[at] for row in report.rows}


def total(report: Report, name: str) -> Any:
    return dict(report.totals)[name]


def delivered(batch: Batch) -> list[tuple[Any, ...]]:
    """Each delivery of a batch: key, times, numbers, verdict, ranges, class."""
    keys = zip(*([texts[code] for code in codes.tolist()] for codes, texts in batch[:3]), strict=True)
    numbers = zip(*(column.tolist() for column in (*batch[3:9], batch.offset_s)), strict=True)
    verdicts = [batch.verdicts[place] for place in batch.judged.tolist()]
    pairs = list(zip(batch.lo.tolist(), batch.hi.tolist(), strict=True))
    bounds = batch.range_bounds.tolist()
    ranges = [pairs[begin:end] for begin, end in pairwise(bounds)]
    classes = [list(CLASSES)[place] for place in batch.classes.tolist()] or [""] * batch.deliveries
    return [
        (*key, *some, *verdict, its, name)
        for key, some, verdict, its, name in zip(keys, numbers, verdicts, ranges, classes, strict=True)
    ]
