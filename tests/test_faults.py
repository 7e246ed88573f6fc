"""The table of faults: each row is whole, and names a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import NamedTuple

from tests import ROOT
from tests.together import together

PAGE = ROOT / "docs/reference/faults.md"
EXIT_CODES = {"0", "1", "2", "4", "5", "70", "78", "130", "goes on"}


class Row(NamedTuple):
    """One row of the table."""

    fault: str
    told: str
    exit_codes: str
    what_to_do: str
    tests: str


LINES = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| Fault ")]
ROWS = [Row(*(cell.strip() for cell in line.strip("|").split(" | "))) for line in LINES]


def test_a_fault_has_one_row() -> None:
    assert len(ROWS) > 5 and len({row.fault for row in ROWS}) == len(ROWS)


@together("row", ROWS, ids=lambda row: row.fault[:60])
def test_a_row_says_what_is_told_how_it_ends_and_what_to_do(row: Row) -> None:
    assert all(row)
    assert set(re.split(r", | or ", row.exit_codes)) <= EXIT_CODES


@cache
def functions_of(path: str) -> set[str]:
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@together("row", ROWS, ids=lambda row: row.fault[:60])
def test_a_row_names_tests_that_exist(row: Row) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.tests)
    assert named
    for path, name in named:
        assert name in functions_of(path), f"{path} has no {name}"
