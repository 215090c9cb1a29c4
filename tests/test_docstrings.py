"""What others call of the services says what it promises: each such function and class has a docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "admin_app" / "services"
ROOMS = sorted(path.parent.name for path in SERVICES.glob("*/__init__.py"))
TREES = {
    path: ast.parse(path.read_text())
    for root in ("admin_app", "models", "views", "migrations")
    for path in sorted((ROOT / root).rglob("*.py"))
}
Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def file_of(module: str) -> Path:
    """Where the module is, whether it is a file or a package."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def origin(module: str, name: str) -> tuple[Path, str]:
    """Where a name that is imported from the module is defined, through the front doors that hand it on."""
    path = file_of(module)
    for node in TREES[path].body if path in TREES else ():
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return origin(node.module, alias.name)
    return path, name


def called(tree: ast.Module) -> Iterator[tuple[Path, str]]:
    """The names of services that a file imports, and those it takes from a module that it imports."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("admin_app.services"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if file_of(whole).exists():
                    modules[alias.asname or alias.name] = whole
                else:
                    yield origin(node.module or "", alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield origin(modules[node.value.id], node.attr)


CALLED = {(path, name) for caller, tree in TREES.items() for path, name in called(tree) if path != caller}


@pytest.mark.parametrize("room", ROOMS)
def test_whatever_others_call_of_a_room_has_a_docstring(room: str) -> None:
    exported = {
        origin(f"admin_app.services.{room}", alias.asname or alias.name)
        for node in TREES[SERVICES / room / "__init__.py"].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    wanted = {(path, name) for path, name in CALLED | exported if path.is_relative_to(SERVICES / room)}
    defined = {
        (path, node.name): ast.get_docstring(node)
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, Defined) and not node.name.startswith("_")
    }
    found = {each: defined[each] for each in wanted if each in defined}
    assert found, "the room has something that others call"
    silent = sorted(f"{path.relative_to(ROOT)}: {name}" for (path, name), told in found.items() if not told)
    assert not silent
