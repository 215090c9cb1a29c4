"""The rooms of the services: a front door says what its room owns and what others call; nothing else is called."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from models import Base

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "admin_app" / "services"
ROOMS = sorted(path.parent.name for path in SERVICES.glob("*/__init__.py"))
NAMED = re.compile(r"`([a-z_.]+)`")


def door(room: str) -> tuple[str, str]:
    """What the front door says it owns, and what others call."""
    told = ast.get_docstring(ast.parse((SERVICES / room / "__init__.py").read_text())) or ""
    _, owns, calls = re.split(r"^(?:Owns|Others call) ", told, flags=re.MULTILINE)
    return owns, calls


def called_from_outside() -> Iterator[tuple[str, str, Path]]:
    """Each module of a room that somebody outside of it imports: the room, the module, and who does."""
    for path in [*(ROOT / "admin_app").rglob("*.py"), *(ROOT / "views").rglob("*.py")]:
        inside = path.relative_to(SERVICES).parts[0] if path.is_relative_to(SERVICES) else ""
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("admin_app.services."):
                continue
            room, _, module = (node.module or "").removeprefix("admin_app.services.").partition(".")
            if room != inside:
                found = [name.name for name in node.names if (SERVICES / room / f"{name.name}.py").exists()]
                yield from ((room, name, path) for name in ([module.partition(".")[0]] if module else found))


def test_every_service_is_in_a_room() -> None:
    assert [path.name for path in SERVICES.glob("*.py")] == ["__init__.py"]


def test_a_front_door_names_whatever_others_call() -> None:
    unnamed = defaultdict(set)
    for room, module, path in called_from_outside():
        if module not in NAMED.findall(door(room)[1]):
            unnamed[f"{room}.{module}"].add(str(path.relative_to(ROOT)))
    assert not unnamed


def test_a_front_door_names_nothing_that_is_not_there() -> None:
    called = {(room, module) for room, module, _ in called_from_outside()}
    for room in ROOMS:
        modules = {path.stem for path in (SERVICES / room).glob("*.py")}
        stale = [name for name in NAMED.findall(door(room)[1]) if name in modules and (room, name) not in called]
        assert stale == [], room


def test_each_table_is_one_rooms_own() -> None:
    tables = set(Base.metadata.tables)
    owners = defaultdict(list)
    for room in ROOMS:
        # Only the first sentence says what is owned; another may name a table that is somebody else's.
        for name in NAMED.findall(re.split(r"[.:;]\s", door(room)[0])[0]):
            if name in tables:
                owners[name].append(room)
    assert {table: owners[table] for table in tables if len(owners[table]) != 1} == {}


def test_a_server_loads_neither_the_simulator_nor_the_demo() -> None:
    look = "import sys, admin_app.factory; print([n for n in sys.modules if {'simulator', 'demo'} & {*n.split('.')}])"
    loaded = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
