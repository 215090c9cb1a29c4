"""An earlier build of the product, taken from the history, to be measured beside the one of today."""

import io
import subprocess
import tarfile
from pathlib import Path

from tests.bench.place import ROOT


def unpacked(commit: str) -> Path | None:
    """The folder with that build; None where the history does not reach back to it, as in a shallow clone."""
    folder = ROOT / "var" / "bench" / "builds" / commit
    if (folder / "wsgi.py").exists():
        return folder
    made = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if made.returncode != 0:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def migrate(folder: Path, python: str, environment: dict[str, str]) -> None:
    """Bring a database to that build's newest revision."""
    command = [python, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head"]
    subprocess.run(command, cwd=folder, check=True, env=environment, stderr=subprocess.PIPE)
