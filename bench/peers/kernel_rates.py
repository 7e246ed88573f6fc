"""Reads logs with the program on sys.path, again and again: run by bench.kernels from the tree of each commit.

Arguments: format=path …. Writes the names of its kernels as a line of JSON; then for each line of input, a number of one of them, the
seconds of CPU of one reading, the hits, and a sum over them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

Reading = Callable[[], tuple[int, int]]


def main() -> None:
    """Until the input ends."""
    formats: Any = import_module("app.domain.formats")
    columns_of, read_block = _columns()
    kernels: dict[str, Reading] = {}
    for word in sys.argv[1:]:
        name, _, path = word.partition("=")
        if name in formats.FORMATS:
            data = Path(path).read_bytes()
            kernels[f"{name}, rows"] = partial(_rows, formats.FORMATS[name], formats.FormatOptions(), data)
            if columns_of(name):
                kernels[f"{name}, columns"] = partial(_block, read_block, name, data)
    print(json.dumps(list(kernels)), flush=True)
    for line in sys.stdin:
        read = list(kernels.values())[int(line)]
        began = time.process_time()
        found = read()
        print(json.dumps([time.process_time() - began, *found]), flush=True)


def _rows(form: Any, options: Any, data: bytes) -> tuple[int, int]:
    read_lines: Any = import_module("app.domain.lines").read_lines
    read = read_lines(data, form.make_parser((), options), time.time(), header_row=form.header_row)
    return len(read.hits), sum(hit[8] or 0 for hit in read.hits)


def _block(read_block: Any, name: str, data: bytes) -> tuple[int, int]:
    block = read_block(name, data, time.time(), 0, name == "weblog_tsv", True)
    others = block.other.hits
    return len(block.times) + len(others), int(block.statuses.sum()) + sum(hit[5] for hit in others)


def _columns() -> tuple[Any, Any]:
    """Whether a format is read as columns, and the reader; package and table had other names."""
    try:
        found: Any = import_module("app.columns.formats")
    except ModuleNotFoundError:
        found = import_module("app.kernels.reading")
        return found.FORMATS.__contains__, found.read_block
    return getattr(found, "has_columns", None) or found.COLUMN_FORMATS.__contains__, found.read_block


if __name__ == "__main__":
    main()
