"""Every command: a number that is none, or that no clock can hold, is a usage error with a sentence."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.cli.numbers import Number
from tests.test_docs import CONTEXTS


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e308", "9007199254740994"])
def test_every_option_that_takes_a_number_refuses_what_is_none_or_too_large(value: str) -> None:
    numbers = [
        (f"{name} {option.opts[-1]}", option)
        for name, context in CONTEXTS.items()
        for option in context.command.params
        if isinstance(option.type, click.FloatRange | click.types.FloatParamType)
    ]
    assert len(numbers) > 20
    for name, option in numbers:
        assert isinstance(option.type, Number), name
        with pytest.raises(click.BadParameter):
            option.type.convert(value, option, None)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--seconds", "nan", "'nan' is no number"),
        ("--seconds", "inf", "'inf': no number may be above 9,007,199,254,740,992"),
        ("--bit-rate", "1e308", "'1e308': no number may be above 9,007,199,254,740,992"),
        ("--bit-rate", "0", "0.0 is not in the range x>0"),
    ],
)
def test_a_wrong_number_is_a_usage_error_that_quotes_it(option: str, value: str, told: str) -> None:
    done = CliRunner().invoke(main, ["report", "downloads", option, value, "no.log"])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}': {told}" in done.stderr
