"""Lines of real servers with the truth of the client: what `reduce` says of them, with the kind of the byte column named."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.settings import settings
from tests.domain import test_cases as domain_cases
from tests.together import together

CASES = Path(__file__).resolve().parents[1] / "data" / "cases" / "real_servers.jsonl"
FILE = re.compile(r"^GET /(?!page\.html|favicon\.ico)")
"""Requests of the file alone: a browser asks for the page around it, too."""


class Case(NamedTuple):
    """One client and one file."""

    name: str
    size: int
    whole: bool
    form: str
    byte_column: str
    lines: list[str]

    def judged(self, folder: Path, sized: bool) -> list[dict[str, Any]]:
        """The deliveries of the file."""
        log, out, sizes = folder / "case.log", folder / "out.jsonl", folder / "sizes.tsv"
        log.write_text("".join(f"{line}\n" for line in self.lines))
        options = ["--format", self.form, "--bytes", self.byte_column, "--quiet", "--output", str(out)]
        if sized:
            requests = {one["request"] for one in self.judged(folder, sized=False)}
            sizes.write_text("".join(f"{request}\t{self.size}\n" for request in sorted(requests)))
            options += ["--sizes", str(sizes)]
        told = CliRunner().invoke(main, ["reduce", str(log), *options])
        assert told.exit_code == 0, told.output
        found = [json.loads(line) for line in out.read_text().splitlines()]
        return [one for one in found if FILE.match(one["request"])]


def read(row: dict[str, Any]) -> Case:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in row["lines"]]
    name = f"{row['server']} {row['byte_column']} {row['case']}"
    return Case(name, row["size"], row["whole"], row["format"], row["byte_column"], lines)


ALL = [read(json.loads(line)) for line in CASES.read_text().splitlines()]
each_case = together("case", ALL, ids=[one.name for one in ALL])
each_size = together("sized", [True, False], ids=["size known", "size from the log"])
BROKE = {one.name for one in domain_cases.ALL if one.says_that_it_broke}
NO_LOG_TELLS = re.compile(r" announced |^apache_tls| gzip")
NO_SIZE_IN_LOG = re.compile(r"^(apache|nginx) .* curl-200")


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("WEBLOGS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


@each_size
@each_case
def test_reduce_judges_one_file_of_one_client_as_its_disk_does(case: Case, sized: bool, tmp_path: Path) -> None:
    (found,) = case.judged(tmp_path, sized)
    if case.whole:
        assert found["verdict"] != "partial"
        if not NO_LOG_TELLS.search(case.name) and (sized or not NO_SIZE_IN_LOG.search(case.name)):
            assert found["verdict"] == "complete"
    else:
        if case.name in BROKE:
            assert (found["verdict"], found["evidence"]) != ("complete", "ranges")
        if re.search(r"pieces-hole|multi-part", case.name):
            assert found["verdict"] != "complete"


def test_most_whole_downloads_must_be_complete() -> None:
    must = [case for case in ALL if case.whole and not NO_LOG_TELLS.search(case.name)]
    assert (len(must), len(BROKE & {case.name for case in ALL if not case.whole})) == (30, 15)
