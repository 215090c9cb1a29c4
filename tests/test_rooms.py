"""The rooms: what is of one stands in it on every floor, and its front door says what it owns and what others call."""

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
FLOORS = ("admin_app", "models", "views", "migrations", "static", "tests", "docs", "findings")
WRITTEN = (".py", ".html", ".css", ".js", ".md", ".sh")
LONGEST = 400
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


def test_the_rooms_are_the_same_on_every_floor() -> None:
    """Pages, their templates and the tests stand in the room of their service; only what is for all rooms does not."""
    console, templates = ROOT / "views/console", ROOT / "views/templates/console"
    assert {path.name for path in console.glob("*.py")} == {"__init__.py", "pages.py"}
    assert [path.name for path in templates.iterdir() if path.is_file()] == []
    for floor in (console, templates, ROOT / "tests/console", ROOT / "tests/services"):
        rooms = {path.name for path in floor.iterdir() if path.is_dir() and not path.name.startswith("__")}
        assert rooms - {*ROOMS, "framework"} == set(), floor
    assert [path.name for path in (ROOT / "tests/services").glob("test_*.py")] == []


def test_a_template_is_in_the_room_of_its_page() -> None:
    strange = []
    for path in (ROOT / "views/console").rglob("*.py"):
        room = path.relative_to(ROOT / "views/console").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            named = re.fullmatch(r"console/([a-z_]+)/[a-z_/]+\.html", node.value)
            if named and named[1] not in {room, "framework"}:
                strange.append(f"{path.relative_to(ROOT)}: {node.value}")
    assert strange == []


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    written = [
        path
        for folder in FLOORS
        for path in (ROOT / folder).rglob("*")
        if path.name.endswith(WRITTEN) and "vendor" not in path.parts
    ]
    assert len(written) > 1000
    long = {path.name: lines for path in written if (lines := len(path.read_text().splitlines())) > LONGEST}
    assert long == {}


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
