"""Who may import whom: the order of the layers, checked in the source and in running processes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT
from tests.trees import tree_of

FILES = sorted(path for folder in ("app", "agents", "tables", "simulator") for path in (ROOT / folder).rglob("*.py"))
LAYERS = (
    {"app.domain", "app.errors"},
    {"app.settings", "app.words"},
    {"app.flows"},
    {"app.messages", "app.process"},
    {"app.columns", "app.output", "app.sources", "app.stores", "app.transports", "app.usage"},
    {
        "app.alerts",
        "app.archiving",
        "app.checking",
        "app.clickstream",
        "app.downloads",
        "app.reducing",
        "app.reports",
        "app.steps",
    },
    {"app.engine"},
    {"tables"},
    {"agents", "app.web"},
    {"app.worker"},
    {"app.cli", "app.client"},
    {"simulator"},
    {"app.__main__", "app"},
)
"""From the bottom up: a part imports from its own layer and from those below."""
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
STORES = ("sqlite", "elasticsearch", "cassandra")
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
WORKER_PARTS = {"agents", "tables", "app.engine", "app.web", "app.worker"}
"""What makes a Faust app or a web server when it is imported."""
CLOCKS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    """app.sources.files.chunks -> app.sources, agents.store_raw -> agents"""
    words = module.split(".")
    return ".".join(words[:2]) if words[0] == "app" else words[0]


def runtime_statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements but what stands under `if TYPE_CHECKING`. No expression holds a statement: none is looked into."""
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                continue
            if isinstance(node, ast.stmt):
                yield node
            if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                waiting.append(node)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[str]:
    for node in runtime_statements(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                file = ROOT / inner.replace(".", "/")
                yield inner if file.with_suffix(".py").is_file() or file.is_dir() else str(node.module)


def own_imports(path: Path) -> Iterator[str]:
    return (module for module in imports_of(path) if module.split(".")[0] in ("app", "agents", "tables", "simulator"))


def test_every_part_stands_in_a_layer() -> None:
    assert {part_of(module_of(path)) for path in FILES} <= set(RANK)


def test_a_part_imports_only_from_its_own_layer_and_those_below() -> None:
    wrong = [
        f"{module_of(path)} imports {module}"
        for path in FILES
        for module in own_imports(path)
        if RANK[part_of(module)] > RANK[part_of(module_of(path))] and module_of(path) != "app"
    ]
    assert wrong == []


def test_the_domain_imports_only_the_standard_library_and_itself() -> None:
    outside = [
        f"{module_of(path)} imports {module}"
        for path in FILES
        if part_of(module_of(path)) == "app.domain"
        for module in imports_of(path)
        if part_of(module) != "app.domain" and module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert outside == []


def test_no_module_forwards_the_name_of_another() -> None:
    forwarded = []
    for path in FILES:
        if path.name == "__init__.py":
            continue
        body = tree_of(path).body
        own = [
            node.value for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        imported = {
            alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        forwarded += [
            f"{module_of(path)}.{name}" for value in own for name in ast.literal_eval(value) if name in imported
        ]
    assert forwarded == []


def test_a_public_class_has_a_name_of_its_own() -> None:
    """A name in a traceback or in a search says which one it is."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module_of(path))
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_agents_never_import_one_another() -> None:
    wrong = [
        f"{module_of(path)} imports {module}" for path in FILES for module in own_imports(path)
        if part_of(module) == "agents" and part_of(module_of(path)) != "app.worker"
    ]  # fmt: skip
    assert wrong == []


def test_commands_import_nothing_that_makes_a_worker() -> None:
    wrong = [
        f"{module_of(path)} imports {module}"
        for path in FILES
        if part_of(module_of(path)) in ("app.cli", "app.__main__", "app.client", "app.client.answer", "app.client.text")
        for module in own_imports(path)
        if part_of(module) in WORKER_PARTS
    ]
    assert wrong == []


def test_only_the_settings_read_the_environment() -> None:
    reading = {
        module_of(path)
        for path in FILES
        if re.search("environ|getenv", path.read_text())
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb"))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {name.name for name in node.names}
        )
    }
    assert reading == {"app.settings"}


def test_the_domain_reads_no_clock() -> None:
    reading = []
    for path in FILES:
        if part_of(module_of(path)) != "app.domain":
            continue
        tree = tree_of(path)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.attr in CLOCKS.get(node.value.id, ())
            ):
                reading.append(f"{module_of(path)}:{node.lineno} {node.value.id}.{node.attr}")
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                reading += [
                    f"{module_of(path)}: time.{name.name}" for name in node.names if name.name in CLOCKS["time"]
                ]
    assert reading == []


def modules_after(statement: str) -> set[str]:
    """What a statement imports in a fresh process; what measures coverage is there before."""
    program = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint('\\n'.join(sys.modules.keys() - before))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {
    "faust",
    "numpy",
    "aiohttp",
    "aiokafka",
    "rich",
    "pyarrow",
    "xlsxwriter",
    "jinja2",
    "prometheus_client",
    "cassandra",
    "elasticsearch",
}


@pytest.mark.parametrize(
    ("statement", "may_not"),
    [
        ("import app.client.__main__", HEAVY | {"click"}),
        ("import app.domain.open_deliveries, app.domain.formats", HEAVY | {"click", "msgspec"}),
        ("import app.__main__", HEAVY),
        ("import app.cli.replay, app.cli.reduce.command, app.cli.parse, app.cli.run.command", HEAVY),
    ],
)
def test_what_need_not_be_heavy_imports_nothing_heavy(statement: str, may_not: set[str]) -> None:
    assert {module.split(".")[0] for module in modules_after(statement)} & may_not == set()


MUST_NOT_COME_WITH_A_FILE_OF_HITS = (HEAVY - {"numpy", "pyarrow"}) | {
    "multiprocessing",
    "pandas",
    "app.cli.report.downloads",
    "app.columns.groups",
    "app.domain.formats.combined",
    "app.domain.formats.detection",
    "app.domain.formats.format_strings",
    "app.domain.open_deliveries",
    "app.domain.usage",
    "app.reducing",
    "app.reports.logs",
    "app.sources.replay",
    "pyarrow.acero",
    "pyarrow.compute",
}
"""What reads logs, judges deliveries, shows a screen or asks a store, and what takes longer to import than the hits to count."""


def test_a_question_to_a_file_of_hits_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    log, index, answer = tmp_path / "a.log", tmp_path / "hits.parquet", tmp_path / "answer.csv"
    log.write_text('10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 9 "-" "agent"\n')
    call = "from app.__main__ import main\nmain({!r}, standalone_mode=False)".format
    modules_after(call(["report", "index", str(log), "-q", "-o", str(index)]))
    found = modules_after(
        "import contextlib\nwith contextlib.suppress(SystemExit):\n "
        + call(["report", "hosts", str(index), "-q", "-o", str(answer)]).replace("\n", "\n ")
    )
    assert "10.0.0.1" in answer.read_text()
    assert {name for name in MUST_NOT_COME_WITH_A_FILE_OF_HITS if name in found} == set()


def half_of(store: str, *modules: str) -> dict[str, int]:
    """Module -> lines: these modules of a store, and what they import of it, directly or by way of others."""
    found: dict[str, int] = {}
    waiting = [f"app.stores.{store}.{module}" for module in modules]
    while waiting:
        module = waiting.pop()
        if module not in found:
            path = ROOT / f"{module.replace('.', '/')}.py"
            found[module] = len(path.read_text().splitlines())
            waiting += [each for each in own_imports(path) if each.startswith(f"app.stores.{store}.")]
    return found


@pytest.mark.parametrize("store", STORES)
def test_the_writing_half_of_a_store_has_no_more_lines_than_contributing_says(store: str) -> None:
    row = re.search(rf"^\| {store} \| ([\d,]+) \| ([\d,]+) \|$", CONTRIBUTING, re.MULTILINE | re.IGNORECASE)
    assert row
    of_records, with_counted = (int(each.replace(",", "")) for each in row.groups())
    assert sum(half_of(store, "writes").values()) <= of_records
    assert sum(half_of(store, "writes", "ledger_writes").values()) <= with_counted


@pytest.mark.parametrize("store", STORES)
def test_what_writes_imports_nothing_that_reads_back_mends_or_deletes(store: str) -> None:
    half = {module.rpartition(".")[2] for module in half_of(store, "writes", "ledger_writes")}
    assert half.isdisjoint(
        {"answers", "counts", "ledgers", "mending", "queries", "reader", "reads", "retention", "searches"}
    )


def test_few_modules_are_loose() -> None:
    """All others are in the package of their subject."""
    loose = {path.stem for path in (ROOT / "app").glob("*.py")} - {"__init__"}
    assert loose <= {"__main__", "errors", "settings", "words"}


def test_every_package_says_what_it_holds() -> None:
    packages = [path.parent for path in FILES if path.parent.name not in ("agents", "tables")]
    silent = [
        str(package.relative_to(ROOT))
        for package in sorted(set(packages))
        if not (package / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    ]
    assert silent == []


def layers_on_the_page() -> list[set[str]]:
    """From the top down, as docs/architecture.md lists them."""
    _, _, section = ARCHITECTURE.read_text().partition("\n## Who may import whom\n")
    listed = re.findall(r"^[0-9]+\. (`.+`)$", section.partition("\n## ")[0], re.MULTILINE)
    return [set(re.findall(r"`([^`]+)`", line)) for line in listed]


def test_the_page_of_the_architecture_lists_the_layers() -> None:
    assert layers_on_the_page() == list(reversed(LAYERS))


def test_the_page_of_the_architecture_names_every_package_and_no_other() -> None:
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in FILES if path.name == "__init__.py"} - {"app/"}
    named = re.findall(r"^\| `([a-z_/]+/)` \|", ARCHITECTURE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(packages | {"bench/"})


def test_the_walk_on_the_page_passes_files_that_exist_and_says_how_many() -> None:
    _, _, walk = ARCHITECTURE.read_text().partition("\n## The life of a line\n")
    stops = re.findall(r"^([0-9]+)\. `([a-z_/.]+)`", walk, re.MULTILINE)
    assert [int(number) for number, _ in stops] == list(range(1, len(stops) + 1))
    assert [file for _, file in stops if not (ROOT / file).is_file()] == []
    assert len({file for _, file in stops}) == len(stops)
    assert f"That is {len(stops)} files." in walk
    assert len(stops) < 40
