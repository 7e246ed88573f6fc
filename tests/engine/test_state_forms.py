"""The form number of every value in a state, and of every file around it: an unknown one is named, never read."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.partition import DeliveriesPart, MemoryPart, RocksPart, StatePart
from app.engine.state_forms import DAMAGED, NumberedState, StateForms
from app.errors import UnknownForm

FORMS = StateForms(newest=1)
FOREIGN_VALUES = [b"[1,2]", b"\x95\x01", b"3 40 0", (1_600_000_000).to_bytes(4), b""]
"""Begin with no number of a form: text, MessagePack, nothing."""


def test_every_value_is_written_with_its_number() -> None:
    assert FORMS.numbered({b"k": b"v", b"gone": None}) == [(b"k", b"\1v"), (b"gone", None)]


def test_a_value_is_read_without_its_number() -> None:
    assert FORMS.read(b"k", b"\1v", "here") == b"v"
    assert FORMS.read(b"k", b"\1", "here") == b""


@pytest.mark.parametrize("value", [b"\2v", b"\0v", b"\x1f"])
def test_an_unknown_form_is_named_wherever_it_is_met(value: bytes) -> None:
    part = MemoryPart()
    part.apply([(b"k", value)], 1)
    state = NumberedState(part, FORMS, "the state x/3")
    for meet in (
        lambda: FORMS.check([(b"gone", None), (b"good", b"\1v"), (b"k", value)], "the state x/3"),
        lambda: state.get(b"k"),
        lambda: list(state.items()),
    ):
        with pytest.raises(UnknownForm, match=r"^the state x/3 has .* this program knows form 1; "):
            meet()


@pytest.mark.parametrize("value", FOREIGN_VALUES)
def test_a_single_value_without_a_form_is_damaged(value: bytes) -> None:
    FORMS.check([(b"good", b"\1v"), (b"k", value)], "here")
    assert FORMS.read(b"k", value, "here") == DAMAGED


@pytest.mark.parametrize("value", FOREIGN_VALUES)
def test_a_state_whose_rules_have_no_form_is_another_programs(value: bytes) -> None:
    with pytest.raises(UnknownForm, match=r"^here, by its rules, has no form number; this program knows form 1; "):
        FORMS.check([(b"good", b"\1v"), (b"\0rules", value)], "here")


def test_a_value_that_cannot_be_made_one_of_the_newest_form_is_damaged() -> None:
    forms = StateForms(newest=2, upgrades={1: lambda key, value: value[99:100] or b"".decode("ascii")[5].encode()})
    assert forms.read(b"k", b"\1v", "here") == DAMAGED


@pytest.mark.parametrize(("value", "told"), [(b"\2v", "form 2"), (b"\0v", "form 0"), (b"\x1f", "form 31")])
def test_the_sentence_says_which_form_it_is(value: bytes, told: str) -> None:
    with pytest.raises(UnknownForm, match=f"here has {told}"):
        FORMS.read(b"k", value, "here")


def test_a_value_of_the_last_form_is_made_one_of_the_newest() -> None:
    forms = StateForms(newest=2, upgrades={1: lambda key, value: key + b":" + value})
    assert forms.numbered({b"k": b"v"}) == [(b"k", b"\2v")]
    assert (forms.read(b"k", b"\1v", "here"), forms.read(b"k", b"\2v", "here")) == (b"k:v", b"v")
    forms.check([(b"k", b"\1v"), (b"k", b"\2v")], "here")
    with pytest.raises(UnknownForm, match="has form 3; this program knows form 2"):
        forms.check([(b"k", b"\3v")], "here")


@pytest.mark.parametrize("part", [MemoryPart(), DeliveriesPart()], ids=["events", "deliveries"])
def test_a_state_may_change_while_it_is_gone_through(part: StatePart) -> None:
    names = [b'["%d","a","r"]' % number for number in range(5)]
    part.apply([(name, b"\1v") for name in names], 1)
    seen = []
    for name, value in NumberedState(part, FORMS, "here").items():
        seen.append((name, value))
        part.apply([(name, None)], 2)
    assert seen == [(name, b"v") for name in names]


@pytest.mark.parametrize("place", [b'["log",5,1600000000.0]', b'[2,"log",5,1600000000.0]', b'[0,"log",5,1600000000.0]'])
def test_a_folder_of_another_form_is_refused(tmp_path: Path, place: bytes) -> None:
    part = RocksPart(tmp_path / "p", "log", 1e12)
    part.apply([(b"k", b"\1v")], 5)
    part._db.put(b"\0\0place", place)
    part.close()
    with pytest.raises(UnknownForm, match=r"the state in .*this program knows form 1"):
        RocksPart(tmp_path / "p", "log", 1e12)
