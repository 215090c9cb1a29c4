"""Only the unit of work commits."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {"admin_app/db.py"}
# The simulator is another program with a store of its own.
APART = ("admin_app/simulator/", "admin_app/launcher/")


def test_commit_stands_in_one_place() -> None:
    sources = [path for top in ("admin_app", "models", "views") for path in (ROOT / top).rglob("*.py")]
    names = {str(path.relative_to(ROOT)) for path in sources if re.search(r"\.commit\(", path.read_text())}
    assert {name for name in names if not name.startswith(APART)} <= ALLOWED
