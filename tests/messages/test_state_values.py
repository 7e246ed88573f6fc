"""Entries of the table byte_ranges that an earlier form packed are read as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.domain.windows import Rules
from app.messages.state_values import pack_entry, unpack_entry
from tables.byte_ranges import FORMS

FILE = Path(__file__).resolve().parents[1] / "data" / "forms" / "byte_ranges.1.json"
KEY = b'["10.0.0.1","curl/8","GET /a"]'
WANTED = {
    "whole": (((0, 999),), 1000, 1000, 2),
    "cut": (((0, 399),), 400, 1000, 1),
    "large": (((0, 2**70),), 2**70 + 1, -1, 1),
    "first_touch": (((0, 9),), 10, -1, 1),
}


@pytest.mark.parametrize("name", WANTED)
def test_an_entry_of_form_1_is_upgraded_and_stays_what_it_was(name: str) -> None:
    packed = bytes.fromhex(json.loads(FILE.read_text())[name])
    rules = Rules("first_touch" if name == "first_touch" else "last_touch")
    value = FORMS.read(KEY, b"\x01" + packed, "the state")
    entry = unpack_entry(value, rules)
    (tally,) = entry.tallies
    assert (tally.ranges, tally.sent, tally.total_max, len(tally)) == WANTED[name]
    assert (tally.broken, tally.answered, tally.start_sent, tally.start_aborted) == ((), (), -1, -1)
    assert unpack_entry(pack_entry(entry), rules).tallies[0].ranges == tally.ranges


def test_clocks_and_rules_of_form_1_are_those_of_form_2() -> None:
    assert FORMS.read(b"\0clock|7", b"\x01[]", "the state") == b"[]"
