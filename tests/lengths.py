"""How the lines of a folder divide into code, imports, docstrings, comments and blanks: `python -m tests.lengths`, or with another folder."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

__all__ = ["KINDS", "divided"]

KINDS = ("code", "imports", "__all__", "docstrings", "comments", "blank")


def divided(text: str) -> Counter[str]:
    """Lines of a module by kind. A text that stands alone, as behind a constant, counts as a docstring.

    >>> sorted(divided('import os\\n\\n# why\\nA = 1\\n').items())
    [('blank', 1), ('code', 1), ('comments', 1), ('imports', 1)]
    """
    kinds = [
        "blank" if not line.strip() else "comments" if line.strip()[0] == "#" else "code" for line in text.splitlines()
    ]
    for node in ast.walk(ast.parse(text)):
        kind = _kind(node)
        if kind and isinstance(node, ast.stmt):
            kinds[node.lineno - 1 : node.end_lineno] = [kind] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return Counter(kinds)


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "imports"
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return "__all__"
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return "docstrings" if is_text else ""


def main(folder: Path) -> None:
    """Prints a row for each part of the folder, the longest first."""
    parts: dict[str, Counter[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        counted = parts.setdefault(path.relative_to(folder).parts[0], Counter())
        counted.update(divided(path.read_text(encoding="utf-8")))
        counted["files"] += 1
    whole = sum(parts.values(), Counter[str]())
    print(f"{'':20}" + "".join(f"{name:>12}" for name in ("lines", *KINDS, "files")))
    for name, counted in [*sorted(parts.items(), key=lambda item: -item[1].total()), ("all", whole)]:
        lines = counted.total() - counted["files"]
        print(
            f"{name:20}" + "".join(f"{count:>12,}" for count in (lines, *(counted[kind] for kind in (*KINDS, "files"))))
        )


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or ["app"]))
