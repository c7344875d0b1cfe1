"""No module imports, directly or through others, a module that imports it.

Imports inside of functions and under TYPE_CHECKING count: they would only hide a cycle.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.artifacts.store import ROOT

IMAGES = sorted(path.parent.name for path in (ROOT / "images").glob("*/stages.toml"))
PACKAGES = ["driver", "shared", *(f"images/{image}" for image in IMAGES)]
Graph = dict[str, set[str]]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """For each import the names that may be its module, the most specific one first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports aren't used here"
            yield from ((f"{node.module}.{alias.name}", node.module or "") for alias in node.names)


def import_graph(folder: Path) -> Graph:
    """Of each module below `folder` the modules below it that it imports."""
    trees = {module_name(path): ast.parse(path.read_text()) for path in folder.rglob("*.py")}
    graph: Graph = {}
    for module, tree in trees.items():
        targets = (next((name for name in names if name in trees), module) for names in imported_names(tree))
        graph[module] = set(targets) - {module}
    return graph


def modules_in_cycles(graph: Graph) -> set[str]:
    """What is left when modules that import nothing that is left, or that nothing left imports, are taken away."""
    left = set(graph)
    while True:
        imported = {target for module in left for target in graph[module]}
        ends = {module for module in left if module not in imported or not graph[module] & left}
        if not ends:
            return left
        left -= ends


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_in_a_cycle_of_imports(package):
    graph = import_graph(ROOT / package)
    assert len(graph) >= 3, "the modules are found"
    assert modules_in_cycles(graph) == set()


def test_a_cycle_is_found_wherever_its_imports_stand(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    package = tmp_path / "package"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "first": "from package import second",
        "second": "def late():\n    import package.third",
        "third": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.first import Thing",
        "user": "import package.first",
        "used": "import os",
        "first_user": "from package import used, user",
    }.items():
        (package / f"{name}.py").write_text(text)
    assert modules_in_cycles(import_graph(package)) == {"package.first", "package.second", "package.third"}
