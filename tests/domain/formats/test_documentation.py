"""docs/reference/formats.md names all that there is to choose."""

from __future__ import annotations

from pathlib import Path

from app.domain.formats import FORMATS
from app.domain.formats.base import Format
from app.domain.formats.json_profiles import FIELDS
from app.domain.records import REASONS
from tests.together import together

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "formats.md").read_text()


@together("name", [*FORMATS, *FIELDS, *REASONS])
def test_every_format_field_and_reason_stands_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


@together("log_format", FORMATS.values(), ids=list(FORMATS))
def test_every_format_has_a_title_of_one_sentence(log_format: Format) -> None:
    assert log_format.title.endswith(".") and "\n" not in log_format.title
