"""The documentation says what there is: commands, options, settings, links, and the commands that it shows."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.__main__ import main as commands
from app.settings import rows
from tests import ROOT
from tests.together import together

sys.path.insert(0, str(ROOT / "docs"))
try:
    import make_reference
finally:
    sys.path.remove(str(ROOT / "docs"))

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".venv-bench", ".git", ".pytest_cache", "node_modules"} & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^( *)```console\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SHELL_WORDS = {"cat", "curl", "echo", "goaccess", "grep", "gzip", "head"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Without code blocks."""
    return FENCE.sub("", page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link may name behind #, made from the headings as code hosts do it."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


CONTEXTS = {
    each.command_path.removeprefix("app "): each for each in make_reference.contexts(commands, "app") if each.parent
}


def options_of(context: click.Context) -> set[str]:
    return {
        option
        for parameter in context.command.get_params(context)
        for option in parameter.opts
        if option.startswith("-")
    }


def shown_commands(page: Path) -> Iterator[list[str]]:
    """The words of the commands behind `$ ` in console blocks, one list for each part of a pipeline."""
    for _, block in CONSOLE.findall(page.read_text()):
        for line in block.splitlines():
            if line.lstrip().startswith("$ "):
                words = shlex.split(line.lstrip()[2:], comments=True)
                words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))  # settings before a command
                words = words[: next((at for at, word in enumerate(words) if word in ("<<X", ">")), len(words))]
                while words:
                    end = words.index("|") if "|" in words else len(words)
                    yield words[:end]
                    words = words[end + 1 :]


@pytest.mark.parametrize("page", make_reference.PAGES)
def test_a_generated_page_is_what_the_code_says(page: str) -> None:
    assert (ROOT / page).read_text() == make_reference.PAGES[page](), "run make docs"


def test_every_command_and_option_stands_on_the_page_of_commands() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text()
    for name, context in CONTEXTS.items():
        _, heading, rest = text.partition(f"\n## `python -m app {name}`\n")
        assert heading, f"{name} is not documented"
        missing = {
            option
            for option in options_of(context)
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", rest.partition("\n## ")[0])
        }
        assert missing == set(), f"options of {name}"


def test_every_option_and_command_has_a_help_text() -> None:
    for name, context in CONTEXTS.items():
        assert context.command.help, name
        for parameter in context.command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, f"{name} {parameter.name}"


def test_a_list_of_commands_cuts_no_sentence_at_80_columns() -> None:
    groups = {name: each.command for name, each in CONTEXTS.items() if isinstance(each.command, click.Group)}
    assert len(groups) == 7
    for name, group in groups.items():
        told = CliRunner().invoke(commands, [*name.split(), "--help"], terminal_width=80).output
        told = " ".join(told.split())
        found = [group.get_command(click.Context(group), name) for name in group.list_commands(click.Context(group))]
        assert found
        for command in found:
            assert command is not None and command.get_short_help_str(1000) in told


def test_every_setting_stands_on_the_page_of_settings_with_a_sentence() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    for row in rows():
        assert f"| `{row.name}` |" in text
        assert row.meaning.endswith("."), row.name


def test_every_setting_that_a_page_names_exists() -> None:
    known = {row.name for row in rows()}
    named = {(name_of(page), name) for page in PAGES for name in re.findall(r"\bWEBLOGS_[A-Z_]+\b", page.read_text())}
    example = {
        (".env.example", name) for name in re.findall(r"\bWEBLOGS_[A-Z_]+\b", (ROOT / ".env.example").read_text())
    }
    assert {(page, name) for page, name in named | example if name not in known} == set()


def test_the_example_env_file_shows_the_defaults() -> None:
    defaults = {row.name: row.default for row in rows()}
    shown = dict(re.findall(r"^#(WEBLOGS_[A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {name: float(value) if value.isdigit() else value for name, value in shown.items()} == {
        name: float(defaults[name]) if shown[name].isdigit() else defaults[name] for name in shown
    }


@together("page", PAGES, ids=name_of)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


def test_every_page_of_the_documentation_is_reached_from_its_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(index))}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {index}


@together("page", [page for page in PAGES if "```console" in page.read_text()], ids=name_of)
def test_the_commands_that_a_page_shows_exist_with_their_options(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in shown_commands(page):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, words
        elif words[0] in (".venv/bin/python", "python"):
            _check_python(words[1:])
        else:
            assert words[0] in SHELL_WORDS, words


def _check_python(words: list[str]) -> None:
    if words[:1] in ([], ["-"]):
        return
    assert words[0] == "-m", words
    if words[1] == "app.client":
        page = ROOT / "docs/reference/commands.md"  # as the code says: a test above
        text = page.read_text().rpartition("## `python -m app.client`")[2]
        assert {word for word in words[2:] if word.startswith("-") and f"{word} " not in text} == set()
        return
    assert words[1] == "app", words
    name = next(
        (
            known
            for known in sorted(CONTEXTS, key=len, reverse=True)
            if words[2 : 2 + len(known.split())] == known.split()
        ),
        None,
    )
    assert name is not None, words
    used = {word.partition("=")[0] for word in words[2:] if word.startswith("-") and word != "-"}
    assert used <= options_of(CONTEXTS[name]), words


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/README.md", "docs/tutorial.md"])
def test_commands_named_in_the_text_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"python -m app ([a-z]+)", text)) <= set(CONTEXTS)


@together("page", PAGES, ids=name_of)
def test_every_row_of_a_table_has_a_head_and_its_number_of_cells(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE):
        rows = [re.sub(r"`[^`]*`|\\\|", "", row).strip() for row in table.splitlines()]
        assert len(rows) > 1 and re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", rows[1]), rows[0]
        assert len({row.count("|") for row in rows}) == 1, rows[0]


@together("page", [page for page in PAGES if "decisions" not in page.parts], ids=name_of)
def test_a_number_is_named_and_not_so_many(page: Path) -> None:
    found = [line for line in page.read_text().splitlines() if re.search(r"\b[Ss]o (?:many|much|long)\b", line)]
    assert not found, f"say how many, how much or how long: {found}"
