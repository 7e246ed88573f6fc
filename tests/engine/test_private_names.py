"""What is used of Faust, mode and aiokafka beyond their public names: docs/explanation/faust.md lists it, and this compares.

A new use, or another version of a library, fails here: the page says what to look at then.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest

from tests import ROOT
from tests.trees import tree_of

PAGE = ROOT / "docs" / "explanation" / "faust.md"
FILES = sorted(path for folder in ("app", "agents", "tables") for path in (ROOT / folder).rglob("*.py"))
MAY_USE = ("app/engine/", "app/transports/")
NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}
METACLASSES = {"_abc_impl", "_tasks"}
"""What abc and mode set on every class of a service."""
ELSEWHERE = {
    "_all_tasks": {"app/process/stack_dump.py"},  # asyncio tells the tasks of one loop only
    "_xml_inline_string": {"app/output/xlsx.py"},  # xlsxwriter would write some texts as numbers
    # aiohttp does not tell whether a connection waits for its client or for us
    "_current_request": {"app/web/service/connections.py"},
    "_request_in_progress": {"app/web/service/connections.py"},
}
DOCUMENTED = {"os._exit", "sys._current_frames"}
LIBRARIES = ("faust", "mode", "aiokafka", "kafka")
PRIVATE = re.compile(r"_[a-z]\w*$")


def is_private(name: str) -> bool:
    return PRIVATE.match(name) is not None and name not in NAMED_TUPLES | METACLASSES


def own_names(trees: Iterable[ast.Module]) -> set[str]:
    """Private names that this project defines: functions, classes, variables, attributes that are assigned."""
    found: set[str] = set()
    for node in chain.from_iterable(map(statements, trees)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            if isinstance(node, ast.ClassDef):  # fields of structs and named tuples, slots
                found |= {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)
                          and isinstance(each.target, ast.Name) and each.value is not None}  # fmt: skip
        elif isinstance(node, ast.Assign) or (isinstance(node, ast.AnnAssign) and node.value is not None):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for each in ast.walk(target):
                    if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                        if each.value.id in ("self", "cls", "Transport"):
                            found.add(each.attr)
                    elif isinstance(each, ast.Name):
                        found.add(each.id)
    return found


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All of them, without what they are made of: no expression holds one."""
    blocks: list[ast.AST] = [tree]
    while blocks:
        block = blocks.pop()
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            for each in getattr(block, name, ()):
                blocks.append(each)
                if isinstance(each, ast.stmt):
                    yield each


def used_names() -> Iterator[tuple[str, str]]:
    """(file, name) of every private attribute that nothing in this project defines."""
    own = own_names(map(tree_of, FILES))
    for path in FILES:
        written = set(re.findall(r"\.\s*(_[a-z]\w*)", path.read_text()))
        if not any(is_private(name) and name not in own for name in written):
            continue
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in own:
                continue
            if ast.unparse(node) not in DOCUMENTED:
                yield str(path.relative_to(ROOT)), node.attr


def overridden_names() -> Iterator[tuple[str, str]]:
    """(file, name) of every private attribute of a library's class that a class of ours replaces or sets."""
    for path in FILES:
        relative = path.relative_to(ROOT)
        text = path.read_text()
        if not any(re.search(rf"^ *(from|import) {library}\b", text, re.MULTILINE) for library in LIBRARIES):
            continue
        module = importlib.import_module(".".join(relative.with_suffix("").parts))
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ != module.__name__:
                continue
            bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] in LIBRARIES]
            mixed = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "app"]
            named = {name for base in mixed for name in vars(base)} | set(re.findall(r"self\.(_[a-z]\w*)", text))
            for name in named:
                if is_private(name) and any(name in vars(base) or name in _set_names(base) for base in bases):
                    yield str(relative), name


@functools.cache
def _set_names(base: type) -> set[str]:
    """Attributes that the methods of a library's class set."""
    if base.__module__.startswith("mode."):
        return set()  # their names are those of every service
    file = getattr(sys.modules[base.__module__], "__file__", None)
    if file is None or not file.endswith(".py"):
        return set()
    name, text = base.__qualname__, Path(file).read_text()
    source = [ast.get_source_segment(text, each) or "" for each in _classes(file) if each.name == name]
    return {found for each in source for found in re.findall(r"self\.(_[a-z]\w*)(?:: [^=\n]+)? = ", each)}


@functools.cache
def _classes(file: str) -> list[ast.ClassDef]:
    """Of a library's module, without what is within them. inspect.getsource would parse the module for each class."""
    return [each for each in tree_of(Path(file)).body if isinstance(each, ast.ClassDef)]


@pytest.fixture(scope="module")
def listed() -> set[str]:
    """The names in the first column of the page's table."""
    return set(re.findall(r"^\| `(_[a-z]\w*)` \|", PAGE.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def in_source() -> dict[str, set[str]]:
    """Name -> files."""
    found: dict[str, set[str]] = {}
    for file, name in (*used_names(), *overridden_names()):
        found.setdefault(name, set()).add(file)
    return found


def test_the_page_lists_the_private_names_that_the_source_uses(
    listed: set[str], in_source: dict[str, set[str]]
) -> None:
    engine = {name for name, files in in_source.items() if any(file.startswith(MAY_USE) for file in files)}
    assert listed == engine, "docs/explanation/faust.md lists what a new version must be checked for"


def test_private_names_of_libraries_are_used_in_the_engine_and_the_transports_alone(
    in_source: dict[str, set[str]],
) -> None:
    outside = {name: {file for file in files if not file.startswith(MAY_USE)} for name, files in in_source.items()}
    assert {name: files for name, files in outside.items() if files} == ELSEWHERE


@pytest.mark.parametrize("library", ["faust-streaming", "mode-streaming", "aiokafka"])
def test_the_page_was_checked_for_the_installed_versions(library: str) -> None:
    assert f"{library} {version(library)}" in PAGE.read_text(), (
        "check the names on the page, then write the version there"
    )
