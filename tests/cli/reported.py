"""Inputs made after public bug reports, run as people run them: what must come out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.settings import settings

__all__ = ["CASES", "assert_parsed", "assert_reduced", "case_ids", "input_of", "reduced"]

FILE = Path(__file__).resolve().parents[1] / "data" / "cases" / "public_reports.jsonl"
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in map(json.loads, FILE.read_text().splitlines())}
"""Id to case: `command`, `input` or `input_base64`, `expected`."""


def case_ids(command: str) -> list[str]:
    """Of the cases that run this command."""
    return [name for name, case in CASES.items() if f"app {command} " in case["command"]]


def input_of(case: dict[str, Any]) -> bytes:
    return base64.b64decode(case["input_base64"]) if "input_base64" in case else case["input"].encode()


def _prepared(case: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> Path:
    for word in case["command"].split(" python ")[0].split():
        if word.startswith("WEBLOGS_"):
            name, _, value = word.partition("=")
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    path = folder / "in.log"
    path.write_bytes(data)
    return path


def assert_parsed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer a line, with the values that the case names."""
    case = CASES[name]
    path = _prepared(case, folder, monkeypatch, input_of(case))
    told = CliRunner().invoke(main, ["parse", str(path)])
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(found) == len(case["expected"]), told.output
    for one, wanted in zip(found, case["expected"], strict=True):
        if "reject" in wanted or "header" in wanted:
            assert set(wanted) == set(one)
        else:
            assert {field: one["hit"][field] for field in wanted} == wanted


def reduced(data: bytes, folder: Path, *options: str) -> tuple[set[tuple[str, str, str]], int]:
    """(request, address, verdict) of each delivery, and how many lines were rejected."""
    source, out = folder / "in.log", folder / "out.jsonl"
    source.write_bytes(data)
    told = CliRunner().invoke(main, ["reduce", str(source), "-o", str(out), *options])
    assert told.exit_code == 0, told.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    rejects = next(line.split()[1] for line in told.output.splitlines() if line.strip().startswith("rejects"))
    return {(row["request"], row["ip_address"], row["verdict"]) for row in rows}, int(rejects.replace(",", ""))


def assert_reduced(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliveries that the case names, or that many rejects and no delivery."""
    case = CASES[name]
    expected = case["expected"]
    _prepared(case, folder, monkeypatch, b"")
    found, rejects = reduced(input_of(case), folder)
    if not found and rejects and rejects == expected.get("or_rejects"):
        return
    assert set(map(tuple, expected["deliveries"])) <= found
    if "rejects" in expected:
        assert rejects == expected["rejects"]
