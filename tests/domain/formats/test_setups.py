"""Set-ups of servers, proxies, stores, CDNs and shippers: a few downloads as each writes them, and what clients had of them.

The lines of tests/data/cases/setups.jsonl were written from the documentation of each. `told`: the line says enough to be sure.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from app.domain.deliveries import describe
from app.domain.formats import FormatOptions, get
from app.domain.formats.detection import dash_for_bytes, detect, with_sample
from app.domain.lines import ReadLines, read_lines
from app.domain.parts import part_of
from app.domain.records import Delivery
from app.domain.requests import query_rule
from app.domain.tallies import Tally
from tests.together import together

CASES = Path(__file__).parents[2] / "data" / "cases" / "setups.jsonl"
SETUPS: dict[str, dict[str, Any]] = {row["setup"]: row for row in map(json.loads, CASES.read_text().splitlines())}
ARRIVED = 1.9e9
SIZE = 5_000_000
"""Of each file but the page."""


@cache
def lines_of(setup: str) -> ReadLines:
    """The lines read as `reduce` reads them with the options of the row."""
    row = SETUPS[setup]
    given = dict(zip(row.get("options", [])[::2], row.get("options", [])[1::2], strict=True))
    kind = given.get("--bytes", "announced" if dash_for_bytes(row["lines"]) else "")
    options = FormatOptions(json_fields=row.get("json_fields", ""), bytes=kind)
    log_format = get(given["--log-format"]) if "--log-format" in given else detect(row["lines"], options)
    assert log_format is not None
    parse = log_format.make_parser((), with_sample(log_format, row["lines"], options))
    text = "".join(f"{line}\n" for line in row["lines"])
    return read_lines(text.encode(), parse, ARRIVED, query=query_rule("signed"))


def deliveries_of(setup: str, size: int | None = None) -> list[Delivery]:
    tallies: dict[tuple[Any, ...], Tally] = {}
    for number, hit in enumerate(lines_of(setup).hits):
        part = part_of(hit, number)
        if part is not None:
            tallies.setdefault(hit[1:4], Tally(0.0)).add(part)
    return [describe(key, tally, size) for key, tally in tallies.items()]


@together("setup", SETUPS)
def test_no_line_of_a_set_up_is_rejected_and_each_download_is_one_delivery_of_its_client(setup: str) -> None:
    row = SETUPS[setup]
    assert lines_of(setup).rejects == []
    found = deliveries_of(setup)
    assert len(found) == len(row["deliveries"])
    for wanted in row["deliveries"]:
        (one,) = [each for each in found if wanted["path"] in each.request]
        assert one.ip_address == wanted["client"]
        assert one.user_agent == wanted["agent"]
        assert int(one.first) == wanted["first"]


@together("setup", SETUPS)
def test_what_a_client_had_is_never_contradicted_and_told_where_the_line_tells(setup: str) -> None:
    found = deliveries_of(setup)
    for wanted in SETUPS[setup]["deliveries"]:
        (one,) = [each for each in found if wanted["path"] in each.request]
        if wanted["told"]:
            assert (one.verdict, one.evidence) == ("complete", "ranges")
        elif wanted["did"] == "whole":
            assert one.verdict != "partial"
        elif wanted["did"] == "resumed":
            assert (one.verdict, one.evidence) in (("complete", "resumed"), ("unknown", "bytes"), ("unknown", "ranges"))
        else:
            assert one.verdict == "unknown" if wanted["did"] == "encoded" else one.verdict != "complete"


@together("setup", SETUPS)
def test_a_known_size_makes_nothing_whole_that_was_cut_and_nothing_partial_that_was_whole(setup: str) -> None:
    found = deliveries_of(setup, SIZE)
    for wanted in SETUPS[setup]["deliveries"]:
        (one,) = [each for each in found if wanted["path"] in each.request]
        if wanted["did"] == "whole":
            assert one.verdict != "partial"
        elif wanted["did"] == "cut":
            assert one.verdict != "complete"
        elif wanted["did"] == "resumed":
            assert one.verdict != "partial" and (one.verdict, one.evidence) != ("complete", "ranges")
