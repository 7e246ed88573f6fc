"""The lines that docs/how-to/configure-your-server.md tells people to paste: the tests run exactly these."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

__all__ = ["PAGE", "apache_format", "pasted", "placed", "squid_format"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "configure-your-server.md"


def pasted(heading: str) -> str:
    """The first fenced block below `## heading`, as the page shows it.

    Raises AssertionError if the page has no such block.
    """
    found = re.search(
        rf"^## {re.escape(heading)}\n(?:(?!^## ).)*?^```\w+\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{PAGE.name} has no lines below the heading {heading}"
    return found[1]


def placed(text: str, places: dict[str, str]) -> str:
    """`text` with places of the page replaced by those of a test. Raises AssertionError if the page does not name one."""
    for place, here in places.items():
        assert place in text, f"{PAGE.name} does not name {place}"
        text = text.replace(place, here)
    return text


def apache_format(text: str) -> str:
    """The format string of the `LogFormat` line in `text`."""
    found = re.search(r"^LogFormat (.+)$", text, re.MULTILINE)
    assert found, "no LogFormat"
    return shlex.split(found[1])[0]


def squid_format(text: str) -> str:
    """The format string of the `logformat` line in `text`."""
    found = re.search(r"^logformat \w+ (.+)$", text, re.MULTILINE)
    assert found, "no logformat"
    return found[1].strip()
