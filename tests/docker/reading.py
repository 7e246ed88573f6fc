"""The files below docker/, as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from app.settings import PREFIX, load, rows
from tests import ROOT

__all__ = ["DOCKER", "ROOT", "compose", "documents", "one_yaml", "settings_problem"]

DOCKER = ROOT / "docker"


def documents(path: Path) -> list[dict[str, Any]]:
    """Every document of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def one_yaml(path: Path) -> dict[str, Any]:
    """A file of one document."""
    (document,) = documents(path)
    return document


def compose() -> dict[str, dict[str, Any]]:
    """The services of compose.yml, by name."""
    return one_yaml(DOCKER / "compose.yml")["services"]


def settings_problem(environment: dict[str, str]) -> str | None:
    """Why app.settings would refuse these variables; None where it takes them."""
    known = {row.name for row in rows()}
    if unknown := sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
        return f"no such setting: {unknown}"
    try:
        load({name: str(value) for name, value in environment.items()})
    except Exception as error:
        return str(error)
    return None


def variables_in(text: str) -> set[str]:
    """WEBLOGS_ names in a text; upper-case only, so that metrics are none."""
    return set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*\b", text))
